"""The events beside the warning: risks, ends, reservations, what is scheduled and what is taken back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local import events
from local.settings import ROOT
from signalbox.clock import iso
from tests.e2e.stack import Event, Scene, wait_until, warning

pytestmark = pytest.mark.embedded


def sample(name: str, instance: str, *, now: datetime | None = None) -> Event:
    """The sample event of that name about the instance, dated now."""
    path: Path = ROOT / "events" / "spot" / f"{name}.json"
    values = events.Values(now or datetime.now(UTC), iter([instance]))
    [event] = events.fill(events.read(path), values)
    return event


def tag(scene: Scene, group: str, **tags: str) -> None:
    owner = {"ResourceId": group, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
    scene.stack.aws.client("autoscaling").create_or_update_tags(
        Tags=[{**owner, "Key": f"signalbox:{key.replace('_', '-')}", "Value": tags[key]} for key in tags]
    )
    scene.stack.guard.reset()


def test_a_recommendation_is_observed_unless_its_group_says_otherwise(scene: Scene) -> None:
    group = scene.group(2)
    [instance, _] = group.instances
    scene.send(sample("rebalance_recommendation", instance))
    settled = scene.settled([instance])
    assert settled.outcomes == {instance: "observed"}
    assert "rebalance-observed" in settled.reasons(instance)
    assert settled.alerts == [(group.name, "notice", "observe")]
    assert scene.stack.guard.changes() == {}


def test_a_recommendation_is_acted_on_within_its_limits(scene: Scene) -> None:
    group = scene.group(3, behind_load_balancer=False)
    tag(scene, group.name, spot="act", spot_rebalance="act")
    first, second, _ = group.instances
    with scene.stack.variable("SpotPlanWindowFunction", "SPOT_REBALANCE_MINIMUM_AGE_SECONDS", "0"):
        scene.send(*(sample("rebalance_recommendation", instance) for instance in (first, second)))
        settled = scene.settled([first, second])
    acted = {outcome: instance for instance, outcome in settled.outcomes.items()}
    assert acted.keys() == {"handled", "observed"}
    assert "rebalance-share" in settled.reasons(acted["observed"])
    assert scene.stack.guard.changes() == {
        "ssm:SendCommand": 1,
        "autoscaling:TerminateInstanceInAutoScalingGroup": 1,
    }
    members = scene.stack.members(group)
    assert (acted["handled"] in members, acted["observed"] in members, len(members)) == (False, True, 3)


def test_a_young_instance_stays_where_it_is(scene: Scene) -> None:
    group = scene.group(1, behind_load_balancer=False)
    tag(scene, group.name, spot="act", spot_rebalance="act")
    [instance] = group.instances
    scene.send(sample("rebalance_recommendation", instance))
    assert "rebalance-too-young" in scene.settled([instance]).reasons(instance)
    assert scene.stack.guard.changes() == {}


def test_the_end_of_an_instance_closes_its_episode(scene: Scene) -> None:
    group = scene.group(2)
    [instance, untouched] = group.instances
    scene.send(warning(instance))
    scene.settled([instance])
    before = scene.stack.newest_window()
    scene.send(sample("instance_state_change", instance), sample("instance_state_change", untouched))

    def ended() -> dict[str, float]:
        windows = scene.stack.account.windows(20)
        return next((w.episodes[instance].ended for w in windows if instance in w.episodes), {})

    assert list(wait_until(ended, "the episode ends")) == ["shutting-down"]
    assert scene.stack.newest_window() == before


def test_a_reservation_names_its_own_time(scene: Scene) -> None:
    group = scene.group(1, behind_load_balancer=False)
    [instance] = group.instances
    event = sample("capacity_reservation_warning", instance)
    ends = datetime.now(UTC) + timedelta(seconds=34)
    event["detail"]["instance-termination-time"] = iso(ends.timestamp())
    assert isinstance(event["resources"], str)
    scene.send(event)
    settled = scene.settled([instance])
    assert settled.outcomes == {instance: "handled"}
    [decision] = [d for w in settled.windows for d in w.decisions if d.instance == instance]
    assert iso(decision.deadline) == iso(ends.timestamp())


def test_what_is_scheduled_waits_for_its_time_and_can_be_taken_back(scene: Scene) -> None:
    group = scene.group(1)
    [instance] = group.instances
    event = sample("health_scheduled_change", instance)
    scene.send(event)

    def deferred() -> list[Any]:
        return [d for d in scene.stack.ledger.deferrals("spot") if d.entry.get("instance") == instance]

    [deferral] = wait_until(deferred, "the change is deferred")
    assert deferral.entry["cause"] == event["detail"]["eventArn"]
    closed = json.loads(json.dumps(event)) | {"id": "closed"}
    closed["detail"]["statusCode"] = "closed"
    scene.send(closed)
    wait_until(lambda: not deferred(), "the change is withdrawn")
    quiet = scene.quiet()
    assert quiet.windows == ()
    assert scene.stack.guard.changes() == {}
