"""Reading packages, versions, assets and dependencies. Each looks into the repository itself only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import not_found
from local.codeartifact.model import Status
from local.codeartifact.paging import page

if TYPE_CHECKING:
    from local.codeartifact.model import Asset, Package, PackageKey, PackageVersion
    from local.codeartifact.registry import Call, Registry

# Assets of these can't be fetched ("Package version status", CodeArtifact User Guide).
WITHOUT_ASSETS = (Status.ARCHIVED, Status.DISPOSED)


def list_packages(registry: Registry, call: Call) -> dict[str, Any]:
    packages = [one for one in registry.repository(call).packages.values() if _asked_for(call, one)]
    given, more = page(call, packages, lambda one: [one.key.format, one.key.namespace, one.key.name])
    return {"packages": [_summary(package) for package in given], **more}


def describe_package(registry: Registry, call: Call) -> dict[str, Any]:
    _, package = registry.package(call)
    summary = _summary(package)
    return {
        "package": {("name" if member == "package" else member): value for member, value in summary.items()}
    }


def list_package_versions(registry: Registry, call: Call) -> dict[str, Any]:
    """Of every status unless one is asked for; by name, or the latest published first."""
    _, package = registry.package(call)
    wanted = [one for one in package.versions.values() if _matches(call, one)]

    def order(version: PackageVersion) -> list[Any]:
        by_time = -_seconds(version) if call.text("sortBy") == "PUBLISHED_TIME" else 0
        return [by_time, version.version]

    given, more = page(call, wanted, order)
    default = _default_version(package)
    return {
        **({"defaultDisplayVersion": default} if default else {}),
        **identified(package.key),
        "versions": [_version_summary(version) for version in given],
        **more,
    }


def describe_package_version(registry: Registry, call: Call) -> dict[str, Any]:
    _, package, version = registry.version(call)
    key, metadata = package.key, version.metadata
    scope = f"@{key.namespace}/" if key.format == "npm" and key.namespace else ""
    found = {
        "format": key.format,
        "namespace": key.namespace,
        "packageName": key.name,
        "displayName": f"{scope}{key.name}",
        "version": version.version,
        "summary": metadata.summary,
        "homePage": metadata.home_page,
        "sourceCodeRepository": metadata.source_code_repository,
        "publishedTime": version.published_at,
        "licenses": [_given({"name": one.name, "url": one.url}) for one in metadata.licenses],
        "revision": version.revision,
        "status": version.status.value,
        "origin": _origin(version),
    }
    return {"packageVersion": _given(found)}


def list_package_version_assets(registry: Registry, call: Call) -> dict[str, Any]:
    _, package, version = registry.version(call)
    given, more = page(call, version.assets.values(), lambda asset: [asset.name])
    return {**_version(package.key, version), "assets": [asset_summary(asset) for asset in given], **more}


def get_package_version_asset(registry: Registry, call: Call) -> dict[str, Any]:
    _, package, version = registry.version(call)
    expected = call.text("packageVersionRevision")
    name = call.text("asset")
    if expected and expected != version.revision:
        message = f"Package version '{version.version}' has no revision '{expected}'"
        raise not_found(message, version.version, "package-version")
    if version.status in WITHOUT_ASSETS:
        message = f"Package version '{version.version}' of '{package.key.name}' is {version.status}"
        raise not_found(message, version.version, "package-version")
    asset = version.assets.get(name)
    if asset is None:
        raise not_found(f"Asset not found. '{version.version}' has no asset '{name}'", name, "asset")
    return {
        "asset": asset.content,
        "assetName": asset.name,
        "packageVersion": version.version,
        "packageVersionRevision": version.revision,
    }


def get_package_version_readme(registry: Registry, call: Call) -> dict[str, Any]:
    _, package, version = registry.version(call)
    if version.metadata.readme is None:
        message = f"Package version '{version.version}' of '{package.key.name}' has no readme"
        raise not_found(message, version.version, "package-version")
    return {**_version(package.key, version), "readme": version.metadata.readme}


def list_package_version_dependencies(registry: Registry, call: Call) -> dict[str, Any]:
    """Direct ones, in the order of the package's own file."""
    _, package, version = registry.version(call)
    numbered = list(enumerate(version.metadata.dependencies))
    given, more = page(call, numbered, lambda one: [one[0]])
    found = [
        _given(
            {
                "namespace": one.namespace,
                "package": one.package,
                "dependencyType": one.kind,
                "versionRequirement": one.requirement,
            }
        )
        for _, one in given
    ]
    return {**_version(package.key, version), "dependencies": found, **more}


def delete_package(registry: Registry, call: Call) -> dict[str, Any]:
    """With every version: an event for each."""
    repository, package = registry.package(call)
    deleted = _summary(package)
    for version in list(package.versions):
        registry.remove(repository, package, version)
    return {"deletedPackage": deleted}


def identified(key: PackageKey) -> dict[str, Any]:
    """A package's name as answers have it: without a namespace where it has none."""
    return _given({"format": key.format, "namespace": key.namespace, "package": key.name})


def asset_summary(asset: Asset) -> dict[str, Any]:
    return {"name": asset.name, "size": len(asset.content), "hashes": dict(asset.hashes)}


def _version(key: PackageKey, version: PackageVersion) -> dict[str, Any]:
    return {**identified(key), "version": version.version, "versionRevision": version.revision}


def _asked_for(call: Call, package: Package) -> bool:
    key, restrictions = package.key, _restrictions(package)
    return (
        call.text("format") in ("", key.format)
        and call.text("namespace") in ("", key.namespace)
        and key.name.startswith(call.text("packagePrefix"))
        and call.text("publish") in ("", restrictions["publish"])
        and call.text("upstream") in ("", restrictions["upstream"])
    )


def _matches(call: Call, version: PackageVersion) -> bool:
    return call.text("status") in ("", version.status) and call.text("originType") in (
        "",
        _origin_type(version),
    )


def _seconds(version: PackageVersion) -> float:
    return version.published_at.timestamp() if version.published_at else 0.0


def _default_version(package: Package) -> str | None:
    if "latest" in package.tags:
        return package.tags["latest"]
    published = [one for one in package.versions.values() if one.status is Status.PUBLISHED]
    return max(published, key=_seconds).version if published else None


def _restrictions(package: Package) -> dict[str, str]:
    """AWS's defaults: what came from outside isn't published here, what was published isn't fetched."""
    outside = all(one.origin.external_connection for one in package.versions.values())
    return {"publish": "BLOCK", "upstream": "ALLOW"} if outside else {"publish": "ALLOW", "upstream": "BLOCK"}


def _summary(package: Package) -> dict[str, Any]:
    return identified(package.key) | {"originConfiguration": {"restrictions": _restrictions(package)}}


def _version_summary(version: PackageVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "revision": version.revision,
        "status": version.status.value,
        "origin": _origin(version),
    }


def _origin(version: PackageVersion) -> dict[str, Any]:
    connection = version.origin.external_connection
    entry = (
        {"externalConnectionName": connection}
        if connection
        else {"repositoryName": version.origin.repository}
    )
    return {"domainEntryPoint": entry, "originType": _origin_type(version)}


def _origin_type(version: PackageVersion) -> str:
    return "EXTERNAL" if version.origin.external_connection else "INTERNAL"


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "")}
