"""What a storm came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.figures import percentile
from bench.prices import Usage, per_thousand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.shape import Bucket

OURS, THEIRS = "signalbox", "one-by-one"


@dataclass(frozen=True, slots=True)
class WindowSeen:
    """A window that took part: its decisions; seconds from the first notice to its plan and last action."""

    decisions: int
    planned_after: float
    acted_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One storm met by one algorithm.

    Attributes:
        detached, drained, commanded: instances for which it was so before the deadline, as the estate shows.
        waits: seconds from a notice to its instance's detachment, of those that were detached.
        seconds: from the first notice until all was over.
        states: how the ledger's episodes, or the last tries, ended.
        windows: those that took part in it, where there are any.
    """

    algorithm: str
    instances: int
    bucket: Bucket
    calls: Mapping[str, int]
    throttled: Mapping[str, int]
    refused: Mapping[str, int]
    detached: int
    drained: int
    commanded: int
    waits: Sequence[float]
    seconds: float
    states: Mapping[str, int]
    usage: Usage
    windows: Sequence[WindowSeen] = ()

    @property
    def total(self) -> int:
        """Calls to the estate, those that were throttled included."""
        return sum(self.calls.values())

    def named(self) -> dict[str, float]:
        """Its figures by name."""
        usage = self.usage
        return {
            "calls": self.total,
            "calls_per_instance": self.total / self.instances,
            "throttled": sum(self.throttled.values()),
            "refused": sum(self.refused.values()),
            "detached_in_time_share": self.detached / self.instances,
            "drained_in_time_share": self.drained / self.instances,
            "commanded_in_time_share": self.commanded / self.instances,
            "notice_to_detach_p50_seconds": percentile(self.waits, 0.50),
            "notice_to_detach_p99_seconds": percentile(self.waits, 0.99),
            "invocations": usage.invocations,
            "gb_seconds": usage.gb_seconds,
            "write_units_computed": usage.write_units,
            "state_transitions": usage.transitions,
            "dollars_per_1000_interruptions": per_thousand(usage, self.instances),
            "seconds": self.seconds,
        }
