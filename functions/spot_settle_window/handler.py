"""Settles a window: each episode gets its outcome."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.closing import SettleWindow
from signalbox.spot.settings import WorkSettings
from signalbox.spot.tasks import parse_task
from signalbox.spot.telemetry import report_closing
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> SettleWindow:
    settings = WorkSettings.from_environment(os.environ)
    return SettleWindow(DynamoLedger(client("dynamodb"), settings.ledger_table, time.time), time.time)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    closing = use_case().settle(task.window, task.errors)
    report_closing(closing)
    return {"outcomes": closing.outcomes, "alerts": closing.alerts}
