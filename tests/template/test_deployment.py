"""How a new version takes over: what SAM makes of the template, as CloudFormation gets it."""

import copy
import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from tests.template.domains import domain_of
from tests.template.sources import ROOT, Statement, as_list, resources, statements, template
from tests.template.watching import references

FUNCTIONS = resources("AWS::Serverless::Function")
MACHINES = resources("AWS::Serverless::StateMachine")
CHECK = "DeploymentCheckVersionFunction"
DEPLOYED = [name for name in FUNCTIONS if name != CHECK]
ALIAS = "live"
LONGEST_NAME = 64  # of a function
SUFFIX = 12  # what CloudFormation adds to be unique
MOST_RESOURCES = 500  # of a stack
MOST_BYTES = 1_000_000  # of a template in a bucket


class NoManagedPolicies:
    """No function names a managed policy."""

    def load(self) -> dict[str, str]:
        return {}


def deployed(**changed: Any) -> dict[str, Any]:
    """The template as SAM gives it to CloudFormation. `changed`: other code, by logical id."""
    source = json.loads(json.dumps(template()))
    for name, resource in source["Resources"].items():
        properties = resource.get("Properties", {})
        for local in ("CodeUri", "ContentUri", "DefinitionUri"):
            if local in properties:
                properties[local] = f"s3://artifacts/{changed.get(name, name)}"
    made: dict[str, Any] = transform(source, {}, NoManagedPolicies())
    return made


@pytest.fixture(autouse=True)
def _in_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@cache
def whole() -> dict[str, Any]:
    return deployed()


def made(*kinds: str, of: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {name: each for name, each in (of or whole())["Resources"].items() if each["Type"] in kinds}


def test_the_stack_is_not_too_large_for_cloudformation() -> None:
    """With room for CloudFormation's own way to write it ("Understand CloudFormation quotas", User Guide)."""
    assert len(whole()["Resources"]) <= MOST_RESOURCES
    assert len(json.dumps(whole(), indent=1)) <= 0.8 * MOST_BYTES


def test_everybody_invokes_the_alias() -> None:
    aliases = {f"{name}Alias{ALIAS}" for name in FUNCTIONS}
    assert aliases == made("AWS::Lambda::Alias").keys()
    for mapping in made("AWS::Lambda::EventSourceMapping").values():
        assert mapping["Properties"]["FunctionName"]["Ref"] in aliases
    for permission in made("AWS::Lambda::Permission").values():
        assert permission["Properties"]["FunctionName"]["Ref"] in aliases
    rules = made("AWS::Events::Rule")
    targets = [target["Arn"] for rule in rules.values() for target in rule["Properties"]["Targets"]]
    assert {"Ref": f"SpotSweepWindowsFunctionAlias{ALIAS}"} in targets
    for name, machine in made("AWS::StepFunctions::StateMachine").items():
        invoked = {
            placeholder: value
            for placeholder, value in machine["Properties"]["DefinitionSubstitutions"].items()
            if placeholder.endswith("FunctionArn")
        }
        assert invoked == {
            placeholder: {"Ref": f"{placeholder.removesuffix('Arn')}Alias{ALIAS}"} for placeholder in invoked
        }
        [steps] = [
            s
            for s in statements("AWS::IAM::Role")
            if (s.owner, s.content.get("Sid")) == (f"{name}Role", "InvokeSteps")
        ]
        assert {node["Ref"] for node in steps.resources} == {
            f"{placeholder.removesuffix('Arn')}.Alias" for placeholder in invoked
        }


def test_every_function_is_checked_and_watched_while_its_version_takes_over() -> None:
    groups = made("AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in DEPLOYED}
    for name, group in groups.items():
        properties = group["Properties"]
        ringing = {each["Name"]["Ref"] for each in properties["AlarmConfiguration"]["Alarms"]}
        assert ringing == version_alarms_of(name.removesuffix("DeploymentGroup"))
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        assert properties["ServiceRoleArn"] == {"Fn::GetAtt": ["DeploymentRole", "Arn"]}
    for name in DEPLOYED:
        policy = made("AWS::Lambda::Alias")[f"{name}Alias{ALIAS}"]["UpdatePolicy"][
            "CodeDeployLambdaAliasUpdate"
        ]
        assert policy["BeforeAllowTrafficHook"] == {"Ref": CHECK}
        assert policy["DeploymentGroupName"] == {"Ref": f"{name}DeploymentGroup"}


def version_alarms() -> list[str]:
    return [name for name in resources("AWS::CloudWatch::Alarm") if name.endswith("VersionErrorsAlarm")]


def version_alarms_of(function: str) -> set[str]:
    """Those of every domain's steps; and of its own domain's intake, for what waits for the state machine."""
    steps = {name for name in version_alarms() if name.endswith("StepVersionErrorsAlarm")}
    domain = domain_of(function).capitalize()
    waits = references(FUNCTIONS[function]["Properties"]["Environment"]) & set(MACHINES)
    return steps | ({f"{domain}IntakeVersionErrorsAlarm"} if waits else set())


def test_the_alarms_are_on_the_new_version_of_every_function() -> None:
    watched = []
    for name in version_alarms():
        metrics = [
            each["MetricStat"] for each in made("AWS::CloudWatch::Alarm")[name]["Properties"]["Metrics"][1:]
        ]
        for metric in metrics:
            dimensions = {each["Name"]: each["Value"] for each in metric["Metric"]["Dimensions"]}
            function = dimensions["FunctionName"]["Ref"]
            version = made("AWS::Lambda::Alias")[f"{function}Alias{ALIAS}"]["Properties"]["FunctionVersion"]
            assert dimensions["ExecutedVersion"] == version
            assert dimensions["Resource"] == {"Fn::Sub": f"${{{function}}}:{ALIAS}"}
            watched.append(function)
    assert sorted(watched) == sorted(DEPLOYED)


def test_a_deployment_type_is_one_of_codedeploys() -> None:
    allowed = template()["Parameters"]["DeploymentType"]["AllowedValues"]
    [group, *_] = made("AWS::CodeDeploy::DeploymentGroup").values()
    name, values = group["Properties"]["DeploymentConfigName"]["Fn::Sub"]
    assert name == "CodeDeployDefault.Lambda${ConfigName}"
    assert values["ConfigName"] in allowed


def versions(of: Mapping[str, Any]) -> dict[str, str]:
    """Function → logical id of its version: another one is another version."""
    aliases = made("AWS::Lambda::Alias", of=of)
    return {
        name.removesuffix(f"Alias{ALIAS}"): alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0]
        for name, alias in aliases.items()
    }


def test_a_change_of_the_program_is_a_version_of_every_function() -> None:
    before, after = versions(whole()), versions(deployed(SignalboxLayer="changed"))
    assert all(before[name] != after[name] for name in FUNCTIONS)


def test_a_change_of_one_handler_is_a_version_of_that_function() -> None:
    before, after = versions(whole()), versions(deployed(SpotPlanWindowFunction="changed"))
    assert [name for name in FUNCTIONS if before[name] != after[name]] == ["SpotPlanWindowFunction"]


def test_an_old_version_stays() -> None:
    assert {each["DeletionPolicy"] for each in made("AWS::Lambda::Version").values()} == {"Retain"}


def conditions_used(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "Fn::If" in node:
            yield node["Fn::If"][0]
        for value in node.values():
            yield from conditions_used(value)
    elif isinstance(node, list):
        for value in node:
            yield from conditions_used(value)


def parameters_behind(node: Any) -> set[str]:
    """The template's parameters that a part of it depends on, conditions included."""
    found = references(node)
    for condition in conditions_used(node):
        found |= parameters_behind(template()["Conditions"][condition])
    return found & set(template()["Parameters"])


def test_a_parameter_that_reaches_a_function_makes_a_version() -> None:
    """SAM hashes the template, not the parameters' values: what isn't in the settings would never go live."""
    parts = [template()["Globals"]["Function"] | {"DeploymentPreference": None}]
    parts += [{**function["Properties"], "Events": None} for function in FUNCTIONS.values()]
    reaching = set().union(*map(parameters_behind, parts))
    settings = resources()["SettingsVersion"]["Properties"]["Content"]
    assert parameters_behind(settings) == reaching
    number = {"Fn::Sub": "${SettingsVersion.VersionNumber}"}
    assert template()["Globals"]["Function"]["Environment"]["Variables"]["SIGNALBOX_SETTINGS"] == number
    # The function itself has to change too, or Lambda publishes nothing; the version by its description.
    for function in FUNCTIONS.values():
        assert references(function["Properties"]["VersionDescription"]) == {"SettingsVersion"}
        assert function["Properties"]["AutoPublishAliasAllProperties"] is True
    assert all(
        layer["Properties"]["PublishLambdaVersion"]
        for layer in resources("AWS::Serverless::LayerVersion").values()
    )


def test_what_checks_and_moves_versions_may_do_it_to_this_stacks_functions() -> None:
    """By their names, which CloudFormation begins with the stack's, if all of it fits into 64 characters."""
    by_sid: dict[str, Statement] = {s.content.get("Sid", ""): s for s in statements("AWS::IAM::Role")}
    named = "function:${AWS::StackName}-*"
    assert by_sid["ProbeVersions"].resources[0]["Fn::Sub"].endswith(f"{named}:*")
    assert by_sid["MoveAliases"].resources[0]["Fn::Sub"].endswith(named)
    assert not any("FunctionName" in function["Properties"] for function in FUNCTIONS.values())
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    stacks = [
        stage["deploy"]["parameters"]["stack_name"]
        for stage in stages.values()
        if isinstance(stage, dict) and "stack_name" in stage.get("deploy", {}).get("parameters", {})
    ]
    longest = max(map(len, FUNCTIONS))
    for stack in [*stacks, "signalbox-pr-12345"]:
        assert len(stack) + 1 + longest + 1 + SUFFIX <= LONGEST_NAME, stack


@pytest.mark.parametrize(
    "name",
    [n for n in DEPLOYED if "LEDGER_TABLE" in FUNCTIONS[n]["Properties"]["Environment"]["Variables"]],
)
def test_what_is_told_of_the_ledger_may_ask_it_when_it_is_probed(name: str) -> None:
    granted = [s for s in statements("AWS::IAM::Role") if s.owner == f"{name}Role"]
    assert any(
        "dynamodb:UpdateItem" in as_list(s.content["Action"])
        and "LedgerTable" in references(s.content["Resource"])
        for s in granted
    )


def test_nothing_waits_for_itself() -> None:
    """State machine, alias, deployment group, alarms, versions: CloudFormation refuses a circle of them."""
    there = whole()["Resources"]
    graph = {}
    for name, resource in there.items():
        parts = {key: value for key, value in resource.items() if key in {"Properties", "UpdatePolicy"}}
        needed = references(copy.deepcopy(parts)) | set(as_list(resource.get("DependsOn", [])))
        graph[name] = needed & there.keys()
    assert len(list(TopologicalSorter(graph).static_order())) == len(there)


NAMES = {"AliasName", "DashboardName", "GroupName", "LayerName", "LogGroupName", "Name"}
INSIDE_ANOTHER = {"SettingsProfile": "of the stack's own application"}


def test_two_stacks_of_one_account_have_no_name_in_common() -> None:
    given = {
        f"{name}.{key}": value
        for name, resource in resources().items()
        for key, value in resource.get("Properties", {}).items()
        if key in NAMES and name not in INSIDE_ANOTHER
    }
    given |= {
        name: rule["Properties"]["SamplingRule"]["RuleName"]
        for name, rule in resources("AWS::XRay::SamplingRule").items()
    }
    assert len(given) > 20
    stack = "AWS::StackName"
    assert [
        name for name, value in given.items() if stack not in references(value) and stack not in str(value)
    ] == []
