"""Everything is traced, and what the X-Ray groups look for is what the functions annotate."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from signalbox.telemetry.steps import ANNOTATED
from tests.template.sources import ROOT, resources, template

GROUPS = resources("AWS::XRay::Group")
RULES = resources("AWS::XRay::SamplingRule")
MACHINES = resources("AWS::Serverless::StateMachine")
FUNCTIONS = resources("AWS::Serverless::Function")
BESIDE_THE_IDS = {"stack", "outcome", "harm"}
LONGEST_NAME = 32  # of a group and of a rule ("AWS::XRay::Group", CloudFormation User Guide)


def test_every_function_and_every_state_machine_is_traced() -> None:
    assert template()["Globals"]["Function"]["Tracing"] == "Active"
    assert not any("Tracing" in function["Properties"] for function in FUNCTIONS.values())
    assert all(machine["Properties"]["Tracing"] == {"Enabled": True} for machine in MACHINES.values())


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_looks_for_what_is_annotated(name: str) -> None:
    expression = GROUPS[name]["Properties"]["FilterExpression"]["Fn::Sub"]
    parts = [re.fullmatch(r"annotation\[(\w+)\] = .+", part) for part in expression.split(" AND ")]
    keys = {part[1] for part in parts if part}
    assert all(parts)
    assert keys <= ANNOTATED | BESIDE_THE_IDS
    assert expression.startswith('annotation[stack] = "${AWS::StackName}"')


def test_every_domain_has_a_group() -> None:
    domains = {
        Path(machine["Properties"]["DefinitionUri"]).name.partition("_")[0] for machine in MACHINES.values()
    }
    expressions = {group["Properties"]["FilterExpression"]["Fn::Sub"] for group in GROUPS.values()}
    for domain in domains:
        assert f'annotation[stack] = "${{AWS::StackName}}" AND annotation[domain] = "{domain}"' in expressions


def test_every_state_machine_has_a_sampling_rule() -> None:
    named = [rule["Properties"]["SamplingRule"]["ServiceName"] for rule in RULES.values()]
    assert named == [{"Fn::GetAtt": [machine, "Name"]} for machine in MACHINES]


@pytest.mark.parametrize(
    "stack",
    [
        stage["deploy"]["parameters"]["stack_name"]
        for stage in tomllib.loads((ROOT / "samconfig.toml").read_text()).values()
        if isinstance(stage, dict) and "stack_name" in stage.get("deploy", {}).get("parameters", {})
    ],
)
def test_the_names_are_short_enough(stack: str) -> None:
    given: list[Any] = [group["Properties"]["GroupName"] for group in GROUPS.values()]
    given += [rule["Properties"]["SamplingRule"]["RuleName"] for rule in RULES.values()]
    names = [
        str(node.get("Fn::Sub", "${AWS::StackName}")).replace("${AWS::StackName}", stack) for node in given
    ]
    assert all(len(name) <= LONGEST_NAME for name in names), names
