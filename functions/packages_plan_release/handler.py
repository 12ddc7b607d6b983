"""Plans which packages are rebuilt for a version, in which order, by which projects."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_owners import ParameterOwners
from signalbox.packages.aws_policy import ParameterPolicy
from signalbox.packages.entries import RETENTION_SECONDS, answer
from signalbox.packages.index_store import IndexStore
from signalbox.packages.preparation import PlanRelease
from signalbox.packages.settings import PlanSettings
from signalbox.packages.tasks import parse_task
from signalbox.packages.telemetry import report_plan
from signalbox.telemetry.steps import step


@cache
def use_case() -> PlanRelease:
    settings = PlanSettings.from_environment(os.environ)
    ssm = client("ssm")
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS)
    policy = ParameterPolicy(ssm, settings.packages_policy_parameter, time.time)
    owners = ParameterOwners(ssm, settings.packages_owners_path, time.time)
    return PlanRelease(ledger, IndexStore(ledger, settings.packages_domain), policy, owners)


at_init(use_case)


@step("packages", "PlanRelease")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    made = use_case().prepare(task)
    report_plan(made.verdict, made.objections, affected=made.affected, waves=made.waves)
    return answer(made.entry, task.round, task.tries)
