"""Settles a window: each episode gets its outcome."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.closing import SettleWindow
from signalbox.spot.settings import SettleSettings
from signalbox.spot.tasks import parse_task
from signalbox.spot.telemetry import report_closing
from signalbox.telemetry.steps import step


@cache
def use_case() -> SettleWindow:
    settings = SettleSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    return SettleWindow(ledger, time.time, late_look=settings.spot_late_look_seconds)


at_init(use_case)


@step("spot", "SettleWindow")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    closing = use_case().settle(task.window, task.errors)
    report_closing(closing)
    return {"outcomes": closing.outcomes, "alerts": closing.alerts}
