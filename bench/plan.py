"""What one window comes to, by the pure planner alone: its calls, and how its CPU time grows.

Counted, not measured on AWS: the calls are the actions that the planner makes of its decisions, and the reads
that AWS's caps come to. "One at a time" is a function that is started for each warning and makes four calls.
Neither side counts tries again, nor the looks of the verification. The CPU times are this machine's: only
their ratio says something elsewhere.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.floor import FILTER_CAP, GROUPS_CAP, PARAMETERS_CAP
from bench.shape import GROUPS
from signalbox.spot.commands import GroupCommands
from signalbox.spot.episodes import merge
from signalbox.spot.estate import Group, Instance, Snapshot
from signalbox.spot.notices import NOTICE_SECONDS, Notice, Severity
from signalbox.spot.planning import Policy, actions_of, decide

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLS_ONE_AT_A_TIME = 4
REPEATS = 5
NOTICED_AT = 1_780_000_000.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One window planned; `cpu_seconds` is the least of a few tries."""

    instances: int
    calls: Mapping[str, int]
    cpu_seconds: float

    @property
    def total(self) -> int:
        """All of its calls."""
        return sum(self.calls.values())

    @property
    def alone(self) -> int:
        """The calls of one at a time."""
        return self.instances * CALLS_ONE_AT_A_TIME


def instance_ids(instances: int) -> list[str]:
    """So many different ids."""
    return [f"i-{number:017x}" for number in range(instances)]


def notice(instance: str) -> Notice:
    """Its interruption warning."""
    return Notice(
        event_id=instance,
        account="123456789012",
        region="us-east-1",
        instance=instance,
        severity=Severity.INTERRUPTION,
        instance_action="terminate",
        noticed_at=NOTICED_AT,
        deadline=NOTICED_AT + NOTICE_SECONDS,
    )


def measure(instances: int) -> Planned:
    """Plans one window of so many warnings, spread evenly over groups that opted in."""
    notices = [notice(instance) for instance in instance_ids(instances)]
    snapshot = _snapshot(instances)
    commands = dict.fromkeys(snapshot.groups, GroupCommands(shutdown=("systemctl stop app",)))
    seconds = math.inf
    for _ in range(REPEATS):
        began = time.process_time()
        decisions = [decide(merge(None, n, window=1), snapshot, commands, Policy()) for n in notices]
        actions = actions_of("plan", decisions, commands, Policy())
        seconds = min(seconds, time.process_time() - began)
    return Planned(instances, _reads(instances) | Counter(action.kind for action in actions), seconds)


def _snapshot(instances: int) -> Snapshot:
    """Each group with one target group."""
    names = [f"group-{number}" for number in range(GROUPS)]
    known = {
        instance: Instance(
            id=instance,
            state="running",
            lifecycle="spot",
            group=names[number % GROUPS],
            member_state="InService",
        )
        for number, instance in enumerate(instance_ids(instances))
    }
    groups = {n: Group(name=n, tags={"signalbox:spot": "act"}, target_groups=(f"arn-{n}",)) for n in names}
    return Snapshot(known, groups)


def _reads(instances: int) -> dict[str, int]:
    caps = {
        "read tags": (instances, FILTER_CAP),
        "read groups": (GROUPS, GROUPS_CAP),
        "read parameters": (GROUPS, PARAMETERS_CAP),
    }
    return {what: math.ceil(count / cap) for what, (count, cap) in caps.items()}
