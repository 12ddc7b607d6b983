"""Detaches the instances of a window's plan from their groups."""

import os
import time
from functools import cache, lru_cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import ONCE, client
from signalbox.aws.estates import ESTATES_KEPT, Estate, Home
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_estate import AwsAutoScaling
from signalbox.spot.performers import DetachInstances
from signalbox.spot.settings import EstateSettings
from signalbox.spot.tasks import parse_task, work, worker
from signalbox.telemetry.steps import step


@cache
def settings() -> EstateSettings:
    return EstateSettings.from_environment(os.environ)


@lru_cache(maxsize=ESTATES_KEPT)
def use_case(estate: Estate) -> Worker:
    ledger = DynamoLedger(client("dynamodb"), settings().ledger_table, time.time)
    auto_scaling = AwsAutoScaling(estate.client("autoscaling", attempts=ONCE))
    return worker(ledger, {"detach": DetachInstances(auto_scaling)})


at_init(use_case, Home())


@step("spot", "DetachInstances")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    return work(use_case(settings().hub.estate(task.window)), task, context)
