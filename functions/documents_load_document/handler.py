"""Has the index say what was found out of a document."""

import os
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.aws_objects import Objects
from signalbox.documents.loading import Index, LoadDocument
from signalbox.documents.s3_index import S3Index
from signalbox.documents.settings import LoadSettings
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_loading
from signalbox.telemetry.steps import step


@cache
def use_case() -> LoadDocument:
    settings = LoadSettings.from_environment(os.environ)
    objects = Objects(client("s3"))
    bucket = settings.documents_work_bucket
    index: Index = S3Index(objects, bucket)
    if settings.documents_opensearch_endpoint:
        # Only where it is chosen: it takes half a second to import, and lies in a layer of its own.
        from signalbox.documents.aws_opensearch import open_index  # noqa: PLC0415 - see above

        index = open_index(settings)
    return LoadDocument(objects, bucket, index, time.time)


at_init(use_case)


@step("documents", "LoadDocument")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    loaded = use_case().load(parse_task(event))
    report_loading(loaded)
    answer: dict[str, Any] = msgspec.to_builtins(loaded)
    return answer
