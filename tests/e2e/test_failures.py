"""AWS that throttles, answers that get lost: what is left is done and told."""

import pytest

from tests.e2e.stack import Group, Scene, Settled, warning

pytestmark = pytest.mark.embedded


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
