"""Merges the files of the index in S3."""

import os
import time
from functools import cache
from typing import Any
from uuid import uuid4

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.aws_objects import Objects
from signalbox.documents.compaction import SHARD_SECONDS, CompactIndex
from signalbox.documents.settings import WorkSettings
from signalbox.documents.telemetry import report_compaction
from signalbox.telemetry.steps import step


@cache
def use_case() -> CompactIndex:
    settings = WorkSettings.from_environment(os.environ)
    objects = Objects(client("s3"))
    return CompactIndex(objects, settings.documents_work_bucket, time.time, lambda: uuid4().hex)


at_init(use_case)


@step("documents", "CompactIndex")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    run = use_case().compact(lambda: context.get_remaining_time_in_millis() > SHARD_SECONDS * 1000)
    report_compaction(run)
    answer: dict[str, Any] = msgspec.to_builtins(run)
    return answer
