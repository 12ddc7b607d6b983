"""All domains of all accounts and Regions, and the one way to change a package version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.codeartifact.errors import not_found
from local.codeartifact.model import Change, Domain, Package, PackageKey, PackageVersion, Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Call:
    """One request: parameters as the service model names them. `account` is the caller's."""

    operation: str
    parameters: dict[str, Any]
    account: str
    region: str
    now: datetime

    def text(self, name: str) -> str:
        """A parameter that is required, or "" if it isn't given."""
        return str(self.parameters.get(name) or "")

    @property
    def owner(self) -> str:
        """The domain's owner: the caller's account unless the request names another."""
        return self.text("domainOwner") or self.account

    @property
    def key(self) -> PackageKey:
        return PackageKey.of(self.text("format"), self.parameters.get("namespace"), self.text("package"))


@dataclass(slots=True)
class Registry:
    """Not safe for threads: the service holds a lock around each call."""

    domains: dict[tuple[str, str, str], Domain] = field(default_factory=dict)
    _changes: list[Change] = field(default_factory=list)

    def domain(self, call: Call) -> Domain:
        """Raises ServiceError 404."""
        found = self.domains.get((call.region, call.owner, call.text("domain")))
        if found is None:
            name = call.text("domain")
            raise not_found(f"Domain not found. '{call.owner}/{name}' is no domain here", name, "domain")
        return found

    def repository(self, call: Call, parameter: str = "repository") -> Repository:
        """Raises ServiceError 404."""
        return repository_in(self.domain(call), call.text(parameter))

    def package(self, call: Call) -> tuple[Repository, Package]:
        """The package in the repository itself; upstreams aren't looked at. Raises ServiceError 404."""
        repository = self.repository(call)
        found = repository.packages.get(call.key)
        if found is None:
            name = call.text("package")
            message = f"Package not found. '{name}' is not in repository '{repository.name}'"
            raise not_found(message, name, "package")
        return repository, found

    def version(self, call: Call) -> tuple[Repository, Package, PackageVersion]:
        """The version in the repository itself; upstreams aren't looked at. Raises ServiceError 404."""
        repository, package = self.package(call)
        name = call.text("packageVersion")
        found = package.versions.get(name)
        if found is None:
            message = f"Package version not found. '{package.key.name}' has no version '{name}' here"
            raise not_found(message, name, "package-version")
        return repository, package, found

    def holder(self, arn: str) -> Domain | Repository | None:
        """The domain or repository of this ARN."""
        for domain in self.domains.values():
            if domain.arn == arn:
                return domain
            for repository in domain.repositories.values():
                if repository.arn == arn:
                    return repository
        return None

    def put(self, repository: Repository, key: PackageKey, version: PackageVersion) -> None:
        """Stores a version; if that changes anything, an event will tell of it."""
        package = repository.packages.setdefault(key, Package(key))
        before = package.versions.get(version.version)
        if before != version:
            package.versions[version.version] = version
            self._changes.append(Change(repository, key, before, version))

    def remove(self, repository: Repository, package: Package, version: str) -> None:
        """Deletes a version, its tags, and the package with its last one."""
        before = package.versions.pop(version)
        package.tags = {tag: named for tag, named in package.tags.items() if named != version}
        if not package.versions:
            del repository.packages[package.key]
        self._changes.append(Change(repository, package.key, before, None))

    def take_changes(self) -> list[Change]:
        """Those since the last time, in order."""
        changes, self._changes = self._changes, []
        return changes


def repository_in(domain: Domain, name: str) -> Repository:
    """Raises ServiceError 404."""
    found = domain.repositories.get(name)
    if found is None:
        message = f"Repository not found. '{name}' is not in domain '{domain.name}'"
        raise not_found(message, name, "repository")
    return found


def with_upstreams(repository: Repository) -> Iterator[Repository]:
    """The repository, then its upstreams and theirs, in the order CodeArtifact searches; each once."""
    waiting, seen = [repository.name], set[str]()
    while waiting:
        name = waiting.pop(0)
        found = repository.domain.repositories.get(name)
        if found is None or name in seen:
            continue
        seen.add(name)
        yield found
        waiting = [*found.upstreams, *waiting]
