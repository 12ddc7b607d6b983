"""After the deadline: what EC2 did not take after all, and windows that nobody could handle."""

import json
import time
from typing import Any

import pytest

from signalbox.ledger.deferrals import Deferral
from signalbox.ledger.sweeping import RECOVERIES
from tests.e2e.stack import KEY, Scene, wait_until, warning

pytestmark = pytest.mark.embedded

NEARLY_OVER_SECONDS = 116
"""The age of a warning whose deadline is close: a look soon after it need not be waited for."""


def sweep(scene: Scene) -> dict[str, int]:
    """The schedule does the same once a minute: whatever is found, either of them has told."""
    functions, sweeper = scene.stack.aws.client("lambda"), scene.stack.physical("SpotSweepWindowsFunction")
    answer = functions.invoke(FunctionName=sweeper)
    swept: dict[str, int] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, swept
    return swept


def outcome_of(message: dict[str, Any]) -> str:
    outcome: str = message["MessageAttributes"]["outcome"]["Value"]
    return outcome


def test_what_runs_on_in_no_group_is_reported_once(scene: Scene) -> None:
    """The embedded EC2 takes nobody: it stands for an interruption that was cancelled. One of them is ended
    by hand, one is put back, one was heard to end; the fourth is left."""
    group = scene.group(4)
    ended, attached, closed, lost = group.instances
    with scene.stack.variable("SpotSettleWindowFunction", "SPOT_LATE_LOOK_SECONDS", "0"):
        scene.send(*(warning(instance, age=NEARLY_OVER_SECONDS) for instance in group.instances))
        settled = scene.settled(group.instances)
    ec2, auto_scaling = scene.stack.aws.client("ec2"), scene.stack.aws.client("autoscaling")
    ec2.terminate_instances(InstanceIds=[ended])
    auto_scaling.update_auto_scaling_group(AutoScalingGroupName=group.name, MaxSize=8)
    auto_scaling.attach_instances(AutoScalingGroupName=group.name, InstanceIds=[attached])
    event = warning(closed, age=0) | {"detail-type": "EC2 Instance State-change Notification"}
    scene.send(event | {"detail": {"instance-id": closed, "state": "shutting-down"}})
    scene.quiet()
    before = scene.stack.guard.changes()

    def looks() -> list[Deferral]:
        ids = {f"late-look#{window.window}" for window in settled.windows}
        return [deferral for deferral in scene.stack.ledger.deferrals("spot") if deferral.id in ids]

    [look] = looks()
    wait_until(lambda: time.time() >= look.due_at, "the look is due")
    sweep(scene)
    wait_until(lambda: not looks(), "the look is done")
    heard = scene.stack.inbox.drain()
    [alert] = heard.alerts
    assert outcome_of(alert) == "running"
    assert lost in alert["Message"]
    assert not any(instance in alert["Message"] for instance in (ended, attached, closed))
    [told] = heard.events
    assert told["detail-type"] == "Spot Instances Found Running v1"
    [found] = told["detail"]["instances"]
    assert (told["detail"]["group"], found["instance_id"]) == (group.name, lost)
    episodes = {i: e for w in settled.windows for i, e in w.episodes.items()}
    assert not any(episode.found_running_at for episode in episodes.values())
    now = scene.quiet().windows[0].episodes
    assert {i: bool(e.found_running_at) for i, e in now.items()} == {
        ended: False,
        attached: False,
        closed: False,
        lost: True,
    }

    assert sweep(scene)["found_running"] == 0
    assert scene.stack.inbox.drain().alerts == ()
    assert scene.stack.guard.changes() == before  # it ends nobody
    described = ec2.describe_instances(InstanceIds=[lost])["Reservations"][0]["Instances"][0]
    assert described["State"]["Name"] == "running"


def test_a_window_of_which_every_execution_fails_is_told_once(scene: Scene) -> None:
    """All its executions are there and have failed: they were aborted."""
    states, machine = scene.stack.aws.client("stepfunctions"), scene.stack.outputs["SpotStateMachineArn"]
    ledger, newest = scene.stack.ledger, scene.stack.ledger.pointer(KEY)
    number = newest.number + 1 if newest else 1
    name = f"spot-{KEY.account}-{KEY.region}-{number:08d}"
    task = {"window": {"domain": "spot", "account": KEY.account, "region": KEY.region, "number": number}}
    for suffix in RECOVERIES:
        started = states.start_execution(stateMachineArn=machine, name=name + suffix, input=json.dumps(task))
        states.stop_execution(executionArn=started["executionArn"])
    assert ledger.open_next(KEY, newest, time.time() - 60)
    sweep(scene)

    def told() -> list[dict[str, Any]]:
        return [alert for alert in scene.stack.inbox.drain().alerts if outcome_of(alert) == "given-up"]

    [alert] = wait_until(told, "the window is given up")
    assert name in alert["Message"]
    assert sweep(scene) == {"admitted": 0, "restarted": 0, "given_up": 0, "found_running": 0}
    assert told() == []
