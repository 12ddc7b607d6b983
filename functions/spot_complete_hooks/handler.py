"""Lets the instances of a window's plan go: completes their hooks, ends those that are only at risk."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import ONCE, client
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_drains import AwsLifecycleHooks
from signalbox.spot.aws_estate import AwsAutoScaling
from signalbox.spot.hooks import CompleteHooks
from signalbox.spot.settings import WorkSettings
from signalbox.spot.tasks import work, worker
from signalbox.spot.terminations import TerminateInstances
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> Worker:
    settings = WorkSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    auto_scaling = client("autoscaling", attempts=ONCE)
    return worker(
        ledger,
        {
            "complete": CompleteHooks(AwsLifecycleHooks(auto_scaling)),
            "terminate": TerminateInstances(AwsAutoScaling(auto_scaling)),
        },
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return work(use_case(), event, context)
