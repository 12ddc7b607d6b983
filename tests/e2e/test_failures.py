"""A permission that is missing, AWS that throttles, answers that get lost: what is left is done and told."""

import json
from typing import Any

import pytest

from tests.e2e.stack import Group, Scene, Settled, warning

pytestmark = pytest.mark.embedded


def test_a_permission_that_is_missing_is_reported_and_blocks_nothing_else(scene: Scene) -> None:
    group = scene.group(2)
    warned = group.instances[0]
    with scene.stack.without_permission("SpotDetachInstancesFunctionRole", "autoscaling:DetachInstances"):
        scene.send(warning(warned))
        settled = scene.settled([warned])
        assert scene.stack.members(group) == group.instances
    [detach] = settled.actions("detach")
    assert detach.status == "failed"
    assert detach.reason.startswith("access-denied: DetachInstances: AccessDenied: User: arn:aws:sts::")
    assert "not authorized to perform: autoscaling:DetachInstances" in detach.reason
    assert [action.status for action in settled.actions("deregister")] == ["succeeded"]
    assert [action.status for action in settled.actions("command")] == ["succeeded"]
    assert scene.stack.target_states(group, [warned]) == {"draining"}
    assert [len(sent) for sent in scene.stack.commands([warned]).values()] == [1]
    assert settled.outcomes == {warned: "failed"}
    assert settled.alerts == [(group.name, "notice", "act"), (group.name, "settled", "failed")]
    [failed] = [a for a in settled.heard.alerts if a["MessageAttributes"]["stage"]["Value"] == "settled"]
    assert "something failed" in failed["Subject"]
    assert "detach failed: access-denied" in failed["Message"]
    assert settled.told == [(group.name, "failed", warned)]
    [execution] = settled.executions
    cause = failure(scene, execution)
    assert cause["outcomes"]["failed"] == 1
    assert cause["errors"] == []


def test_throttling_is_waited_out(scene: Scene) -> None:
    group = scene.group(2)
    warned = group.instances[0]
    throttles = 5
    scene.stack.guard.order("autoscaling:DetachInstances", "throttle", throttles)
    scene.send(warning(warned))
    settled = scene.settled([warned])
    assert scene.stack.guard.throttled() == {"autoscaling:DetachInstances": throttles}
    assert scene.stack.guard.changes()["autoscaling:DetachInstances"] == throttles + 1
    assert_handled(scene, group, warned, settled)


def test_a_command_whose_answer_was_lost_is_not_sent_again(scene: Scene) -> None:
    group = scene.group(2)
    warned = group.instances[0]
    scene.stack.guard.order("ssm:SendCommand", "lost_answer", 1)
    scene.send(warning(warned))
    settled = scene.settled([warned])
    assert scene.stack.guard.changes()["ssm:SendCommand"] == 1
    [sent] = scene.stack.commands([warned])[warned]
    [command] = settled.actions("command")
    assert command.reference == sent["CommandId"]
    assert_handled(scene, group, warned, settled)


def test_a_detach_whose_answer_was_lost_counts(scene: Scene) -> None:
    group = scene.group(2)
    warned = group.instances[0]
    scene.stack.guard.order("autoscaling:DetachInstances", "lost_answer", 1)
    scene.send(warning(warned))
    settled = scene.settled([warned])
    assert scene.stack.guard.changes()["autoscaling:DetachInstances"] == 1
    [detach] = settled.actions("detach")
    assert detach.outcome_of(warned) == ("succeeded", "")
    assert_handled(scene, group, warned, settled)


def assert_handled(scene: Scene, group: Group, warned: str, settled: Settled) -> None:
    """One instance of a group of two: detached, replaced, drained, told to shut down; and said so once."""
    assert settled.outcomes == {warned: "handled"}
    members = scene.stack.members(group)
    assert len(members) == len(group.instances)
    assert set(group.instances) - set(members) == {warned}
    assert scene.stack.target_states(group, [warned]) == {"draining"}
    assert len(scene.stack.commands([warned])[warned]) == 1
    assert settled.alerts == [(group.name, "notice", "act"), (group.name, "settled", "handled")]
    assert settled.told == [(group.name, "handled", warned)]
    assert set(settled.executions.values()) == {"SUCCEEDED"}


def failure(scene: Scene, name: str) -> dict[str, Any]:
    """What an execution says that it failed of."""
    machine = scene.stack.outputs["SpotStateMachineArn"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    execution = scene.stack.aws.client("stepfunctions").describe_execution(executionArn=arn)
    assert (execution["status"], execution["error"]) == ("FAILED", "ActionsFailed")
    cause: dict[str, Any] = json.loads(execution["cause"])
    return cause
