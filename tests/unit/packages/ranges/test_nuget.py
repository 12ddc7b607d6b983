from itertools import pairwise

import pytest

from signalbox.packages.ranges.nuget import read_range, read_version
from signalbox.packages.ranges.scheme import UnparsableError, Width


@pytest.mark.parametrize(
    ("text", "version", "admitted"),
    [  # "Package versioning", NuGet documentation
        ("1.0", "1.0", True),
        ("1.0", "9.0", True),
        ("1.0", "0.9", False),
        ("(1.0,)", "1.0", False),
        ("(1.0,)", "1.0.1", True),
        ("[1.0]", "1.0.0.0", True),
        ("[1.0]", "1.0.1", False),
        ("(,1.0]", "1.0", True),
        ("(,1.0)", "1.0", False),
        ("[1.0,2.0]", "2.0", True),
        ("(1.0,2.0)", "2.0", False),
        ("[1.0, 2.0)", "1.9", True),
        ("", "1.0", True),
        ("[1.0.0, 2.0.0]", "1.5.0-beta", False),
        ("[1.0.0-beta, 2.0.0]", "1.5.0-beta", True),
        ("[1.0.0, 2.0.0-beta]", "1.5.0-beta", True),
        ("[1.0.0-beta, 2.0.0)", "2.0.0-beta", True),
        ("1.0.0", "1.0.1-beta", False),
        ("[1.0.0+a,2.0.0]", "1.0.0+b", True),
        ("*", "5.0", True),
        ("*", "5.0-beta", False),
        ("*-*", "5.0-beta", True),
        ("1.*", "1.9", True),
        ("1.*", "2.0", False),
        ("1.0.*", "1.0.7", True),
        ("1.0.*", "1.0.7-beta", False),
        ("1.*-*", "1.2.0-rc.1", True),
        ("1.*-rc*", "1.2.0-beta", False),
        ("1.0.0-*", "1.0.0-beta", True),
        ("1.0.0-*", "1.0.0", True),
        ("1.0.0-*", "1.0.1-omega", False),
        ("1.0.0-beta.*", "1.0.0-BETA.2", True),
        ("1.0.0-beta.*", "1.0.0-omega.3", False),
        ("[1.*, 2.0)", "1.5", True),
        ("01.02", "1.2.0", True),
    ],
)
def test_ranges(text: str, version: str, *, admitted: bool) -> None:
    assert read_range(text).admits(read_version(version)) is admitted


@pytest.mark.parametrize(
    "text",
    ["(1.0)", "[]", "[*]", "[1.0.0, 1.1.*)", "(, 2.*.*)", "<1.0.*", "1.0.0~", "~1.*.*", "^", ">=*", "1.*.0",
     "1.*.0-beta", "1.0.0.0.*", "=1.0.*", "[2.0,1.0]", "[1,2],[3,4]", "latest"],
)  # fmt: skip
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(UnparsableError):
        read_range(text)


@pytest.mark.parametrize("text", ["", "1.0.0.0.0", "1.0-", "v1.0", "1.0.0-beta..1", "one"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(UnparsableError, match="no NuGet version"):
        read_version(text)


def test_the_order() -> None:
    ordered = ["1.0.1-aaa", "1.0.1-alpha", "1.0.1-alpha.2", "1.0.1-alpha.10", "1.0.1-alpha2",
               "1.0.1-beta", "1.0.1-open", "1.0.1-rc", "1.0.1-zzz", "1.0.1", "1.0.1.1", "1.0.2"]  # fmt: skip
    for low, high in pairwise(map(read_version, ordered)):
        assert low < high


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.0.0.0"), ("1.00", "1.0"), ("1.0-RC", "1.0-rc"), ("1.0+a", "1.0")]
)
def test_spelt_differently(one: str, other: str) -> None:
    assert read_version(one) == read_version(other)


@pytest.mark.parametrize(
    ("text", "width"),
    [("1.0", Width.OPEN), ("[1.0]", Width.EXACT), ("[1.0,2.0)", Width.BOUNDED), ("(,2.0]", Width.BOUNDED),
     ("(1.0,)", Width.OPEN), ("1.*", Width.BOUNDED), ("*", Width.OPEN)],
)  # fmt: skip
def test_width(text: str, width: Width) -> None:
    assert read_range(text).width is width
