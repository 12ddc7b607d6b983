"""The intake on the embedded CodeArtifact: its own events, as tools make them, and what they cost."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.entries import Releases
from signalbox.packages.rebuilding import LOOKS_AT_ONCE, Patience, RebuildIndex
from signalbox.packages.releases import State
from signalbox.side_by_side import SideBySide
from tests.unit.packages.fake_codeartifact import ACCOUNT, DOMAIN, version_of
from tests.unit.packages.intake_stack import MovableClock, Stack

NEEDED = {"namespace": "acme", "package": "core", "dependencyType": "regular", "versionRequirement": "^2"}
UI = {"format": "npm", "namespace": "acme", "package": "ui", "version": "1.0.0", "dependencies": [NEEDED]}
UI_KEY = version_of("npm/acme/ui/1.0.0")
WHEEL = {
    "format": "pypi",
    "package": "Acme_Core",
    "version": "2.0.0",
    "asPublished": True,
    "assets": [{"name": name} for name in ("core.tar.gz", "core-py3.whl", "core-cp313.whl")],
}
JAR = {
    "format": "maven",
    "namespace": "org.acme",
    "package": "core",
    "version": "1.4",
    "asPublished": True,
    "assets": [{"name": name} for name in ("core.pom", "core.jar", "core-sources.jar")],
}


class Embedded(Stack):
    """The stack on the embedded CodeArtifact; one clock for both."""

    def __init__(self, served: EmbeddedCodeArtifact, clock: MovableClock) -> None:
        self.served = served
        self.repositories = CodeArtifactRepositories(served.client(), DOMAIN, ACCOUNT)
        super().__init__("team", "platform", repositories=self.repositories, clock=clock)
        self._told = 0
        self._called: Counter[str] = Counter()

    def deliver(self) -> None:
        self.served.ask("POST", "deliver")
        news = self.served.events()[self._told :]
        self._told += len(news)
        self.send(*(each for each in news if each["detail"]["repositoryName"] in self.sources))

    def calls(self) -> dict[str, int]:
        """Those since the last question."""
        counted = Counter(self.served.ask("GET", "calls").json()["calls"])
        since, self._called = counted - self._called, counted
        return {name.removeprefix("codeartifact:"): count for name, count in since.items()}

    def begun(self) -> list[tuple[str, int]]:
        return [(each["release"], each["round"]) for each in self.executions.begun.values()]


@pytest.fixture
def stack() -> Iterator[Embedded]:
    clock = MovableClock()
    application = CodeArtifact(now=lambda: datetime.fromtimestamp(clock(), UTC))
    with embedded_codeartifact(application) as served:
        made = Embedded(served, clock)
        client = served.client()
        client.create_domain(domain=DOMAIN)
        for repository in ("team", "platform", "shared"):
            client.create_repository(domain=DOMAIN, repository=repository)
        made.calls()
        yield made


@pytest.mark.parametrize(
    ("package", "key"), [(WHEEL, "pypi//acme-core/2.0.0"), (JAR, "maven/org.acme/core/1.4")]
)
def test_a_version_is_one_release_however_many_files_it_has(
    stack: Embedded, package: dict[str, object], key: str
) -> None:
    """Known from the field: PyPI and Maven publish a version in several events."""
    stack.served.seed(package)
    stack.run()
    assert stack.begun() == [(key, 1)]
    version = version_of(key)
    found = stack.repositories.describe("team", version)
    assert found is not None
    assert stack.entry(version).release.revision == found.revision


def test_whatever_delivery_does_there_is_one_release(stack: Embedded) -> None:
    stack.served.ask("POST", "delivery", {"duplicated": 1.0, "reordered": 4, "seed": 7})
    for version in ("1.0.0", "1.0.1"):
        stack.served.seed(UI | {"version": version}, WHEEL, JAR)
        stack.clock.now += 1
    stack.run()
    assert sorted(stack.begun()) == [
        ("maven/org.acme/core/1.4", 1),
        ("npm/acme/ui/1.0.1", 1),
        ("pypi//acme-core/2.0.0", 1),
    ]
    assert stack.queue.dead == []
    assert stack.index.read().dependents("npm/acme/core")[0].dependent == UI_KEY.package.key


def test_a_promotion_leads_to_no_other(stack: Embedded) -> None:
    """Known from the field: whoever uses what was promoted keeps a copy, and the copy has an event."""
    stack.served.seed(UI)
    stack.run()
    stack.repositories.copy(UI_KEY, stack.entry(UI_KEY).release.revision, "team", "shared")
    stack.repositories.copy(UI_KEY, stack.entry(UI_KEY).release.revision, "shared", "platform")
    stack.served.seed(
        {"format": "npm", "package": "react", "version": "19.0.0", "externalConnection": "public:npmjs"}
    )
    stack.run()
    assert stack.begun() == [(UI_KEY.key, 1)]
    assert list(stack.index.read().entries) == [UI_KEY.package.key]


def test_what_is_deleted_is_withdrawn(stack: Embedded) -> None:
    stack.served.seed(UI)
    stack.run()
    stack.served.client().delete_package_versions(
        domain=DOMAIN, repository="team", format="npm", namespace="acme", package="ui", versions=["1.0.0"]
    )
    stack.run()
    assert stack.entry(UI_KEY).release.state is State.STOPPED
    assert stack.index.read().entries[UI_KEY.package.key].version is None


def test_a_format_that_nobody_reads_is_refused_with_its_place(stack: Embedded) -> None:
    stack.served.seed({"format": "swift", "namespace": "acme", "package": "Core", "version": "1.0.0"})
    stack.deliver()
    [rejection] = stack.batch().rejections
    assert (rejection.code, rejection.where) == ("unknown-format", "$.detail.packageFormat")


def test_what_an_event_costs(stack: Embedded) -> None:
    stack.served.seed(UI)
    stack.deliver()
    stack.batch()
    first = {"DescribePackageVersion": 1, "ListPackageVersions": 1, "ListPackageVersionDependencies": 1}
    assert stack.calls() == first
    stack.run()
    assert stack.calls() == {"DescribePackageVersion": 1}
    stack.served.seed(UI | {"package": "app"}, repository="platform")
    stack.deliver()
    stack.batch()
    assert stack.calls() == first | {"ListPackageVersions": 2}, "one more for each repository named before"


def test_a_package_of_10_000_versions_costs_ten_lists(stack: Embedded) -> None:
    for thousand in range(10):
        stack.served.seed(*(UI | {"version": f"{thousand}.{number}.0"} for number in range(1_000)))
        stack.clock.now += 1
    newest = stack.served.events()[-1]
    stack.calls()
    stack.take(newest)
    assert stack.calls()["ListPackageVersions"] == 10
    assert stack.index.read().entries[UI_KEY.package.key].version == "9.999.0"
    assert Releases(stack.ledger).read("npm/acme/ui/9.999.0") is not None


def test_a_rebuild_stays_within_the_limits_or_waits(stack: Embedded) -> None:
    """The quotas of CodeArtifact are on; the clock of the pauses is that of its buckets."""
    stack.served.seed(*(UI | {"package": f"p{number}"} for number in range(300)))
    stack.calls()
    rebuild = RebuildIndex(
        stack.index,
        stack.repositories,
        ("team", "platform"),
        stack.clock,
        Patience(lambda _: stack.served.application.limits.restore(), lambda: 1.0),
        SideBySide(LOOKS_AT_ONCE),
    )
    rebuilt = rebuild.rebuild()
    calls = stack.calls()
    assert (rebuilt.packages, len(stack.index.read().entries)) == (300, 300)
    assert calls["ListPackages"] == 2
    assert calls["ListPackageVersionDependencies"] >= 300
    assert 300 <= calls["ListPackageVersions"] < 600
