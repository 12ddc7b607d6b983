"""Settles the account of one execution: its outcome goes into the ledger, and is told.

In this order: quarantine, ledger (settled), alert and event, ledger (told). Whoever dies on the way is begun
anew, by the workflow or by the message that comes back, and does what is missing. So each outcome that stands
is told at least once, and once more only where telling it was not noted.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.documents.alerts import (
    EVENT_SOURCE,
    Quarantine,
    Settlement,
    account_of,
    alert_of,
    event_of,
)
from signalbox.documents.entries import (
    DETAIL_CHARACTERS,
    TRIES_USED_UP,
    TRY_FAILED,
    UNCHANGED,
    Entry,
    entry_key,
    entry_of,
    record_of,
)
from signalbox.documents.models import Document, Found, Outcome, Task, Verdict
from signalbox.documents.storage import ObjectStore
from signalbox.errors import ConflictError, InvariantError, RefusedError
from signalbox.failures import said
from signalbox.ledger.changing import change_record
from signalbox.ledger.records import Record, RecordStore


class Topic(Protocol):
    """The alert topic."""

    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str: ...


class Bus(Protocol):
    """The event bus."""

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str: ...


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What settling came to.

    Attributes:
        outcome: the one that stands after this execution; None where a failed try has others after it.
        told: whether it was told now.
        seconds: between the object's event and now, where it was told as INDEXED.
    """

    outcome: Outcome | None
    reason: str
    detail: str = ""
    told: bool = False
    seconds: float | None = None


class SettleDocument:
    """The use case.

    Args:
        bucket: the work bucket, of ``objects``.
        quarantine_bytes: larger objects are not copied into the quarantine.
    """

    def __init__(
        self,
        ledger: RecordStore,
        objects: ObjectStore,
        topic: Topic,
        bus: Bus,
        clock: Clock,
        *,
        bucket: str,
        quarantine_bytes: int,
    ) -> None:
        self._ledger = ledger
        self._objects = objects
        self._topic = topic
        self._bus = bus
        self._clock = clock
        self._bucket = bucket
        self._quarantine_bytes = quarantine_bytes

    def settle(self, task: Task) -> Settled:
        """Settles it. The same again tells only what was not told.

        Raises:
            TransientError: worth trying again.
            InvariantError: the workflow came here without an outcome.
        """
        document, failure = task.document, task.failure
        if failure is not None and not document.last_try:
            detail = said(failure, DETAIL_CHARACTERS)
            self._change(document, lambda entry: after_try(entry, document, detail))
            return Settled(outcome=None, reason=TRY_FAILED, detail=detail)
        settlement = settlement_of(task, self._bucket, self._clock())
        if settlement.is_quarantined:
            quarantine = self._quarantine(settlement)
            settlement = msgspec.structs.replace(settlement, quarantine=quarantine)
        return self._conclude(settlement)

    def _conclude(self, settlement: Settlement) -> Settled:
        document, generation = settlement.document, settlement.document.generation
        entry, record = self._change(document, lambda entry: after_outcome(entry, settlement))
        if not stands(entry, settlement):
            if entry.settled == generation:  # an earlier try of this step has settled it otherwise
                return Settled(outcome=entry.outcome, reason=entry.reason, detail=entry.detail)
            return Settled(outcome=Outcome.SUPERSEDED, reason="newer-admission")
        told = entry.told < generation
        if told:
            self._tell(msgspec.structs.replace(settlement, settled_at=entry.settled_at))
            self._change(document, lambda entry: after_telling(entry, generation), record)
        return Settled(
            outcome=settlement.outcome,
            reason=settlement.reason,
            detail=settlement.detail,
            told=told,
            seconds=_seconds(entry) if told and settlement.outcome is Outcome.INDEXED else None,
        )

    def _tell(self, settlement: Settlement) -> None:
        if alert := alert_of(settlement):
            self._topic.publish(alert.subject, alert.message, alert.attributes)
        if event := event_of(settlement):
            self._bus.put(EVENT_SOURCE, event.detail_type, event.detail)

    def _quarantine(self, settlement: Settlement) -> Quarantine:
        """Keeps a copy, where there can be one, and the reason. The same again overwrites it."""
        document = settlement.document
        folder = f"quarantine/{document.bucket}/{document.id}/{document.generation}"
        without = self._copy(document, settlement.found, f"{folder}/object")
        kept = Quarantine(
            reason=f"{folder}/reason.json",
            object="" if without else f"{folder}/object",
            without=without,
        )
        account = account_of(settlement) | {"object": kept.object, "without": without}
        body = msgspec.json.format(msgspec.json.encode(account))
        self._objects.put(self._bucket, kept.reason, body, content_type="application/json")
        return kept

    def _copy(self, document: Document, found: Found | None, key: str) -> str:
        """Why there is no copy, or ""."""
        if found is None:
            return "the object could not be looked at"
        if found.size > self._quarantine_bytes:
            return f"it is larger than {self._quarantine_bytes:,} bytes"
        try:
            self._objects.copy(
                document.bucket,
                document.key,
                self._bucket,
                key,
                version_id=found.version_id,
                if_match=found.etag,
            )
        except (RefusedError, ConflictError) as error:
            return f"{error.code}: {error}"
        return ""

    def _change(
        self, document: Document, change: Callable[[Entry], Entry], known: Record | None = None
    ) -> tuple[Entry, Record | None]:
        """The object's entry as it is afterwards, and its record, which the next change may begin with."""

        def changed(before: Record | None) -> Record | None:
            entry = entry_of(before) if before else _unknown(document)
            after = change(entry)
            return None if after is entry else record_of(after, 0)

        record = change_record(self._ledger, entry_key(document.bucket, document.key), changed, known)
        return entry_of(record) if record else _unknown(document), record


def settlement_of(task: Task, bucket: str, now: float) -> Settlement:
    """What one execution came to.

    Raises:
        InvariantError: neither was anything loaded nor did anything fail.
    """
    verdict = _verdict(task)
    return Settlement(
        document=task.document,
        route=task.options.route,
        outcome=verdict.outcome,
        reason=verdict.reason,
        detail=verdict.detail,
        found=task.object,
        text=task.text,
        entities=task.entities,
        labels=task.labels,
        rows=task.loaded.rows if task.loaded else 0,
        settled_at=now,
        bucket=bucket,
    )


def _verdict(task: Task) -> Verdict:
    if task.failure is not None:
        return Verdict(
            outcome=Outcome.FAILED, reason=TRIES_USED_UP, detail=said(task.failure, DETAIL_CHARACTERS)
        )
    if task.loaded is None:
        raise InvariantError(f"{task.document.shown}: neither loaded nor failed: there is no outcome")
    outcome = task.loaded.outcome
    if task.verdict is not None and task.verdict.outcome is outcome:
        return task.verdict
    if outcome is Outcome.SUPERSEDED:
        detail = "The index already has something later of it."
        return Verdict(outcome=outcome, reason="newer-in-index", detail=detail)
    return Verdict(outcome=outcome, reason="indexed", detail=_notes(task))


def _notes(task: Task) -> str:
    """What it is indexed without."""
    notes = {
        "entities": task.entities.note if task.entities else "",
        "labels": task.labels.note if task.labels else "",
    }
    return "; ".join(f"{name}: {note}" for name, note in notes.items() if note)


def after_try(entry: Entry, document: Document, detail: str) -> Entry:
    """The entry after a try that failed, while there are more: the next one need not wait."""
    if entry.generation != document.generation or entry.settled >= document.generation:
        return entry
    return msgspec.structs.replace(entry, reason=TRY_FAILED, detail=detail, busy_until=0.0)


def after_outcome(entry: Entry, settlement: Settlement) -> Entry:
    """The entry with that outcome: unchanged where there is one already, or somebody later to have one."""
    generation = settlement.document.generation
    gives_way = settlement.outcome is Outcome.SUPERSEDED or settlement.reason == TRIES_USED_UP
    if entry.settled >= generation or (gives_way and entry.generation > generation):
        return entry
    if settlement.reason == UNCHANGED:
        return after_telling(msgspec.structs.replace(entry, settled=generation), generation)
    found = settlement.found
    settled = msgspec.structs.replace(
        entry,
        settled=generation,
        outcome=settlement.outcome,
        reason=settlement.reason,
        detail=settlement.detail[:DETAIL_CHARACTERS],
        version=found.version if found else "",
        size=found.size if found else 0,
        media_type=settlement.media_type,
        rows=settlement.rows,
        route=settlement.route,
        occurred_at=settlement.document.occurred_at,
        settled_at=settlement.settled_at,
    )
    return settled if settlement.is_told else after_telling(settled, generation)


def after_telling(entry: Entry, generation: int) -> Entry:
    """The entry once everybody knows that generation's outcome: its execution has nothing left to do."""
    free = entry.generation == generation
    return msgspec.structs.replace(
        entry, told=max(entry.told, generation), busy_until=0.0 if free else entry.busy_until
    )


def stands(entry: Entry, settlement: Settlement) -> bool:
    """Whether the outcome of this settlement is the one that the entry has."""
    same = (entry.outcome, entry.reason) == (settlement.outcome, settlement.reason)
    return entry.settled == settlement.document.generation and (same or settlement.reason == UNCHANGED)


def _unknown(document: Document) -> Entry:
    """Of an object whose row has expired meanwhile."""
    return Entry(bucket=document.bucket, key=document.key, generation=document.generation)


def _seconds(entry: Entry) -> float:
    return entry.settled_at - entry.occurred_at
