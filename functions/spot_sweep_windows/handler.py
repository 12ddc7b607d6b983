"""Admits what has become due, recovers windows without an execution, looks what runs on in no group."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.executions import Executions
from signalbox.ledger.deferrals import AdmitDeferred, due
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.sweeping import SweepWindows
from signalbox.ledger.windows import Windows
from signalbox.spot.aws_estate import AwsSurvivors
from signalbox.spot.intake import DOMAIN
from signalbox.spot.late_look import LookLate
from signalbox.spot.publishing import announcer
from signalbox.spot.settings import SweepSettings
from signalbox.spot.telemetry import report_late_looks, report_sweep, report_unseen
from signalbox.telemetry.steps import step


@cache
def use_case() -> tuple[DynamoLedger, AdmitDeferred, SweepWindows, LookLate]:
    settings = SweepSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    executions = Executions(client("stepfunctions"), settings.spot_state_machine_arn)
    windows = Windows(ledger, executions, time.time, open_seconds=(seconds := settings.spot_window_seconds))
    tell = announcer(ledger, settings.alert_topic_arn, settings.event_bus_name)
    sweeping = SweepWindows(ledger, executions, tell.given_up, time.time, open_seconds=seconds)
    late = LookLate(ledger, lambda w: AwsSurvivors(settings.hub.estate(w)), tell, time.time, report_unseen)
    return ledger, AdmitDeferred(ledger, windows), sweeping, late


at_init(use_case)


@step("spot", "SweepWindows")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    ledger, deferred, sweeping, late = use_case()
    deferrals = due(ledger, DOMAIN, time.time())
    admitted = deferred.admit(deferrals)
    report_sweep(sweep := sweeping.sweep(DOMAIN))
    report_late_looks(found := late.look(deferrals))
    counts = {"admitted": admitted, "restarted": len(sweep.restarted), "given_up": len(sweep.given_up)}
    return {**counts, "found_running": sum(len(each.survivors) for each in found)}
