"""Has Comprehend look for entities in the text of a document."""

import os
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.aws_analysis import ComprehendEntities
from signalbox.documents.aws_objects import Objects
from signalbox.documents.entities import CALLS_AT_ONCE, DetectEntities
from signalbox.documents.settings import WorkSettings
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_analysis
from signalbox.side_by_side import SideBySide
from signalbox.telemetry.steps import step


@cache
def use_case() -> DetectEntities:
    bucket = WorkSettings.from_environment(os.environ).documents_work_bucket
    detector = ComprehendEntities(client("comprehend"))
    return DetectEntities(Objects(client("s3")), bucket, detector, SideBySide(CALLS_AT_ONCE))


at_init(use_case)


@step("documents", "DetectEntities")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    entities = use_case().detect(task)
    report_analysis(entities)
    return dict(msgspec.to_builtins(entities))
