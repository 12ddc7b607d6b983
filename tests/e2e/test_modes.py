"""What is only watched, and what is done in part, each with the reason in the account of it."""

import pytest

from tests.e2e.stack import Scene, warning

pytestmark = pytest.mark.embedded


def test_a_group_that_is_observed_is_left_alone(scene: Scene) -> None:
    group = scene.group(2, mode="observe")
    first, second = group.instances
    scene.send(warning(first), warning(second))
    settled = scene.settled([first, second])
    assert settled.outcomes == {first: "observed", second: "observed"}
    assert "signalbox:spot=observe" in settled.reasons(first)["mode-by-tag"]
    [window] = settled.windows
    assert all({"deregister", "command"} <= set(decision.kinds) for decision in window.decisions)
    assert settled.alerts == [(group.name, "notice", "observe")]
    assert first in settled.heard.alerts[0]["Message"]
    assert settled.told == sorted((group.name, "observed", instance) for instance in group.instances)
    assert scene.stack.guard.changes() == {}
    assert scene.stack.members(group) == group.instances
    assert set(settled.executions.values()) == {"SUCCEEDED"}


def test_a_dry_run_does_nothing(scene: Scene) -> None:
    group = scene.group(1)
    [instance] = group.instances
    with scene.stack.variable("SpotPlanWindowFunction", "SPOT_DRY_RUN", "true"):
        scene.send(warning(instance))
        settled = scene.settled([instance])
    assert settled.outcomes == {instance: "observed"}
    assert settled.reasons(instance).keys() == {"mode-by-tag", "dry-run"}
    assert settled.alerts == [(group.name, "notice", "observe")]
    assert scene.stack.guard.changes() == {}
    assert scene.stack.members(group) == group.instances


def test_what_must_not_be_detached_is_drained_and_told_to_shut_down(scene: Scene) -> None:
    """A group that can't launch would stay short of an instance; one that rebalances replaces it itself."""
    stuck, balancing = scene.group(2), scene.group(2, capacity_rebalance=True)
    scene.stack.aws.client("autoscaling").suspend_processes(
        AutoScalingGroupName=stuck.name, ScalingProcesses=["Launch"]
    )
    scene.stack.guard.reset()
    warned = [stuck.instances[0], balancing.instances[0]]
    scene.send(*map(warning, warned))
    settled = scene.settled(warned)
    assert settled.outcomes == dict.fromkeys(warned, "handled")
    reasons = [settled.reasons(instance).keys() - {"mode-by-tag"} for instance in warned]
    assert reasons == [{"launch-suspended"}, {"capacity-rebalance"}]
    assert scene.stack.guard.changes() == {"elasticloadbalancing:DeregisterTargets": 2, "ssm:SendCommand": 2}
    for group, instance in zip((stuck, balancing), warned, strict=True):
        assert scene.stack.members(group) == group.instances
        assert scene.stack.target_states(group, [instance]) == {"draining"}
        assert scene.stack.target_states(group, group.instances[1:]) == {"healthy"}
    assert [len(sent) for sent in scene.stack.commands(warned).values()] == [1, 1]
