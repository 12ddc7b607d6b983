"""Takes a batch of events in from the intake queue: the index follows, releases of quiet versions begin."""

import os
import random
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.executions import NamedExecutions, TaskTokens
from signalbox.aws.queues import SqsQueue
from signalbox.intake import Retries, messages_of
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.admission import Rules
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.entries import RETENTION_SECONDS
from signalbox.packages.intake import AdmitEvents
from signalbox.packages.settings import AdmitSettings
from signalbox.packages.telemetry import report_admission
from signalbox.telemetry.steps import step


@cache
def use_case() -> AdmitEvents:
    settings = AdmitSettings.from_environment(os.environ)
    states, told = client("stepfunctions"), (settings.packages_domain, settings.packages_domain_owner)
    return AdmitEvents(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS),
        CodeArtifactRepositories(client("codeartifact"), *told),
        NamedExecutions(states, settings.packages_state_machine_arn),
        TaskTokens(states),
        SqsQueue(client("sqs"), settings.packages_intake_queue_url),
        Rules.of(settings),
        time.time,
        Retries(settings.packages_maximum_receives, random.random),
    )


at_init(use_case)


@step("packages", "AdmitEvents")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    messages = messages_of(event)
    report_admission(admission := use_case().admit(messages), messages)
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in admission.waits]}
