"""The seed: package versions as the formats' own tools would have published them.

    {"domain": "acme", "repository": "team", "owner": "111122223333", "administrator": "444455556666",
     "region": "eu-west-1",
     "packages": [{"format": "npm", "namespace": "acme", "package": "ui", "version": "1.2.0",
                   "status": "Published", "tags": ["latest"], "asPublished": false,
                   "externalConnection": "public:npmjs",
                   "summary": "…", "homePage": "…", "sourceCodeRepository": "…", "readme": "…",
                   "licenses": [{"name": "MIT", "url": "…"}],
                   "assets": [{"name": "ui-1.2.0.tgz", "content": "text"}],
                   "dependencies": [{"package": "core", "namespace": "acme", "dependencyType": "regular",
                                     "versionRequirement": "^2.0.0"}]}]}

Only format, package and version are needed of a package. A domain or repository that isn't there is made.
With `asPublished` a version comes in the steps its tool takes:

- PyPI: one asset at a time, Published from the first (twine uploads the source, then the wheels).
- Maven: one asset at a time, Unfinished until the last step, which brings no asset (maven-metadata.xml).
- the others: in one step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.codeartifact import domains
from local.codeartifact.errors import invalid
from local.codeartifact.model import Asset, Dependency, License, Metadata, PackageKey, Status
from local.codeartifact.publishing import Upload, add_assets
from local.codeartifact.registry import Call
from local.codeartifact.wire import problems, shape
from local.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from local.codeartifact.model import Repository
    from local.codeartifact.registry import Registry

SUFFIXES = {"npm": "tgz", "pypi": "tar.gz", "maven": "jar", "nuget": "nupkg", "ruby": "gem", "cargo": "crate"}
# The members of a seed and of a package in it, by the shapes of the service model that they must fit.
WHERE = {
    "domain": "DomainName",
    "repository": "RepositoryName",
    "owner": "AccountId",
    "administrator": "AccountId",
    "region": "String",
}
PACKAGE = {
    "format": "PackageFormat",
    "namespace": "PackageNamespace",
    "package": "PackageName",
    "version": "PackageVersion",
    "status": "PackageVersionStatus",
    "externalConnection": "ExternalConnectionName",
    "summary": "String",
    "homePage": "String",
    "sourceCodeRepository": "String",
    "readme": "String",
    "licenses": "LicenseInfoList",
    "dependencies": "PackageDependencyList",
    "asPublished": "BooleanOptional",
    "tags": "PackageVersionList",
}


def seed(registry: Registry, document: Any, now: datetime) -> list[dict[str, str]]:
    """What was published, in order. Raises ServiceError 400 naming the place before anything is changed."""
    document = _without_nulls(document)
    _refuse(_problems(document, WHERE | {"packages": ""}, ("domain", "repository"), "the seed"))
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        raise invalid("packages: a list")
    packages = [_without_nulls(one) for one in packages]
    uploads = [_uploads(one, f"packages[{place}]") for place, one in enumerate(packages)]
    repository = _repository(registry, document, now)
    return [
        _publish(registry, repository, one, steps, now) for one, steps in zip(packages, uploads, strict=True)
    ]


def _publish(
    registry: Registry, repository: Repository, one: dict[str, Any], steps: list[Upload], now: datetime
) -> dict[str, str]:
    key = PackageKey.of(one["format"], one.get("namespace"), one["package"])
    for step in steps:
        version = add_assets(registry, repository, key, step, now)
    wanted = Status(one.get("status", Status.PUBLISHED))
    if wanted is not version.status:
        assets = {} if wanted is Status.DISPOSED else version.assets
        version = replace(version, status=wanted, assets=assets)
        registry.put(repository, key, version)
    repository.packages[key].tags.update(dict.fromkeys(one.get("tags", []), version.version))
    return {"package": key.name, "version": version.version, "revision": version.revision}


def _uploads(one: Any, place: str) -> list[Upload]:
    """The steps in which a version is published. Raises ServiceError 400."""
    _refuse(_problems(one, PACKAGE | {"assets": ""}, ("format", "package", "version"), place))
    if one.get("status") == "Deleted":
        raise invalid(f"{place}.status: a deleted version isn't there")
    assets = one.get("assets", [])
    if not isinstance(assets, list):
        raise invalid(f"{place}.assets: a list")
    for number, asset in enumerate(assets):
        members = {"name": "AssetName", "content": "String"}
        _refuse(_problems(asset, members, ("name",), f"{place}.assets[{number}]"))
    return list(_steps(one))


def _problems(value: Any, members: Mapping[str, str], needed: tuple[str, ...], place: str) -> Iterator[str]:
    """What is wrong with an object; a member without a shape is looked at elsewhere."""
    if not isinstance(value, dict):
        yield f"{place}: an object"
        return
    for name in needed:
        if name not in value:
            yield f"{place}.{name}: it is needed"
    for name, given in value.items():
        if name not in members:
            yield f"{place}.{name}: unknown; known are {', '.join(members)}"
        elif members[name]:
            yield from problems(shape(members[name]), given, f"{place}.{name}", strict=True)


def _without_nulls(value: Any) -> Any:
    """An object without the members that are null: as if they weren't given."""
    if not isinstance(value, dict):
        return value
    return {name: given for name, given in value.items() if given is not None}


def _refuse(found: Iterator[str]) -> None:
    if every := list(found):
        raise invalid("; ".join(every))


def _steps(one: dict[str, Any]) -> Iterator[Upload]:
    connection, metadata, assets = one.get("externalConnection"), _metadata(one), _assets(one)
    final = Status.UNFINISHED if one.get("status") == Status.UNFINISHED else Status.PUBLISHED
    stepwise = assets and one.get("asPublished") and one["format"] in ("pypi", "maven")
    if not stepwise:
        yield Upload(one["version"], assets, final, metadata, connection)
        return
    during = Status.UNFINISHED if one["format"] == "maven" else final
    for asset in assets:
        yield Upload(one["version"], (asset,), during, metadata, connection)
    if one["format"] == "maven":
        yield Upload(one["version"], (), final, metadata, connection)


def _assets(one: dict[str, Any]) -> tuple[Asset, ...]:
    given = one.get("assets")
    if given is None:
        name = f"{one['package']}-{one['version']}.{SUFFIXES.get(one['format'], 'bin')}"
        given = [{"name": name, "content": name}]
    return tuple(Asset.of(asset["name"], asset.get("content", asset["name"]).encode()) for asset in given)


def _metadata(one: dict[str, Any]) -> Metadata:
    return Metadata(
        summary=one.get("summary"),
        home_page=one.get("homePage"),
        source_code_repository=one.get("sourceCodeRepository"),
        readme=one.get("readme"),
        licenses=tuple(License(each.get("name"), each.get("url")) for each in one.get("licenses", [])),
        dependencies=tuple(
            Dependency(
                each["package"],
                each.get("namespace"),
                each.get("dependencyType"),
                each.get("versionRequirement"),
            )
            for each in one.get("dependencies", [])
        ),
    )


def _repository(registry: Registry, document: dict[str, Any], now: datetime) -> Repository:
    owner = document.get("owner", ACCOUNT)
    region = document.get("region", REGION)
    names = {"domain": document["domain"], "repository": document["repository"], "domainOwner": owner}
    if (region, owner, names["domain"]) not in registry.domains:
        domains.create_domain(registry, Call("CreateDomain", names, owner, region, now))
    administrator = document.get("administrator", owner)
    call = Call("CreateRepository", names, administrator, region, now)
    if names["repository"] not in registry.domain(call).repositories:
        domains.create_repository(registry, call)
    return registry.repository(call)
