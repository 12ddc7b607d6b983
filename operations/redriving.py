"""Has SQS move a dead-letter queue back to where its messages came from, and follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 1.0

type Status = Literal["RUNNING", "COMPLETED", "CANCELLING", "CANCELLED", "FAILED"]


@dataclass(frozen=True, slots=True)
class Task:
    """A message move task. `handle` is there while it runs, `reason` where it failed. Counts are rough."""

    status: Status
    handle: str = ""
    moved: int = 0
    to_move: int | None = None
    reason: str = ""

    @property
    def running(self) -> bool:
        return self.status in {"RUNNING", "CANCELLING"}


class Moves(Protocol):
    """The move tasks of one queue."""

    def start(self) -> None:
        """Starts one. SQS refuses it while another runs."""

    def newest(self) -> Task | None:
        """The newest task, running or over; None where there never was one."""

    def cancel(self, handle: str) -> None:
        """Stops one; what it moved stays moved."""


def redrive(moves: Moves, sleep: Callable[[float], None], report: Callable[[Task], None]) -> Task:
    """Starts a move, or joins the one that runs, and returns when it is over. Interrupted, it cancels it."""
    task = moves.newest()
    if task is None or not task.running:
        moves.start()
        task = moves.newest()
    try:
        while task is not None and task.running:
            report(task)
            sleep(POLL_SECONDS)
            task = moves.newest()
    except BaseException:
        if task is not None and task.handle:
            moves.cancel(task.handle)
        raise
    return task or Task("FAILED", reason="SQS lists no move task for this queue")
