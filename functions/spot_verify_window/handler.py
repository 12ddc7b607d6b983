"""Looks whether what was done for a window has had its effect."""

import os
import time
from functools import cache, lru_cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.estates import ESTATES_KEPT, Estate, Home
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_drains import AwsClassicLoadBalancing, AwsContainerInstances, AwsLifecycleHooks
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEvidence, AwsLoadBalancing, AwsRunCommand
from signalbox.spot.hooks import KeepHooks
from signalbox.spot.settings import EstateSettings
from signalbox.spot.tasks import parse_task
from signalbox.spot.telemetry import report_heartbeat_failure, report_look
from signalbox.spot.verification import VerifyWindow
from signalbox.telemetry.steps import step


@cache
def settings() -> EstateSettings:
    return EstateSettings.from_environment(os.environ)


@lru_cache(maxsize=ESTATES_KEPT)
def use_case(estate: Estate) -> VerifyWindow:
    ledger = DynamoLedger(client("dynamodb"), settings().ledger_table, time.time)
    evidence = AwsEvidence(
        AwsAutoScaling(estate.client("autoscaling")),
        AwsLoadBalancing(estate.client("elbv2")),
        AwsRunCommand(estate.client("ssm")),
        AwsContainerInstances(estate.client("ecs")),
        lambda name, ids: AwsClassicLoadBalancing(estate.client("elb")).registered_states(name, ids),
    )
    hooks = KeepHooks(AwsLifecycleHooks(estate.client("autoscaling")), time.time, report_heartbeat_failure)
    return VerifyWindow(ledger, evidence, hooks, time.time)


at_init(use_case, Home())


@step("spot", "VerifyWindow")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    report_look(seen := use_case(settings().hub.estate(task.window)).look(task.window, task.plan, task.phase))
    return dict(msgspec.to_builtins(seen))
