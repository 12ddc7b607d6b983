"""What follows from an event, by what the ledger knows of the release and what CodeArtifact says. Pure.

An event only says that a version is to be looked at. The one with the highest sequence number is responsible
for all that follows: whatever came before it has nothing left to do. It is noted last, by its id, once all
that it says is said; so whoever finds the id knows that only the wait is left, until the version is quiet.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from signalbox.eventbridge import Scope
from signalbox.packages.coordinates import Package, PackageVersion
from signalbox.packages.entries import KEPT_EVENTS, Entry, moved
from signalbox.packages.events import Change, Request
from signalbox.packages.releases import (
    OVER,
    Published,
    Reason,
    Release,
    State,
    Superseded,
    Withdrawn,
    advance,
    begin,
)
from signalbox.packages.repositories import Description, Origin, Status
from signalbox.packages.settings import AdmitSettings
from signalbox.packages.versions import supersedes

NOT_A_SOURCE = "not-a-source"
"""Of a repository that versions are not released from."""
PUBLISHED_ELSEWHERE = "published-elsewhere"
"""Another repository speaks for the package, or for this version."""
ENTERED_ELSEWHERE = "entered-elsewhere"
"""A copy, or kept of an upstream: what promotions cause, too."""
EXTERNAL = "external"
"""It came through an external connection, and such versions are not released."""
UNFINISHED = "unfinished"
"""Somebody is still publishing it; another event follows."""
PROMOTION_SECONDS = 60.0
"""At least, between two looks whether a promotion has ended: its tries take some minutes, and so do the
receives that a message has."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the stack is told.

    Attributes:
        scope: whose events are taken.
        domain: the CodeArtifact domain; owner: its account.
        sources: the repositories that versions are released from. The first that has a package speaks for it.
        quiet_seconds: without an event, after which a version counts as finished.
        acts: releases are no dry runs.
        external: whether versions are released that came through an external connection.
    """

    scope: Scope
    domain: str
    owner: str
    sources: tuple[str, ...]
    quiet_seconds: float
    acts: bool = False
    external: bool = False

    @classmethod
    def of(cls, settings: AdmitSettings) -> Self:
        """As the environment has them."""
        return cls(
            scope=settings.scope,
            domain=settings.packages_domain,
            owner=settings.packages_domain_owner,
            sources=settings.sources,
            quiet_seconds=settings.packages_quiet_seconds,
            acts=settings.packages_mode == "act",
            external=settings.packages_external,
        )


class Look(msgspec.Struct, frozen=True):
    """It says something new, or its first try was cut off: CodeArtifact is asked."""


class Drop(msgspec.Struct, frozen=True):
    """Nothing is left to be done: ``stale``, where a later event is responsible, or ``duplicate``."""

    reason: str


class Ignore(msgspec.Struct, frozen=True):
    """It is no affair of ours."""

    reason: str


class Later(msgspec.Struct, frozen=True):
    """The message comes again after so many seconds."""

    seconds: float


class Start(msgspec.Struct, frozen=True):
    """It has been quiet for long enough: the release begins, if the version is still the same."""


def decide(
    entry: Entry | None, change: Change, now: float, quiet_seconds: float
) -> Look | Drop | Later | Start:
    """What to do with an event.

    Args:
        entry: the release of the version; None where there is none, or none of this repository.
    """
    if entry is None:
        return Look()
    release = entry.release
    if change.sequence < release.sequence:
        return Drop("stale")
    if change.id not in entry.events:
        return Look()
    if release.state is State.PROMOTING:
        # It may come to nothing, and what is published now begins another round.
        return Later(max(quiet_seconds, PROMOTION_SECONDS))
    if release.state is not State.WAITING:
        return Drop("duplicate")
    remaining = entry.changed_at + quiet_seconds - now
    return Later(remaining) if remaining > 0 else Start()


def is_elsewhere(entry: Entry, change: Change) -> bool:
    """Whether another repository has released the version. One that was withdrawn there is free."""
    return entry.repository != change.repository and not is_withdrawn(entry.release)


def is_withdrawn(release: Release) -> bool:
    return release.reason is Reason.WITHDRAWN


def is_closed(release: Release) -> bool:
    """Whether nothing can take its place any more."""
    return is_withdrawn(release) or (release.state in OVER and release.state is not State.PROMOTING)


def told(
    found: Description | None, change: Change, rules: Rules, *, is_released: bool
) -> Published | Withdrawn | Ignore:
    """What CodeArtifact says of the version, whatever the event said.

    Args:
        is_released: whether it has a release, so that somebody published it there. If what is there now came
            otherwise, it was withdrawn in between.
    """
    if found is None:
        return Withdrawn(change.sequence)
    if foreign := _foreign(found, change.repository, rules):
        return Withdrawn(change.sequence) if is_released else Ignore(foreign)
    if found.status is Status.UNFINISHED:
        return Ignore(UNFINISHED)
    if found.status is Status.PUBLISHED:
        return Published(found.revision, change.sequence)
    return Withdrawn(change.sequence)


def admitted(entry: Entry | None, change: Change, said: Published | Withdrawn, *, acts: bool) -> Entry:
    """The release after what was said: the very same where that is nothing new."""
    if entry is None or entry.repository != change.repository:
        return _begun(entry, change, said, acts=acts)
    after = advance(entry.release, said)
    if after is entry.release:
        return entry
    return msgspec.structs.replace(moved(entry, after), published_at=change.occurred_at)


def noted(entry: Entry, change: Change, now: float, by: str = "") -> Entry:
    """The release once all is said that the event leads to.

    Args:
        by: the key of the version that has taken its place; "" for none.
    """
    release = advance(entry.release, Superseded(by)) if by else entry.release
    events = tuple(dict.fromkeys((*entry.events, change.id)))[-KEPT_EVENTS:]
    return msgspec.structs.replace(entry, release=release, events=events, changed_at=now)


def overtaken(package: Package, versions: Sequence[str], among: Mapping[str, str]) -> dict[str, str]:
    """Which versions have to make way, and the key of what takes the place of each.

    Args:
        versions: all that are published, the latest first. One makes way for what was published after it.
        among: key → version, of those that are asked about.
    """
    keys = {PackageVersion(package, each).key: number for number, each in enumerate(versions)}
    found = {}
    for key, version in among.items():
        later = versions[: keys.get(key, 0)]
        by = next((each for each in later if supersedes(package, each, version)), None)
        if by is not None:
            found[key] = PackageVersion(package, by).key
    return found


def is_untouched(release: Release, request: Request) -> bool:
    """Whether the request led to nothing: there is nothing to try again."""
    return (release.round, release.tries) == (request.round, request.tries)


def follows(release: Release, request: Request) -> bool:
    """Whether the release is at the try that was asked for: just now, or when the message came before."""
    same = release.round == request.round and release.tries == request.tries + 1
    return same or (release.round == request.round + 1 and release.tries == 0)


def _foreign(found: Description, repository: str, rules: Rules) -> str:
    if found.origin is Origin.EXTERNAL:
        return "" if rules.external else EXTERNAL
    return "" if found.is_own(repository) else ENTERED_ELSEWHERE


def _begun(entry: Entry | None, change: Change, said: Published | Withdrawn, *, acts: bool) -> Entry:
    """Where another repository has withdrawn the version, the next round: executions are named after it."""
    release = begin(change.version.key, said, acts=acts)
    if entry is not None:
        release = msgspec.structs.replace(release, round=entry.release.round + 1)
    return Entry(
        release=release,
        version=change.version.version,
        repository=change.repository,
        published_at=change.occurred_at,
        waiting=entry.waiting if entry else None,
    )
