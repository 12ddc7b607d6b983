"""Has Rekognition look for labels in an image."""

from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.aws_analysis import RekognitionLabels
from signalbox.documents.aws_objects import Objects
from signalbox.documents.labels import DetectLabels
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_labels
from signalbox.telemetry.steps import step


@cache
def use_case() -> DetectLabels:
    return DetectLabels(Objects(client("s3")), RekognitionLabels(client("rekognition")))


at_init(use_case)


@step("documents", "DetectLabels")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    labelled = use_case().detect(task)
    report_labels(labelled.labels, labelled.verdict)
    return dict(msgspec.to_builtins(labelled))
