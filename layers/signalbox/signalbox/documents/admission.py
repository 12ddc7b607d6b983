"""Whether what a batch tells of an object has to be worked on, by what the ledger knows of it. Pure.

An event is *stale* where a later change of the object was admitted: whoever reads after that sees more. It is
*known* where the same change was admitted: its own event again, by the sequencer, or the other way's event of
the same request. Anything else is *new*.

By the request alone an event of S3's own is known only where CloudTrail told of it: a DeleteObjects may name
several versions of a key, whose events have one request id. CloudTrail records a call when it has ended, so
what was admitted for its record has seen all that the request did.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from signalbox.documents.entries import (
    DETAIL_CHARACTERS,
    KEPT_REQUESTS,
    TRY_FAILED,
    Entry,
    next_generation,
)
from signalbox.documents.models import Document
from signalbox.documents.objects import ObjectEvent

BUSY_SECONDS = 330.0
"""How long an execution can take, and the function that waits for it."""

type Standing = Literal["stale", "known", "new"]


class Admit(msgspec.Struct, frozen=True):
    """The object is worked on, once the entry is in the ledger."""

    entry: Entry
    document: Document


class Drop(msgspec.Struct, frozen=True):
    """There is nothing left to do. ``entry`` is what is to be noted, if anything."""

    reason: Literal["duplicate", "stale"]
    entry: Entry | None = None


class Later(msgspec.Struct, frozen=True):
    """Somebody is at work on it, and may fail: the messages come again after so many seconds."""

    seconds: float


type Decision = Admit | Drop | Later


def decide(
    entry: Entry | None, events: Sequence[ObjectEvent], now: float, *, last_try: bool = False
) -> Decision:
    """What becomes of the events of one object that came together. The newest of them speaks for all.

    Args:
        entry: what the ledger knows of the object.
        last_try: whether no message of them comes again.
    """
    standings = {_standing(entry, event) for event in events}
    if entry is None or "new" in standings:
        return _admit(entry, events, now, last_try=last_try)
    if standings == {"stale"}:
        return Drop("stale")
    if entry.is_done:
        noted = _noting(entry, events)
        return Drop("duplicate", None if noted is entry else noted)
    if entry.busy_until > now:
        return Later(entry.busy_until - now)
    return _admit(entry, events, now, last_try=last_try)


def release(entry: Entry, generation: int, why: str) -> Entry | None:
    """The entry when the execution of that generation has failed: the next try need not wait.

    Says why, unless the execution itself has: one that was cut off could not. None where there is nothing to
    note, since the object is somebody else's, or done, or free.
    """
    if entry.generation != generation or entry.is_done or not entry.busy_until:
        return None
    if entry.settled == generation:  # what it came to stands
        return msgspec.structs.replace(entry, busy_until=0.0)
    detail = why[:DETAIL_CHARACTERS]
    return msgspec.structs.replace(entry, reason=TRY_FAILED, detail=detail, busy_until=0.0)


def _standing(entry: Entry | None, event: ObjectEvent) -> Standing:
    if entry is None or event.cause == "found":
        return "new"
    if event.sequencer and event.sequencer <= entry.sequencer:
        return "known" if event.sequencer == entry.sequencer else "stale"
    told = entry.calls if event.sequencer else (*entry.calls, *entry.requests)
    return "known" if event.request_id and event.request_id in told else "new"


def _admit(entry: Entry | None, events: Sequence[ObjectEvent], now: float, *, last_try: bool) -> Admit:
    newest = max(events, key=lambda event: (event.occurred_at, event.sequencer))
    generation = next_generation(entry, now)
    admitted = msgspec.structs.replace(
        _noting(entry or Entry(bucket=newest.bucket, key=newest.key), events),
        generation=generation,
        requests=_newest(entry.requests if entry else (), events, "native"),
        calls=_newest(entry.calls if entry else (), events, "cloudtrail"),
        busy_until=now + BUSY_SECONDS,
    )
    document = Document(
        bucket=newest.bucket,
        key=newest.key,
        generation=generation,
        cause=newest.cause,
        occurred_at=newest.occurred_at,
        last_try=last_try,
        alone=entry is None or entry.settled == entry.generation,
    )
    return Admit(admitted, document)


def _noting(entry: Entry, events: Iterable[ObjectEvent]) -> Entry:
    """The entry with the highest sequencer: the very same where it has that."""
    highest = max(event.sequencer for event in events)
    return msgspec.structs.replace(entry, sequencer=highest) if highest > entry.sequencer else entry


def _newest(known: tuple[str, ...], events: Iterable[ObjectEvent], way: str) -> tuple[str, ...]:
    ids = [event.request_id for event in events if event.way == way and event.request_id]
    return tuple(dict.fromkeys((*known, *ids)))[-KEPT_REQUESTS:]
