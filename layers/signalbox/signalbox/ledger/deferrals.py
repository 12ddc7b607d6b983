"""Deferrals: what is known now and due later, as a scheduled event in three weeks is."""

from typing import Any, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.ledger.windows import WindowKey, Windows


class Deferral(msgspec.Struct, frozen=True, kw_only=True):
    """One entry for a window that is not to open yet.

    Attributes:
        id: the same id again replaces it.
        due_at: seconds since 1970.
        entry: what goes into the window then.
    """

    key: WindowKey
    id: str
    due_at: float
    entry: dict[str, Any]


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


class AdmitDeferred:
    """Puts what has become due into a window. Run on a schedule: a minute more or less does not matter."""

    def __init__(self, store: DeferralStore, windows: Windows, clock: Clock) -> None:
        self._store = store
        self._windows = windows
        self._clock = clock

    def admit(self, domain: str) -> int:
        """How many were due. Each is dropped only when it is safely in: a crash brings it again."""
        due = [deferral for deferral in self._store.deferrals(domain) if deferral.due_at <= self._clock()]
        for deferral in due:
            self._windows.join(deferral.key, [deferral.entry])
            self._store.drop_deferral(domain, deferral.id)
        return len(due)
