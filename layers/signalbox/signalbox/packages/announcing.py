"""What programs are told of a release: domain events, on the stack's own bus."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from signalbox.clock import iso
from signalbox.packages.alerts import NOBODY
from signalbox.packages.outcomes import Outcome, Settlement
from signalbox.packages.owners import Owners

EVENT_SOURCE = "signalbox.packages"
PLANNED_EVENT = "Package Release Planned v1"
PROMOTED_EVENT = "Package Release Promoted v1"
FAILED_EVENT = "Package Release Failed v1"
SUPERSEDED_EVENT = "Package Release Superseded v1"
MOST_BYTES = 100_000
"""Of each list in an event, as JSON: two of them stay below the 256 KB of EventBridge, whatever they name."""
TEXT_CHARACTERS = 500


class DomainEvent(msgspec.Struct, frozen=True, kw_only=True):
    """For the bus."""

    detail_type: str
    detail: dict[str, Any]


def event_of(settlement: Settlement, owners: Owners, destination: str) -> DomainEvent | None:
    """For programs; None where nobody is told.

    Args:
        destination: the repository that versions are promoted to.
    """
    match settlement.outcome:
        case Outcome.OUTDATED:
            return None
        case Outcome.PLANNED:
            detail = _planned(settlement)
            return DomainEvent(detail_type=PLANNED_EVENT, detail=_release(settlement, owners) | detail)
        case Outcome.PROMOTED:
            detail = _promoted(settlement, destination)
            return DomainEvent(detail_type=PROMOTED_EVENT, detail=_release(settlement, owners) | detail)
        case Outcome.SUPERSEDED:
            detail = {"by": settlement.entry.release.by}
            return DomainEvent(detail_type=SUPERSEDED_EVENT, detail=_release(settlement, owners) | detail)
    detail = _failed(settlement, owners)
    return DomainEvent(detail_type=FAILED_EVENT, detail=_release(settlement, owners) | detail)


def _release(settlement: Settlement, owners: Owners) -> dict[str, Any]:
    entry = settlement.entry
    version, release = entry.package_version, entry.release
    package = version.package
    return {
        "version": 1,
        "release": release.version,
        "format": str(package.format),
        "namespace": package.namespace,
        "package": package.name,
        "package_version": version.version,
        "revision": release.revision,
        "repository": entry.repository,
        "owner": _owner(owners, package.key),
        "round": release.round,
        "try": release.tries + 1,
        "acts": release.acts,
        "published_at": iso(entry.published_at),
        "settled_at": iso(settlement.settled_at),
    }


def _planned(settlement: Settlement) -> dict[str, Any]:
    waves = settlement.entry.release.waves
    named = set(_fitting(name for wave in waves for name in wave))
    return {
        "affected": sum(len(wave) for wave in waves),
        "waves": [kept for wave in waves if (kept := [name for name in wave if name in named])],
        "objections": _objections(settlement),
    }


def _promoted(settlement: Settlement, destination: str) -> dict[str, Any]:
    entry = settlement.entry
    return {
        "destination": destination,
        "rebuilt": len(entry.release.builds),
        "seconds": round(max(settlement.settled_at - entry.published_at, 0.0), 3),
    }


def _failed(settlement: Settlement, owners: Owners) -> dict[str, Any]:
    return {
        "outcome": str(settlement.outcome),
        "reason": settlement.reason,
        "detail": settlement.detail,
        "objections": _objections(settlement),
        "failures": len(settlement.failed),
        "failed": list(_fitting(_build(settlement, owners, name) for name in settlement.failed)),
    }


def _build(settlement: Settlement, owners: Owners, package: str) -> dict[str, Any]:
    entry = settlement.entry
    build = entry.release.builds[package]
    return {
        "package": package,
        "owner": _owner(owners, package),
        "outcome": str(build.progress),
        "attempt": build.attempt,
        "project": entry.projects.get(package, ""),
        "build": build.id,
        "trouble": entry.troubles.get(package, "")[:TEXT_CHARACTERS],
    }


def _objections(settlement: Settlement) -> list[dict[str, str]]:
    return list(
        _fitting(
            {"code": each.code, "level": str(each.level), "text": each.text[:TEXT_CHARACTERS]}
            for each in settlement.entry.objections
        )
    )


def _owner(owners: Owners, package: str) -> str:
    owner = owners.of(package)
    return owner.name if owner else NOBODY


def _fitting[T](items: Iterable[T]) -> Iterator[T]:
    """The first ones, as long as there is room."""
    left = MOST_BYTES
    for item in items:
        left -= len(msgspec.json.encode(item)) + 1
        if left < 0:
            return
        yield item
