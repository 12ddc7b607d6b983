"""How the outcome of a replay is told to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.display import table

if TYPE_CHECKING:
    from rich.table import Table

    from operations.letters import Prospect
    from operations.replaying import Outcome

ROWS = 20
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
COMES_TO: dict[Prospect, str] = {
    "handled": "handled as any event is",
    "stale": "too old to act on: recorded as stale",
    "discarded": "thrown away",
    "unreadable": "no event: left where it is",
    "passed over": "older than --since: left where it is",
}


def letters_table(outcome: Outcome, title: str, now: float) -> Table:
    """The first letters, a row each: what, how old, why it is here, what a replay comes to."""
    rows = table("what", "age", "in the queue", "rule", "why it is here", "a replay", title=title)
    for finding in outcome.seen[:ROWS]:
        letter = finding.letter
        readable = finding.prospect != "unreadable"
        causes = [letter.error, letter.cause] if readable else [finding.what]
        rows.add_row(
            finding.what if readable else f"message {letter.id}",
            "-" if finding.age is None else duration(finding.age),
            duration(now - letter.sent_at),
            letter.rule or "-",
            ": ".join(filter(None, causes)) or "-",
            finding.prospect,
        )
    return rows


def duration(seconds: float) -> str:
    """In the largest unit that fits: `45 s`, `3 h`."""
    for unit, size in reversed(UNITS.items()):
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"


def looked_at(outcome: Outcome) -> list[str]:
    """What a replay would come to, a line each."""
    counts = {p: sum(finding.prospect == p for finding in outcome.seen) for p in COMES_TO}
    lines = [f"… and {len(outcome.seen) - ROWS} more."] if len(outcome.seen) > ROWS else []
    lines += [f"{count} {COMES_TO[prospect]}" for prospect, count in counts.items() if count]
    return lines or ["Nothing there."]


def done(outcome: Outcome, verb: str) -> list[str]:
    """What was done, a line each."""
    lines = [f"{len(outcome.replayed)} {verb}."]
    if outcome.refused:
        lines.append(f"{len(outcome.refused)} SQS did not take; they are where they were. Run it again.")
    if outcome.undeleted:
        lines.append(
            f"{len(outcome.undeleted)} {verb}, but still in the queue. Run it again: duplicates are dropped."
        )
    return lines
