"""What the ledger has to tell of windows, as lines in the order in which it happened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from local.account import WindowAccount
    from signalbox.ledger.actions import Action
    from signalbox.ledger.records import Plan

COLUMNS = (6, 5, 19)
"""Widths of time, group and instance; the text has the rest of the terminal."""
SUBJECT_PREFIX = "[Signalbox] Spot: "
DONE = {
    "detach": "detached from the group, replacement starting",
    "deregister": "draining from the target group",
    "deregister-classic": "draining from the classic load balancer",
    "containers": "ECS container instance draining",
    "nodes": "EKS node cordoned and drained",
    "fail-health-check": "command to fail the health check sent",
    "checkpoint": "checkpoint commands sent",
    "command": "shutdown commands sent",
    "complete": "lifecycle hook completed",
    "terminate": "ended by its group, replacement starting",
    "event": "domain event published",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Lines with the same key are the same news."""

    key: str
    at: float
    group: str
    who: str
    text: str
    bad: bool = False


def lines(windows: Iterable[WindowAccount]) -> list[Line]:
    """All that has happened so far, the earliest first."""
    return sorted(
        (line for window in windows for line in _lines(window)), key=lambda line: (line.at, line.key)
    )


def row(line: Line, since: float) -> Table:
    """The line for a person, with its time in seconds since `since`; a long text goes on below itself."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    for width in COLUMNS:
        grid.add_column(width=width)
    grid.add_column(overflow="fold")
    grid.add_row(
        f"{line.at - since:6.1f}", line.group, line.who, Text(line.text, style="red" if line.bad else "")
    )
    return grid


def _lines(window: WindowAccount) -> Iterator[Line]:
    if window.plan is None:
        return
    yield from _decided(window, window.plan)
    for action in window.actions:
        if action.finished_at:
            yield from _ended(window, action)
    if window.plan.settled:
        yield from _settled(window, window.plan.settled["settled_at"])


def _decided(window: WindowAccount, plan: Plan) -> Iterator[Line]:
    told = _gathered(
        window.decisions,
        lambda d: (d.group, d.mode, ", ".join(d.kinds), "; ".join(reason.text for reason in d.reasons)),
    )
    for (group, mode, kinds, why), decisions in told.items():
        who = _who([decision.instance for decision in decisions])
        yield _line(window, plan.planned_at, group, who, f"{mode}: {kinds or 'nothing to do'} ({why})")


def _ended(window: WindowAccount, action: Action) -> Iterator[Line]:
    """One line for all whom the action served alike; one in all where it is about nobody in particular."""
    for (status, reason), subjects in _gathered(action.subjects or ("",), action.outcome_of).items():
        text = _done(action) if status == "succeeded" else f"{action.kind} {status}: {reason}"
        yield _line(
            window,
            action.finished_at,
            action.group,
            _who(subjects),
            text,
            bad=status == "failed",
            of=action.id,
        )


def _done(action: Action) -> str:
    match action.kind:
        case "command":
            return f"{DONE['command']}, {action.deadline - action.finished_at:.0f} s before the deadline"
        case "alert":
            return f"alert: {action.payload['subject'].removeprefix(SUBJECT_PREFIX)}"
        case kind:
            return DONE.get(kind, f"{kind} done")


def _settled(window: WindowAccount, at: float) -> Iterator[Line]:
    told = _gathered(window.episodes.values(), lambda episode: (episode.group, episode.outcome))
    for (group, outcome), episodes in told.items():
        left = [e.timings["seconds_left"] for e in episodes if "seconds_left" in e.timings]
        spare = f", {min(left):.0f} s before the deadline" if left else ""
        who = _who([episode.instance for episode in episodes])
        yield _line(window, at, group, who, f"{outcome}{spare}", bad=outcome in {"failed", "late"})


def _line(
    window: WindowAccount, at: float, group: str, who: str, text: str, *, bad: bool = False, of: str = ""
) -> Line:
    return Line(f"{window.window} {of or text} {group} {who}", at, group, who, text, bad)


def _gathered[T, K](items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def _who(instances: Sequence[str]) -> str:
    return instances[0] if len(instances) == 1 else f"{len(instances)} instances"
