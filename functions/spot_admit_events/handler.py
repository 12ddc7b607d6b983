"""Takes a batch of events in from the intake queue."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.aws.executions import Executions
from signalbox.eventbridge import Scope
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.windows import Windows
from signalbox.spot.intake import AdmitEvents, Message
from signalbox.spot.settings import AdmitSettings
from signalbox.spot.telemetry import report_admission
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> AdmitEvents:
    settings = AdmitSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    executions = Executions(client("stepfunctions"), settings.spot_state_machine_arn)
    windows = Windows(ledger, executions, time.time, open_seconds=settings.spot_window_seconds)
    accounts = frozenset(settings.allowed_accounts.split(","))
    scope = Scope(accounts, frozenset({settings.aws_region}), settings.spot_maximum_event_age_seconds)
    lead = settings.spot_scheduled_lead_seconds
    return AdmitEvents(windows, ledger, scope, time.time, scheduled_lead=lead)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    messages = [
        Message(r["messageId"], r["body"], r["attributes"]["ApproximateReceiveCount"] == "1")
        for r in event["Records"]
    ]
    admission = use_case().admit(messages)
    report_admission(admission, messages)
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in admission.returned]}
