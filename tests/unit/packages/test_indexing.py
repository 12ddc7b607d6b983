import pytest

from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Dependency, Entry
from signalbox.packages.findings import Finding
from signalbox.packages.indexing import Publication, published, read_entry
from tests.unit.packages.fake_codeartifact import NOON, FakeCodeArtifact, version_of

UI = version_of("npm/acme/ui/1.4.2")
REACT = Dependency("npm//react", "^19")


@pytest.fixture
def codeartifact() -> FakeCodeArtifact:
    return FakeCodeArtifact("team", "platform", "shared")


def test_the_first_repository_that_has_published_it_speaks(codeartifact: FakeCodeArtifact) -> None:
    codeartifact.publish(UI, repository="platform")
    codeartifact.retain(UI, "platform", "team")
    assert published(codeartifact, UI.package, ("team", "platform")) == Publication("platform", ("1.4.2",))
    codeartifact.publish(PackageVersion(UI.package, "0.9.0"), repository="team")
    assert published(codeartifact, UI.package, ("team", "platform")) == Publication("team", ("0.9.0",))


def test_what_nobody_has_published_is_nowhere(codeartifact: FakeCodeArtifact) -> None:
    codeartifact.publish(UI, external=True)
    assert published(codeartifact, UI.package, ("team", "platform")) == Publication()
    assert read_entry(codeartifact, UI.package, Publication(), 7, NOON).entry == Entry(None, 7, NOON)
    assert codeartifact.calls["dependencies"] == 0


def test_the_newest_version_counts_and_what_it_depends_on(codeartifact: FakeCodeArtifact) -> None:
    codeartifact.publish(PackageVersion(UI.package, "2.0.0"), dependencies=[REACT])
    codeartifact.publish(UI)
    where = published(codeartifact, UI.package, ("team",))
    assert read_entry(codeartifact, UI.package, where, 7, NOON) == (
        Entry("2.0.0", 7, NOON, (REACT,), "team"),
        (),
    )


def test_what_makes_no_sense_is_found_and_left_out(codeartifact: FakeCodeArtifact) -> None:
    odd = Finding("malformed-dependency", UI.package.key, "no name")
    codeartifact.publish(UI, dependencies=[REACT], findings=[odd])
    codeartifact.publish(PackageVersion(UI.package, "latest"))
    seen = read_entry(codeartifact, UI.package, published(codeartifact, UI.package, ("team",)), 7, NOON)
    assert seen.entry.dependencies == (REACT,)
    assert [each.code for each in seen.findings] == ["unparsable-version", "malformed-dependency"]
