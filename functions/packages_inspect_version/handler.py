"""Looks at a version and judges it by the policy."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.aws_policy import ParameterPolicy
from signalbox.packages.entries import RETENTION_SECONDS, answer
from signalbox.packages.inspection import InspectVersion
from signalbox.packages.settings import InspectSettings
from signalbox.packages.tasks import parse_task
from signalbox.packages.telemetry import report_inspection
from signalbox.telemetry.steps import step


@cache
def use_case() -> InspectVersion:
    settings = InspectSettings.from_environment(os.environ)
    return InspectVersion(
        DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS),
        CodeArtifactRepositories(
            client("codeartifact"), settings.packages_domain, settings.packages_domain_owner
        ),
        ParameterPolicy(client("ssm"), settings.packages_policy_parameter, time.time),
        settings.packages_shared_repository,
    )


at_init(use_case)


@step("packages", "InspectVersion")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    inspection = use_case().inspect(task)
    report_inspection(inspection.verdict, inspection.objections)
    return answer(inspection.entry, task.round, task.tries)
