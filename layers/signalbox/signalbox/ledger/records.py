"""Records: small documents that several writers change, each change conditional on the version it read."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from signalbox.ledger.actions import Action
from signalbox.ledger.windows import Window


class Record(msgspec.Struct, frozen=True):
    """One document. ``version`` counts its writes; 0 means that it does not exist yet."""

    key: str
    body: dict[str, Any]
    version: int = 0


class RecordStore(Protocol):
    """Reads are strongly consistent."""

    def records(self, keys: Sequence[str]) -> dict[str, Record]:
        """Those of the keys that exist."""
        ...

    def put_records(self, records: Sequence[Record]) -> set[str]:
        """Writes each record whose stored version is still ``record.version``, as version + 1.

        Answers the keys that were *not* written, because somebody else was first (or may have been:
        a conflict can take others of the same call down with it). Read those again.
        """
        ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a window's plan came to. It exists once per window: writing it commits the plan.

    Attributes:
        id: names the attempt whose actions count.
        summary: what the state machine is told; see `signalbox.spot.window`.
        decisions: one entry per subject, with its reasons.
        settled: what became of it, once it is settled.
    """

    id: str
    planned_at: float
    summary: dict[str, Any]
    decisions: tuple[dict[str, Any], ...] = ()
    settled: dict[str, Any] | None = None


class PlanStore(Protocol):
    """Reads are strongly consistent."""

    def plan(self, window: Window) -> Plan | None:
        """The committed plan, if there is one."""
        ...

    def commit_plan(self, window: Window, plan: Plan, actions: Sequence[Action]) -> Plan:
        """Writes actions, decisions and, last, the plan. Answers the plan that counts: another worker's
        where that one committed first."""
        ...

    def add_actions(self, window: Window, actions: Sequence[Action]) -> None:
        """Adds actions to a committed plan; one that exists already stays as it is."""
        ...

    def settle_plan(self, window: Window, settled: dict[str, Any]) -> bool:
        """Notes what became of the window. False, and nothing written, where somebody else was first."""
        ...


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Bad input, kept: what is wrong, where, and the input itself (cut to 8,000 characters)."""

    domain: str
    id: str
    code: str
    where: str
    what: str
    body: str
    at: float


class RejectionStore(Protocol):
    def reject(self, rejection: Rejection) -> None:
        """Keeps it; the same id again overwrites."""
        ...

    def rejections(self, domain: str, day: str) -> list[Rejection]:
        """Those of one day, as ``2026-01-31``, UTC, oldest first."""
        ...
