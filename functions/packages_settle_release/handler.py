"""Settles the account of a try to release a version: it is recorded, and its owners are told."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.advice import Place
from signalbox.packages.aws_builds import CodeBuild
from signalbox.packages.aws_owners import ParameterOwners
from signalbox.packages.entries import RETENTION_SECONDS
from signalbox.packages.settings import SettleSettings
from signalbox.packages.settlement import SettleRelease
from signalbox.packages.tasks import parse_task
from signalbox.packages.telemetry import report_settlement
from signalbox.telemetry.steps import step


@cache
def use_case() -> SettleRelease:
    settings = SettleSettings.from_environment(os.environ)
    return SettleRelease(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS),
        ParameterOwners(client("ssm"), settings.packages_owners_path, time.time),
        CodeBuild(client("codebuild")),
        SnsTopic(client("sns"), settings.alert_topic_arn),
        EventBus(client("events"), settings.event_bus_name),
        time.time,
        Place(settings.signalbox_stack, settings.packages_domain, settings.packages_shared_repository),
    )


at_init(use_case)


@step("packages", "SettleRelease")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    settled = use_case().settle(parse_task(event))
    report_settlement(settled)
    return {"outcome": settled.outcome}
