"""Sequencers: of whatever length, they order the changes of a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.entries import entry_key
from signalbox.documents.objects import SEQUENCER_DIGITS, padded
from tests.unit.documents.s3_events import BUCKET, KEY, object_event

sequencers = st.text("0123456789ABCDEFabcdef", min_size=1, max_size=SEQUENCER_DIGITS)


def test_the_shorter_is_padded_on_the_right() -> None:
    assert padded("617f08299329d189") == "617f08299329d189" + 16 * "0"
    assert padded("0A1B2C3D4E5F678901") == "0a1b2c3d4e5f678901" + 14 * "0"
    assert padded("617b398000000000") < padded("617f0837b476e463")
    assert padded("005B21C13A6F24045E") < padded("0061")


@given(sequencers, sequencers)
def test_they_compare_as_the_guide_says(one: str, other: str) -> None:
    width = max(len(one), len(other))
    pair = [text.lower() + "0" * (width - len(text)) for text in (one, other)]
    assert (padded(one) < padded(other)) == (pair[0] < pair[1])
    assert (padded(one) == padded(other)) == (pair[0] == pair[1])


@pytest.mark.parametrize(
    "sequencer", ["", "g", "0x61", "61 ", "-1", "٣", "1" * (SEQUENCER_DIGITS + 1), "61\n"]
)
def test_what_is_none(sequencer: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        padded(sequencer)


def test_an_event_leads_to_its_objects_entry() -> None:
    assert object_event().entry_key == entry_key(BUCKET, KEY)
