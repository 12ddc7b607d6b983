"""Who may do what: one role each, reasons next to permissions, and a snapshot for the review."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.template.sources import Statement, resources, statements

SNAPSHOT = Path(__file__).with_name("snapshot.json")
FUNCTIONS = resources("AWS::Serverless::Function")
STATEMENTS = statements()


def is_wildcard(statement: Statement) -> bool:
    return "*" in statement.resources or any(
        action == "*" or action.endswith(":*") for action in statement.actions
    )


def label(statement: Statement) -> str:
    return f"{statement.owner}-{statement.content.get('Sid', 'trust')}"


def test_no_two_functions_or_state_machines_share_a_role() -> None:
    users = resources("AWS::Serverless::Function", "AWS::Serverless::StateMachine")
    roles = [user["Properties"]["Role"]["Fn::GetAtt"][0] for user in users.values()]
    assert roles == [f"{name}Role" for name in users]
    assert sorted(roles) == sorted(resources("AWS::IAM::Role"))


def test_permissions_are_written_out() -> None:
    for role in resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]
    for function in FUNCTIONS.values():
        assert not {"Policies", "Connectors"} & function["Properties"].keys()


@pytest.mark.parametrize("statement", STATEMENTS, ids=label)
def test_no_statement_allows_every_action(statement: Statement) -> None:
    """But the key's own, without which nobody could ever administer it again; and denials."""
    every = [action for action in statement.actions if action == "*" or action.endswith(":*")]
    if statement.content["Effect"] == "Allow" and label(statement) != "SignalboxKey-AdministerThroughIam":
        assert every == []


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if is_wildcard(s)], ids=label)
def test_a_wildcard_has_its_reason_above_it(statement: Statement) -> None:
    assert len(statement.comment.split()) >= 3


@pytest.mark.parametrize(
    "statement",
    [s for s in statements("AWS::IAM::Role") if s.content.get("Sid") not in {None, "WriteLogs"}],
    ids=label,
)
def test_every_permission_of_a_role_has_its_reason_above_it(statement: Statement) -> None:
    assert len(statement.comment.split()) >= 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_into_its_own_group_only(name: str) -> None:
    [logs] = [s for s in statements() if s.owner == f"{name}Role" and s.content.get("Sid") == "WriteLogs"]
    assert logs.resources == [{"Fn::GetAtt": [f"{name}LogGroup", "Arn"]}]
    assert logs.actions == ["logs:CreateLogStream", "logs:PutLogEvents"]


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if "Principal" in s.content], ids=label)
def test_a_principal_is_narrowed_down(statement: Statement) -> None:
    """To this account, to one of its resources, or it is a service that takes no such condition."""
    content = statement.content
    without_condition = {
        "SignalboxKey-AdministerThroughIam",
        "SignalboxKey-DeliverEvents",  # see the comment there
    }
    if content["Principal"] == {"Service": "lambda.amazonaws.com"} or label(statement) in without_condition:
        return
    if content["Effect"] == "Allow":
        conditions = json.dumps(content["Condition"])
        assert "AWS::AccountId" in conditions


@pytest.mark.parametrize(
    "action",
    [
        "autoscaling:DetachInstances",
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat",
    ],
)
def test_groups_opt_in_to_being_changed(action: str) -> None:
    [change] = [s for s in STATEMENTS if action in s.actions]
    assert change.content["Condition"] == {
        "Fn::If": [
            "ActsByDefault",
            {"Ref": "AWS::NoValue"},
            {"StringEquals": {"aws:ResourceTag/signalbox:spot": "act"}},
        ]
    }


def test_container_instances_may_opt_out() -> None:
    [drain] = [s for s in STATEMENTS if "ecs:UpdateContainerInstancesState" in s.actions]
    assert drain.content["Condition"] == {"StringEqualsIfExists": {"aws:ResourceTag/signalbox:spot": "act"}}


def test_only_what_drains_nodes_carries_the_kubernetes_client() -> None:
    layers = {name: function["Properties"].get("Layers", []) for name, function in FUNCTIONS.items()}
    assert {name: own for name, own in layers.items() if own} == {
        "SpotDrainNodesFunction": [{"Ref": "KubernetesLayer"}]
    }


def test_commands_go_through_the_own_document_only() -> None:
    send = [s for s in STATEMENTS if "ssm:SendCommand" in s.actions]
    assert [s.content["Sid"] for s in send] == ["SendDocument", "SendToInstances"]
    document = resources("AWS::SSM::Document")["SpotCommandDocument"]["Properties"]["Name"]["Fn::Sub"]
    assert send[0].resources[0]["Fn::Sub"].endswith(f":document/{document}")


def current() -> dict[str, Any]:
    """What a reviewer wants to see change: what exists, who may do what, what a function is told."""
    kinds = sorted({resource["Type"] for resource in resources().values()})
    return {
        "resources": {kind: sorted(resources(kind)) for kind in kinds},
        "statements": {
            owner: [s.content for s in STATEMENTS if s.owner == owner]
            for owner in sorted({s.owner for s in STATEMENTS})
        },
        "environment": {
            name: function["Properties"]["Environment"]["Variables"]
            for name, function in sorted(FUNCTIONS.items())
        },
    }


def test_the_snapshot_is_current() -> None:
    """Changed on purpose? SIGNALBOX_RENEW_SNAPSHOT=1 pytest tests/template, and read the difference."""
    if os.environ.get("SIGNALBOX_RENEW_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(current(), indent=2) + "\n")
    assert json.loads(json.dumps(current())) == json.loads(SNAPSHOT.read_text())
