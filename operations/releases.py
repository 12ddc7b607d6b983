"""What may be asked of a release, and what would come of it. Pure: no AWS, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from signalbox.clock import iso
from signalbox.packages.entries import Step, next_step
from signalbox.packages.events import OWN_SOURCE, RETRY_REQUESTED
from signalbox.packages.releases import OVER, Progress, Reason, Retried, State, advance

if TYPE_CHECKING:
    from signalbox.packages.entries import Entry
    from signalbox.packages.releases import Release


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is, as events name it."""

    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Asking:
    """A message for the intake queue: another try."""

    id: str
    body: str


def asking(release: Release, place: Place, now: float, id_: str, *, acts: bool) -> Asking:
    """Asks for another try of a release as it is. What has gone on meanwhile makes it needless.

    Args:
        id_: of the message, another each time.
        acts: a dry run builds and promotes from now on.
    """
    event = {
        "version": "0",
        "id": id_,
        "detail-type": RETRY_REQUESTED,
        "source": OWN_SOURCE,
        "account": place.account,
        "time": iso(now),
        "region": place.region,
        "resources": [],
        "detail": {
            "release": release.version,
            "round": release.round,
            "tries": release.tries,
            "acts": acts,
        },
    }
    return Asking(id_, msgspec.json.encode(event).decode())


def prospect(entry: Entry, *, acts: bool) -> str:
    """What another try would do, for a person; "" where there is nothing to be tried.

    Args:
        acts: as of `asking`.
    """
    release = entry.release
    after = advance(release, Retried(release.round, release.tries, acts))
    if after is release or (acts and release.acts):
        return ""
    goes_on = ", then builds and promotes it" if after.acts else "; it stays a dry run"
    match next_step(after):
        case Step.INSPECT:
            return f"Another try judges and plans it anew{goes_on}."
        case Step.PLAN:
            return f"Another try plans it{goes_on}."
        case Step.BUILD:
            return _builds(after)
        case Step.PROMOTE:
            return "Another try promotes it."
    return "Another try tells once more what the dry run has come to. To have it built and promoted: approve."


def _builds(release: Release) -> str:
    waves = len(release.waves)
    due = [
        name
        for name in release.waves[release.wave]
        if release.builds[name].progress in {Progress.PENDING, Progress.STARTING}
    ]
    named = ", ".join(due[:5]) + (f" and {len(due) - 5} more" if len(due) > 5 else "")
    return (
        f"Another try builds wave {release.wave + 1} of {waves}: {named or 'what is under way'}. "
        "It is promoted when all waves are green."
    )


def objection_to(entry: Entry, *, acts: bool) -> str:
    """Why there is nothing to be tried, for a person."""
    release = entry.release
    if acts and release.acts:
        return "It is no dry run: there is nothing to approve. After a repair: retry."
    if release.reason is Reason.WITHDRAWN:
        return "The version was withdrawn. Publish it again, and it is looked at again."
    if release.state is State.SUPERSEDED:
        return f"{release.by} has taken its place."
    return f"It is {release.state}: there is nothing to try again."


def is_open(entry: Entry) -> bool:
    """Whether something may yet come of it."""
    return entry.release.state not in OVER and entry.release.reason is not Reason.WITHDRAWN
