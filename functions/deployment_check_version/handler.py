"""Checks a new version of a function for CodeDeploy, before any event reaches it."""

from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.deployment.aws_checking import AwsDeployments, AwsVersions
from signalbox.deployment.checking import CheckVersion, parse_hook
from signalbox.deployment.telemetry import report_verdict
from signalbox.telemetry.steps import step


@cache
def use_case() -> CheckVersion:
    return CheckVersion(AwsDeployments(client("codedeploy")), AwsVersions(client("lambda")))


at_init(use_case)


@step("deployment", "CheckVersion")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    verdict = use_case().check(parse_hook(event))
    report_verdict(verdict)
    return {"healthy": verdict.healthy, "reason": verdict.reason}
