"""Closes a window and plans it."""

import os
import time
from functools import cache, lru_cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.estates import ESTATES_KEPT, Estate, Home
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEstate, AwsInstances, AwsLoadBalancing
from signalbox.spot.settings import PlanSettings
from signalbox.spot.tasks import new_plan_id, parse_task
from signalbox.spot.telemetry import report_plan
from signalbox.spot.window import PlanWindow
from signalbox.telemetry.steps import step


@cache
def settings() -> PlanSettings:
    return PlanSettings.from_environment(os.environ)


@lru_cache(maxsize=ESTATES_KEPT)
def use_case(estate: Estate) -> PlanWindow:
    ledger = DynamoLedger(client("dynamodb"), settings().ledger_table, time.time)
    reader = AwsEstate(
        AwsInstances(estate.client("ec2")),
        AwsAutoScaling(estate.client("autoscaling")),
        estate.client("ssm"),
        lambda names: AwsLoadBalancing(estate.client("elbv2")).target_groups(names),
    )
    limits = settings().rebalance_limits
    return PlanWindow(ledger, reader, settings().policy, time.time, new_plan_id, limits)


at_init(use_case, Home())


@step("spot", "PlanWindow")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    window = parse_task(event).window
    plan = use_case(settings().hub.estate(window)).plan(window)
    report_plan(plan)
    return {"plan": plan.id, **plan.summary}
