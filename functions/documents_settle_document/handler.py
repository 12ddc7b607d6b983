"""Settles the account of an execution: its outcome goes into the ledger, and is told."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.documents.aws_objects import Objects
from signalbox.documents.settings import SettleSettings
from signalbox.documents.settlement import SettleDocument
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_settlement
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.telemetry.steps import step


@cache
def use_case() -> SettleDocument:
    settings = SettleSettings.from_environment(os.environ)
    return SettleDocument(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time),
        Objects(client("s3")),
        SnsTopic(client("sns"), settings.alert_topic_arn),
        EventBus(client("events"), settings.event_bus_name),
        time.time,
        bucket=settings.documents_work_bucket,
        quarantine_bytes=settings.documents_quarantine_bytes,
    )


at_init(use_case)


@step("documents", "SettleDocument")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    settled = use_case().settle(parse_task(event))
    report_settlement(settled)
    return {"outcome": settled.outcome}
