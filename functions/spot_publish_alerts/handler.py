"""Publishes what a window has to tell: alerts to people, domain events to programs."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.publishing import publisher
from signalbox.spot.settings import PublishSettings
from signalbox.spot.tasks import parse_task, work
from signalbox.telemetry.steps import step


@cache
def use_case() -> Worker:
    settings = PublishSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    return publisher(ledger, settings.alert_topic_arn, settings.event_bus_name)


at_init(use_case)


@step("spot", "PublishAlerts")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return work(use_case(), parse_task(event), context)
