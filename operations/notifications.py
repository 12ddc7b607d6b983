"""Turning EventBridge on for buckets of somebody else's, and off again. Ports only: no AWS here.

S3 knows one notification configuration for a bucket, and each write replaces it whole: one that is made up
anew wipes what other stacks put there (aws/aws-cdk#29653). So it is read, merged, written, read again. S3 has
no conditional write for it: what somebody else writes between our reading and our writing is overwritten.
Sources: PutBucketNotificationConfiguration, Amazon S3 API Reference; "Enabling Amazon EventBridge", Amazon S3
User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from signalbox.clock import iso
from signalbox.errors import ConflictError, RefusedError, SignalboxError
from signalbox.ledger.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from signalbox.clock import Clock
    from signalbox.ledger.records import RecordStore

MEMBER = "EventBridgeConfiguration"
OTHERS = {
    "QueueConfigurations": "queue",
    "TopicConfigurations": "topic",
    "LambdaFunctionConfigurations": "function",
}
SETTLING_SECONDS = 2.0
"""How long a write is given before it is made again. S3 answers reads of a configuration late at times."""

type Configuration = dict[str, Any]
"""As GetBucketNotificationConfiguration answers it, all members that there are."""


class Buckets(Protocol):
    """The notification configurations of buckets."""

    def read(self, bucket: str) -> Configuration: ...

    def write(self, bucket: str, configuration: Configuration) -> None: ...


def is_on(configuration: Configuration) -> bool:
    """Whether the bucket sends its events to EventBridge. The member is there or not; it holds nothing."""
    return MEMBER in configuration


def turned_on(configuration: Configuration) -> Configuration:
    return {**configuration, MEMBER: {}}


def turned_off(configuration: Configuration) -> Configuration:
    return {name: value for name, value in configuration.items() if name != MEMBER}


def difference(before: Configuration, after: Configuration) -> list[str]:
    """A line for each entry that is only in one of them: ``- …`` of the former, ``+ …`` of the latter."""
    old, new = _entries(before), _entries(after)
    return [
        *(f"- {each}" for each in old if each not in new),
        *(f"+ {each}" for each in new if each not in old),
    ]


def _entries(configuration: Configuration) -> list[str]:
    """A line for each configuration. Their order, and how S3 spells a filter's name, make no difference."""
    return [
        f"{member} {msgspec.json.encode(_canonical(each), order='deterministic').decode()}"
        for member, value in sorted(configuration.items())
        for each in (value if isinstance(value, list) else [value])
    ]


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {name: _canonical(each) for name, each in value.items()}
        return plain | ({"Name": plain["Name"].lower()} if plain.keys() == {"Name", "Value"} else {})
    if isinstance(value, list):
        return sorted((_canonical(each) for each in value), key=msgspec.json.encode)
    return value


def others_in(configuration: Configuration) -> str:
    """What else the bucket notifies, for a person: ``2 queue, 1 topic``."""
    counts = [
        f"{len(configuration[member])} {what}" for member, what in OTHERS.items() if configuration.get(member)
    ]
    return ", ".join(counts) or "-"


type State = Literal[
    "on", "off", "turned on", "turned off", "to be turned on", "to be turned off", "left on", "failed"
]


@dataclass(slots=True)
class Report:
    """What became of one bucket.

    Attributes:
        changes: to its configuration, as of `difference`.
        remarks: what a person should know.
        good: whether it is as it was asked for, or will be.
    """

    bucket: str
    state: State
    changes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    others: str = "-"
    good: bool = True


@dataclass(frozen=True, slots=True)
class Switch:
    """Turns EventBridge on and off, and remembers in the ledger what was before."""

    buckets: Buckets
    store: RecordStore
    clock: Clock
    sleep: Callable[[float], None]

    def look(self, bucket: str) -> Report:
        """How it is."""
        return self._reported(bucket, self._look)

    def enable(self, bucket: str, *, execute: bool) -> Report:
        """Turns it on, where it is off and that is to be done."""
        return self._reported(bucket, lambda report: self._enable(report, execute=execute))

    def disable(self, bucket: str, *, execute: bool, force: bool) -> Report:
        """Turns it off, where `enable` had turned it on, or with force."""
        return self._reported(bucket, lambda report: self._disable(report, execute=execute, force=force))

    def _reported(self, bucket: str, act: Callable[[Report], object]) -> Report:
        """One bucket that can't be reached doesn't hold up the others."""
        report = Report(bucket, "failed")
        try:
            act(report)
        except SignalboxError as error:
            report.state, report.good = "failed", False
            report.remarks.append(f"{error.code}: {error}")
        return report

    def _look(self, report: Report) -> Configuration:
        found = self.buckets.read(report.bucket)
        report.state, report.others = "on" if is_on(found) else "off", others_in(found)
        record = self._record(report.bucket)
        if is_on(found):
            ours = record.body.get("active")
            report.remarks.append(f"by this command, {record.body['at']}" if ours else "not by this command")
        return found

    def _enable(self, report: Report, *, execute: bool) -> None:
        found = self._look(report)
        if is_on(found):
            return
        report.changes = difference(found, turned_on(found))
        if not execute:
            report.state = "to be turned on"
            return
        self._remember(report.bucket, {"active": True, "at": iso(self.clock()), "before": found})
        try:
            self._change(report, turned_on)
        except RefusedError:
            self._remember(report.bucket, {"active": False})
            raise
        report.state = "turned on"

    def _disable(self, report: Report, *, execute: bool, force: bool) -> None:
        found = self._look(report)
        ours = self._record(report.bucket).body.get("active")
        if is_on(found) and not ours and not force:
            report.state, report.good = "left on", False
            report.remarks.append("somebody else may need it: --force turns it off all the same")
            return
        report.changes = difference(found, turned_off(found))
        if not execute:
            report.state = "to be turned off" if is_on(found) else "off"
            return
        if is_on(found):
            self._change(report, turned_off)
            report.state = "turned off"
        if ours:
            self._remember(report.bucket, {"active": False})

    def _change(self, report: Report, change: Callable[[Configuration], Configuration]) -> None:
        """Reads, merges, writes and reads again; once more where somebody else wrote over it meanwhile."""
        before = self.buckets.read(report.bucket)
        if self._written(report, before, change(before)):
            return
        report.remarks.append("somebody else wrote over it: done again")
        again = self.buckets.read(report.bucket)
        if not self._written(report, again, change(again)):
            raise ConflictError("what is written does not stay: somebody else goes on writing. Try it later.")

    def _written(self, report: Report, before: Configuration, wanted: Configuration) -> bool:
        """Whether the bucket says what was written. What else has changed meanwhile is told."""
        if difference(before, wanted):
            self.buckets.write(report.bucket, wanted)
        after = self.buckets.read(report.bucket)
        if is_on(after) != is_on(wanted):
            self.sleep(SETTLING_SECONDS)
            after = self.buckets.read(report.bucket)
        if is_on(after) != is_on(wanted):
            return False
        if others := difference(wanted, after):
            report.remarks.append(f"changed at the same time, by somebody else: {'; '.join(others)}")
            report.good = not any(each.startswith("-") for each in others)
        return True

    def _record(self, bucket: str) -> Record:
        key = f"notifications#{bucket}"
        return self.store.records([key]).get(key, Record(key, {}))

    def _remember(self, bucket: str, body: dict[str, Any]) -> None:
        record = self._record(bucket)
        if self.store.put_records([Record(record.key, {**record.body, **body}, record.version)]):
            raise ConflictError("somebody else is at this bucket just now. Run it again.")
