from itertools import pairwise

import pytest

from signalbox.packages.ranges.npm import read_range, read_version
from signalbox.packages.ranges.scheme import UnparsableError, Width
from tests.unit.packages.ranges.tables import answers

# "node-semver(1) -- The semantic versioner for npm", its ranges and their equivalents.
DOCUMENTED = [
    ("1.2.3 - 2.3.4", "2.3.4", True),
    ("1.2.3 - 2.3.4", "2.3.5", False),
    ("1.2 - 2.3.4", "1.2.0", True),
    ("1.2.3 - 2.3", "2.3.99", True),
    ("1.2.3 - 2.3", "2.4.0", False),
    ("1.2.3 - 2", "2.99.99", True),
    ("1.2.3 - 2", "3.0.0", False),
    ("*", "0.0.0", True),
    ("*", "1.0.0-beta", False),
    ("", "1.2.3", True),
    ("1.x", "1.99.0", True),
    ("1.x", "2.0.0", False),
    ("1.2.*", "1.2.9", True),
    ("1.2.*", "1.3.0", False),
    ("~1.2.3", "1.2.9", True),
    ("~1.2.3", "1.3.0", False),
    ("~1", "1.9.0", True),
    ("~0.2.3", "0.2.9", True),
    ("~0.2.3", "0.3.0", False),
    ("~1.2.3-beta.2", "1.2.3-beta.4", True),
    ("~1.2.3-beta.2", "1.2.4-beta.2", False),
    ("^1.2.3", "1.99.0", True),
    ("^1.2.3", "2.0.0", False),
    ("^1.2.3", "1.2.2", False),
    ("^0.2.3", "0.2.9", True),
    ("^0.2.3", "0.3.0", False),
    ("^0.0.3", "0.0.3", True),
    ("^0.0.3", "0.0.4", False),
    ("^1.2.3-beta.2", "1.2.3-beta.4", True),
    ("^1.2.3-beta.2", "1.2.4-beta.4", False),
    ("^1.2.3-beta.2", "1.2.4", True),
    ("^0.0.3-beta", "0.0.3-pr.2", True),
    ("^1.2.x", "1.9.0", True),
    ("^0.0.x", "0.0.9", True),
    ("^0.0", "0.1.0", False),
    ("^0.x", "0.9.0", True),
    (">1.2.3-alpha.3", "1.2.3-alpha.7", True),
    (">1.2.3-alpha.3", "3.4.5-alpha.9", False),
    (">1.2.3-alpha.3", "3.4.5", True),
    ("1.2.7 || >=1.2.9 <2.0.0", "1.2.7", True),
    ("1.2.7 || >=1.2.9 <2.0.0", "1.2.8", False),
    ("1.2.7 || >=1.2.9 <2.0.0", "1.4.6", True),
    ("1.2.7 || >=1.2.9 <2.0.0", "2.0.0", False),
    (">= 1.2.3   < 2", "1.5.0", True),
    ("=v1.2.3", "1.2.3+build.5", True),
]


@pytest.mark.parametrize(("text", "version", "admitted"), DOCUMENTED)
def test_ranges_of_the_documentation(text: str, version: str, *, admitted: bool) -> None:
    assert read_range(text).admits(read_version(version)) is admitted


def test_it_says_what_npm_says() -> None:
    for text, version, answer in answers("what_npm_says"):
        try:
            said = str(read_range(text).admits(read_version(version))).lower()
        except UnparsableError:
            said = "none"
        assert (text, version, said) == (text, version, answer)


@pytest.mark.parametrize(
    "text",
    ["latest", "^", "1.x.3", "git+https://example.com/ui.git", "file:../ui", "workspace:*", "1.2.3.4",
     "^1.2.3beta", ">=1.0.0, <2", "1.2.3-01", "npm:ui@1"],
)  # fmt: skip
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(UnparsableError, match="no semver range"):
        read_range(text)


@pytest.mark.parametrize("text", ["1.2", "01.2.3", "1.2.3.4", "1.2.3-", "latest", "", "1.2.3-01"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(UnparsableError, match="no semantic version"):
        read_version(text)


def test_the_order_of_semantic_versioning() -> None:
    # "Precedence", Semantic Versioning 2.0.0
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
               "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"]  # fmt: skip
    for low, high in pairwise(ordered):
        assert read_version(low) < read_version(high)
        assert not read_version(high) < read_version(low)
    assert read_version("1.0.0+a") == read_version("1.0.0+b")


@pytest.mark.parametrize(
    ("text", "width"),
    [("1.2.3", Width.EXACT), ("=1.2.3", Width.EXACT), ("^1.2.3", Width.BOUNDED), ("1.x", Width.BOUNDED),
     ("<2", Width.BOUNDED), ("1.2.3 || 1.2.4", Width.BOUNDED), ("1 - 2", Width.BOUNDED), (">=1", Width.OPEN),
     ("*", Width.OPEN), ("", Width.OPEN), ("^1 || >=3", Width.OPEN)],
)  # fmt: skip
def test_width(text: str, width: Width) -> None:
    assert read_range(text).width is width


@pytest.mark.parametrize(
    ("text", "floors"),
    [
        ("^1.2.3", ["1.2.3"]),
        ("1.x || >=2.5", ["1.0.0", "2.5.0"]),
        ("<2", []),
        ("*", []),
        ("1.2.3", ["1.2.3"]),
    ],
)
def test_floors(text: str, floors: list[str]) -> None:
    assert [str(each) for each in read_range(text).floors] == floors


def test_the_line_of_a_version() -> None:
    assert read_version("1.2.3").line == read_version("1.9.0").line != read_version("2.0.0").line
    assert read_version("0.2.3").line == read_version("0.2.9").line != read_version("0.3.0").line
