"""Updating, disposing of and deleting package versions: all that are named, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import invalid
from local.codeartifact.model import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.codeartifact.model import Package, PackageVersion
    from local.codeartifact.registry import Call, Registry

TARGETS = (Status.PUBLISHED, Status.UNLISTED, Status.ARCHIVED)

type Refusal = tuple[str, str]


def update_package_versions_status(registry: Registry, call: Call) -> dict[str, Any]:
    """To Published, Unlisted or Archived; nothing leaves Disposed."""
    target = call.text("targetStatus")
    if target not in TARGETS:
        allowed = ", ".join(TARGETS)
        raise invalid(f"targetStatus: {allowed}; to dispose of versions use DisposePackageVersions")

    def updated(version: PackageVersion) -> PackageVersion:
        first = version.published_at is None and target == Status.PUBLISHED
        published = call.now if first else version.published_at
        return replace(version, status=Status(target), published_at=published)

    return _change(registry, call, updated)


def dispose_package_versions(registry: Registry, call: Call) -> dict[str, Any]:
    """The assets go, for good; the revision still says which they were."""
    return _change(registry, call, lambda version: replace(version, status=Status.DISPOSED, assets={}))


def delete_package_versions(registry: Registry, call: Call) -> dict[str, Any]:
    repository, package = registry.package(call)
    refused = _refusals(call, package, disposed_too=True)
    if refused:
        return _answer({}, refused)
    deleted = {}
    for name in _names(call):
        deleted[name] = {"revision": package.versions[name].revision, "status": "Deleted"}
        registry.remove(repository, package, name)
    return _answer(deleted, {})


def _change(
    registry: Registry, call: Call, changed: Callable[[PackageVersion], PackageVersion]
) -> dict[str, Any]:
    repository, package = registry.package(call)
    refused = _refusals(call, package, disposed_too=False)
    if refused:
        return _answer({}, refused)
    done = {}
    for name in _names(call):
        version = changed(package.versions[name])
        registry.put(repository, package.key, version)
        done[name] = {"revision": version.revision, "status": version.status.value}
    return _answer(done, {})


def _names(call: Call) -> list[str]:
    names = list(dict.fromkeys(call.parameters["versions"]))
    revisions = call.parameters.get("versionRevisions")
    if not names:
        raise invalid("versions: at least one")
    if revisions and revisions.keys() != set(names):
        raise invalid("versionRevisions names other versions than versions does")
    return names


def _refusals(call: Call, package: Package, *, disposed_too: bool) -> dict[str, Refusal]:
    """Why versions can't be changed; those that could are skipped then. Empty when all can."""
    names = _names(call)
    why = {
        name: _refusal(call, name, package.versions.get(name), disposed_too=disposed_too) for name in names
    }
    if not any(why.values()):
        return {}
    return {name: reason or ("SKIPPED", f"version {name} is skipped") for name, reason in why.items()}


def _refusal(call: Call, name: str, version: PackageVersion | None, *, disposed_too: bool) -> Refusal | None:
    if version is None:
        return "NOT_FOUND", f"Could not find version {name}"
    expected = call.text("expectedStatus")
    revision = (call.parameters.get("versionRevisions") or {}).get(name, version.revision)
    if revision != version.revision:
        return "MISMATCHED_REVISION", f"current revision: {version.revision}, expected revision: {revision}"
    if expected and expected != version.status:
        return "MISMATCHED_STATUS", f"current status: {version.status}, expected status: {expected}"
    if version.status is Status.DISPOSED and not disposed_too:
        return "NOT_ALLOWED", f"version {name} is disposed and can only be deleted"
    return None


def _answer(done: dict[str, Any], refused: dict[str, Refusal]) -> dict[str, Any]:
    return {
        "successfulVersions": done,
        "failedVersions": {
            name: {"errorCode": code, "errorMessage": message} for name, (code, message) in refused.items()
        },
    }
