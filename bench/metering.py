"""Counts what each kind of event uses, on a deployed stack: one after the other, and a storm of 1,000."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from bench.bill import LOG_GROUPS, SWEEP, Bill
from bench.estate import Fleet, Guard
from bench.figures import POINTER_WRITES, write_units
from bench.notices import spread
from bench.shape import Bucket
from local import events, fleet
from local.account import Account
from local.deployment import STACK, deploy
from local.embedded import EmbeddedAws
from local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from local.account import WindowAccount

SAMPLES = ROOT / "events" / "spot"
STATES_LOGS = f"/aws/vendedlogs/states/{STACK}/"
OVERRIDES = {
    "SpotCommandLeadSeconds": "110",  # so that nobody waits for the commands
    "SpotRebalanceMinimumAgeSeconds": "0",
    "SpotRebalanceCooldownSeconds": "0",
    "SpotRebalanceMaximumShare": "100",
}
STORM = 1_000
UNLIMITED = Bucket(10_000, 10_000)
"""Retries are no part of what is to be counted."""
POLL_SECONDS = 1.0
QUIET_POLLS = 4
PATIENCE_SECONDS = 400.0
VERIFY = "spot_verify_window"


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What so many events of one kind have used.

    Attributes:
        invocations: by function.
        looks: of the verification, of all windows.
    """

    events: int
    windows: int
    looks: int
    invocations: dict[str, int]
    write_units: int
    transitions: int
    sqs_requests: int
    messages: int
    custom_events: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event to be counted.

    Attributes:
        name: of it in the result.
        sample: the event's file.
        group: of whose instances it is about the first that nothing was about before; "" for the last one
            that something was about.
        age: how many seconds ago it says that it was sent.
        changes: members of the event that are to be otherwise; ``{ahead}`` is a time that comes soon.
        tags: of the instance, set before.
    """

    name: str
    sample: str
    group: str = "web"
    age: float = 60
    changes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


KINDS = (
    Kind("interruption, acted on", "interruption_warning"),
    Kind("the same interruption again", "interruption_warning", group=""),
    Kind("state change that closes an episode", "instance_state_change", group="", age=0),
    Kind("state change that closes nothing", "instance_state_change", age=0),
    Kind("interruption, observed", "interruption_warning", tags={"signalbox:spot": "observe"}),
    Kind("rebalance recommendation, observed", "rebalance_recommendation"),
    Kind("rebalance recommendation, acted on", "rebalance_recommendation", group="queue"),
    Kind("scheduled change, kept for later", "health_scheduled_change"),
    Kind("scheduled change, due", "health_scheduled_change", changes={"detail.startTime": "{ahead}"}),
    Kind("bad input", "interruption_warning", changes={"detail.instance-action": "explode"}),
)
AHEAD_SECONDS = 130


@dataclass(slots=True)
class Meter:
    """A deployed stack, and what it has used between two moments."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]
    used: list[str] = field(default_factory=list)

    def count(self, kind: Kind) -> Counted:
        """One event of the kind."""
        instance = self._instance(kind)
        if kind.tags:
            tags = [{"Key": key, "Value": value} for key, value in kind.tags.items()]
            self.aws.client("ec2").create_tags(Resources=[instance], Tags=tags)
        ahead = datetime.fromtimestamp(time.time() + AHEAD_SECONDS, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        changes = {name: value.format(ahead=ahead) for name, value in kind.changes.items()}
        placed, given = events.place(events.read(SAMPLES / f"{kind.sample}.json"), changes)
        sent_at = datetime.fromtimestamp(time.time() - kind.age, UTC)
        return self._around(
            1, lambda: self.aws.deliver(events.fill(placed, events.Values(sent_at, iter([instance]), given)))
        )

    def storm(self, members: Sequence[str]) -> Counted:
        """An interruption warning for each of them, within five seconds."""
        placed = events.read(SAMPLES / "interruption_warning.json")

        def deliver(instances: Sequence[str], now: float) -> None:
            values = events.Values(datetime.fromtimestamp(now, UTC), iter(instances))
            self.aws.deliver(events.fill(placed * len(instances), values))

        return self._around(len(members), lambda: spread(members, deliver))

    def _instance(self, kind: Kind) -> str:
        if not kind.group:
            return self.used[-1]
        fresh = [each for each in fleet.members(self.aws, kind.group)[kind.group] if each not in self.used]
        self.used.append(fresh[0])
        return fresh[0]

    def _around(self, number: int, act: Callable[[], object]) -> Counted:
        before, known, since = self._units(), self._windows(), time.time()
        act()
        self._wait()
        windows = [window for window in self._windows() if window.window not in {w.window for w in known}]
        bill = Bill(self.aws, self.outputs, since)
        usage = bill.usage(windows, ["any"] * number)
        kinds = Counter(action.kind for window in windows for action in window.actions)
        invocations = {name: len(times) for name, times in bill.invocations().items() if times}
        return Counted(
            events=number,
            windows=len(windows),
            looks=invocations.get(VERIFY, 0),
            invocations=invocations,
            write_units=sum((self._units() - before).values()) + POINTER_WRITES * len(windows),
            transitions=int(usage.transitions),
            sqs_requests=int(usage.sqs_requests),
            messages=kinds["alert"],
            custom_events=kinds["event"],
            log_bytes=self._log_bytes(since),
        )

    def _windows(self) -> list[WindowAccount]:
        return Account(self.aws, self.outputs).windows(most=50)

    def _units(self) -> Counter[tuple[str, str]]:
        """Row → the write units that it has cost so far; windows' pointers apart."""
        pages = self.aws.client("dynamodb").get_paginator("scan")
        return Counter(
            {
                (row["pk"]["S"], row["sk"]["S"]): write_units(row)
                for page in pages.paginate(TableName=self.outputs["LedgerTableName"], ConsistentRead=True)
                for row in page["Items"]
                if not row["pk"]["S"].startswith("WINDOWS#")
            }
        )

    def _wait(self) -> None:
        """Until nothing has been going on for a while."""
        quiet, give_up_at = 0, time.monotonic() + PATIENCE_SECONDS
        while quiet < QUIET_POLLS and time.monotonic() < give_up_at:
            time.sleep(POLL_SECONDS)
            quiet = quiet + 1 if self._is_quiet() else 0

    def _is_quiet(self) -> bool:
        if any(depth.visible + depth.in_flight for depth in Account(self.aws, self.outputs).queues()):
            return False
        running = self.aws.client("stepfunctions").list_executions(
            stateMachineArn=self.outputs["SpotStateMachineArn"], statusFilter="RUNNING"
        )
        return not running["executions"] and all(w.state == "settled" for w in self._windows())

    def _log_bytes(self, since: float) -> int:
        logs = self.aws.client("logs")
        pages = logs.get_paginator("filter_log_events")
        groups = [
            group["logGroupName"]
            for prefix in (LOG_GROUPS, STATES_LOGS)
            for group in logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
            if not group["logGroupName"].endswith(SWEEP)
        ]
        return sum(
            len(event["message"].encode())
            for group in groups
            for page in pages.paginate(logGroupName=group, startTime=int(since * 1000))
            for event in page["events"]
        )


def measure(state: Path, report: Callable[[str], None]) -> dict[str, Counted]:
    """Kind → what it has used. Starts an embedded AWS and ends it."""
    report("Starting an embedded AWS")
    with EmbeddedAws.start(state) as aws:
        outputs = deploy(aws, overrides=OVERRIDES, report=report).outputs
        fleet.create(aws)
        guard = Guard(aws.estate_port)
        meter = Meter(aws, outputs)
        counted = {}
        for kind in KINDS:
            report(f"One event: {kind.name}")
            counted[kind.name] = meter.count(kind)
        report(f"Making the fleet: {STORM:,} Spot instances")
        made = Fleet.create(aws, guard, STORM)
        guard.begin(UNLIMITED)
        members = [instance for instances in made.members().values() for instance in instances]
        report(f"A storm of {STORM:,}")
        counted[f"interruptions, a storm of {STORM:,}"] = meter.storm(members)
    return counted
