from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.packages.ranges.maven import read_range, read_version
from signalbox.packages.ranges.scheme import UnparsableError, Width
from tests.unit.packages.ranges.tables import answers


def order(one: str, other: str) -> int:
    a, b = read_version(one), read_version(other)
    assert (a == b) == (not a < b and not b < a)
    return (b < a) - (a < b)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # "Version Order Specification", POM Reference
        ("1", "1.1", -1),
        ("1-snapshot", "1", -1),
        ("1", "1-sp", -1),
        ("1-foo2", "1-foo10", -1),
        ("1.foo", "1-foo", 0),
        ("1-foo", "1-1", -1),
        ("1-1", "1.1", -1),
        ("1.ga", "1-ga", 0),
        ("1-ga", "1-0", 0),
        ("1-0", "1.0", 0),
        ("1.0", "1", 0),
        ("1-sp", "1-ga", 1),
        ("1-sp.1", "1-ga.1", 1),
        ("1-sp-1", "1-ga-1", -1),
        ("1-a1", "1-alpha-1", 0),
        ("1.0.0", "1", 0),
        ("1.final", "1", 0),
        ("1.", "1", 0),
        ("1-", "1", 0),
        ("1.0.0-foo.0.0", "1-foo", 0),
        ("1.0.0-0.0.0", "1", 0),
        ("5.3.0.RELEASE", "5.3.0", 0),
        ("1-CR1", "1-rc1", 0),
        ("1-a-1", "1-alpha-1", 1),
        ("1.0-alpha-1", "1.0-beta-1", -1),
        ("1.0-beta-1", "1.0-M1", -1),
        ("1.0-M1", "1.0-RC1", -1),
        ("1.0-RC1", "1.0-SNAPSHOT", -1),
        ("1.0-jre", "1.0-android", 1),
    ],
)
def test_the_documented_order(one: str, other: str, expected: int) -> None:
    assert order(one, other) == expected
    assert order(other, one) == -expected


def test_it_orders_as_maven_does() -> None:
    for one, other, answer in answers("what_maven_says_of_order"):
        assert (one, other, str(order(one, other))) == (one, other, answer)


PARTS = st.sampled_from(
    ["0", "1", "2", "10", "a", "b1", "alpha", "rc", "SNAPSHOT", "ga", "final", "sp", "foo", ""]
)
VERSIONS = st.lists(st.tuples(PARTS, st.sampled_from(".-")), min_size=1, max_size=4).map(
    lambda parts: "0".join(["", "".join(part + separator for part, separator in parts)])
)


@given(st.lists(VERSIONS, min_size=3, max_size=3))
def test_it_is_an_order(texts: list[str]) -> None:
    ordered = sorted(map(read_version, texts))
    for low, high in pairwise(ordered):
        assert low <= high
    assert ordered[0] <= ordered[2]


def test_it_contains_what_maven_does() -> None:
    for text, version, answer in answers("what_maven_says"):
        try:
            wanted = read_range(text)
            said = "soft" if wanted.soft else str(wanted.admits(read_version(version))).lower()
        except UnparsableError:
            said = "bad"
        assert (text, version, said) == (text, version, answer)


@pytest.mark.parametrize(
    ("text", "version", "admitted"),
    [  # "Dependency Version Requirement Specification", POM Reference
        ("1.0", "1.0", True),
        ("1.0", "3.0", True),
        ("[1.0]", "1.0", True),
        ("[1.0]", "1.0.1", False),
        ("(,1.0]", "1.0", True),
        ("(,1.0]", "1.1", False),
        ("[1.2,1.3]", "1.2.5", True),
        ("[1.0,2.0)", "2.0", False),
        ("[1.0,2.0)", "2.0-SNAPSHOT", True),
        ("[1.5,)", "99", True),
        ("(,1.0],[1.2,)", "1.1", False),
        ("(,1.0],[1.2,)", "1.2", True),
        ("(,1.1),(1.1,)", "1.1", False),
        ("(,1.1),(1.1,)", "1.1-SNAPSHOT", True),
    ],
)
def test_the_documented_requirements(text: str, version: str, *, admitted: bool) -> None:
    assert read_range(text).admits(read_version(version)) is admitted


def test_a_soft_requirement_recommends() -> None:
    wanted = read_range("1.4")
    assert wanted.soft
    assert wanted.width is Width.EXACT
    assert [str(each) for each in wanted.floors] == ["1.4"]


@pytest.mark.parametrize(
    "text",
    ["", "  ", "[1.0", "(1.0)", "[2.0,1.0]", "(1,1)", "[1,2],[1.5,3]", "[1,2]x", "${core.version}", "[]"],
)
def test_what_is_no_requirement(text: str) -> None:
    with pytest.raises(UnparsableError):
        read_range(text)


def test_a_version_that_is_managed_elsewhere_is_said_to_be() -> None:
    with pytest.raises(UnparsableError, match="managed elsewhere"):
        read_range("")


@pytest.mark.parametrize(
    ("version", "prerelease"),
    [("1.0-SNAPSHOT", True), ("1.0-M2", True), ("1.0-rc1", True), ("1.0-jre", False), ("1.0.Final", False)],
)
def test_prereleases(version: str, *, prerelease: bool) -> None:
    assert read_version(version).prerelease is prerelease


@pytest.mark.parametrize(
    ("text", "width"), [("[1,2)", Width.BOUNDED), ("[1,)", Width.OPEN), ("[1]", Width.EXACT)]
)
def test_width(text: str, width: Width) -> None:
    assert read_range(text).width is width
