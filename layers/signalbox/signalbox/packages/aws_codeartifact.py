"""The repositories of a CodeArtifact domain: `signalbox.packages.repositories.Repositories` on AWS."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signalbox.aws.calls import call, code_of
from signalbox.errors import NotFoundError, RefusedError, RejectedError, UnavailableError
from signalbox.packages.coordinates import Format, Package, PackageVersion
from signalbox.packages.dependents import Dependency, parse_dependency
from signalbox.packages.findings import Finding
from signalbox.packages.repositories import (
    Copied,
    Declared,
    Description,
    License,
    Origin,
    Status,
    is_own,
)

if TYPE_CHECKING:
    from mypy_boto3_codeartifact import CodeArtifactClient

PAGE = 1_000
"""The most that a list answers at once (ListPackages, ListPackageVersions, CodeArtifact API Reference)."""
PACKAGE_TYPES = frozenset({"package", "package-version"})
"""What may be missing where a version is asked for (ResourceType, CodeArtifact API Reference). A domain or a
repository that is not there is somebody's mistake."""
CHANGING = "ConflictException"
"""Somebody else changes the same at this moment. Nothing was done."""
FAILURES = {
    "ALREADY_EXISTS": Copied.DIFFERS,
    "MISMATCHED_REVISION": Copied.CHANGED,
    "NOT_FOUND": Copied.GONE,
}
"""errorCode of CopyPackageVersions → what it came to; the others are refusals."""


class CodeArtifactRepositories:
    """The repositories of one domain.

    Args:
        owner: the account of the domain.
    """

    def __init__(self, codeartifact: "CodeArtifactClient", domain: str, owner: str) -> None:
        self._codeartifact = codeartifact
        self._domain = {"domain": domain, "domainOwner": owner}

    def describe(self, repository: str, version: PackageVersion) -> Description | None:
        asked = self._asked(repository, version.package) | {"packageVersion": version.version}
        try:
            answer = call(self._codeartifact.describe_package_version, **asked)
        except NotFoundError as error:
            if _lacks_package(error):
                return None
            raise
        return _description(version, answer["packageVersion"])

    def versions(self, repository: str, package: Package, *, own: bool = False) -> tuple[str, ...]:
        asked = self._asked(repository, package) | {"status": "Published", "sortBy": "PUBLISHED_TIME"}
        return tuple(
            summary["version"]
            for page in self._pages("list_package_versions", asked | {"maxResults": PAGE})
            for summary in page.get("versions", [])
            if not own or is_own(*_origin(summary), repository)
        )

    def dependencies(self, repository: str, version: PackageVersion) -> Declared:
        if version.package.format is Format.GENERIC:
            return Declared()
        asked = self._asked(repository, version.package) | {"packageVersion": version.version}
        found = [
            dependency
            for page in self._pages("list_package_version_dependencies", asked)
            for dependency in page.get("dependencies", [])
        ]
        read = [_dependency(version, number, each) for number, each in enumerate(found)]
        return Declared(
            tuple(each for each in read if isinstance(each, Dependency)),
            tuple(each for each in read if isinstance(each, Finding)),
        )

    def packages(self, repository: str) -> Iterator[Package | Finding]:
        asked = self._domain | {"repository": repository, "maxResults": PAGE}
        for page in self._pages("list_packages", asked):
            for summary in page.get("packages", []):
                yield _package(repository, summary)

    def known(self, repository: str, packages: Collection[Package]) -> frozenset[str]:
        reach = self._reach(repository) if packages else {}
        open_to = {format_ for formats in reach.values() for format_ in formats}
        return frozenset(
            package.key
            for package in packages
            if package.format in open_to or any(self._has(name, package) for name in reach)
        )

    def copy(
        self, version: PackageVersion, revision: str, source: str, destination: str
    ) -> tuple[Copied, str]:
        asked = self._named(version.package) | {
            "sourceRepository": source,
            "destinationRepository": destination,
            "versionRevisions": {version.version: revision},
        }
        try:
            answer = call(self._codeartifact.copy_package_versions, **asked)
        except NotFoundError as error:
            return (Copied.GONE if _lacks_package(error) else Copied.REFUSED), str(error)
        except RefusedError as error:
            if code_of(error) == CHANGING:
                raise UnavailableError(str(error)) from error
            return Copied.REFUSED, str(error)
        return _copied(version.version, answer)

    # Plumbing

    def _named(self, package: Package) -> dict[str, Any]:
        namespace = {"namespace": package.namespace} if package.namespace else {}
        return {**self._domain, "format": str(package.format), "package": package.name, **namespace}

    def _asked(self, repository: str, package: Package) -> dict[str, Any]:
        return {**self._named(package), "repository": repository}

    def _pages(self, operation: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every page of a list; none where the package or the version that it is about is missing."""
        more: dict[str, Any] = {}
        while True:
            try:
                page = call(getattr(self._codeartifact, operation), **asked, **more)
            except NotFoundError as error:
                if _lacks_package(error):
                    return
                raise
            yield page
            if not page.get("nextToken"):
                return
            more = {"nextToken": page["nextToken"]}

    def _has(self, repository: str, package: Package) -> bool:
        """Whether there is any version of it."""
        asked = self._asked(repository, package) | {"maxResults": 1}
        return any(page.get("versions") for page in self._pages("list_package_versions", asked))

    def _reach(self, repository: str) -> dict[str, frozenset[str]]:
        """The repository and all upstreams of its, each with the formats of its external connections."""
        found: dict[str, frozenset[str]] = {}
        waiting = [repository]
        while waiting:
            name = waiting.pop(0)
            if name in found:
                continue
            answer = call(self._codeartifact.describe_repository, **self._domain, repository=name)
            described = answer["repository"]
            connections = described.get("externalConnections", [])
            found[name] = frozenset(str(each.get("packageFormat", "")) for each in connections)
            waiting += [each["repositoryName"] for each in described.get("upstreams", [])]
        return found


def _lacks_package(error: NotFoundError) -> bool:
    cause = error.__cause__
    response: Any = cause.response if isinstance(cause, ClientError) else {}
    return response.get("resourceType") in PACKAGE_TYPES


def _origin(summary: Mapping[str, Any]) -> tuple[Origin, str]:
    origin = summary.get("origin", {})
    entered = origin.get("domainEntryPoint", {}).get("repositoryName", "")
    return Origin(origin.get("originType", Origin.UNKNOWN)), entered


def _description(version: PackageVersion, found: Mapping[str, Any]) -> Description:
    origin, entered = _origin(found)
    return Description(
        version=version,
        status=Status(found["status"]),
        revision=found["revision"],
        licenses=tuple(
            License(each.get("name", ""), each.get("url", "")) for each in found.get("licenses", [])
        ),
        published_at=found["publishedTime"].timestamp() if "publishedTime" in found else 0.0,
        origin=origin,
        entered=entered,
    )


def _dependency(version: PackageVersion, number: int, found: Mapping[str, Any]) -> Dependency | Finding:
    try:
        return parse_dependency(
            version.package.format,
            found.get("namespace"),
            found.get("package", ""),
            found.get("versionRequirement"),
            found.get("dependencyType"),
            f"$.dependencies[{number}]",
        )
    except RejectedError as error:
        return Finding("malformed-dependency", version.package.key, f"{version.shown}: {error}")


def _package(repository: str, found: Mapping[str, Any]) -> Package | Finding:
    format_, namespace, name = found["format"], found.get("namespace", ""), found["package"]
    try:
        return Package.parse(format_, namespace, name)
    except RejectedError as error:
        key = f"{format_}/{namespace}/{name}"
        return Finding(error.code, key, f"{key} in repository {repository}: {error.what}")


def _copied(version: str, answer: Mapping[str, Any]) -> tuple[Copied, str]:
    """What is in neither map was there already, the same ("Copy packages between repositories", CodeArtifact
    User Guide)."""
    failure = answer.get("failedVersions", {}).get(version)
    if failure:
        code = failure.get("errorCode", "")
        return FAILURES.get(code, Copied.REFUSED), f"{code}: {failure.get('errorMessage', '')}"
    return (Copied.COPIED if version in answer.get("successfulVersions", {}) else Copied.IDENTICAL), ""
