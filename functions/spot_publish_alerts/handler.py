"""Publishes what a window has to tell: alerts to people, domain events to programs."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.performers import PublishAlert, PutEvent
from signalbox.spot.settings import PublishSettings
from signalbox.spot.tasks import work, worker
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> Worker:
    settings = PublishSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    topic = SnsTopic(client("sns"), settings.alert_topic_arn)
    bus = EventBus(client("events"), settings.event_bus_name)
    return worker(ledger, {"alert": PublishAlert(topic), "event": PutEvent(bus)})


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return work(use_case(), event, context)
