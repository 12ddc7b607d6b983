"""Closes a window and plans it."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEstate, AwsInstances
from signalbox.spot.settings import PlanSettings
from signalbox.spot.tasks import new_plan_id, parse_task
from signalbox.spot.telemetry import report_plan
from signalbox.spot.window import PlanWindow
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> PlanWindow:
    settings = PlanSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    estate = AwsEstate(AwsInstances(client("ec2")), AwsAutoScaling(client("autoscaling")), client("ssm"))
    limits = settings.rebalance_limits
    return PlanWindow(ledger, estate, settings.policy, time.time, new_plan_id, limits)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    plan = use_case().plan(parse_task(event).window)
    report_plan(plan)
    return {"plan": plan.id, **plan.summary}
