"""One suite for CodeArtifact: what holds for the fake holds for the adapter, on the embedded one."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from botocore.stub import Stubber

from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from signalbox.errors import AccessDeniedError, NotFoundError, ThrottledError, UnavailableError
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.coordinates import Format, Package, PackageVersion
from signalbox.packages.dependents import Dependency, Kind
from signalbox.packages.findings import Finding
from signalbox.packages.repositories import Copied, Declared, License, Origin, Repositories, Status
from tests.unit.packages.fake_codeartifact import ACCOUNT, DOMAIN, FakeCodeArtifact, version_of

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEYS = [
    "npm/acme/ui/1.0.0",
    "npm//ui/1.0.0-beta.1",
    "pypi//acme-core/2.0.0",
    "maven/org.acme/core/1.4",
    "nuget//acme.core/1.0.0",
    "generic/acme/installer/2026-01",
]
UI, CORE = version_of("npm/acme/ui/1.0.0"), version_of("npm/acme/core/2.0.0")


class Service(Protocol):
    """CodeArtifact, and what people do there."""

    @property
    def repositories(self) -> Repositories: ...

    def publish(
        self,
        version: PackageVersion,
        *,
        content: str = "",
        status: Status = Status.PUBLISHED,
        dependencies: tuple[Dependency, ...] = (),
        licenses: tuple[License, ...] = (),
        repository: str = "team",
    ) -> None: ...

    def ingest(self, version: PackageVersion) -> None:
        """Somebody has asked `team` for a version of its external connection."""
        ...

    def set_status(self, version: PackageVersion, status: Status) -> None: ...

    def open_to_outside(self, repository: str) -> None:
        """npm's registry is an external connection of it from now on."""
        ...


class Fake:
    def __init__(self) -> None:
        self._times = itertools.count(BEGIN.timestamp())
        self.repositories = FakeCodeArtifact("team", "shared", "store", clock=lambda: next(self._times))
        self.repositories.upstreams = {"team": ("shared",), "shared": ("store",)}

    def publish(self, version: PackageVersion, **how: Any) -> None:
        self.repositories.publish(version, **how)

    def ingest(self, version: PackageVersion) -> None:
        self.repositories.publish(version, external=True)

    def set_status(self, version: PackageVersion, status: Status) -> None:
        self.repositories.set_status(version, status)

    def open_to_outside(self, repository: str) -> None:
        self.repositories.connections[repository] = frozenset({Format.NPM})


TYPES = {Kind.RUNTIME: "regular", Kind.DEV: "dev", Kind.PEER: "peer", Kind.OPTIONAL: "optional"}


class Embedded:
    def __init__(self, embedded: EmbeddedCodeArtifact) -> None:
        self.embedded = embedded
        self.client = embedded.client()
        self.repositories = CodeArtifactRepositories(self.client, DOMAIN, ACCOUNT)
        self.client.create_domain(domain=DOMAIN)
        for name, upstreams in (("store", []), ("shared", ["store"]), ("team", ["shared"])):
            named: Any = [{"repositoryName": each} for each in upstreams]
            self.client.create_repository(domain=DOMAIN, repository=name, upstreams=named)

    def publish(
        self,
        version: PackageVersion,
        *,
        content: str = "",
        status: Status = Status.PUBLISHED,
        dependencies: tuple[Dependency, ...] = (),
        licenses: tuple[License, ...] = (),
        repository: str = "team",
    ) -> None:
        self.embedded.seed(
            _seeded(version)
            | {
                "status": status,
                "assets": [{"name": "asset", "content": f"{version.key} {content}"}],
                "licenses": [{"name": each.name, "url": each.url} for each in licenses],
                "dependencies": [_declared(each) for each in dependencies],
            },
            repository=repository,
        )

    def ingest(self, version: PackageVersion) -> None:
        self.embedded.seed(_seeded(version) | {"externalConnection": "public:npmjs"})

    def set_status(self, version: PackageVersion, status: Status) -> None:
        self.client.update_package_versions_status(
            **_named(version.package), repository="team", versions=[version.version], targetStatus=status
        )

    def open_to_outside(self, repository: str) -> None:
        self.client.associate_external_connection(
            domain=DOMAIN, repository=repository, externalConnection="public:npmjs"
        )


def _named(package: Package) -> dict[str, Any]:
    space = {"namespace": package.namespace} if package.namespace else {}
    return {"domain": DOMAIN, "format": package.format.value, "package": package.name} | space


def _seeded(version: PackageVersion) -> dict[str, Any]:
    named = _named(version.package)
    del named["domain"]
    return {**named, "version": version.version}


def _declared(dependency: Dependency) -> dict[str, Any]:
    package = Package.parse_key(dependency.package)
    space = {"namespace": package.namespace} if package.namespace else {}
    kind = TYPES[dependency.kind]
    return {
        "package": package.name,
        "dependencyType": kind,
        "versionRequirement": dependency.requirement,
    } | space


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    """Every look at its clock is a second later, so that versions have an order."""
    seconds = itertools.count()
    application = CodeArtifact(now=lambda: BEGIN + timedelta(seconds=next(seconds)))
    with embedded_codeartifact(application) as served:
        yield Embedded(served)


@pytest.fixture(params=["fake", "embedded"])
def service(request: pytest.FixtureRequest) -> Service:
    if request.param == "fake":
        return Fake()
    found: Embedded = request.getfixturevalue("embedded")
    return found


@pytest.mark.parametrize("key", KEYS)
def test_a_version_of_every_format_is_found_by_its_key(service: Service, key: str) -> None:
    version = version_of(key)
    service.publish(version)
    found = service.repositories.describe("team", version)
    assert found is not None
    assert (found.version, found.status, found.origin) == (version, Status.PUBLISHED, Origin.INTERNAL)
    assert found.is_own("team")
    assert found.revision
    assert found.published_at >= BEGIN.timestamp()
    assert service.repositories.versions("team", version.package, own=True) == (version.version,)
    assert list(service.repositories.packages("team")) == [version.package]


def test_licences_come_with_it(service: Service) -> None:
    service.publish(UI, licenses=(License("MIT", "https://spdx.org/licenses/MIT"),))
    found = service.repositories.describe("team", UI)
    assert found is not None
    assert found.licenses == (License("MIT", "https://spdx.org/licenses/MIT"),)


def test_what_is_not_there_is_none(service: Service) -> None:
    """Neither a package that nobody knows, nor a version, nor what only an upstream has."""
    service.publish(CORE)
    service.publish(UI, repository="shared")
    for missing in (UI, PackageVersion(CORE.package, "9.9.9")):
        assert service.repositories.describe("team", missing) is None
        assert service.repositories.dependencies("team", missing) == Declared()
    assert service.repositories.versions("team", UI.package) == ()


def test_a_repository_that_is_not_there_is_no_empty_one(service: Service) -> None:
    for ask in (
        lambda: service.repositories.describe("gone", UI),
        lambda: service.repositories.versions("gone", UI.package),
        lambda: service.repositories.dependencies("gone", UI),
        lambda: list(service.repositories.packages("gone")),
        lambda: service.repositories.known("gone", [UI.package]),
    ):
        with pytest.raises(NotFoundError):
            ask()


def test_published_versions_come_the_latest_first(service: Service) -> None:
    for text in ("1.0.0", "2.0.0", "1.0.1"):
        service.publish(PackageVersion(UI.package, text))
    service.publish(PackageVersion(UI.package, "3.0.0"), status=Status.UNFINISHED)
    service.set_status(PackageVersion(UI.package, "2.0.0"), Status.ARCHIVED)
    assert service.repositories.versions("team", UI.package) == ("1.0.1", "1.0.0")


def test_a_copy_and_what_came_from_outside_are_not_its_own(service: Service) -> None:
    """Known from the field: a pipeline that promotes what its own promotion has put there, in circles."""
    service.publish(CORE, repository="shared")
    found = service.repositories.describe("shared", CORE)
    assert found is not None
    service.repositories.copy(CORE, found.revision, "shared", "team")
    service.ingest(UI)
    copied, ingested = (service.repositories.describe("team", each) for each in (CORE, UI))
    assert copied is not None
    assert ingested is not None
    assert (copied.entered, copied.is_own("team"), copied.is_own("shared")) == ("shared", False, True)
    assert (ingested.origin, ingested.is_own("team")) == (Origin.EXTERNAL, False)
    for package in (CORE.package, UI.package):
        assert service.repositories.versions("team", package)
        assert service.repositories.versions("team", package, own=True) == ()


def test_dependencies_in_the_packages_own_order(service: Service) -> None:
    wanted = (
        Dependency("npm/acme/core", "^2.0.0"),
        Dependency("npm//react", ">=18", Kind.PEER),
        Dependency("npm//jest", "*", Kind.DEV),
    )
    service.publish(UI, dependencies=wanted)
    assert service.repositories.dependencies("team", UI) == Declared(wanted)


def test_a_generic_package_depends_on_nothing(service: Service) -> None:
    installer = version_of("generic/acme/installer/1")
    service.publish(installer)
    assert service.repositories.dependencies("team", installer) == Declared()


def test_a_package_is_known_where_an_upstream_of_an_upstream_has_it(service: Service) -> None:
    service.publish(UI)
    service.publish(CORE, repository="store")
    absent = Package.parse("npm", "acme", "absent")
    asked = [UI.package, CORE.package, absent]
    assert service.repositories.known("team", asked) == {UI.package.key, CORE.package.key}
    assert service.repositories.known("store", asked) == {CORE.package.key}
    assert service.repositories.known("team", []) == frozenset()


def test_behind_an_external_connection_everything_of_its_format_may_be(service: Service) -> None:
    service.open_to_outside("store")
    npm, pypi = Package.parse("npm", None, "left-pad"), Package.parse("pypi", None, "requests")
    assert service.repositories.known("team", [npm, pypi]) == {npm.key}


def test_a_copy_three_ways(service: Service) -> None:
    service.publish(UI)
    found = service.repositories.describe("team", UI)
    assert found is not None

    def copied() -> Copied:
        return service.repositories.copy(UI, found.revision, "team", "shared")[0]

    assert copied() is Copied.COPIED
    assert copied() is Copied.IDENTICAL
    there = service.repositories.describe("shared", UI)
    assert there is not None
    assert (there.status, there.entered) == (Status.PUBLISHED, "team")


def test_another_one_of_the_same_version_is_not_overwritten(service: Service) -> None:
    service.publish(UI)
    service.publish(UI, content="other", repository="shared")
    here, there = (service.repositories.describe(name, UI) for name in ("team", "shared"))
    assert here is not None
    outcome, said = service.repositories.copy(UI, here.revision, "team", "shared")
    assert outcome is Copied.DIFFERS
    assert "ALREADY_EXISTS" in said
    assert service.repositories.describe("shared", UI) == there


def test_a_revision_that_is_past_is_not_copied(service: Service) -> None:
    service.publish(UI)
    outcome, said = service.repositories.copy(UI, "another", "team", "shared")
    assert outcome is Copied.CHANGED
    assert "MISMATCHED_REVISION" in said
    assert service.repositories.describe("shared", UI) is None


def test_what_is_gone_is_not_copied(service: Service) -> None:
    assert service.repositories.copy(UI, "any", "team", "shared")[0] is Copied.GONE
    service.publish(UI)
    gone = PackageVersion(UI.package, "9.9.9")
    assert service.repositories.copy(gone, "any", "team", "shared")[0] is Copied.GONE


# The adapter alone


def test_ten_thousand_versions_are_ten_calls(embedded: Embedded) -> None:
    """Known from the field: lists cut off after the first page."""
    seeded = [_seeded(PackageVersion(UI.package, f"1.0.{number}")) for number in range(10_000)]
    for part in itertools.batched(seeded, 1_000, strict=True):
        embedded.embedded.seed(*part)
    versions = embedded.repositories.versions("team", UI.package)
    assert len(set(versions)) == 10_000
    assert _calls(embedded, "ListPackageVersions") == 10


def test_packages_and_dependencies_are_read_page_by_page(embedded: Embedded) -> None:
    many = tuple(Dependency(f"npm//p{number}", "*") for number in range(250))
    embedded.publish(UI, dependencies=many)
    embedded.embedded.seed(*(_seeded(version_of(f"npm//p{number}/1.0.0")) for number in range(1_500)))
    assert embedded.repositories.dependencies("team", UI).dependencies == many
    assert len(list(embedded.repositories.packages("team"))) == 1_501
    assert _calls(embedded, "ListPackages") == 2


def test_a_package_of_a_format_that_nobody_reads_is_a_finding(embedded: Embedded) -> None:
    embedded.embedded.seed({"format": "swift", "namespace": "acme", "package": "Core", "version": "1.0.0"})
    embedded.publish(UI)
    package, finding = sorted(
        embedded.repositories.packages("team"), key=lambda each: isinstance(each, Finding)
    )
    assert package == UI.package
    assert isinstance(finding, Finding)
    assert (finding.code, finding.subject) == ("unknown-format", "swift/acme/Core")
    assert "repository team" in finding.text


def test_a_dependency_that_makes_no_sense_is_a_finding_with_its_place(embedded: Embedded) -> None:
    jar = version_of("maven/org.acme/core/1.4")
    right = {"namespace": "junit", "package": "junit", "dependencyType": "test", "versionRequirement": "4"}
    embedded.embedded.seed(_seeded(jar) | {"dependencies": [right, {"package": "homeless"}]})
    declared = embedded.repositories.dependencies("team", jar)
    assert declared.dependencies == (Dependency("maven/junit/junit", "4", Kind.TEST),)
    [finding] = declared.findings
    assert (finding.code, finding.subject) == ("malformed-dependency", jar.package.key)
    assert "$.dependencies[1].namespace" in finding.text


def test_a_limit_reached_is_tried_again_later(embedded: Embedded) -> None:
    embedded.publish(UI)
    embedded.embedded.ask("POST", "limits", {"CopyPackageVersions": 1, "ListPackageVersions": 1})
    embedded.repositories.versions("team", UI.package)
    with pytest.raises(ThrottledError):
        embedded.repositories.versions("team", UI.package)
    found = embedded.repositories.describe("team", UI)
    assert found is not None
    assert embedded.repositories.copy(UI, found.revision, "team", "shared")[0] is Copied.COPIED
    with pytest.raises(ThrottledError):
        embedded.repositories.copy(UI, found.revision, "team", "shared")


def test_a_permission_that_is_missing_is_named(embedded: Embedded) -> None:
    embedded.publish(UI)
    stranger = CodeArtifactRepositories(embedded.embedded.client("999999999999"), DOMAIN, ACCOUNT)
    with pytest.raises(AccessDeniedError, match="DescribePackageVersion"):
        stranger.describe("team", UI)
    outcome, said = stranger.copy(UI, "any", "team", "shared")
    assert outcome is Copied.REFUSED
    assert "is not authorized" in said


def test_a_destination_that_is_not_there_refuses(embedded: Embedded) -> None:
    embedded.publish(UI)
    found = embedded.repositories.describe("team", UI)
    assert found is not None
    outcome, said = embedded.repositories.copy(UI, found.revision, "team", "gone")
    assert outcome is Copied.REFUSED
    assert "gone" in said


def test_whoever_changes_the_same_at_once_is_waited_for(embedded: Embedded) -> None:
    with Stubber(embedded.client) as stubber:
        stubber.add_client_error("copy_package_versions", "ConflictException", http_status_code=409)
        with pytest.raises(UnavailableError):
            embedded.repositories.copy(UI, "any", "team", "shared")


def test_a_version_that_says_nothing_of_where_it_came_from_may_be_anybodys(embedded: Embedded) -> None:
    """Those that were published before CodeArtifact told of origins."""
    with Stubber(embedded.client) as stubber:
        stubber.add_response(
            "describe_package_version", {"packageVersion": {"status": "Published", "revision": "r"}}
        )
        found = embedded.repositories.describe("team", UI)
    assert found is not None
    assert (found.origin, found.entered, found.published_at) == (Origin.UNKNOWN, "", 0.0)
    assert found.is_own("team")


def _calls(embedded: Embedded, operation: str) -> int:
    counted = embedded.embedded.ask("GET", "calls").json()["calls"]
    return int(counted[f"codeartifact:{operation}"])
