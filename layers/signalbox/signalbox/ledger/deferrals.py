"""Deferrals: what is known now and due later, as a scheduled event in three weeks is."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from signalbox.ledger.windows import WindowKey, Windows

ENTRY = "entry"
"""The kind of what goes into a window."""


class Deferral(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not to happen yet.

    Attributes:
        id: the same id again replaces it.
        due_at: seconds since 1970.
        entry: what it is about; for an `ENTRY`, what goes into the window then.
        kind: who takes it up when it is due.
    """

    key: WindowKey
    id: str
    due_at: float
    entry: dict[str, Any]
    kind: str = ENTRY


class DeferralStore(Protocol):
    """Reads are strongly consistent."""

    def defer(self, deferral: Deferral) -> None:
        """Keeps it until it is due, or replaces it."""
        ...

    def deferrals(self, domain: str) -> list[Deferral]:
        """All of the domain's, the earliest due first."""
        ...

    def drop_deferral(self, domain: str, deferral_id: str) -> None:
        """Forgets it. Harmless where there is none."""
        ...


def due(store: DeferralStore, domain: str, now: float) -> list[Deferral]:
    """What has become due, the earliest first: read once for all who take it up."""
    return [deferral for deferral in store.deferrals(domain) if deferral.due_at <= now]


class AdmitDeferred:
    """Puts what has become due into a window. Run on a schedule: a minute more or less does not matter."""

    def __init__(self, store: DeferralStore, windows: Windows) -> None:
        self._store = store
        self._windows = windows

    def admit(self, deferrals: Iterable[Deferral]) -> int:
        """How many of them were entries. Each is dropped only when it is safely in: a crash brings it
        again."""
        entries = [deferral for deferral in deferrals if deferral.kind == ENTRY]
        for deferral in entries:
            self._windows.join(deferral.key, [deferral.entry])
            self._store.drop_deferral(deferral.key.domain, deferral.id)
        return len(entries)
