"""Copies a version into the shared repository, and looks whether it is there."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import ONCE, client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.entries import RETENTION_SECONDS, answer
from signalbox.packages.promotion import PromoteVersion
from signalbox.packages.settings import PromoteSettings
from signalbox.packages.tasks import parse_task
from signalbox.packages.telemetry import report_promotion
from signalbox.telemetry.steps import step


@cache
def use_case() -> PromoteVersion:
    settings = PromoteSettings.from_environment(os.environ)
    codeartifact = client("codeartifact", attempts=ONCE)
    return PromoteVersion(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS),
        CodeArtifactRepositories(codeartifact, settings.packages_domain, settings.packages_domain_owner),
        settings.packages_shared_repository,
        time.time,
    )


at_init(use_case)


@step("packages", "PromoteVersion")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    promotion = use_case().promote(task)
    report_promotion(promotion.outcome, promotion.detail)
    return answer(promotion.entry, task.round, task.tries)
