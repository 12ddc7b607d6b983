import pytest

from signalbox.packages.ranges.generic import read_range, read_version
from signalbox.packages.ranges.scheme import UnparsableError, Width


def test_a_range_is_one_version_as_it_is_spelt() -> None:
    wanted = read_range("1.0")
    assert wanted.admits(read_version("1.0"))
    assert not wanted.admits(read_version("1.0.0"))
    assert not wanted.admits(read_version("2.0"))
    assert wanted.width is Width.EXACT


def test_versions_belong_to_no_line() -> None:
    assert read_version("1.0").line == ()


def test_a_version_has_a_name() -> None:
    with pytest.raises(UnparsableError):
        read_version("")
