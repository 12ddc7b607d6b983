"""Versions and aliases as deployed: who invokes which, and what each answers before it takes over."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.deployment import STACK, deploy
from local.embedded import EmbeddedAws
from operations.probing import ASKS, probe
from signalbox.deployment.aws_checking import AwsVersions
from signalbox.deployment.checking import Candidate, CheckVersion, Hook
from signalbox.deployment.probing import PROBE
from signalbox.errors import RefusedError
from tests.e2e.stack import ALIAS, Scene, Stack, warning
from tests.template.sources import resources

pytestmark = pytest.mark.embedded

FUNCTIONS = {
    name: ["ledger"] if "LEDGER_TABLE" in function["Properties"]["Environment"]["Variables"] else []
    for name, function in resources("AWS::Serverless::Function").items()
    if name != ASKS
}
"""What each can reach."""


def live_version(stack: Stack, function: str) -> Candidate:
    """The version that gets the events of a function, by its logical id."""
    name = stack.physical(function)
    alias = stack.aws.client("lambda").get_alias(FunctionName=name, Name=ALIAS)
    return Candidate(name, alias["FunctionVersion"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_answers_a_probe_under_its_own_role(stack: Stack, function: str) -> None:
    candidate = live_version(stack, function)
    answer = AwsVersions(stack.aws.client("lambda")).probe(candidate, "d-1")
    assert (answer[PROBE], answer["version"]) == ("d-1", candidate.version)
    assert answer["reached"] == FUNCTIONS[function]
    assert answer["settings"] == "1"


def test_a_probe_changes_nothing(scene: Scene) -> None:
    stack = scene.stack
    before = stack.aws.client("dynamodb").scan(TableName=stack.outputs["LedgerTableName"], Select="COUNT")
    for function in FUNCTIONS:
        AwsVersions(stack.aws.client("lambda")).probe(live_version(stack, function), "d-1")
    after = stack.aws.client("dynamodb").scan(TableName=stack.outputs["LedgerTableName"], Select="COUNT")
    assert after["Count"] == before["Count"]
    assert stack.guard.changes() == {}


def test_a_person_can_ask_them_all(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(stack.aws.client("cloudformation"), stack.aws.client("lambda"), STACK)
    assert f"{len(FUNCTIONS)} of {len(FUNCTIONS)} could work." in capsys.readouterr().out


class OneDeployment:
    """In place of CodeDeploy, which the embedded AWS lacks."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self.told: list[bool] = []

    def revision(self, deployment: str) -> str:
        properties = {"Name": self._candidate.function, "TargetVersion": self._candidate.version}
        return json.dumps({"Resources": [{"function": {"Properties": properties}}]})

    def report(self, hook: Hook, *, healthy: bool) -> None:
        self.told.append(healthy)


NO_TABLE = "no-such-table"
"""Which the role may not touch, and which isn't there."""


@pytest.fixture
def bad_version(stack: Stack) -> Iterator[Candidate]:
    """A version of the planner that is told of another ledger, published and not yet live."""
    functions, function = stack.aws.client("lambda"), stack.physical("SpotPlanWindowFunction")
    before = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    wrong = {**before, "LEDGER_TABLE": NO_TABLE}
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": wrong})
    yield Candidate(function, functions.publish_version(FunctionName=function)["Version"])
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": before})


def test_a_bad_version_is_refused_before_it_gets_an_event(scene: Scene, bad_version: Candidate) -> None:
    stack = scene.stack
    versions = AwsVersions(stack.aws.client("lambda"))
    with pytest.raises(RefusedError, match="UpdateItem: AccessDenied"):
        versions.probe(bad_version, "d-1")
    deployments = OneDeployment(bad_version)
    verdict = CheckVersion(deployments, versions).check(Hook("d-1", "hook-1"))
    assert (verdict.healthy, deployments.told) == (False, [False])
    assert live_version(stack, "SpotPlanWindowFunction").version != bad_version.version
    # The alias is where it was: windows go on being planned.
    group = scene.group(1)
    scene.send(*(warning(instance) for instance in group.instances))
    assert scene.settled(group.instances).outcomes.keys() == set(group.instances)


def test_a_changed_parameter_goes_live(tmp_path: Path) -> None:
    """On a copy of its own: nobody else's functions change under them."""

    def seen() -> tuple[str, str]:
        found = aws.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId="SpotPlanWindowFunction"
        )
        live = aws.client("lambda").get_function_configuration(
            FunctionName=found["StackResourceDetail"]["PhysicalResourceId"], Qualifier=ALIAS
        )
        return live["Version"], live["Environment"]["Variables"]["SPOT_DRY_RUN"]

    with EmbeddedAws.start(tmp_path, enforce_iam=True) as aws:
        deploy(aws)
        before = seen()
        deploy(aws, overrides={"SpotDryRun": "true"})
        after = seen()
    assert (before[1], after[1]) == ("false", "true")
    assert before[0] != after[0]


def test_events_reach_the_alias(stack: Stack) -> None:
    aws = stack.aws
    [mapping] = aws.client("lambda").list_event_source_mappings(
        FunctionName=stack.physical("SpotAdmitEventsFunction")
    )["EventSourceMappings"]
    assert mapping["FunctionArn"].endswith(f":{ALIAS}")
    machine = aws.client("stepfunctions").describe_state_machine(
        stateMachineArn=stack.outputs["SpotStateMachineArn"]
    )
    invoked = list(_functions_in(json.loads(machine["definition"])))
    assert len(invoked) >= 10
    assert all(arn.endswith(f":{ALIAS}") for arn in invoked)


def _functions_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(name := node.get("FunctionName"), str):
            yield name
        for value in node.values():
            yield from _functions_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from _functions_in(value)
