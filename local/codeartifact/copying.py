"""CopyPackageVersions: all versions named, or none ("Copy packages between repositories")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import invalid, not_found
from local.codeartifact.model import Status
from local.codeartifact.registry import with_upstreams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.codeartifact.model import Package, PackageKey, PackageVersion, Repository
    from local.codeartifact.registry import Call, Registry

VERSIONS_PER_CALL = 100


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """What a copy would do: `copied` by version, `failed` by version with code and message.

    A version that is identical at its destination is in neither.
    """

    copied: Mapping[str, PackageVersion]
    failed: Mapping[str, tuple[str, str]]


def plan_copy(
    revisions: Mapping[str, str | None],
    source: Mapping[str, PackageVersion],
    destination: Mapping[str, PackageVersion],
    *,
    overwrite: bool,
) -> CopyPlan:
    """`revisions` names the versions to copy, each with the revision it must have in `source`, or None.

    One that fails takes all others with it: they are `SKIPPED`, but for those identical already.
    """
    copied: dict[str, PackageVersion] = {}
    failed: dict[str, tuple[str, str]] = {}
    for name, revision in revisions.items():
        found, held = source.get(name), destination.get(name)
        if found is None:
            failed[name] = ("NOT_FOUND", f"Could not find version {name}")
        elif refusal := _refusal(found, revision):
            failed[name] = refusal
        elif held is None or (overwrite and not _identical(held, found)):
            copied[name] = found
        elif not _identical(held, found):
            failed[name] = ("ALREADY_EXISTS", f"Version {name} already exists")
    if not failed:
        return CopyPlan(copied, {})
    skipped = {name: ("SKIPPED", f"Version {name} was skipped") for name in copied}
    return CopyPlan({}, failed | skipped)


def copy_package_versions(registry: Registry, call: Call) -> dict[str, Any]:
    source = registry.repository(call, "sourceRepository")
    destination = registry.repository(call, "destinationRepository")
    if source is destination:
        raise invalid("sourceRepository and destinationRepository are the same")
    asked, key = _asked(call), call.key
    packages = _packages(source, key, upstreams=bool(call.parameters.get("includeFromUpstream")))
    found = {name: version for package in reversed(packages) for name, version in package.versions.items()}
    held = destination.packages.get(key)
    plan = plan_copy(
        asked, found, held.versions if held else {}, overwrite=bool(call.parameters.get("allowOverwrite"))
    )
    for version in plan.copied.values():
        registry.put(destination, key, version)
    _copy_tags(packages, destination, key, plan.copied)
    return {
        "successfulVersions": {
            name: {"revision": version.revision, "status": version.status.value}
            for name, version in plan.copied.items()
        },
        "failedVersions": {
            name: {"errorCode": code, "errorMessage": message}
            for name, (code, message) in plan.failed.items()
        },
    }


def _refusal(found: PackageVersion, revision: str | None) -> tuple[str, str] | None:
    if revision is not None and found.revision != revision:
        return "MISMATCHED_REVISION", f"current revision: {found.revision}, expected revision: {revision}"
    if found.status in (Status.ARCHIVED, Status.DISPOSED):
        return "NOT_ALLOWED", f"Version {found.version} is {found.status}"
    return None


def _identical(one: PackageVersion, other: PackageVersion) -> bool:
    return one.revision == other.revision and one.assets.keys() == other.assets.keys()


def _asked(call: Call) -> dict[str, str | None]:
    versions, revisions = call.parameters.get("versions"), call.parameters.get("versionRevisions")
    if bool(versions) == bool(revisions):
        raise invalid("Specify versions or versionRevisions, and not both")
    asked: dict[str, str | None] = dict(revisions or dict.fromkeys(versions or []))
    if len(asked) > VERSIONS_PER_CALL:
        raise invalid(f"At most {VERSIONS_PER_CALL} versions in one call, not {len(asked)}")
    return asked


def _packages(source: Repository, key: PackageKey, *, upstreams: bool) -> list[Package]:
    """The package in the source, then in its upstreams as they are searched. Raises ServiceError 404."""
    searched = with_upstreams(source) if upstreams else [source]
    found = [repository.packages[key] for repository in searched if key in repository.packages]
    if not found:
        message = f"Package not found. '{key.name}' is not in repository '{source.name}'"
        raise not_found(message, key.name, "package")
    return found


def _copy_tags(
    packages: list[Package], destination: Repository, key: PackageKey, copied: Mapping[str, PackageVersion]
) -> None:
    """npm's dist-tags of what was copied go along ("npm tags and the CopyPackageVersions API")."""
    for package in reversed(packages):
        for tag, version in package.tags.items():
            if version in copied:
                destination.packages[key].tags[tag] = version
