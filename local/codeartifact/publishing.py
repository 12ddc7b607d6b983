"""New package versions: published through the API (generic), or seeded as the formats' own tools would."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import conflict, invalid, quota_exceeded
from local.codeartifact.model import (
    Asset,
    Metadata,
    Origin,
    PackageKey,
    PackageVersion,
    Repository,
    Status,
    revision_of,
)
from local.codeartifact.packages import asset_summary, identified

if TYPE_CHECKING:
    from datetime import datetime

    from local.codeartifact.registry import Call, Registry

# "Quotas in AWS CodeArtifact".
ASSETS_PER_VERSION = 150


@dataclass(frozen=True, slots=True)
class Upload:
    """What one step of publishing brings: assets, and metadata if they tell any."""

    version: str
    assets: tuple[Asset, ...]
    status: Status
    metadata: Metadata | None = None
    external_connection: str | None = None


def publish_package_version(registry: Registry, call: Call) -> dict[str, Any]:
    """One asset of a generic package. A version that is not `unfinished` takes no more of them."""
    if call.text("format") != "generic":
        raise invalid("format: PublishPackageVersion takes generic packages only")
    repository, content = registry.repository(call), call.parameters["assetContent"]
    if hashlib.sha256(content).hexdigest() != call.text("assetSHA256"):
        raise invalid("assetSHA256 is not the SHA-256 of assetContent")
    asset = Asset.of(call.text("assetName"), content)
    status = Status.UNFINISHED if call.parameters.get("unfinished") else Status.PUBLISHED
    upload = Upload(call.text("packageVersion"), (asset,), status)
    version = add_assets(registry, repository, call.key, upload, call.now)
    return {
        **identified(call.key),
        "version": version.version,
        "versionRevision": version.revision,
        "status": version.status.value,
        "asset": asset_summary(asset),
    }


def add_assets(
    registry: Registry, repository: Repository, key: PackageKey, upload: Upload, now: datetime
) -> PackageVersion:
    """The version with these assets too, made if it isn't there, stored and returned.

    The same asset again changes nothing. Raises ServiceError 409 for another content under a name that is
    taken ("Overwriting package assets", CodeArtifact User Guide), for a generic version that is published,
    and for one that was archived or disposed of; 402 for too many assets.
    """
    package = repository.packages.get(key)
    before = package.versions.get(upload.version) if package else None
    _refuse_conflicts(key, before, upload.assets)
    known = before or _empty(repository, upload)
    assets = {**known.assets, **{asset.name: asset for asset in upload.assets}}
    if len(assets) > ASSETS_PER_VERSION:
        message = f"A package version has at most {ASSETS_PER_VERSION} assets"
        raise quota_exceeded(message, upload.version, "package-version")
    metadata = known.metadata if upload.metadata is None else upload.metadata
    # Once published, never unfinished again.
    status = upload.status if known.status is Status.UNFINISHED else known.status
    first = status is Status.PUBLISHED and known.published_at is None
    version = replace(
        known,
        status=status,
        assets=assets,
        metadata=metadata,
        published_at=now if first else known.published_at,
        revision=revision_of(assets.values(), metadata),
    )
    registry.put(repository, key, version)
    return version


def _empty(repository: Repository, upload: Upload) -> PackageVersion:
    return PackageVersion(
        version=upload.version,
        status=upload.status,
        assets={},
        metadata=Metadata(),
        origin=Origin(repository.name, upload.external_connection),
        published_at=None,
        revision="",
    )


def _refuse_conflicts(key: PackageKey, before: PackageVersion | None, assets: tuple[Asset, ...]) -> None:
    if before is None:
        return
    name = before.version
    if before.status in (Status.ARCHIVED, Status.DISPOSED):
        message = f"Package version '{name}' is {before.status} and takes no assets"
        raise conflict(message, name, "package-version")
    for asset in assets:
        held = before.assets.get(asset.name)
        if held is not None and held.sha256 != asset.sha256:
            message = f"Asset '{asset.name}' of '{name}' already exists with another content"
            raise conflict(message, asset.name, "asset")
        if held is None and key.format == "generic" and before.status is not Status.UNFINISHED:
            message = (
                f"Package version '{name}' is {before.status}: a generic one takes assets while unfinished"
            )
            raise conflict(message, name, "package-version")
