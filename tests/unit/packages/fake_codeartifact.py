"""CodeArtifact in memory: `Repositories`, held to the same suite as the real adapter, and its events."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from hashlib import md5
from itertools import count
from typing import Any

import msgspec

from signalbox.clock import Clock, iso
from signalbox.errors import AccessDeniedError, NotFoundError
from signalbox.packages.coordinates import Format, Package, PackageVersion
from signalbox.packages.dependents import Dependency
from signalbox.packages.findings import Finding
from signalbox.packages.repositories import Copied, Declared, Description, License, Origin, Status

NOON = 1_780_000_000.0
DOMAIN, ACCOUNT, REGION = "acme", "123456789012", "us-east-1"
TEAM, SHARED = "team", "shared"


class Held(msgspec.Struct, frozen=True):
    """A version in a repository."""

    description: Description
    declared: Declared = Declared()


class FakeCodeArtifact:
    """The repositories of a domain in memory.

    Attributes:
        events: those sent so far, as EventBridge delivers them; sequence numbers rise, with gaps.
        calls: how often each operation was called.
        failing: operation → the errors that its next calls end with.
        upstreams: of each repository.
        connections: of each repository, the formats of its external connections.
        oddities: packages of formats that nobody reads, by repository.
    """

    def __init__(self, *repositories: str, clock: Clock = lambda: NOON) -> None:
        self.held: dict[str, dict[str, dict[str, Held]]] = {
            name: {} for name in repositories or (TEAM, SHARED)
        }
        self.events: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.failing: dict[str, list[Exception]] = defaultdict(list)
        self.upstreams: dict[str, tuple[str, ...]] = {}
        self.connections: dict[str, frozenset[Format]] = {}
        self.oddities: dict[str, list[Finding]] = defaultdict(list)
        self.denied: set[str] = set()
        self.clock = clock
        self._sequences: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._ids = count(1)

    # What people do

    def publish(
        self,
        version: PackageVersion,
        *,
        repository: str = TEAM,
        content: str = "",
        status: Status = Status.PUBLISHED,
        dependencies: Collection[Dependency] = (),
        findings: Collection[Finding] = (),
        licenses: Collection[License] = (),
        external: bool = False,
    ) -> Description:
        """Publishes a version, or adds to it; the same content makes the same revision."""
        before = self._find(repository, version)
        first = before.description.published_at if before else self.clock()
        description = Description(
            version=version,
            status=status,
            revision=md5(f"{version.key}\0{content}".encode(), usedforsecurity=False).hexdigest(),
            licenses=tuple(licenses),
            published_at=first,
            origin=Origin.EXTERNAL if external else Origin.INTERNAL,
            entered="" if external else repository,
        )
        self._put(repository, Held(description, Declared(tuple(dependencies), tuple(findings))))
        return description

    def retain(self, version: PackageVersion, upstream: str, repository: str = TEAM) -> None:
        """What a repository does when somebody asks it for a version of its upstream."""
        self._put(repository, self.held[upstream][version.package.key][version.key])

    def set_status(self, version: PackageVersion, status: Status, repository: str = TEAM) -> None:
        held = self.held[repository][version.package.key][version.key]
        description = msgspec.structs.replace(held.description, status=status)
        self._put(repository, Held(description, held.declared))

    def delete(self, version: PackageVersion, repository: str = TEAM) -> None:
        versions = self.held[repository][version.package.key]
        held = versions.pop(version.key)
        if not versions:
            del self.held[repository][version.package.key]
        self._tell(repository, held.description, "Deleted")

    # What the program asks

    def describe(self, repository: str, version: PackageVersion) -> Description | None:
        self._count("describe", repository)
        held = self._find(repository, version)
        return held.description if held else None

    def versions(self, repository: str, package: Package, *, own: bool = False) -> tuple[str, ...]:
        self._count("versions", repository)
        found = [held.description for held in self.held[repository].get(package.key, {}).values()]
        published = [each for each in found if each.status is Status.PUBLISHED]
        latest_first = sorted(published, key=lambda each: (-each.published_at, each.version.version))
        return tuple(each.version.version for each in latest_first if not own or each.is_own(repository))

    def dependencies(self, repository: str, version: PackageVersion) -> Declared:
        self._count("dependencies", repository)
        held = self._find(repository, version)
        return held.declared if held and version.package.format is not Format.GENERIC else Declared()

    def packages(self, repository: str) -> Iterator[Package | Finding]:
        self._count("packages", repository)
        yield from [Package.parse_key(key) for key in sorted(self.held[repository])]
        yield from self.oddities[repository]

    def known(self, repository: str, packages: Collection[Package]) -> frozenset[str]:
        self._count("known", repository)
        reach = [repository]
        for name in reach:
            reach += [each for each in self.upstreams.get(name, ()) if each not in reach]
        open_to = {format_ for name in reach for format_ in self.connections.get(name, frozenset())}
        return frozenset(
            package.key
            for package in packages
            if package.format in open_to or any(package.key in self.held[name] for name in reach)
        )

    def copy(
        self, version: PackageVersion, revision: str, source: str, destination: str
    ) -> tuple[Copied, str]:
        self._count("copy", source)
        if destination in self.denied:
            return Copied.REFUSED, f"AccessDeniedException: {destination}"
        held, there = self._find(source, version), self._find(destination, version)
        if held is None:
            return Copied.GONE, "NOT_FOUND"
        if held.description.revision != revision:
            return Copied.CHANGED, "MISMATCHED_REVISION"
        if there is not None:
            same = there.description.revision == revision
            return (Copied.IDENTICAL, "") if same else (Copied.DIFFERS, "ALREADY_EXISTS")
        self._put(destination, held)
        return Copied.COPIED, ""

    # Plumbing

    def _count(self, operation: str, repository: str) -> None:
        self.calls[operation] += 1
        if self.failing[operation]:
            raise self.failing[operation].pop(0)
        if repository not in self.held:
            raise NotFoundError(f"{operation}: there is no repository {repository}")
        if repository in self.denied:
            raise AccessDeniedError(f"{operation}: {repository}")

    def _find(self, repository: str, version: PackageVersion) -> Held | None:
        return self.held[repository].get(version.package.key, {}).get(version.key)

    def _put(self, repository: str, held: Held) -> None:
        version = held.description.version
        versions = self.held[repository].setdefault(version.package.key, {})
        operation = "Updated" if version.key in versions else "Created"
        versions[version.key] = held
        self._tell(repository, held.description, operation)

    def _tell(self, repository: str, found: Description, operation: str) -> None:
        number = next(self._ids)
        key = repository, found.version.package.key
        self._sequences[key] += 1 + number % 3
        self.events.append(
            version_event(
                found.version,
                repository=repository,
                state=str(found.status),
                revision=found.revision,
                operation=operation,
                sequence=self._sequences[key],
                id_=f"event-{number}",
                at=self.clock(),
            )
        )


def version_event(
    version: PackageVersion,
    *,
    repository: str = TEAM,
    state: str = "Published",
    revision: str = "r1",
    operation: str = "Created",
    sequence: int = 1,
    id_: str = "event-1",
    at: float = NOON,
) -> dict[str, Any]:
    """As CodeArtifact sends it ("CodeArtifact event format and example", CodeArtifact User Guide)."""
    package = version.package
    return {
        "version": "0",
        "id": id_,
        "detail-type": "CodeArtifact Package Version State Change",
        "source": "aws.codeartifact",
        "account": ACCOUNT,
        "time": iso(at),
        "region": REGION,
        "resources": [f"arn:aws:codeartifact:{REGION}:{ACCOUNT}:package/{DOMAIN}/{repository}/{package.key}"],
        "detail": {
            "domainName": DOMAIN,
            "domainOwner": ACCOUNT,
            "repositoryName": repository,
            "repositoryAdministrator": ACCOUNT,
            "packageFormat": str(package.format),
            "packageNamespace": package.namespace or None,
            "packageName": package.name,
            "packageVersion": version.version,
            "packageVersionState": state,
            "packageVersionRevision": revision,
            "changes": {
                "assetsAdded": 1,
                "assetsRemoved": 0,
                "metadataUpdated": True,
                "assetsUpdated": 0,
                "statusChanged": True,
            },
            "operationType": operation,
            "sequenceNumber": sequence,
            "eventDeduplicationId": id_,
        },
    }


def version_of(key: str) -> PackageVersion:
    """A version by its key, as in ``npm/acme/ui/1.0.0``."""
    return PackageVersion.parse_key(key)
