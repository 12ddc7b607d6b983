"""What the ledger knows of an object, and who may work on it: the row that admitting and settling share.

Why the index ends as the object's last version says, whatever order events come in:

- S3 sends an event *after* each change, and reads are strongly consistent.
- Every admission takes a higher generation than the one before, and its execution reads the object after
  that.
- The index refuses a write of a lower generation than it has. So what stays is what the highest one read;
  and the last change's own event was admitted after that change.
- An execution that finds the object as it is indexed may leave the index alone, generation and all, only if
  the admission before it was settled when it was admitted (`Document.alone`): then nobody else is about to
  write what it read earlier.
"""

from typing import Any

import msgspec

from signalbox.documents.models import Outcome
from signalbox.ledger.records import Record

DOMAIN = "documents"
UNCHANGED = "unchanged"
"""The reason of INDEXED where the index was as it should be."""
FOLDER = "folder-marker"
"""The reason of DELETED where the object is how consoles draw a folder."""
TRY_FAILED = "try-failed"
"""The reason of a try that failed, while there are more."""
TRIES_USED_UP = "tries-used-up"
"""The reason of FAILED where another try may go well: the message is in the dead-letter queue."""
DETAIL_CHARACTERS = 1_000
KEPT_REQUESTS = 16
"""Ids of S3 requests remembered for an object: the same request may come by two ways."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One object, as the ledger knows it.

    Attributes:
        generation: of the newest admission: milliseconds since 1970, or one more than the last where that is
            higher. So it goes on rising where an old row has expired.
        sequencer: the highest that was admitted, padded (`signalbox.documents.objects`); "" where no event
            had one.
        requests: the ids of the last requests that S3's own events told of.
        calls: the ids of the last requests that CloudTrail told of.
        busy_until: when the newest admission's execution has ended at the latest, in seconds since 1970; 0
            once it has failed.
        settled: the generation that was settled last.
        told: the generation whose outcome was told last, or was none to be told.
        reason: of the outcome; of the last try that failed, while the newest admission is not settled.
            ``detail`` likewise.
        version: what the outcome is about; "" where there was nothing to be looked at. So with the rest.
    """

    bucket: str
    key: str
    generation: int = 0
    sequencer: str = ""
    requests: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    busy_until: float = 0.0
    settled: int = 0
    told: int = 0
    outcome: Outcome | None = None
    reason: str = ""
    detail: str = ""
    version: str = ""
    size: int = 0
    media_type: str = ""
    rows: int = 0
    route: str = ""
    occurred_at: float = 0.0
    settled_at: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether its changes that were admitted need nothing more: the outcome stands, and was told.

        Whose tries were used up is taken up again, once its message is redriven.
        """
        return self.told >= self.generation and self.reason != TRIES_USED_UP


def entry_key(bucket: str, key: str) -> str:
    """The key of the record (`signalbox.ledger.records`)."""
    return f"document#{bucket}/{key}"


def entry_of(record: Record) -> Entry:
    return msgspec.convert(record.body, Entry)


def record_of(entry: Entry, version: int) -> Record:
    """The record to be written in the place of the one of that version; 0 where there is none yet."""
    body: dict[str, Any] = msgspec.to_builtins(entry)
    return Record(entry_key(entry.bucket, entry.key), body, version)


def next_generation(entry: Entry | None, now: float) -> int:
    """Higher than any that the object has had."""
    return max(int(now * 1000), (entry.generation if entry else 0) + 1)
