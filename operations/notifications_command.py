"""The command `notifications`: shows buckets' EventBridge, turns it on and off."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.markup import escape

from local.display import table, terminal
from local.progress import Steps
from operations.buckets import S3Buckets
from operations.hearing import Hearing
from operations.notifications import Switch
from operations.routes_command import WORK_BUCKET, routes_of
from signalbox.aws.calls import call
from signalbox.errors import SignalboxError
from signalbox.ledger.dynamodb import DynamoLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operations.notifications import Report
    from operations.stacks import Stack

KEPT_SECONDS = 50 * 365 * 86_400.0
"""How long the ledger keeps what was before: nobody knows when it is to be undone."""
NOTHING_CHANGED = "Nothing was changed. To do it, say the same again with --yes."
AFTERWARDS = {
    "enable": "Events begin after about five minutes. What is there by then: make backfill.",
    "disable": "What is indexed stays indexed.",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: of which buckets, by name and by how their names begin; done or only shown."""

    action: Literal["show", "enable", "disable"]
    buckets: Sequence[str]
    prefix: str
    execute: bool
    force: bool

    def of(self, switch: Switch, bucket: str) -> Report:
        if self.action == "enable":
            return switch.enable(bucket, execute=self.execute)
        if self.action == "disable":
            return switch.disable(bucket, execute=self.execute, force=self.force)
        return switch.look(bucket)


def notifications(request: Request, stack: Stack, clients: Callable[[str], Any]) -> int:
    """Shows or does it; 1 where a bucket is not as it was asked for."""
    account = call(clients("sts").get_caller_identity)["Account"]
    buckets = S3Buckets(clients("s3"), account)
    ledger = DynamoLedger(
        clients("dynamodb"), stack.output("LedgerTableName"), time.time, retention=KEPT_SECONDS
    )
    switch = Switch(buckets, ledger, time.time, time.sleep)
    hints = _Hints(stack, clients, buckets)
    reports = []
    with Steps() as step:
        for bucket in _asked_for(request, buckets, stack.output(WORK_BUCKET)):
            step(bucket)
            reports.append(request.of(switch, bucket))
            hints.add(reports[-1])
    if not reports:
        print(f"No bucket of account {account} in {stack.region} begins with {request.prefix!r}.")
        return 1
    status = _summary(reports)
    if request.action != "show":
        print(AFTERWARDS[request.action] if request.execute else NOTHING_CHANGED)
    return status


def _asked_for(request: Request, buckets: S3Buckets, work_bucket: str) -> Sequence[str]:
    """Each once. By a prefix not the one with what the domain makes: nothing is ever taken out of it."""
    named = [name for name in buckets.names(request.prefix) if name != work_bucket] if request.prefix else []
    return list(dict.fromkeys([*request.buckets, *named]))


class _Hints:
    """What else a bucket needs, so that its objects reach the index."""

    def __init__(self, stack: Stack, clients: Callable[[str], Any], buckets: S3Buckets) -> None:
        self._hearing = Hearing.of(stack)
        self._region = stack.region
        self._buckets = buckets
        self._routes = routes_of(stack, clients("ssm"))

    def add(self, report: Report) -> None:
        if report.state == "failed":
            return
        report.remarks += self._hearing.advice(report.bucket, self._routes)
        if region := self._elsewhere(report.bucket):
            report.remarks.append(f"it lies in {region}: its events go to EventBridge there, not here")

    def _elsewhere(self, bucket: str) -> str:
        try:
            region = self._buckets.region(bucket)
        except SignalboxError:
            return ""  # a hint the less
        return region if region != self._region else ""


def _summary(reports: Sequence[Report]) -> int:
    rows = table("bucket", "EventBridge", "also notifies", "changes", "remarks")
    for report in reports:
        rows.add_row(
            report.bucket,
            report.state,
            report.others,
            escape("\n".join(report.changes)),
            escape("\n".join(report.remarks)),
        )
    terminal().print(rows)
    states = [report.state for report in reports]
    print(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) + ".")
    bad = [report.bucket for report in reports if not report.good]
    if bad:
        print(f"Look at {', '.join(bad)}.")
    return 1 if bad else 0
