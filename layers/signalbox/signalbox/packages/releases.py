"""The release of a version, as a state machine: events in, what is to be done next out. Pure.

Two functions are all. `advance` says what a release is after an event; the very release that it was given
comes back where the event says nothing new, as a duplicate or a late one does. `due` says what is to be done,
by what the release is and nothing else. So whoever crashes loses nothing: the next one asks `due` again.

What has an effect is claimed first: the claim is an event, written on condition that nobody else has written
meanwhile. Then nobody else does it until the lease is out; who finds that its own is out gives up; and who
takes over is told that it is `resumed`, and looks before it acts.

    waiting → inspected → planned → building → ready → promoting → promoted
    all but the last two → superseded, stopped (withdrawn, or a build was stopped), failed

Rounds: a version that changes before it is promoted begins again. Its builds were of something else, so that
nobody asks any more what they came to.
"""

from enum import StrEnum
from hashlib import sha256
from typing import Any, Literal

import msgspec

from signalbox.packages.findings import Level


class State(StrEnum):
    """Where a release is."""

    WAITING = "waiting"
    INSPECTED = "inspected"
    """The policy allows the version."""
    PLANNED = "planned"
    """The waves are known. A dry run ends here."""
    BUILDING = "building"
    READY = "ready"
    """All is green."""
    PROMOTING = "promoting"
    """Somebody copies the version, or did: it can't be called back."""
    PROMOTED = "promoted"
    SUPERSEDED = "superseded"
    """A higher version has taken its place."""
    STOPPED = "stopped"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a release stands still."""

    POLICY = "policy"
    WITHDRAWN = "withdrawn"
    BUILD_FAILED = "build-failed"
    BUILD_STOPPED = "build-stopped"
    REFUSED = "promotion-refused"


class Progress(StrEnum):
    """Where a build is."""

    PENDING = "pending"
    STARTING = "starting"
    """Somebody has claimed to start it."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


UNDER_WAY = frozenset({Progress.STARTING, Progress.RUNNING})
NOT_GREEN = frozenset({Progress.FAILED, Progress.STOPPED})
BEYOND_RECALL = frozenset({State.PROMOTING, State.PROMOTED})
OVER = BEYOND_RECALL | {State.SUPERSEDED}
"""No event but the promotion's own changes these."""


class Build(msgspec.Struct, frozen=True, array_like=True):
    """The rebuild of one dependent.

    Attributes:
        attempt: from 1; only a retry that somebody asks for is another.
        id: CodeBuild's or CodePipeline's; "" until it is known.
        lease_until: of the claim to start it; seconds since 1970.
        claimed_at: when it was first claimed: whoever started this attempt did so no sooner.
    """

    progress: Progress = Progress.PENDING
    attempt: int = 1
    id: str = ""
    lease_until: float = 0.0
    claimed_at: float = 0.0


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version on its way.

    Attributes:
        version: its key. There is one release of a version, whatever events come.
        revision: what is built and promoted.
        sequence: of the newest event about the version; what is not higher is late.
        acts: false in a dry run: nothing is built or promoted.
        round: from 1.
        tries: how often somebody has asked for another try in this round.
        wave: the one that is built.
        builds: package → build, of all waves.
        lease_until: of the claim to promote.
        reason: why it is STOPPED or FAILED.
        by: the version that has taken its place.
    """

    version: str
    revision: str
    sequence: int
    acts: bool = False
    state: State = State.WAITING
    round: int = 1
    tries: int = 0
    waves: tuple[tuple[str, ...], ...] = ()
    wave: int = 0
    builds: dict[str, Build] = {}
    lease_until: float = 0.0
    reason: Reason | None = None
    by: str = ""

    @property
    def execution(self) -> str:
        """The name of this try's execution: starting it twice starts it once."""
        return f"{sha256(self.version.encode()).hexdigest()[:32]}-{self.round}-{self.tries}"

    @property
    def red(self) -> tuple[str, ...]:
        """The packages whose builds have failed or were stopped."""
        return tuple(sorted(name for name, build in self.builds.items() if build.progress in NOT_GREEN))


class Published(msgspec.Struct, frozen=True):
    """The version is there, or has changed: CodeArtifact's event, once it is Published and quiet."""

    revision: str
    sequence: int


class Withdrawn(msgspec.Struct, frozen=True):
    """It is Unlisted, Archived, Disposed or Deleted."""

    sequence: int


class Superseded(msgspec.Struct, frozen=True):
    """Another version takes its place (`signalbox.packages.versions.supersedes`)."""

    by: str


class Judged(msgspec.Struct, frozen=True):
    """What the policy says of the version."""

    round: int
    verdict: Level


class Planned(msgspec.Struct, frozen=True):
    """The plan, and what the policy says of its findings."""

    round: int
    waves: tuple[tuple[str, ...], ...]
    verdict: Level


class BuildClaimed(msgspec.Struct, frozen=True):
    """Somebody is about to start a build."""

    round: int
    package: str
    attempt: int
    at: float
    lease_until: float


class BuildStarted(msgspec.Struct, frozen=True):
    round: int
    package: str
    attempt: int
    id: str


class BuildEnded(msgspec.Struct, frozen=True):
    round: int
    package: str
    attempt: int
    id: str
    outcome: Literal[Progress.SUCCEEDED, Progress.FAILED, Progress.STOPPED]


class PromotionClaimed(msgspec.Struct, frozen=True):
    """Somebody is about to promote."""

    round: int
    at: float
    lease_until: float


class Promoted(msgspec.Struct, frozen=True):
    round: int


class PromotionPutOff(msgspec.Struct, frozen=True):
    """Throttled: nothing was copied under this claim, which is given back.

    Attributes:
        lease_until: of the claim.
    """

    round: int
    lease_until: float


class PromotionRefused(msgspec.Struct, frozen=True):
    """For good: what is there differs, or a permission is missing. Nothing was copied.

    Attributes:
        lease_until: of the claim that it was tried under. Whoever has taken over has the say.
        revision: where that is why, the one that is published by now. It has a round of its own: its event
            may have come while nothing could be called back.
    """

    round: int
    lease_until: float
    revision: str = ""


class Retried(msgspec.Struct, frozen=True):
    """Somebody asks for another try of what did not go well, after a repair perhaps; nobody works on it now.

    Attributes:
        tries: how many there were when it was asked for, so that asking once is one try.
        acts: what was a dry run so far builds and promotes from now on.
    """

    round: int
    tries: int
    acts: bool = False


type Event = (
    Published
    | Withdrawn
    | Superseded
    | Judged
    | Planned
    | BuildClaimed
    | BuildStarted
    | BuildEnded
    | PromotionClaimed
    | Promoted
    | PromotionPutOff
    | PromotionRefused
    | Retried
)


class Inspect(msgspec.Struct, frozen=True):
    """Look at the version and judge it."""


class MakePlan(msgspec.Struct, frozen=True):
    """Find out what is affected."""


class StartBuild(msgspec.Struct, frozen=True):
    """Claim, then start.

    Attributes:
        token: the same for the same attempt, so that CodeBuild starts it once (idempotencyToken, StartBuild).
        resumed: somebody claimed it before, and may have started it.
    """

    package: str
    attempt: int
    token: str
    resumed: bool


class Promote(msgspec.Struct, frozen=True):
    """Claim, then copy this revision and no other."""

    revision: str
    resumed: bool


type Effect = Inspect | MakePlan | StartBuild | Promote


def begin(version: str, told: Published | Withdrawn, *, acts: bool) -> Release:
    """The release of a version that has none yet. One that is withdrawn first is known to be so, for what was
    told before and comes later."""
    if isinstance(told, Withdrawn):
        stopped = Release(version=version, revision="", sequence=told.sequence, acts=acts)
        return _with(stopped, state=State.STOPPED, reason=Reason.WITHDRAWN)
    return Release(version=version, revision=told.revision, sequence=told.sequence, acts=acts)


def due(release: Release, now: float, at_most: int = 20) -> tuple[Effect, ...]:
    """What is to be done now. Asking again answers the same, until it is done or claimed.

    Args:
        at_most: builds of this release at once; as long as one at a time asks and claims.
    """
    match release.state:
        case State.WAITING:
            return (Inspect(),)
        case State.INSPECTED:
            return (MakePlan(),)
        case State.PLANNED | State.BUILDING if release.acts:
            return tuple(_builds_due(release, now, at_most))
        case State.READY if release.acts:
            return (Promote(release.revision, resumed=False),)
        case State.PROMOTING if release.lease_until <= now:
            return (Promote(release.revision, resumed=True),)
    return ()


def _builds_due(release: Release, now: float, at_most: int) -> list[StartBuild]:
    builds = {name: release.builds[name] for name in release.waves[release.wave]}
    claimable = [name for name, build in builds.items() if _is_claimable(build, now)]
    busy = sum(build.progress in UNDER_WAY for build in builds.values() if not _is_claimable(build, now))
    # Those that somebody may have started come first: they may run already, and count.
    claimable.sort(key=lambda name: (builds[name].progress is Progress.PENDING, name))
    return [
        StartBuild(name, build.attempt, _token(release, name), build.progress is Progress.STARTING)
        for name in claimable[: max(0, at_most - busy)]
        for build in (builds[name],)
    ]


def _is_claimable(build: Build, now: float) -> bool:
    lapsed = build.progress is Progress.STARTING and build.lease_until <= now
    return lapsed or build.progress is Progress.PENDING


def _token(release: Release, package: str) -> str:
    text = f"{release.version}\0{release.round}\0{package}\0{release.builds[package].attempt}"
    return sha256(text.encode()).hexdigest()


def advance(release: Release, event: Event) -> Release:
    """What the release is after the event: the very same where it says nothing new."""
    match event:
        case Published() | Withdrawn() | Superseded():
            return _told(release, event)
        case _ if event.round != release.round:
            return release
        case BuildClaimed() | BuildStarted() | BuildEnded():
            return _built(release, event)
        case PromotionClaimed() | Promoted() | PromotionPutOff() | PromotionRefused():
            return _promoted(release, event)
        case Judged() | Planned():
            return _decided(release, event)
        case Retried():
            return _retried(release, event)


def _with(release: Release, **changes: Any) -> Release:
    return msgspec.structs.replace(release, **changes)


def _told(release: Release, event: Published | Withdrawn | Superseded) -> Release:
    """About the version itself."""
    if isinstance(event, Superseded):
        over = release.state in OVER
        return release if over else _with(release, state=State.SUPERSEDED, reason=None, by=event.by)
    if event.sequence <= release.sequence:
        return release
    known = _with(release, sequence=event.sequence)
    if release.state in OVER:
        return known
    if isinstance(event, Withdrawn):
        return _with(known, state=State.STOPPED, reason=Reason.WITHDRAWN)
    same = event.revision == release.revision and release.reason is not Reason.WITHDRAWN
    return known if same else _again(known, revision=event.revision)


def _again(release: Release, **changes: Any) -> Release:
    """The next round, from the beginning."""
    return Release(
        **{
            "version": release.version,
            "revision": release.revision,
            "sequence": release.sequence,
            "acts": release.acts,
            "round": release.round + 1,
            **changes,
        }
    )


def _decided(release: Release, event: Judged | Planned) -> Release:
    expected = State.WAITING if isinstance(event, Judged) else State.INSPECTED
    if release.state is not expected:
        return release
    if event.verdict is Level.DENY:
        return _with(release, state=State.FAILED, reason=Reason.POLICY)
    if isinstance(event, Judged):
        return _with(release, state=State.INSPECTED)
    builds = {package: Build() for wave in event.waves for package in wave}
    state = State.PLANNED if builds else State.READY
    return _with(release, state=state, waves=event.waves, builds=builds)


def _retried(release: Release, event: Retried) -> Release:
    over = release.state in OVER - {State.PROMOTING} or release.reason is Reason.WITHDRAWN
    if over or event.tries != release.tries:
        return release
    release = _with(release, acts=release.acts or event.acts, tries=release.tries + 1)
    match release.reason:
        case Reason.POLICY:
            return _again(release)
        case Reason.REFUSED:
            return _with(release, state=State.READY, reason=None)
    again = {name: Build(attempt=release.builds[name].attempt + 1) for name in release.red}
    if not again:
        return release
    return _with(release, state=State.BUILDING, reason=None, builds=release.builds | again)


def _built(release: Release, event: BuildClaimed | BuildStarted | BuildEnded) -> Release:
    build = release.builds.get(event.package)
    if build is None or build.attempt != event.attempt or release.state in OVER:
        return release
    if isinstance(event, BuildClaimed) and not _has_its_turn(release, event.package):
        return release
    after = _next_build(build, event)
    if after is build:
        return release
    state = State.BUILDING if release.state is State.PLANNED else release.state
    return _wave_done(_with(release, state=state, builds=release.builds | {event.package: after}))


def _has_its_turn(release: Release, package: str) -> bool:
    building = release.acts and release.state in {State.PLANNED, State.BUILDING}
    return building and package in release.waves[release.wave]


def _next_build(build: Build, event: BuildClaimed | BuildStarted | BuildEnded) -> Build:
    """The first end counts: a build has one, and its events may come before that of its start."""
    match event, build.progress:
        case BuildClaimed(), _ if _is_claimable(build, event.at):
            since = build.claimed_at or event.at
            return Build(Progress.STARTING, build.attempt, "", event.lease_until, since)
        case BuildStarted(), Progress.PENDING | Progress.STARTING:
            return Build(Progress.RUNNING, build.attempt, event.id, claimed_at=build.claimed_at)
        case BuildEnded(), Progress.PENDING | Progress.STARTING | Progress.RUNNING:
            return Build(event.outcome, build.attempt, event.id)
    return build


def _wave_done(release: Release) -> Release:
    """A wave goes on to its end even when a build has failed, so that all who must act are known at once."""
    if release.state is not State.BUILDING:
        return release
    ended = [release.builds[name].progress for name in release.waves[release.wave]]
    if Progress.PENDING in ended or not UNDER_WAY.isdisjoint(ended):
        return release
    if Progress.FAILED in ended:
        return _with(release, state=State.FAILED, reason=Reason.BUILD_FAILED)
    if Progress.STOPPED in ended:
        return _with(release, state=State.STOPPED, reason=Reason.BUILD_STOPPED)
    if release.wave + 1 < len(release.waves):
        return _with(release, wave=release.wave + 1)
    return _with(release, state=State.READY)


def _promoted(
    release: Release, event: PromotionClaimed | Promoted | PromotionPutOff | PromotionRefused
) -> Release:
    match event, release.state:
        case PromotionClaimed(), State.READY if release.acts:
            return _with(release, state=State.PROMOTING, lease_until=event.lease_until)
        case PromotionClaimed(), State.PROMOTING if release.lease_until <= event.at:
            return _with(release, lease_until=event.lease_until)
        case Promoted(), State.PROMOTING:
            return _with(release, state=State.PROMOTED)
        case ((PromotionPutOff() | PromotionRefused()), State.PROMOTING) if (
            event.lease_until == release.lease_until
        ):
            return _given_back(release, event)
    return release


def _given_back(release: Release, event: PromotionPutOff | PromotionRefused) -> Release:
    if isinstance(event, PromotionPutOff):
        return _with(release, lease_until=0.0)
    if event.revision:
        return _again(release, revision=event.revision)
    return _with(release, state=State.FAILED, reason=Reason.REFUSED)
