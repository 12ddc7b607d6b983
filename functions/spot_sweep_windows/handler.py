"""Admits what has become due; gives a window whose execution never started or died another one."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.aws.executions import Executions
from signalbox.ledger.deferrals import AdmitDeferred
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.sweeping import SweepWindows
from signalbox.ledger.windows import Windows
from signalbox.spot.intake import DOMAIN
from signalbox.spot.settings import SweepSettings
from signalbox.spot.telemetry import report_sweep
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> tuple[SweepWindows, AdmitDeferred]:
    settings = SweepSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    executions = Executions(client("stepfunctions"), settings.spot_state_machine_arn)
    windows = Windows(ledger, executions, time.time, open_seconds=settings.spot_window_seconds)
    sweeping = SweepWindows(ledger, executions, time.time, open_seconds=settings.spot_window_seconds)
    return sweeping, AdmitDeferred(ledger, windows, time.time)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    sweeping, deferred = use_case()
    admitted = deferred.admit(DOMAIN)
    sweep = sweeping.sweep(DOMAIN)
    report_sweep(sweep)
    return {"admitted": admitted, "restarted": len(sweep.restarted), "given_up": len(sweep.given_up)}
