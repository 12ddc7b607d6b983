"""What the index says of a package: read of CodeArtifact, for an event or for a rebuild, the same way."""

from collections.abc import Iterable
from typing import NamedTuple

from signalbox.packages.coordinates import Package, PackageVersion
from signalbox.packages.dependents import Entry
from signalbox.packages.findings import Finding
from signalbox.packages.repositories import Repositories
from signalbox.packages.versions import newest


class Publication(NamedTuple):
    """Where a package is published.

    Attributes:
        repository: the first that has versions of its own, which speaks for the package; "" for none.
        versions: these, the latest first. Copies, and what came from outside, are none of them.
    """

    repository: str = ""
    versions: tuple[str, ...] = ()


class Seen(NamedTuple):
    """What was seen of a package, and what of it makes no sense."""

    entry: Entry
    findings: tuple[Finding, ...] = ()


def published(repositories: Repositories, package: Package, sources: Iterable[str]) -> Publication:
    """Looks for a package in one repository after the other: one call, as a rule, ten of 10,000 versions."""
    for repository in sources:
        if versions := repositories.versions(repository, package, own=True):
            return Publication(repository, versions)
    return Publication()


def read_entry(
    repositories: Repositories, package: Package, where: Publication, sequence: int, read_at: float
) -> Seen:
    """The package's newest version and what that depends on: one call, or none where nothing is published.

    Args:
        sequence: of the event that it is read for; 0 for none.
        read_at: when somebody began to look where it is published; seconds since 1970.
    """
    highest = newest(package, where.versions)
    if highest.version is None:
        return Seen(Entry(None, sequence, read_at, (), where.repository), highest.findings)
    declared = repositories.dependencies(where.repository, PackageVersion(package, highest.version))
    entry = Entry(highest.version, sequence, read_at, declared.dependencies, where.repository)
    return Seen(entry, highest.findings + declared.findings)
