"""The Spot act: interruptions and what may go wrong with them, from beginning to end, and checked.

Warnings, of an ECS node too, rebalance recommendations, and a group that AWS refuses to detach from. The
events are dated so that the deadline is near: nothing is sped up, but nobody waits two minutes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.padding import Padding

from local import events, fleet, timeline
from local.account import Account
from local.demo.inspection import Expectation, inspect
from local.progress import Steps
from local.settings import ROOT
from signalbox.clock import iso
from signalbox.spot.notices import NOTICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from local.account import WindowAccount
    from local.demo.findings import Finding
    from local.demo.inspection import Instances
    from local.embedded import EmbeddedAws
    from local.inbox import Heard, Inbox

AGE_SECONDS = 80.0
"""How long ago the events say that they were sent: 40 s are left, and 10 until the commands are due."""
INTERRUPTED = {"web": 3, "batch": 2, "apps": 1}
RECOMMENDED = {"queue": 2}
REFUSED = "batch"
"""The group whose detaching AWS refuses: nothing else waits for that."""
SHARE = 20
PARAMETERS = {
    "SpotRebalanceMaximumShare": str(SHARE),
    "SpotRebalanceMinimumAgeSeconds": "0",  # the fleet is younger than any sensible age
}
POLL_SECONDS = 0.3
PATIENCE_SECONDS = 150.0
SAMPLES = ROOT / "events" / "spot"


def play(console: Console, aws: EmbeddedAws, outputs: Mapping[str, str], inbox: Inbox) -> list[Finding]:
    """Plays it on a deployed stack; what the estate itself shows afterwards."""
    with Steps() as report:
        size = sum(group.desired for group in fleet.GROUPS)
        report(f"Making the fleet: {size} Spot instances in {len(fleet.GROUPS)} Auto Scaling groups")
        made = fleet.create(aws)
    expectation = _expectation(made)
    _refuse(aws, expectation)
    _send(aws, expectation)
    console.print(_story(expectation))
    windows = _follow(console, Account(aws, outputs), expectation)
    heard = inbox.drain()
    _show_failures(console, heard)
    return inspect(aws, outputs, expectation, windows, heard)


def _expectation(made: fleet.Fleet) -> Expectation:
    noticed_at = float(int(time.time() - AGE_SECONDS))
    groups = {group.name: group for group in fleet.GROUPS}
    return Expectation(
        members={group: frozenset(instances) for group, instances in made.instances.items()},
        interrupted=_first(made, INTERRUPTED),
        recommended=_first(made, RECOMMENDED),
        replaced_at_once={group: max(1, groups[group].desired * SHARE // 100) for group in RECOMMENDED},
        refused=frozenset({REFUSED}),
        target_groups={
            group: made.target_group_arn for group in INTERRUPTED if groups[group].behind_load_balancer
        },
        clusters={group: groups[group].ecs_cluster for group in INTERRUPTED if groups[group].ecs_cluster},
        noticed_at=noticed_at,
        deadline=noticed_at + NOTICE_SECONDS,
    )


def _first(made: fleet.Fleet, counts: Mapping[str, int]) -> dict[str, frozenset[str]]:
    return {group: frozenset(made.instances[group][:count]) for group, count in counts.items()}


def _refuse(aws: EmbeddedAws, expectation: Expectation) -> None:
    for group in expectation.refused:
        aws.order_fault(
            {
                "operation": "autoscaling:DetachInstances",
                "match": {"AutoScalingGroupName": group},
                "fault": "error",
                "times": None,
                "status": 403,
                "code": "AccessDenied",
                "message": "refused for the demo",
            }
        )


def _send(aws: EmbeddedAws, expectation: Expectation) -> None:
    aws.deliver(
        [
            *_about("interruption_warning", expectation.interrupted, expectation.noticed_at),
            *_about("rebalance_recommendation", expectation.recommended, expectation.noticed_at),
        ]
    )


def _about(sample: str, instances: Instances, noticed_at: float) -> list[dict[str, Any]]:
    """The sample event about each of the instances."""
    named = sorted(instance for members in instances.values() for instance in members)
    values = events.Values(datetime.fromtimestamp(noticed_at, UTC), iter(named))
    return events.fill(events.read(SAMPLES / f"{sample}.json") * len(named), values)


def _story(expectation: Expectation) -> str:
    return (
        f"\nAll dated {AGE_SECONDS:.0f} s ago:\n"
        f"- interruption warnings for {_counted(expectation.interrupted)}:"
        f" EC2 takes them at {iso(expectation.deadline)};\n"
        f"- rebalance recommendations for {_counted(expectation.recommended)}.\n"
        f"AWS will refuse to detach instances of {', '.join(expectation.refused)}.\n"
        "[dim]seconds after the notice[/]"
    )


def _counted(instances: Instances) -> str:
    return ", ".join(f"{len(members)} of {group}" for group, members in instances.items())


def _follow(console: Console, account: Account, expectation: Expectation) -> list[WindowAccount]:
    """Prints what the ledger has to tell as it comes, until all is settled and told and nothing runs."""
    told: set[str] = set()
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        windows = account.windows(most=10)
        for line in timeline.lines(windows):
            if line.key not in told:
                told.add(line.key)
                console.print(timeline.row(line, expectation.noticed_at))
        if _is_over(account, windows, expectation) or time.monotonic() > give_up_at:
            return windows
        time.sleep(POLL_SECONDS)


def _is_over(account: Account, windows: Sequence[WindowAccount], expectation: Expectation) -> bool:
    settled = {instance for w in windows if w.state == "settled" for instance in w.episodes}
    return settled >= expectation.instances and not any(
        "RUNNING" in account.executions(window.window) for window in windows
    )


def _show_failures(console: Console, heard: Heard) -> None:
    """What a person was told of what went wrong."""
    for alert in heard.alerts:
        if alert["MessageAttributes"]["outcome"]["Value"] == "failed":
            console.print("\n[red]The alert about the failure[/]")
            console.print(Padding(escape(alert["Message"]), (0, 0, 1, 2), expand=False))
