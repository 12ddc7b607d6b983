"""A storm met by Signalbox: the deployed stack, warned through the bus."""

from __future__ import annotations

import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.bill import Bill
from bench.estate import commanded_in_time, look
from bench.notices import deadlines, spread
from bench.outcome import OURS, Outcome, WindowSeen
from local import events
from local.account import Account
from local.deployment import STACK
from local.settings import ACCOUNT, REGION, ROOT
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.windows import WindowKey
from signalbox.spot.intake import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.estate import Evidence, Fleet, Guard
    from bench.shape import Bucket
    from local.account import WindowAccount
    from local.embedded import EmbeddedAws

WARNING = ROOT / "events" / "spot" / "interruption_warning.json"
KEY = WindowKey(DOMAIN, ACCOUNT, REGION)
INTAKE = "SpotAdmitEventsFunction"
INTAKE_CONCURRENCY = 5
WINDOWS_AT_ONCE = 3
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 90.0
"""After the last deadline; then what is settled is counted, and what is not, is not."""


@dataclass(frozen=True, slots=True)
class Signalbox:
    """A deployed stack and the estate it watches."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]
    guard: Guard

    def warm_up(self) -> None:
        """Invokes every function as often at once as a storm will, so that none starts cold."""
        functions = [
            name
            for name in self._functions()
            for _ in range(INTAKE_CONCURRENCY if INTAKE in name else WINDOWS_AT_ONCE)
        ]
        with ThreadPoolExecutor(len(functions)) as pool:
            list(pool.map(self._invoke, functions))

    def _invoke(self, function: str) -> None:
        # No records for the intake; no task for the others, which say so once they are up.
        self.aws.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=b'{"Records": []}')

    def _functions(self) -> list[str]:
        pages = self.aws.client("cloudformation").get_paginator("list_stack_resources")
        return [
            resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=STACK)
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::Lambda::Function"
        ]

    def meet(self, fleet: Fleet, bucket: Bucket) -> Outcome:
        """Warns of every member of the fleet, waits until all is settled, and reads what was done."""
        warned = [instance for members in fleet.members().values() for instance in members]
        before, bill = self._newest_window(), Bill(self.aws, self.outputs, time.time())
        self.guard.begin(bucket)
        noticed = spread(warned, self._deliver)
        evidence = self._wait(fleet, noticed, before)
        seconds = time.time() - min(noticed.values())
        calls = self.guard.calls()
        document = self.outputs["SpotCommandDocumentName"]
        with self.guard.unlimited():
            commanded = commanded_in_time(self.aws, document, deadlines(noticed))
        windows = self._account().windows(self._newest_window() - before)
        return Outcome(
            algorithm=OURS,
            instances=len(warned),
            bucket=bucket,
            calls=Counter(calls.made) - Counter(evidence.calls),
            throttled=calls.throttled,
            refused=calls.refused,
            detached=len(evidence.detached),
            drained=len(evidence.drained),
            commanded=len(commanded),
            waits=_waits(windows, noticed),
            seconds=seconds,
            states=_states(windows),
            usage=bill.usage(windows, noticed),
            windows=tuple(_seen(window, min(noticed.values())) for window in windows),
        )

    def _deliver(self, instances: Sequence[str], now: float) -> None:
        [template] = events.read(WARNING)
        values = events.Values(datetime.fromtimestamp(now, UTC), iter(instances))
        self.aws.deliver(events.fill([template] * len(instances), values))

    def _wait(self, fleet: Fleet, noticed: Mapping[str, float], before: int) -> Evidence:
        """Until all is settled. The estate is looked at then, or at the first deadline if sooner."""
        ends = sorted(deadlines(noticed).values())
        evidence: Evidence | None = None
        while not self._is_over(noticed, before) and time.time() < ends[-1] + PATIENCE_SECONDS:
            if evidence is None and time.time() >= ends[0] - POLL_SECONDS:
                evidence = self._look(fleet, noticed)
            time.sleep(POLL_SECONDS)
        return evidence or self._look(fleet, noticed)

    def _look(self, fleet: Fleet, noticed: Mapping[str, float]) -> Evidence:
        with self.guard.unlimited():
            return look(self.aws, fleet.target_groups, noticed)

    def _is_over(self, noticed: Mapping[str, float], before: int) -> bool:
        """Every event is taken in, every window's execution has ended, and none of them was for nothing."""
        if not self._is_quiet():
            return False
        windows = self._account().windows(self._newest_window() - before)
        return sum(_states(windows).values()) >= len(noticed)

    def _is_quiet(self) -> bool:
        if any(depth.visible + depth.in_flight for depth in self._account().queues()):
            return False
        running = self.aws.client("stepfunctions").list_executions(
            stateMachineArn=self.outputs["SpotStateMachineArn"], statusFilter="RUNNING"
        )
        return not running["executions"]

    def _account(self) -> Account:
        return Account(self.aws, self.outputs)

    def _newest_window(self) -> int:
        table = self.outputs["LedgerTableName"]
        pointer = DynamoLedger(self.aws.client("dynamodb"), table, time.time).pointer(KEY)
        return pointer.number if pointer else 0


def _waits(windows: Sequence[WindowAccount], noticed: Mapping[str, float]) -> list[float]:
    """From the notice until the ledger has it that the instance is detached."""
    return [
        action.finished_at - noticed[instance]
        for window in windows
        for action in window.actions
        if action.kind == "detach" and action.status == "succeeded"
        for instance in action.subjects
        if instance in noticed and action.outcome_of(instance)[0] == "succeeded"
    ]


def _seen(window: WindowAccount, began: float) -> WindowSeen:
    planned = window.plan.planned_at if window.plan else math.nan
    acted = max((action.finished_at for action in window.actions), default=math.nan)
    return WindowSeen(len(window.decisions), planned - began, acted - began)


def _states(windows: Sequence[WindowAccount]) -> Counter[str]:
    """Each episode once, however many windows have heard of it."""
    episodes = {instance: episode for window in windows for instance, episode in window.episodes.items()}
    return Counter(episode.outcome or episode.status for episode in episodes.values())
