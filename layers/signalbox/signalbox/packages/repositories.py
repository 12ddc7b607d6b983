"""What the domain asks of CodeArtifact, and what it is answered."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Protocol

import msgspec

from signalbox.packages.coordinates import Package, PackageVersion
from signalbox.packages.dependents import Dependency
from signalbox.packages.findings import Finding


class Status(StrEnum):
    """Of a version (PackageVersionStatus, CodeArtifact API Reference)."""

    PUBLISHED = "Published"
    UNFINISHED = "Unfinished"
    UNLISTED = "Unlisted"
    ARCHIVED = "Archived"
    DISPOSED = "Disposed"
    DELETED = "Deleted"


class Origin(StrEnum):
    """How a version came into the domain (PackageVersionOrigin, CodeArtifact API Reference)."""

    INTERNAL = "INTERNAL"
    """Somebody published it."""
    EXTERNAL = "EXTERNAL"
    """Through an external connection."""
    UNKNOWN = "UNKNOWN"


class License(msgspec.Struct, frozen=True):
    """As CodeArtifact names it (LicenseInfo)."""

    name: str
    url: str = ""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A version, as DescribePackageVersion has it.

    Attributes:
        published_at: seconds since 1970; 0 where CodeArtifact does not say.
        entered: the repository by which it came into the domain; "" where CodeArtifact does not say. A copy
            has that of the first one, and so has what a repository keeps of its upstream.
    """

    version: PackageVersion
    status: Status
    revision: str
    licenses: tuple[License, ...] = ()
    published_at: float = 0.0
    origin: Origin = Origin.UNKNOWN
    entered: str = ""

    def is_own(self, repository: str) -> bool:
        """Whether somebody published it there: it is no copy, and comes from no upstream or from outside."""
        return is_own(self.origin, self.entered, repository)


def is_own(origin: Origin, entered: str, repository: str) -> bool:
    """See `Description.is_own`. What CodeArtifact does not say speaks against nothing: it has told of origins
    only since 2022."""
    return origin is not Origin.EXTERNAL and entered in {"", repository}


class Declared(msgspec.Struct, frozen=True):
    """The dependencies of a version.

    Attributes:
        findings: of those that make no sense, and are left out: ``malformed-dependency``.
    """

    dependencies: tuple[Dependency, ...] = ()
    findings: tuple[Finding, ...] = ()


class Copied(StrEnum):
    """What a copy came to. CodeArtifact's three ways: in one map, in the other, or in neither."""

    COPIED = "copied"
    IDENTICAL = "identical"
    """It was there already, the same: it counts as a success."""
    DIFFERS = "differs"
    """Another one of that version is there (ALREADY_EXISTS). Nothing was copied."""
    CHANGED = "changed"
    """The source has another revision by now (MISMATCHED_REVISION). Nothing was copied."""
    GONE = "gone"
    """The source has it no more (NOT_FOUND). Nothing was copied."""
    REFUSED = "refused"
    """Not allowed, or skipped. Nothing was copied."""


class Repositories(Protocol):
    """The repositories of one CodeArtifact domain. All raise SignalboxError where AWS does not answer."""

    def describe(self, repository: str, version: PackageVersion) -> Description | None:
        """A version in a repository itself, not in its upstreams; None where it is not there."""
        ...

    def versions(self, repository: str, package: Package, *, own: bool = False) -> tuple[str, ...]:
        """The published versions, the latest first; none where the repository does not have the package.

        Args:
            own: only those that somebody published here: `Description.is_own`.
        """
        ...

    def dependencies(self, repository: str, version: PackageVersion) -> Declared:
        """What a version depends on. Nothing where it is not there, or its format has no dependencies."""
        ...

    def packages(self, repository: str) -> Iterator[Package | Finding]:
        """All packages of a repository; a finding for one whose format is not read."""
        ...

    def known(self, repository: str, packages: Collection[Package]) -> frozenset[str]:
        """The keys of those that the repository has, or its upstreams. Where one of these has an external
        connection of that format, all count as known: nobody can tell before they are asked for."""
        ...

    def copy(
        self, version: PackageVersion, revision: str, source: str, destination: str
    ) -> tuple[Copied, str]:
        """Copies this revision of a version and no other (CopyPackageVersions). Answers what it came to, and
        what CodeArtifact said, for a person."""
        ...
