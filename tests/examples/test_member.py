"""The member's side of several accounts and Regions, held to template.yaml: events, permissions, document."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any

import pytest

from tests.examples.example_templates import MEMBER, Node, spelled
from tests.template.sources import as_list, attribute, mentions, resources, statements, template

HUB = "111111111111"
# What the functions do in the hub itself. Any other service is the estate's.
OF_THE_HUB = {
    *("cloudwatch", "codedeploy", "dynamodb", "events", "kms", "lambda"),
    *("logs", "sns", "sqs", "states", "sts", "xray"),
}
REQUESTED_REGION = {"StringEquals": {"aws:RequestedRegion": {"Ref": "Regions"}}}
PINS = {"account": [{"Ref": "AWS::AccountId"}], "region": [{"Ref": "AWS::Region"}]}

type Permission = tuple[str, str, str]
"""Action, resource and condition, as text."""


def member_rules() -> dict[str, Node]:
    return MEMBER.resources("AWS::Events::Rule")


def hub_patterns() -> set[str]:
    """Of the rules that feed an intake queue, but for the accounts and Regions they name."""
    return {spelled(unpinned(rule["EventPattern"])) for rule in hub_rules()}


def hub_rules() -> list[Node]:
    """Those on the default bus, and those on the bus that members forward to."""
    return [
        rule["Properties"]
        for rule in resources("AWS::Events::Rule").values()
        if any(mentions(target["Arn"], "SpotIntakeQueue") for target in rule["Properties"]["Targets"])
    ]


def unpinned(pattern: Node) -> Node:
    return {key: value for key, value in pattern.items() if key not in PINS}


class TestEvents:
    def test_what_the_hub_listens_to_is_forwarded_and_nothing_else(self) -> None:
        forwarded = [
            spelled(unpinned(rule["Properties"]["EventPattern"])) for rule in member_rules().values()
        ]
        assert len(hub_patterns()) >= 1
        assert sorted(forwarded) == sorted(hub_patterns())

    def test_what_is_forwarded_is_taken_in_from_the_hubs_bus(self) -> None:
        taken = [rule for rule in hub_rules() if rule.get("EventBusName") == {"Ref": "EventBus"}]
        forwarded = [rule["Properties"] for rule in member_rules().values()]
        assert [unpinned(r["EventPattern"]) for r in taken] == [
            unpinned(r["EventPattern"]) for r in forwarded
        ]

    def test_the_hub_takes_the_same_external_ids(self) -> None:
        ours = MEMBER.template["Parameters"]["ExternalId"]
        hubs = template()["Parameters"]["SpotMemberExternalId"]
        bounds = f"{{{ours['MinLength']},{ours['MaxLength']}}}"
        assert hubs["AllowedPattern"] == "^$|" + ours["AllowedPattern"].replace("+$", f"{bounds}$")
        assert ours["NoEcho"] is hubs["NoEcho"] is True

    @pytest.mark.parametrize("rule", member_rules().values(), ids=member_rules())
    def test_it_forwards_this_accounts_own_events_of_its_default_bus(self, rule: Node) -> None:
        pattern = rule["Properties"]["EventPattern"]
        assert {key: pattern[key] for key in PINS} == PINS
        assert "EventBusName" not in rule["Properties"]

    @pytest.mark.parametrize("rule", member_rules().values(), ids=member_rules())
    def test_they_go_to_the_hubs_bus_or_into_a_queue(self, rule: Node) -> None:
        (target,) = rule["Properties"]["Targets"]
        assert target["Arn"] == {"Ref": "HubEventBusArn"}
        assert target["RoleArn"] == attribute("ForwardEventsRole")
        assert target["DeadLetterConfig"] == {"Arn": attribute("ForwardDeadLetterQueue")}
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == {"Ref": "SpotMaximumEventAgeSeconds"}

    def test_every_rule_may_leave_events_in_the_queue(self) -> None:
        (statement,) = [
            s
            for s in MEMBER.properties("ForwardDeadLetterQueuePolicy")["PolicyDocument"]["Statement"]
            if s["Effect"] == "Allow"
        ]
        assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [attribute(n) for n in member_rules()]

    def test_forwarding_may_put_events_on_that_bus_and_nothing_else(self) -> None:
        (policy,) = MEMBER.properties("ForwardEventsRole")["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == ("events:PutEvents", {"Ref": "HubEventBusArn"})

    @pytest.mark.parametrize("parameter", ["SpotMaximumEventAgeSeconds", "SpotDefaultMode"])
    def test_a_parameter_that_the_hub_has_too_is_the_same(self, parameter: str) -> None:
        ours, hubs = MEMBER.template["Parameters"][parameter], template()["Parameters"][parameter]
        same = ("Type", "Default", "AllowedValues", "MinValue", "MaxValue")
        assert {key: ours.get(key) for key in same} == {key: hubs.get(key) for key in same}


def hub_permissions() -> Iterator[tuple[str, Permission]]:
    """Role and permission, for all that the functions of Spot, which has members, may do to the estate."""
    spot = (each for each in statements("AWS::IAM::Role") if each.owner.startswith("Spot"))
    for statement in spot:
        for action in statement.actions:
            if action.split(":")[0] in OF_THE_HUB or statement.content["Effect"] != "Allow":
                continue
            for permission in permissions(statement.content, [action]):
                yield statement.owner, permission


def member_statements() -> list[Node]:
    (policy,) = MEMBER.properties("EstateAccess")["Policies"]
    found: list[Node] = policy["PolicyDocument"]["Statement"]
    return found


def permissions(statement: Node, actions: list[str]) -> Iterator[Permission]:
    for action in actions:
        for resource in as_list(statement["Resource"]):
            yield action, _resource(resource), spelled(_condition(statement.get("Condition", {})))


def _resource(resource: Any) -> str:
    """For all Regions, as the role is; the hub's stack under the name that the member knows it by."""
    text: str = resource if isinstance(resource, str) else resource["Fn::Sub"]
    return text.replace("${AWS::Region}", "*").replace("${AWS::StackName}", "${HubStackName}")


def _condition(condition: Any) -> Any:
    """Without the Regions, to which the hub's are held by their ARNs."""
    if "Fn::If" in condition:
        name, yes, no = condition["Fn::If"]
        return [name, _condition(yes), _condition(no)]
    if condition == {"Ref": "AWS::NoValue"}:
        return {}
    kept = {
        operator: {key: value for key, value in keys.items() if key != "aws:RequestedRegion"}
        for operator, keys in condition.items()
    }
    return {operator: keys for operator, keys in kept.items() if keys}


class TestRole:
    def test_it_may_do_what_the_hubs_functions_do_and_nothing_else(self) -> None:
        hub = {permission for _, permission in hub_permissions()}
        ours = {p for s in member_statements() for p in permissions(s, as_list(s["Action"]))}
        assert {action for action, _, _ in hub} >= {"autoscaling:DetachInstances", "ssm:SendCommand"}
        assert sorted(ours - hub) == []
        assert sorted(hub - ours) == []

    @pytest.mark.parametrize("statement", member_statements(), ids=lambda s: s["Sid"])
    def test_it_is_held_to_the_regions_named(self, statement: Node) -> None:
        condition = statement["Condition"]
        branches = condition["Fn::If"][1:] if "Fn::If" in condition else [condition]
        for branch in branches:
            assert branch["StringEquals"]["aws:RequestedRegion"] == {"Ref": "Regions"}

    def test_it_has_the_name_the_hub_knows(self) -> None:
        assert MEMBER.properties("EstateAccess")["RoleName"] == "signalbox-spot-estate"

    def test_only_the_hubs_functions_get_it_and_only_with_the_external_id(self) -> None:
        (statement,) = MEMBER.properties("EstateAccess")["AssumeRolePolicyDocument"]["Statement"]
        root = "arn:${AWS::Partition}:iam::${HubAccountId}:root"
        assert statement["Principal"] == {"AWS": {"Fn::Sub": root}}
        assert statement["Action"] == "sts:AssumeRole"
        assert statement["Condition"]["StringEquals"] == {"sts:ExternalId": {"Ref": "ExternalId"}}
        assert set(statement["Condition"]) == {"StringEquals", "ArnLike"}
        assert "Default" not in MEMBER.template["Parameters"]["ExternalId"]

    @pytest.mark.parametrize("role", sorted({role for role, _ in hub_permissions()}))
    def test_the_roles_that_need_it_are_among_those_trusted(self, role: str) -> None:
        # CloudFormation's names: <stack>-<logical id>-<12 characters>, 64 at the most.
        name = f"signalbox-staging-{role}-1A2B3C4D5E6F"
        assert len(name) <= 64
        assert fnmatch.fnmatchcase(f"arn:aws:iam::{HUB}:role/{name}", self.trusted("signalbox-staging"))

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:iam::222222222222:role/signalbox-staging-SpotPlanWindowFunctionRole-1A2B3C4D5E6F",
            f"arn:aws:iam::{HUB}:role/signalbox-dev-SpotPlanWindowFunctionRole-1A2B3C4D5E6F",
            f"arn:aws:iam::{HUB}:role/Admin",
            f"arn:aws:iam::{HUB}:user/signalbox-staging-SpotPlanWindowFunctionRole",
        ],
    )
    def test_others_are_not(self, arn: str) -> None:
        assert not fnmatch.fnmatchcase(arn, self.trusted("signalbox-staging"))

    def trusted(self, stack: str) -> str:
        (statement,) = MEMBER.properties("EstateAccess")["AssumeRolePolicyDocument"]["Statement"]
        pattern: str = statement["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"]
        values = {"AWS::Partition": "aws", "HubAccountId": HUB, "HubStackName": stack}
        for name, value in values.items():
            pattern = pattern.replace(f"${{{name}}}", value)
        return pattern


def test_the_command_document_is_the_hubs_own_under_the_same_name() -> None:
    ours = MEMBER.properties("SpotCommandDocument")
    hubs = resources("AWS::SSM::Document")["SpotCommandDocument"]["Properties"]
    assert ours["Name"] == {"Fn::Sub": "${HubStackName}-spot-command"}
    assert {k: v for k, v in ours.items() if k != "Name"} == {k: v for k, v in hubs.items() if k != "Name"}
    assert _resource(hubs["Name"]) == ours["Name"]["Fn::Sub"]
