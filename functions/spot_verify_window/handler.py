"""Looks whether what was done for a window has had its effect."""

import os
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_drains import AwsContainerInstances, AwsLifecycleHooks
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEvidence, AwsLoadBalancing, AwsRunCommand
from signalbox.spot.hooks import KeepHooks
from signalbox.spot.settings import WorkSettings
from signalbox.spot.tasks import parse_task
from signalbox.spot.telemetry import report_heartbeat_failure
from signalbox.spot.verification import VerifyWindow
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> VerifyWindow:
    settings = WorkSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    evidence = AwsEvidence(
        AwsAutoScaling(client("autoscaling")),
        AwsLoadBalancing(client("elbv2")),
        AwsRunCommand(client("ssm")),
        AwsContainerInstances(client("ecs")),
    )
    hooks = KeepHooks(AwsLifecycleHooks(client("autoscaling")), time.time, report_heartbeat_failure)
    return VerifyWindow(ledger, evidence, hooks, time.time)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    return dict(msgspec.to_builtins(use_case().look(task.window, task.plan)))
