"""What one try of a release came to, as the ledger has it: an execution that fails has not the last word."""

from enum import StrEnum

import msgspec

from signalbox.errors import InvariantError
from signalbox.failures import said
from signalbox.packages.entries import Entry, Task
from signalbox.packages.releases import UNDER_WAY, Reason, State

DETAIL_CHARACTERS = 2_000


class Outcome(StrEnum):
    """Of a try."""

    PLANNED = "planned"
    """A dry run is through: this is what would be done."""
    PROMOTED = "promoted"
    FAILED = "failed"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    STUCK = "stuck"
    """Its execution failed. The release stands where it was."""
    OUTDATED = "outdated"
    """A later round or try has the release. Nobody is told."""


_ENDED = {
    State.PROMOTED: Outcome.PROMOTED,
    State.FAILED: Outcome.FAILED,
    State.STOPPED: Outcome.STOPPED,
    State.SUPERSEDED: Outcome.SUPERSEDED,
}


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a try.

    Attributes:
        entry: the release as it is.
        reason: why it is FAILED or STOPPED; of one that is STUCK, the class of the error; else "".
        detail: a sentence or two for a person; "" where the rest says all.
        settled_at: seconds since 1970.
    """

    entry: Entry
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    settled_at: float

    @property
    def failed(self) -> tuple[str, ...]:
        """The packages whose builds have failed or were stopped, where that is why the release stands."""
        why = self.entry.release.reason
        return self.entry.release.red if why in {Reason.BUILD_FAILED, Reason.BUILD_STOPPED} else ()

    @property
    def needless(self) -> tuple[str, ...]:
        """The ids of builds that may run and that nobody waits for any more."""
        release = self.entry.release
        over = release.state is State.SUPERSEDED or release.reason is Reason.WITHDRAWN
        running = (build for build in release.builds.values() if build.progress in UNDER_WAY)
        return tuple(sorted(build.id for build in running if build.id)) if over else ()

    @property
    def progress(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Of each wave, its packages and how their builds are."""
        builds = self.entry.release.builds
        return tuple(
            tuple((name, str(builds[name].progress)) for name in wave) for wave in self.entry.release.waves
        )


def settlement_of(entry: Entry, task: Task, now: float) -> Settlement:
    """What the try of an execution came to.

    Raises:
        InvariantError: there is something to be done yet, and nothing failed.
    """
    release, failure = entry.release, task.failure
    if not task.is_of(entry):
        return Settlement(entry=entry, outcome=Outcome.OUTDATED, settled_at=now)
    outcome = _outcome(entry)
    if outcome is not Outcome.STUCK:
        reason = str(release.reason or "")
        return Settlement(entry=entry, outcome=outcome, reason=reason, detail=_detail(entry), settled_at=now)
    if failure is None:
        raise InvariantError(f"{release.version} is {release.state}, and its execution wants to settle it")
    detail = said(failure, DETAIL_CHARACTERS)
    return Settlement(entry=entry, outcome=outcome, reason=failure.error, detail=detail, settled_at=now)


def _outcome(entry: Entry) -> Outcome:
    release = entry.release
    if release.state in {State.PLANNED, State.READY} and not release.acts:
        return Outcome.PLANNED
    return _ENDED.get(release.state, Outcome.STUCK)


def _detail(entry: Entry) -> str:
    """What CodeArtifact said; the rest stands in objections and troubles."""
    return entry.detail[:DETAIL_CHARACTERS] if entry.release.reason is Reason.REFUSED else ""


def shown_state(entry: Entry) -> str:
    """Its state in a word or two: why it stands, that it is a dry run."""
    release = entry.release
    why = f": {release.reason}" if release.reason else ""
    by = f": {release.by}" if release.by else ""
    return f"{release.state}{why}{by}{'' if release.acts else ' (dry run)'}"


def told_of(entry: Entry) -> str:
    """What was told of its newest try (`Outcome`); "" where nothing was yet."""
    return entry.outcome if entry.settled == entry.release.execution else ""


def why_it_stands(entry: Entry) -> str:
    """For a person; "" where it does not, or where its builds say it."""
    return entry.stuck if told_of(entry) == Outcome.STUCK else entry.detail


def is_trouble(entry: Entry) -> bool:
    """Whether somebody has to do something."""
    return entry.release.reason is not None or told_of(entry) == Outcome.STUCK
