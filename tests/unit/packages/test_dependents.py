import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import InvariantError, RejectedError
from signalbox.packages.coordinates import Format
from signalbox.packages.dependents import (
    MAXIMUM_BYTES,
    SHARDS,
    Dependency,
    Edge,
    Entry,
    Index,
    Kind,
    Shard,
    merge,
    parse_dependency,
    shard_of,
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((Format.NPM, "acme", "core", "^2.0.0", "regular"), ("npm/acme/core", "^2.0.0", Kind.RUNTIME)),
        ((Format.NPM, None, "jest", "*", "dev"), ("npm//jest", "*", Kind.DEV)),
        ((Format.NPM, None, "react", ">=18", "peer"), ("npm//react", ">=18", Kind.PEER)),
        ((Format.NPM, None, "fsevents", "2", "optional"), ("npm//fsevents", "2", Kind.OPTIONAL)),
        ((Format.NPM, None, "old", "npm:@acme/ui@^1", "regular"), ("npm/acme/ui", "^1", Kind.RUNTIME)),
        ((Format.NPM, None, "old", "npm:ui", "dev"), ("npm//ui", "", Kind.DEV)),
        ((Format.NPM, None, "old", "npm:@acme/ui", None), ("npm/acme/ui", "", Kind.RUNTIME)),
        ((Format.PYPI, None, "Acme_Core", ">=1", "Requires-Dist"), ("pypi//acme-core", ">=1", Kind.RUNTIME)),
        (
            (Format.PYPI, None, "x", '>=1 ; extra == "s3"', "Requires-Dist"),
            ("pypi//x", ">=1", Kind.OPTIONAL),
        ),
        (
            (Format.PYPI, None, "x", '; python_version<"3.8" and (extra=="a")', None),
            ("pypi//x", "", Kind.OPTIONAL),
        ),
        ((Format.PYPI, None, "x", '(>=1); python_version<"3"', None), ("pypi//x", "(>=1)", Kind.RUNTIME)),
        ((Format.MAVEN, "org.acme", "core", "1.0", "compile"), ("maven/org.acme/core", "1.0", Kind.RUNTIME)),
        ((Format.MAVEN, "org.acme", "bom", "1.0", "parent"), ("maven/org.acme/bom", "1.0", Kind.RUNTIME)),
        ((Format.MAVEN, "junit", "junit", "[4,)", "test"), ("maven/junit/junit", "[4,)", Kind.TEST)),
        ((Format.MAVEN, "javax", "servlet", "3", "provided"), ("maven/javax/servlet", "3", Kind.PEER)),
        (
            (Format.NUGET, None, "Acme.Core", "[1.0,2.0)", None),
            ("nuget//acme.core", "[1.0,2.0)", Kind.RUNTIME),
        ),
        ((Format.NPM, None, "core", None, None), ("npm//core", "", Kind.RUNTIME)),
    ],
)
def test_a_dependency_as_codeartifact_names_it(said: Any, expected: tuple[str, str, Kind]) -> None:
    assert parse_dependency(*said) == Dependency(*expected)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ((Format.MAVEN, None, "core", "1.0", "compile", "$.dependencies[3]"), "$.dependencies[3].namespace"),
        ((Format.NPM, None, "", "1.0", "regular", "$.dependencies[3]"), "$.dependencies[3].package"),
        (
            (Format.NPM, None, "old", "npm:@a b/c@1", "regular", "$.dependencies[3]"),
            "$.dependencies[3].namespace",
        ),
    ],
)
def test_a_bad_dependency_is_named_with_its_place(said: Any, where: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        parse_dependency(*said)
    assert rejected.value.where == where


def entry(version: str | None, sequence: int, read_at: float, *on: str) -> Entry:
    return Entry(version, sequence, read_at, tuple(Dependency(each, "*") for each in on))


def test_the_dependencies_of_the_new_version_replace_the_old_ones() -> None:
    shard = Shard().merged("npm//app", entry("1.0.0", 3, 10.0, "npm//a", "npm//b"))
    assert shard
    shard = shard.merged("npm//app", entry("1.1.0", 7, 20.0, "npm//b", "npm//c"))
    assert shard
    index = Index.of([shard])
    assert index.dependents("npm//a") == ()
    assert index.dependents("npm//c") == (Edge("npm//app", "*", Kind.RUNTIME),)


def test_a_late_event_changes_nothing() -> None:
    known = entry("1.1.0", 7, 20.0, "npm//b")
    shard = Shard({"npm//app": known})
    assert shard.merged("npm//app", entry("1.0.0", 3, 30.0, "npm//a")) is None
    assert shard.merged("npm//app", known) is None


def test_what_is_withdrawn_depends_on_nothing_and_stays_so() -> None:
    gone = Shard({"npm//app": entry("1.0.0", 3, 10.0, "npm//a")}).merged("npm//app", entry(None, 9, 20.0))
    assert gone
    assert Index.of([gone]).dependents("npm//a") == ()
    assert gone.merged("npm//app", entry("1.0.0", 3, 30.0, "npm//a")) is None


def test_a_rebuild_repairs_and_leaves_the_sequence_number() -> None:
    known = entry("1.0.0", 7, 20.0, "npm//a")
    assert merge(known, entry("1.1.0", 0, 30.0, "npm//b")) == entry("1.1.0", 7, 30.0, "npm//b")
    assert merge(known, entry("0.9.0", 0, 10.0)) is known


def test_a_package_that_has_moved_to_another_repository_is_what_was_seen_last() -> None:
    """Known from the field: each repository numbers the events of a package by itself."""
    known = Entry("1.0.0", 200, 20.0, (), "team")
    moved = Entry("1.1.0", 3, 30.0, (), "platform")
    assert merge(known, moved) is moved
    assert merge(moved, known) is moved
    assert merge(known, Entry("1.2.0", 0, 40.0, (), "platform")).sequence == 0


def test_after_a_rebuild_what_was_not_seen_is_gone() -> None:
    before = Shard(
        {
            "npm//old": entry("1.0.0", 1, 5.0),
            "npm//new": entry("1.0.0", 1, 15.0),
            "npm//app": entry("1.0.0", 1, 5.0),
        }
    )
    after = before.rebuilt({"npm//app": entry("1.0.0", 0, 10.0, "npm//a")}, began_at=10.0)
    assert set(after.entries) == {"npm//new", "npm//app"}
    assert after.entries["npm//app"].dependencies


@given(st.data())
def test_the_last_state_stays_whatever_order_observations_are_written_in(data: st.DataObject) -> None:
    """Each change sends an event; each event is read for once or more, at any time after it; a rebuild reads
    at any time. Writes come in any order, the last event's among them."""
    changes = data.draw(st.integers(1, 5), label="changes")
    ends_at = changes * 10.0 + 30.0

    def state_at(time: float) -> str:
        return f"{min(changes, int(time // 10))}.0.0"

    seen = []
    for number in range(1, changes + 1):
        least = 1 if number == changes else 0
        times = data.draw(st.lists(st.floats(number * 10.0, ends_at), min_size=least, max_size=2))
        seen += [Entry(state_at(time), number * 3, time) for time in times]
    for began in data.draw(st.lists(st.floats(10.0, ends_at), max_size=2), label="rebuilds"):
        seen.append(Entry(state_at(data.draw(st.floats(began, ends_at))), 0, began))
    known: Entry | None = None
    for each in data.draw(st.permutations(seen)):
        known = merge(known, each)
    assert known is not None
    assert known.version == state_at(ends_at)


KEYS = st.sampled_from([f"npm//p{n}" for n in range(40)])
DEPENDENCIES = st.builds(Dependency, KEYS, st.sampled_from(["^1.0.0", "*", ""]), st.sampled_from(Kind))
ENTRIES = st.builds(
    Entry,
    st.none() | st.just("1.0.0"),
    st.integers(0, 9),
    st.floats(0, 100),
    st.lists(DEPENDENCIES, max_size=5).map(tuple),
)
INDEXES = st.dictionaries(KEYS, ENTRIES, max_size=12).map(Index)


@given(INDEXES)
def test_an_index_is_read_back_from_its_shards(index: Index) -> None:
    shards = [Shard.unpack(shard.pack()) for shard in index.split()]
    assert len(shards) == SHARDS
    again = Index.of(reversed(shards))
    assert again.entries == index.entries
    for number, shard in enumerate(index.split()):
        assert all(shard_of(key) == number for key in shard.entries)


@given(INDEXES)
def test_who_depends_on_a_package_is_who_says_so(index: Index) -> None:
    for package in {each.package for entry in index.entries.values() for each in entry.dependencies}:
        expected = sorted(
            Edge(key, each.requirement, each.kind)
            for key, entry in index.entries.items()
            for each in entry.dependencies
            if each.package == package
        )
        assert sorted(index.dependents(package)) == expected
        assert [each.dependent for each in index.dependents(package)] == [each.dependent for each in expected]


def test_the_same_entries_are_the_same_bytes() -> None:
    one, other = entry("1.0.0", 1, 2.0, "npm//a"), entry("2.0.0", 1, 2.0)
    assert Shard({"npm//x": one, "npm//y": other}).pack() == Shard({"npm//y": other, "npm//x": one}).pack()


def organisation(packages: int, dependencies: int) -> Index:
    """Packages that depend on one another and on public ones, named as people do."""
    chance = random.Random(7)  # noqa: S311 - repeatable, and no secret
    names = [f"npm/acme/{chance.choice(['ui', 'core', 'data', 'service'])}-{chance.randrange(10**6)}-{n}"
             for n in range(packages)]  # fmt: skip
    public = [f"npm//{chance.choice(['react', 'babel', 'lint', 'type'])}-{n}" for n in range(500)]

    def some() -> tuple[Dependency, ...]:
        picked = [
            chance.choice(names) if chance.random() < 0.3 else chance.choice(public)
            for _ in range(dependencies)
        ]
        ranges = [f"^{chance.randrange(9)}.{chance.randrange(30)}.{chance.randrange(9)}" for _ in picked]
        return tuple(map(Dependency, picked, ranges))

    return Index({name: Entry(f"1.{n}.0", n, 1_780_000_000.0 + n, some()) for n, name in enumerate(names)})


def test_a_large_organisation_fits() -> None:
    """10,000 packages of 20 dependencies each: every shard fits one item, as base64 in the ledger's JSON."""
    sizes = [len(shard.pack()) for shard in organisation(10_000, 20).split()]
    assert max(sizes) < MAXIMUM_BYTES
    assert MAXIMUM_BYTES * 4 / 3 < 400_000


def test_a_package_of_five_thousand_dependents_fits() -> None:
    on = (Dependency("npm//core", "^1.0.0"),)
    index = Index({f"npm/acme/service-{n}": Entry("1.0.0", n, 1.0 * n, on) for n in range(5_000)})
    shards = [shard.pack() for shard in index.split()]
    assert sum(map(len, shards)) < MAXIMUM_BYTES  # all together, even
    assert len(Index.of(map(Shard.unpack, shards)).dependents("npm//core")) == 5_000


def test_a_shard_that_is_full_says_so() -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable, and no secret
    entries = {
        f"npm//{chance.randbytes(16).hex()}": Entry(chance.randbytes(20).hex(), 1, 1.0) for _ in range(9_000)
    }
    with pytest.raises(RejectedError, match="more shards are needed") as rejected:
        Shard(entries).pack()
    assert rejected.value.code == "index-full"


@pytest.mark.parametrize("packed", [b"", b"2anything", b"1no zlib", Shard({}).pack()[:-3]])
def test_a_shard_that_is_no_shard_is_not_guessed_at(packed: bytes) -> None:
    with pytest.raises(InvariantError, match=r"[Rr]ebuild it"):
        Shard.unpack(packed)
