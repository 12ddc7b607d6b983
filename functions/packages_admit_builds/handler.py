"""Takes in how builds ended, starts those that have waited for a place, and lets executions go on."""

import os
import random
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.executions import TaskTokens
from signalbox.aws.queues import SqsQueue
from signalbox.intake import Retries, messages_of
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_builds import CodeBuild
from signalbox.packages.building import Place, Waves
from signalbox.packages.ends import AdmitBuilds
from signalbox.packages.entries import RETENTION_SECONDS
from signalbox.packages.settings import AdmitBuildsSettings
from signalbox.packages.telemetry import Built, Taken, report_builds
from signalbox.telemetry.steps import step


@cache
def use_case() -> AdmitBuilds:
    told = AdmitBuildsSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), told.ledger_table, time.time, retention=RETENTION_SECONDS)
    place = Place(told.packages_domain, told.packages_domain_owner)
    waves = Waves(ledger, CodeBuild(client("codebuild")), time.time, place, told.packages_builds_at_once)
    tokens = TaskTokens(client("stepfunctions"))
    queue = SqsQueue(client("sqs"), told.packages_builds_queue_url)
    retries = Retries(told.packages_maximum_receives, random.random)
    return AdmitBuilds(ledger, waves, tokens, queue, told.scope, time.time, retries)


at_init(use_case)


@step("packages", "AdmitBuilds")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    ends = use_case().admit(messages := messages_of(event))
    batch = msgspec.convert(ends, Taken, from_attributes=True)
    report_builds(batch, messages, msgspec.convert(ends, Built, from_attributes=True))
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in ends.waits]}
