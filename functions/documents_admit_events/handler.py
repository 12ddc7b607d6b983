"""Takes a batch of events in from the intake queue, and has their objects indexed."""

import os
import random
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import ONCE, client
from signalbox.aws.executions import SYNC_READ_TIMEOUT_SECONDS, SyncExecutions
from signalbox.aws.queues import SqsQueue
from signalbox.documents.aws_routes import ParameterRoutes
from signalbox.documents.intake import EXECUTIONS_AT_ONCE, AdmitEvents
from signalbox.documents.settings import AdmitSettings
from signalbox.documents.telemetry import report_admission
from signalbox.intake import Retries, messages_of
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.side_by_side import SideBySide
from signalbox.telemetry.steps import step


@cache
def use_case() -> AdmitEvents:
    settings = AdmitSettings.from_environment(os.environ)
    states = client("stepfunctions", attempts=ONCE, read_timeout=SYNC_READ_TIMEOUT_SECONDS)
    told = settings.documents_routes_parameter, settings.documents_bucket, settings.documents_work_bucket
    return AdmitEvents(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time),
        ParameterRoutes(client("ssm"), *told, time.time),
        SyncExecutions(states, settings.documents_state_machine_arn),
        SqsQueue(client("sqs"), settings.documents_intake_queue_url),
        settings.scope,
        time.time,
        Retries(settings.documents_maximum_receives, random.random),
        SideBySide(EXECUTIONS_AT_ONCE),
    )


at_init(use_case)


@step("documents", "AdmitEvents")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    messages = messages_of(event)
    report_admission(admission := use_case().admit(messages), messages)
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in admission.returned]}
