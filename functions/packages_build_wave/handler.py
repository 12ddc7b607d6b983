"""Starts the builds of a wave. Its execution goes on when the end of the last one is taken in."""

import os
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.executions import TaskTokens
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_builds import CodeBuild
from signalbox.packages.building import BuildWave, Place, Waves
from signalbox.packages.entries import RETENTION_SECONDS
from signalbox.packages.settings import BuildSettings
from signalbox.packages.tasks import parse_task
from signalbox.packages.telemetry import Built, report_wave
from signalbox.telemetry.steps import step


@cache
def use_case() -> BuildWave:
    settings = BuildSettings.from_environment(os.environ)
    waves = Waves(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS),
        CodeBuild(client("codebuild")),
        time.time,
        Place(settings.packages_domain, settings.packages_domain_owner),
        settings.packages_builds_at_once,
    )
    return BuildWave(waves, TaskTokens(client("stepfunctions")), time.time)


at_init(use_case)


@step("packages", "BuildWave")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    driven = use_case().build(parse_task(event))
    report_wave(msgspec.convert(driven, Built, from_attributes=True))
    return {"started": driven.started}
