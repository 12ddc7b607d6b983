"""Changing a record that others change too: read, decide, write on condition, and again where somebody was
first."""

from collections.abc import Callable

from signalbox.errors import UnavailableError
from signalbox.ledger.records import Record, RecordStore

CHANGE_ATTEMPTS = 8


def change_record(
    ledger: RecordStore,
    key: str,
    change: Callable[[Record | None], Record | None],
    known: Record | None = None,
) -> Record | None:
    """Has a record be as ``change`` makes it of what it is now, and answers what it is afterwards.

    Args:
        change: a pure function, asked anew after every conflict. Answers None where all may stay as it is.
        known: the record, where it was just read or written: the first attempt begins with it.

    Raises:
        UnavailableError: somebody else was first at every attempt.
        SignalboxError: the ledger did not answer, or refused.
    """
    for attempt in range(CHANGE_ATTEMPTS):
        before = known if known and attempt == 0 else ledger.records([key]).get(key)
        wanted = change(before)
        if wanted is None:
            return before
        version = before.version if before else 0
        written = Record(key, wanted.body, version)
        if not ledger.put_records([written]):
            return Record(key, wanted.body, version + 1)
    raise UnavailableError(f"{key}: changed under every attempt to change it")
