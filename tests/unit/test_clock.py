import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.clock import from_iso, iso, iso_precise

MICROSECOND = 1e-6


@given(st.floats(0, 4e9))
def test_a_wait_until_a_precise_time_does_not_end_early(epoch: float) -> None:
    until = from_iso(iso_precise(epoch))
    assert epoch - MICROSECOND <= until <= epoch + 0.001 + MICROSECOND


@given(st.integers(0, 4_000_000_000))
def test_whole_seconds_survive_both_ways(epoch: int) -> None:
    assert from_iso(iso(epoch)) == epoch
    assert from_iso(iso_precise(epoch)) == epoch


@pytest.mark.parametrize(
    ("text", "same_moment"),
    [
        ("2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00Z"),
    ],
)
def test_an_offset_counts(text: str, same_moment: str) -> None:
    assert from_iso(text) == from_iso(same_moment)


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        from_iso("2026-01-31T12:00:00")
