from itertools import pairwise

import pytest

from signalbox.packages.ranges.pypi import read_range, read_version
from signalbox.packages.ranges.scheme import UnparsableError, Width


@pytest.mark.parametrize(
    ("text", "version", "admitted"),
    [  # "Version specifiers", PyPA specifications (PEP 440)
        ("~=2.2", "2.9", True),
        ("~=2.2", "3.0", False),
        ("~=1.4.5", "1.4.9", True),
        ("~=1.4.5", "1.5.0", False),
        ("==1.1", "1.1.0", True),
        ("==1.1", "1.1.post1", False),
        ("==1.1.*", "1.1.post1", True),
        ("==1.1.*", "1.2", False),
        ("!=1.1.*", "1.1.3", False),
        (">1.7", "1.7.1", True),
        (">1.7", "1.7.0.post1", False),
        (">1.7.post2", "1.7.post3", True),
        ("==1.0", "1.0+local.1", True),
        ("==1.0+local.1", "1.0", False),
        ("===1.0", "1.0", True),
        ("===1.0", "1.0.0", False),
        ("===2014.04", "2014.4", False),
        (">=1,<2", "1!0.5", False),
        (">=1!0.1", "1!0.5", True),
        (">=1.0", "2.0rc1", False),
        (">=2.0rc1", "2.0rc2", True),
        (">=2.0rc1", "3.0a1", True),
        ("<2.0", "2.0rc1", False),
        ("", "1.0", True),
        ("", "1.0a1", False),
        ("(>=1.0)", "1.5", True),
        (">= 1.4, < 2", "1.9", True),
        ("~=1.0,!=1.5", "1.5", False),
    ],
)
def test_specifiers(text: str, version: str, *, admitted: bool) -> None:
    assert read_range(text).admits(read_version(version)) is admitted


@pytest.mark.parametrize(
    "text", ["^1.2", "~=1", "@ https://example.com/x.whl", "1.2", ">=", "==1.*.2", ">1.0 <2"]
)
def test_what_is_no_specifier(text: str) -> None:
    with pytest.raises(UnparsableError, match="no specifier"):
        read_range(text)


@pytest.mark.parametrize("text", ["", "1.2.x", "2014-04-01", "1.0-SNAPSHOT"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(UnparsableError, match="no version by PEP 440"):
        read_version(text)


def test_the_order() -> None:
    ordered = ["1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12", "1.0b1.dev456", "1.0b2", "1.0rc1",
               "1.0", "1.0+abc.5", "1.0.post456", "1.1.dev1", "2!0.1"]  # fmt: skip
    for low, high in pairwise(map(read_version, ordered)):
        assert low < high
    assert read_version("1.0") == read_version("1.0.0")


@pytest.mark.parametrize(
    ("text", "width"),
    [("==1.0", Width.EXACT), ("===x", Width.EXACT), ("==1.*", Width.BOUNDED), ("~=1.4", Width.BOUNDED),
     (">=1,<2", Width.BOUNDED), (">=1", Width.OPEN), ("!=1.5", Width.OPEN), ("", Width.OPEN)],
)  # fmt: skip
def test_width(text: str, width: Width) -> None:
    assert read_range(text).width is width


def test_floors() -> None:
    assert [str(each) for each in read_range(">=1.2,>1.0,<2").floors] == ["1.2"]
    assert [str(each) for each in read_range("==1.*").floors] == ["1"]
    assert read_range("<2").floors == ()
    assert read_range("===whatever").floors == ()


def test_an_epoch_begins_a_line() -> None:
    assert read_version("1!2.0").line != read_version("2.0").line
