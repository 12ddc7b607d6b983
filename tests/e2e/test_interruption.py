"""Warnings handled from the bus to the account of it, and said again in every way AWS may."""

import time

import pytest

from local.demo.inspection import Expectation, inspect
from signalbox.clock import iso
from signalbox.spot.notices import NOTICE_SECONDS
from tests.e2e.stack import AGE_SECONDS, Scene, Stack, new_id, warning

pytestmark = pytest.mark.embedded

WARNED = {"web": 3, "batch": 2}


def test_warnings_of_two_groups_are_handled_in_time(scene: Scene) -> None:
    fleet = scene.stack.fleet
    warned = {group: fleet.instances[group][:size] for group, size in WARNED.items()}
    noticed_at = float(int(time.time()) - AGE_SECONDS)
    events = [warning(instance, time=iso(noticed_at)) for group in warned.values() for instance in group]
    scene.send(*events)
    settled = scene.settled([instance for group in warned.values() for instance in group])
    expectation = Expectation(
        members={group: frozenset(instances) for group, instances in fleet.instances.items()},
        interrupted={group: frozenset(instances) for group, instances in warned.items()},
        target_groups={"web": fleet.target_group_arn},
        noticed_at=noticed_at,
        deadline=noticed_at + NOTICE_SECONDS,
    )
    findings = inspect(scene.stack.aws, scene.stack.outputs, expectation, settled.windows, settled.heard)
    assert [(finding.check, finding.seen) for finding in findings if not finding.holds] == []
    assert scene.stack.guard.changes() == {
        "autoscaling:DetachInstances": 2,
        "elasticloadbalancing:DeregisterTargets": 1,
        "ssm:SendCommand": 2,
    }
    assert settled.alerts == sorted(
        (group, stage, outcome)
        for group in WARNED
        for stage, outcome in (("notice", "act"), ("settled", "handled"))
    )


def test_a_warning_that_is_repeated_is_handled_once(scene: Scene) -> None:
    first, second = scene.group(2).instances
    events = [warning(first), warning(second)]
    # The same events again, and the same warnings under other ids: in one batch, and after it is all over.
    scene.send(*events, *reversed(events), *(event | {"id": new_id()} for event in events))
    settled = scene.settled([first, second])
    assert settled.outcomes == {first: "handled", second: "handled"}
    assert scene.stack.guard.changes() == dict.fromkeys(
        ("autoscaling:DetachInstances", "elasticloadbalancing:DeregisterTargets", "ssm:SendCommand"), 1
    )
    [name] = scene.names
    assert settled.alerts == [(name, "notice", "act"), (name, "settled", "handled")]
    scene.send(*events)
    scene.send(warning(first, age=60), warning(second, age=30))
    later = scene.quiet()
    assert [window.window for window in later.windows] == [window.window for window in settled.windows]
    assert later.heard.alerts == later.heard.events == ()
    assert sum(scene.stack.guard.changes().values()) == 3
    assert [len(sent) for sent in scene.stack.commands([first, second]).values()] == [1, 1]


def test_warnings_out_of_order_are_handled_and_told_of_once(stack: Stack) -> None:
    """Two warnings of each of two instances, the one that was sent first last: in the same window for the
    first instance, when all is over for the second."""
    scene = Scene.begin(stack)
    group = scene.group(2)
    first, second = group.instances
    earlier, later = warning(second), warning(second, age=AGE_SECONDS - 3)
    scene.send(warning(first, age=AGE_SECONDS - 3), warning(first), later)
    settled = scene.settled(group.instances)
    scene.send(earlier)
    quiet = scene.quiet()
    assert [window.window for window in quiet.windows] == [window.window for window in settled.windows]
    assert quiet.heard.alerts == quiet.heard.events == ()
    assert settled.outcomes == dict.fromkeys(group.instances, "handled")
    changes = stack.guard.changes()
    assert changes["autoscaling:DetachInstances"] == 1
    assert changes["elasticloadbalancing:DeregisterTargets"] == 1
    assert [len(sent) for sent in stack.commands(group.instances).values()] == [1, 1]
    assert set(stack.members(group)).isdisjoint(group.instances)
    assert settled.alerts == [(group.name, "notice", "act"), (group.name, "settled", "handled")]
