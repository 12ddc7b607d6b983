"""Makes text of an object, in a process with limits of its own."""

import os
import time
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.aws_objects import Objects
from signalbox.documents.conversion.converters import Limits
from signalbox.documents.conversion.converting import UPLOADS_AT_ONCE, ConvertObject
from signalbox.documents.conversion.sandbox import Sandbox, keep_to_oneself
from signalbox.documents.settings import WorkSettings
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_conversion
from signalbox.side_by_side import SideBySide
from signalbox.telemetry.steps import step


@cache
def use_case() -> ConvertObject:
    settings = WorkSettings.from_environment(os.environ)
    keep_to_oneself()
    objects, bucket = Objects(client("s3")), settings.documents_work_bucket
    spread = SideBySide(UPLOADS_AT_ONCE)
    return ConvertObject(objects, bucket, Sandbox(os.environ), TemporaryDirectory, Limits(), spread)


at_init(use_case)


@step("documents", "ConvertObject")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    began = time.monotonic()
    converted = use_case().convert(parse_task(event))
    report_conversion(converted.text, converted.verdict, time.monotonic() - began)
    return dict(msgspec.to_builtins(converted))
