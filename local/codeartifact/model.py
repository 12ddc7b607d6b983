"""What CodeArtifact keeps: domains, repositories, packages and their versions. No clock, no HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from local.codeartifact.policies import Policy

HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


class Status(StrEnum):
    """States of a package version that last; a deleted one is gone."""

    PUBLISHED = "Published"
    UNFINISHED = "Unfinished"
    UNLISTED = "Unlisted"
    ARCHIVED = "Archived"
    DISPOSED = "Disposed"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a package version; `hashes` in hexadecimal, by the names CodeArtifact gives them."""

    name: str
    content: bytes
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, name: str, content: bytes) -> Self:
        return cls(
            name, content, {name: hashlib.new(kind, content).hexdigest() for name, kind in HASHES.items()}
        )

    @property
    def sha256(self) -> str:
        return self.hashes["SHA-256"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """A direct dependency, as the package's own metadata names it."""

    package: str
    namespace: str | None = None
    kind: str | None = None
    requirement: str | None = None


@dataclass(frozen=True, slots=True)
class License:
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What CodeArtifact reads out of a package's own files; here it is seeded."""

    summary: str | None = None
    home_page: str | None = None
    source_code_repository: str | None = None
    licenses: tuple[License, ...] = ()
    readme: str | None = None
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a version came into the domain; `external_connection` only if it was ingested from outside."""

    repository: str
    external_connection: str | None = None


@dataclass(frozen=True, slots=True)
class PackageVersion:
    """A version at one moment: a change makes a new one.

    `revision` names the assets and the metadata; the status has no part in it. A disposed version keeps the
    revision of the assets it had.
    """

    version: str
    status: Status
    assets: Mapping[str, Asset]
    metadata: Metadata
    origin: Origin
    published_at: datetime | None
    revision: str


@dataclass(frozen=True, slots=True, order=True)
class PackageKey:
    """A package's name in a repository. `namespace` is "" where there is none."""

    format: str
    namespace: str
    name: str

    @classmethod
    def of(cls, package_format: str, namespace: str | None, name: str) -> Self:
        """PyPI's names in their normal form, as CodeArtifact keeps them."""
        return cls(
            package_format, namespace or "", canonicalize_name(name) if package_format == "pypi" else name
        )


@dataclass(slots=True)
class Package:
    """Versions by name, in the order of their coming; `tags` are npm's dist-tags: name to version."""

    key: PackageKey
    versions: dict[str, PackageVersion] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Repository:
    """A repository; its administrator is the account that created it, its owner the domain's."""

    domain: Domain
    name: str
    administrator: str
    created_at: datetime
    description: str = ""
    upstreams: list[str] = field(default_factory=list)
    external_connection: str | None = None
    policy: Policy | None = None
    tags: dict[str, str] = field(default_factory=dict)
    packages: dict[PackageKey, Package] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return repository_arn(self.domain.region, self.domain.owner, self.domain.name, self.name)

    def package_arn(self, key: PackageKey) -> str:
        return package_arn(self.domain.region, self.domain.owner, self.domain.name, self.name, key)


@dataclass(slots=True)
class Domain:
    region: str
    owner: str
    name: str
    created_at: datetime
    encryption_key: str
    policy: Policy | None = None
    tags: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return domain_arn(self.region, self.owner, self.name)

    def asset_bytes(self) -> int:
        """An asset counts once in a domain, however many repositories have it."""
        sizes = {
            asset.sha256: len(asset.content)
            for repository in self.repositories.values()
            for package in repository.packages.values()
            for version in package.versions.values()
            for asset in version.assets.values()
        }
        return sum(sizes.values())


@dataclass(frozen=True, slots=True)
class Change:
    """A package version before and after; None before it is created and after it is deleted."""

    repository: Repository
    key: PackageKey
    before: PackageVersion | None
    after: PackageVersion | None


def domain_arn(region: str, owner: str, domain: str) -> str:
    return f"arn:aws:codeartifact:{region}:{owner}:domain/{domain}"


def repository_arn(region: str, owner: str, domain: str, repository: str) -> str:
    return f"arn:aws:codeartifact:{region}:{owner}:repository/{domain}/{repository}"


def package_arn(region: str, owner: str, domain: str, repository: str, key: PackageKey) -> str:
    """The part of the namespace stays, empty, where there is none: `npm//left-pad`."""
    return (
        f"arn:aws:codeartifact:{region}:{owner}:package/{domain}/{repository}/"
        f"{key.format}/{key.namespace}/{key.name}"
    )


def revision_of(assets: Iterable[Asset], metadata: Metadata) -> str:
    """Equal for equal assets and metadata, and only then."""
    document = [
        sorted((asset.name, asset.sha256) for asset in assets),
        [metadata.summary, metadata.home_page, metadata.source_code_repository, metadata.readme],
        [(one.name, one.url) for one in metadata.licenses],
        [(one.package, one.namespace, one.kind, one.requirement) for one in metadata.dependencies],
    ]
    return base64.b64encode(digest(document)).decode()


def digest(document: Any) -> bytes:
    """SHA-256 of a JSON document."""
    return hashlib.sha256(json.dumps(document).encode()).digest()
