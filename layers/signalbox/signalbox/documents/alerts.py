"""What is told of a document: people hear of what failed for good, programs of every outcome.

Nobody is told where nothing happened: a later execution has the object, the index has it already, or it is a
folder of a console's.
"""

from typing import Any

import msgspec

from signalbox.clock import iso
from signalbox.documents.entries import FOLDER, TRIES_USED_UP, UNCHANGED
from signalbox.documents.models import (
    QUARANTINED,
    Document,
    Entities,
    Found,
    Labels,
    Outcome,
    Text,
)

SUBJECT_CHARACTERS = 99  # SNS takes fewer than 100 ASCII characters
SHOWN_KEY_CHARACTERS = 50
EVENT_SOURCE = "signalbox.documents"
INDEXED_EVENT = "Document Indexed v1"
REMOVED_EVENT = "Document Removed v1"
QUARANTINED_EVENT = "Document Quarantined v1"
UNTOLD = frozenset({UNCHANGED, FOLDER})
"""Reasons for which nobody is told of an outcome that is told otherwise."""


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document that failed for good is kept, in the work bucket.

    Attributes:
        reason: the key of what is known about it, as JSON.
        object: the key of a copy of it; "" where there is none.
        without: why there is none.
    """

    reason: str
    object: str = ""
    without: str = ""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How one execution ended for its object.

    Attributes:
        rows: what the index was given.
        settled_at: seconds since 1970.
        bucket: the work bucket, in which ``text`` and ``entities`` are.
    """

    document: Document
    route: str
    outcome: Outcome
    reason: str
    detail: str = ""
    found: Found | None = None
    text: Text | None = None
    entities: Entities | None = None
    labels: Labels | None = None
    rows: int = 0
    settled_at: float
    bucket: str
    quarantine: Quarantine | None = None

    @property
    def is_told(self) -> bool:
        return self.outcome is not Outcome.SUPERSEDED and self.reason not in UNTOLD

    @property
    def is_quarantined(self) -> bool:
        return self.outcome in QUARANTINED

    @property
    def media_type(self) -> str:
        """What the converter found, where it got that far: a ZIP may be anything."""
        if self.text is not None:
            return self.text.media_type
        return self.found.media_type if self.found else ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """``attributes`` are for the filter policies of subscriptions."""

    subject: str
    message: str
    attributes: dict[str, str]


class DomainEvent(msgspec.Struct, frozen=True, kw_only=True):
    """For the bus."""

    detail_type: str
    detail: dict[str, Any]


WHAT_TO_DO = {
    Outcome.ENCRYPTED: "Upload it without a password.",
    Outcome.CORRUPT: "Open it: it may be cut off. If it is whole, save it anew, or in another format.",
    Outcome.TOO_LARGE: "Upload it in parts, or allow more in its route (docs/documents.md, Routes).",
    Outcome.UNSUPPORTED: (
        "Upload it in another format, or have its route leave such keys out (docs/documents.md, Routes)."
    ),
    Outcome.NO_TEXT: (
        "If it is a scan, its route can ask for ocr (docs/documents.md, Routes). "
        "Else there is nothing in it to search for."
    ),
    Outcome.TIMED_OUT: "Upload it in parts.",
    Outcome.FAILED: "Mend what is said above.",
}
"""By outcome; what the cause is, the detail says."""
LOOK_AGAIN = (
    "What is uploaded again is looked at again. Where the object itself may stay as it is:",
    'make backfill STAGE=... ARGS="s3://{bucket}/<its key> --yes"',
)
TRIES_LINES = (
    "Its message lies in the intake's dead-letter queue. Mend the cause, then try again all that lies there:",
    'make replay STAGE=... ARGS="--domain documents --queue intake --execute"',
    "Until then the index has of the document what it had before.",
)


def alert_of(settlement: Settlement) -> Alert | None:
    """For a person; None where nobody has anything to do."""
    if not settlement.is_quarantined:
        return None
    document, outcome = settlement.document, settlement.outcome
    lines = [
        f"Documents: {document.shown} is {outcome} ({settlement.reason}).",
        settlement.detail,
        "",
        *_facts(settlement),
        "",
        *_what_to_do(settlement),
    ]
    attributes = {
        "domain": "documents",
        "outcome": outcome,
        "reason": settlement.reason,
        "bucket": document.bucket,
        "route": settlement.route or "(none)",
    }
    subject = f"[Signalbox] Documents: {outcome}: {_shown_key(document.key)}"
    message = "\n".join(_printable(line) for line in lines)
    return Alert(subject=_for_subject(subject), message=message, attributes=attributes)


def _facts(settlement: Settlement) -> list[str]:
    document, found, kept = settlement.document, settlement.found, settlement.quarantine
    facts = [f"Route: {settlement.route}", f"Document: {document.id}, generation {document.generation}"]
    if found is not None:
        facts.append(f"Version: {found.version}, {found.size:,} bytes, {settlement.media_type or 'unread'}")
    if kept is not None:
        where = f"s3://{settlement.bucket}/"
        facts.append(f"Why, for programs: {where}{kept.reason}")
        facts.append(f"Copy: {where}{kept.object}" if kept.object else f"No copy was kept: {kept.without}")
    return facts


def _what_to_do(settlement: Settlement) -> list[str]:
    if settlement.reason == TRIES_USED_UP:
        return list(TRIES_LINES)
    bucket = settlement.document.bucket
    return [WHAT_TO_DO[settlement.outcome], *(line.format(bucket=bucket) for line in LOOK_AGAIN)]


def _shown_key(key: str) -> str:
    """Its end says more than its beginning."""
    return key if len(key) <= SHOWN_KEY_CHARACTERS else f"...{key[-SHOWN_KEY_CHARACTERS:]}"


def _for_subject(subject: str) -> str:
    """ASCII, on one line ("Publish", SNS API Reference)."""
    return _printable(subject).encode("ascii", "replace").decode()[:SUBJECT_CHARACTERS]


def _printable(line: str) -> str:
    """A key may hold line breaks and control characters: nobody shall write lines of an alert with one."""
    return "".join(character if character.isprintable() else "?" for character in line)


def event_of(settlement: Settlement) -> DomainEvent | None:
    """For programs; None where there is nothing to tell."""
    if not settlement.is_told:
        return None
    if settlement.is_quarantined:
        return DomainEvent(detail_type=QUARANTINED_EVENT, detail=_quarantined(settlement))
    if settlement.outcome is Outcome.DELETED:
        return DomainEvent(detail_type=REMOVED_EVENT, detail=_removed(settlement))
    return DomainEvent(detail_type=INDEXED_EVENT, detail=_indexed(settlement))


def _indexed(settlement: Settlement) -> dict[str, Any]:
    text, entities, labels = settlement.text, settlement.entities, settlement.labels
    return {
        **_identity(settlement),
        **_content(settlement),
        "pages": text.pages if text else 0,
        "batches": text.batches if text else 0,
        "characters": text.characters if text else 0,
        "rows": settlement.rows,
        "language": entities.language if entities else "",
        "text": _reference(settlement.bucket, text.key if text else ""),
        "entities": _reference(settlement.bucket, entities.key if entities else ""),
        "labels": [label.name for label in labels.labels] if labels else [],
        "indexed_at": iso(settlement.settled_at),
    }


def _removed(settlement: Settlement) -> dict[str, Any]:
    return {
        **_identity(settlement),
        "reason": settlement.reason,
        "removed_at": iso(settlement.settled_at),
    }


def _quarantined(settlement: Settlement) -> dict[str, Any]:
    kept = settlement.quarantine
    return {
        **account_of(settlement),
        "quarantine": {
            "reason": _reference(settlement.bucket, kept.reason if kept else ""),
            "object": _reference(settlement.bucket, kept.object if kept else ""),
        },
    }


def account_of(settlement: Settlement) -> dict[str, Any]:
    """What is known of a document that failed for good."""
    return {
        **_identity(settlement),
        **_content(settlement),
        "outcome": settlement.outcome,
        "reason": settlement.reason,
        "detail": settlement.detail,
        "quarantined_at": iso(settlement.settled_at),
    }


def _identity(settlement: Settlement) -> dict[str, Any]:
    document = settlement.document
    return {
        "version": 1,
        "document": document.id,
        "generation": document.generation,
        "bucket": document.bucket,
        "key": document.key,
        "route": settlement.route,
        "occurred_at": iso(document.occurred_at),
    }


def _content(settlement: Settlement) -> dict[str, Any]:
    found = settlement.found
    return {
        "object_version": found.version if found else "",
        "size": found.size if found else 0,
        "media_type": settlement.media_type,
    }


def _reference(bucket: str, key: str) -> dict[str, str] | None:
    """Where something too large for an event lies."""
    return {"bucket": bucket, "key": key} if key else None
