"""The nightly rebuild: whatever the index said before, afterwards it says what there is."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import AccessDeniedError, SignalboxError, ThrottledError, UnavailableError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages import dependents
from signalbox.packages.coordinates import Package, PackageVersion
from signalbox.packages.dependents import SHARDS, Dependency, Entry
from signalbox.packages.findings import Finding
from signalbox.packages.index_store import IndexFullError, IndexStore
from signalbox.packages.rebuilding import (
    LONGEST_PAUSE_SECONDS,
    LOOKS,
    LOOKS_AT_ONCE,
    Patience,
    RebuildIndex,
)
from signalbox.packages.repositories import Status
from signalbox.packages.versions import newest
from signalbox.side_by_side import SideBySide
from tests.unit.packages.fake_codeartifact import DOMAIN, NOON, FakeCodeArtifact, version_of
from tests.unit.packages.test_index_store import Counted

UI, CORE = version_of("npm/acme/ui/1.4.2"), version_of("npm/acme/core/2.0.0")
ON_CORE = Dependency(CORE.package.key, "^2.0.0")


class Night:
    """The rebuild, and a clock that only its pauses move."""

    def __init__(self, *sources: str, spread: Any = None) -> None:
        self.now = NOON
        self.pauses: list[float] = []
        self.codeartifact = FakeCodeArtifact(*(sources or ("team",)), "shared", clock=lambda: self.now)
        self.ledger = Counted()
        self.index = IndexStore(self.ledger, DOMAIN)
        spreading = {"spread": spread} if spread else {}
        self.rebuild = RebuildIndex(
            self.index,
            self.codeartifact,
            sources or ("team",),
            lambda: self.now,
            Patience(self.pause, lambda: 1.0),
            **spreading,
        ).rebuild

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def night() -> Night:
    return Night()


def test_every_package_is_read_and_every_shard_written(night: Night) -> None:
    night.codeartifact.publish(UI, dependencies=[ON_CORE])
    night.codeartifact.publish(CORE)
    rebuilt = night.rebuild()
    assert (rebuilt.packages, rebuilt.findings) == (2, ())
    assert night.index.read().entries == {
        UI.package.key: Entry("1.4.2", 0, NOON, (ON_CORE,), "team"),
        CORE.package.key: Entry("2.0.0", 0, NOON, (), "team"),
    }
    assert night.ledger.writes == SHARDS


def test_of_nothing_every_shard_is_written_too(night: Night) -> None:
    """That renews their life: rows of the ledger expire."""
    assert night.rebuild().packages == 0
    assert night.ledger.writes == SHARDS


def test_a_package_costs_two_calls_however_many_repositories_there_are() -> None:
    night = Night("team", "platform")
    for number in range(50):
        repository = ("team", "platform")[number % 2]
        night.codeartifact.publish(version_of(f"npm//p{number}/1.0.0"), repository=repository)
    night.rebuild()
    assert night.codeartifact.calls == {"packages": 2, "versions": 50, "dependencies": 50}


def test_what_an_event_lost_is_mended_and_what_is_gone_is_dropped(night: Night) -> None:
    night.codeartifact.publish(UI, dependencies=[ON_CORE])
    night.index.merge(UI.package.key, Entry("1.0.0", 9, NOON - 60, (), "team"))
    night.index.merge(CORE.package.key, Entry("2.0.0", 4, NOON - 60, (), "team"))
    night.rebuild()
    assert night.index.read().entries == {UI.package.key: Entry("1.4.2", 9, NOON, (ON_CORE,), "team")}


def test_what_an_event_says_meanwhile_stays(night: Night) -> None:
    """Its entry was read after the rebuild began; the rebuild's may be from before."""
    night.codeartifact.publish(UI)
    later = Entry("1.4.3", 12, NOON + 5, (), "team")
    describe = night.codeartifact.dependencies

    def meanwhile(*asked: Any) -> Any:
        night.index.merge(UI.package.key, later)
        night.index.merge(CORE.package.key, Entry("2.0.0", 3, NOON + 5, (), "team"))
        return describe(*asked)

    night.codeartifact.dependencies = meanwhile  # type: ignore[method-assign,assignment] # somebody else at work
    night.rebuild()
    assert night.index.read().entries[UI.package.key] == later
    assert CORE.package.key in night.index.read().entries


def test_only_what_somebody_has_published_here_is_in_it() -> None:
    """Neither copies nor what came from outside: nobody here can rebuild them."""
    night = Night("team", "platform")
    night.codeartifact.publish(CORE, repository="shared")
    night.codeartifact.retain(CORE, "shared", "team")
    night.codeartifact.publish(version_of("npm//react/19.0.0"), external=True)
    night.codeartifact.publish(UI, repository="platform")
    night.codeartifact.retain(UI, "platform", "team")
    assert night.rebuild().packages == 1
    assert night.index.read().entries[UI.package.key].repository == "platform"
    assert night.codeartifact.calls["dependencies"] == 1


def test_what_makes_no_sense_is_told_and_left_out(night: Night) -> None:
    swift = Finding("unknown-format", "swift/acme/core", "swift is not read")
    odd = Finding("malformed-dependency", UI.package.key, "no name")
    night.codeartifact.oddities["team"] = [swift]
    night.codeartifact.publish(UI, findings=[odd])
    night.codeartifact.publish(PackageVersion(CORE.package, "newest"))
    rebuilt = night.rebuild()
    assert rebuilt.packages == 2
    assert {each.code for each in rebuilt.findings} == {
        "unknown-format",
        "malformed-dependency",
        "unparsable-version",
    }


@pytest.mark.parametrize("operation", ["packages", "versions", "dependencies"])
def test_a_limit_reached_is_waited_for(night: Night, operation: str) -> None:
    """Known from the field: a nightly job that dies of the first 429."""
    night.codeartifact.publish(UI)
    night.codeartifact.failing[operation] = [ThrottledError("429"), UnavailableError("no answer")]
    assert night.rebuild().packages == 1
    assert night.pauses == [1.0, 2.0]


def test_what_never_answers_fails_and_changes_nothing(night: Night) -> None:
    night.codeartifact.publish(UI)
    night.codeartifact.failing["versions"] = [ThrottledError("429")] * LOOKS
    with pytest.raises(ThrottledError):
        night.rebuild()
    assert night.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE_SECONDS]
    assert night.ledger.writes == 0


def test_a_permission_that_is_missing_is_not_waited_for(night: Night) -> None:
    night.codeartifact.publish(UI)
    night.codeartifact.failing["dependencies"] = [AccessDeniedError("no")]
    with pytest.raises(AccessDeniedError):
        night.rebuild()
    assert night.pauses == []


def test_a_repository_that_is_not_there_empties_nothing(night: Night) -> None:
    """Known from the field: a name that is wrong for a night, and an index that is empty in the morning."""
    night.codeartifact.publish(UI)
    night.rebuild()
    del night.codeartifact.held["team"]
    with pytest.raises(SignalboxError, match="team"):
        night.rebuild()
    assert list(night.index.read().entries) == [UI.package.key]


def test_a_full_shard_is_named_and_the_others_are_written(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(400):
        night.codeartifact.publish(version_of(f"npm//p{number}/1.0.0"))
    night.codeartifact.publish(UI, dependencies=[Dependency(f"npm//d{n}", f"^{n}") for n in range(999)])
    monkeypatch.setattr(dependents, "MAXIMUM_BYTES", 3_000)
    with pytest.raises(IndexFullError, match=r"index-full: dependents#acme#\d\d") as full:
        night.rebuild()
    assert str(full.value).count("index-full") == 1
    assert night.ledger.writes == SHARDS - 1


def test_packages_are_looked_at_side_by_side_within_bounds() -> None:
    asked: list[int] = []

    class Spread:
        def __call__[A, B](self, work: Callable[[A], B], items: Iterable[A], /) -> Iterable[B]:
            asked.append(1)
            return SideBySide(LOOKS_AT_ONCE)(work, items)

    night = Night(spread=Spread())
    for number in range(100):
        night.codeartifact.publish(version_of(f"npm//p{number}/1.0.0"))
    assert night.rebuild().packages == 100
    assert asked == [1]


VERSIONS = st.sampled_from(["1.0.0", "1.1.0", "2.0.0", "2.0.0-rc.1", "odd"])
PACKAGES = st.sampled_from([Package.parse("npm", None, f"p{number}") for number in range(5)])
PUBLISHED = st.tuples(
    PACKAGES, VERSIONS, st.sampled_from(["team", "platform", "outside"]), st.sampled_from(["", "unlist"])
)


@given(st.lists(PUBLISHED, max_size=20), st.lists(st.tuples(PACKAGES, st.booleans()), max_size=5))
def test_the_index_is_what_a_look_at_everything_says(
    published: list[tuple[Package, str, str, str]], before: list[tuple[Package, bool]]
) -> None:
    night = Night("team", "platform")
    for package, _ in before:
        night.index.merge(package.key, Entry("9.9.9", 50, NOON - 1, (ON_CORE,), "team"))
    truth: dict[str, dict[Package, list[str]]] = {"team": {}, "platform": {}}
    for package, version, where, then in published:
        repository = "team" if where == "outside" else where
        night.now += 1
        each = PackageVersion(package, version)
        night.codeartifact.publish(each, repository=repository, external=where == "outside")
        if then:
            night.codeartifact.set_status(each, Status.UNLISTED, repository)
    for repository, packages in truth.items():
        for key, versions in night.codeartifact.held[repository].items():
            found = [held.description for held in versions.values()]
            listed = sorted(found, key=lambda one: (-one.published_at, one.version.version))
            packages[Package.parse_key(key)] = [
                one.version.version
                for one in listed
                if one.status is Status.PUBLISHED and one.is_own(repository)
            ]
    expected: dict[str, str | None] = {}
    for packages in (truth["platform"], truth["team"]):
        expected |= {
            each.key: newest(each, versions).version for each, versions in packages.items() if versions
        }
    night.rebuild()
    assert {key: entry.version for key, entry in night.index.read().entries.items()} == expected


def test_shards_of_a_ledger_that_somebody_else_changes_are_written_all_the_same(night: Night) -> None:
    night.codeartifact.publish(UI)
    put, times = MemoryLedger.put_records, iter(range(100))

    def contended(ledger: MemoryLedger, records: Any) -> set[str]:
        if next(times) % 2 == 0:
            return {record.key for record in records}
        return put(ledger, records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryLedger, "put_records", contended)
        assert night.rebuild().packages == 1
    assert UI.package.key in night.index.read().entries
