"""Takes a batch of events in from the intake queue."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.executions import Executions
from signalbox.intake import messages_of
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.windows import Windows
from signalbox.spot.intake import AdmitEvents
from signalbox.spot.settings import AdmitSettings
from signalbox.spot.telemetry import report_admission
from signalbox.telemetry.steps import step


@cache
def use_case() -> AdmitEvents:
    settings = AdmitSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    executions = Executions(client("stepfunctions"), settings.spot_state_machine_arn)
    windows = Windows(ledger, executions, time.time, open_seconds=settings.spot_window_seconds)
    lead = settings.spot_scheduled_lead_seconds
    return AdmitEvents(windows, ledger, settings.scope, time.time, scheduled_lead=lead)


at_init(use_case)


@step("spot", "AdmitEvents")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    messages = messages_of(event)
    admission = use_case().admit(messages)
    report_admission(admission, messages)
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in admission.returned]}
