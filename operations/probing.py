"""Asks every function of a stack whether it could work, as a deployment asks its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from signalbox.aws.calls import call
from signalbox.deployment.aws_checking import AwsVersions
from signalbox.deployment.checking import Candidate
from signalbox.errors import SignalboxError

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS = "live"
ASKS = "DeploymentCheckVersionFunction"
"""The one that asks, and can't be asked."""


def probe(cloudformation: Any, functions: Any, stack: str) -> bool:
    """Prints what each answers; whether all of them could work."""
    found = dict(_functions(cloudformation, stack))
    versions = AwsVersions(functions)
    failed = 0
    for name, function in sorted(found.items()):
        try:
            answer = versions.probe(Candidate(function, ALIAS), "operations")
        except SignalboxError as error:
            failed += 1
            print(f"✗ {name}: {error.code}: {error}")
        else:
            print(f"✓ {name}: version {answer['version']}, settings {answer['settings']}")
    print(f"{len(found) - failed} of {len(found)} could work.")
    return bool(found) and not failed


def _functions(cloudformation: Any, stack: str) -> Iterator[tuple[str, str]]:
    """Logical and physical ids."""
    arguments = {"StackName": stack}
    while True:
        page = call(cloudformation.list_stack_resources, **arguments)
        for each in page["StackResourceSummaries"]:
            if each["ResourceType"] == "AWS::Lambda::Function" and each["LogicalResourceId"] != ASKS:
                yield each["LogicalResourceId"], each["PhysicalResourceId"]
        if not (token := page.get("NextToken")):
            return
        arguments["NextToken"] = token
