"""Looks what an object is now, and whether it goes on to a converter or an analyser."""

import os
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.aws_objects import Objects
from signalbox.documents.inspection import InspectObject
from signalbox.documents.settings import InspectSettings
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_inspection
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.telemetry.steps import step


@cache
def use_case() -> InspectObject:
    settings = InspectSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    return InspectObject(ledger, Objects(client("s3")))


at_init(use_case)


@step("documents", "InspectObject")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    inspection = use_case().inspect(parse_task(event))
    report_inspection(inspection.verdict)
    return dict(msgspec.to_builtins(inspection))
