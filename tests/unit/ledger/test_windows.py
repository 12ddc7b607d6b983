"""The two sides of a window, one step at a time. What many do at once: test_no_event_is_lost.py."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import ConflictError
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.windows import Segment, Window, WindowKey, Windows, close_and_read
from tests.unit.spot.doubles import ACCOUNT, NOON, REGION, FakeExecutions, MovableClock, json_values, window

KEY = WindowKey("spot", ACCOUNT, REGION)


class ClosesOnAppend(MemoryLedger):
    """As if the closer always came between the joiner's two steps."""

    def append(self, window: Any, segment: Segment) -> None:
        self.close(window)
        super().append(window, segment)


def windows(ledger: MemoryLedger, attempts: int = 8) -> Windows:
    return Windows(ledger, FakeExecutions(), MovableClock(), open_seconds=2.0, attempts=attempts)


def test_a_joiner_that_always_comes_too_late_gives_the_batch_back() -> None:
    ledger = ClosesOnAppend()
    with pytest.raises(ConflictError, match="spot#123456789012#us-east-1"):
        windows(ledger).join(KEY, [{"instance": "i-1"}])


def test_a_joiner_that_came_too_late_joins_the_next_window() -> None:
    ledger = MemoryLedger()
    joiner = windows(ledger)
    first = joiner.join(KEY, [{"n": 1}])
    ledger.close(first)
    second = joiner.join(KEY, [{"n": 2}])
    assert (first.number, second.number) == (1, 2)
    assert (close_and_read(ledger, first), close_and_read(ledger, second)) == ([{"n": 1}], [{"n": 2}])


def test_the_same_batch_again_is_the_same_segment() -> None:
    ledger = MemoryLedger()
    for _ in range(2):
        windows(ledger).join(KEY, [{"n": 1}, {"m": 2}])
    assert len(ledger.segments(window(1))) == 1


def test_an_entry_in_two_segments_is_read_once() -> None:
    ledger = MemoryLedger()
    windows(ledger).join(KEY, [{"a": 1, "b": 2}])
    windows(ledger).join(KEY, [{"b": 2, "a": 1}, {"c": 3}])
    found = close_and_read(ledger, window(1))
    assert sorted(found, key=len) == [{"c": 3}, {"a": 1, "b": 2}]


def test_closing_stops_further_joiners_and_a_stale_close_does_not() -> None:
    ledger = MemoryLedger()
    joiner = windows(ledger)
    joiner.join(KEY, [{"n": 1}])
    close_and_read(ledger, window(1))
    joiner.join(KEY, [{"n": 2}])
    close_and_read(ledger, window(1))  # the first execution, once more
    pointer = ledger.pointer(KEY)
    assert pointer is not None
    assert (pointer.number, pointer.open, pointer.opened_at) == (2, True, NOON)


def test_a_closer_that_reads_more_than_the_first_one_keeps_to_what_that_one_read() -> None:
    ledger = MemoryLedger()
    window_1 = windows(ledger).join(KEY, [{"n": 1}])
    assert close_and_read(ledger, window_1) == [{"n": 1}]
    ledger.append(window_1, Segment.of([{"n": 2}]))  # its joiner finds the window closed, and joins the next
    assert close_and_read(ledger, window_1) == [{"n": 1}]


class LandsBetween(MemoryLedger):
    """A segment lands, and another closer reads it, right after this one's first read."""

    def segments(self, window: Window) -> list[Segment]:
        found = super().segments(window)
        late = Segment.of([{"n": 2}])
        self.append(window, late)
        self.note_contents(window, [*(segment.id for segment in found), late.id])
        return found


def test_a_closer_that_reads_less_than_the_first_one_reads_again() -> None:
    ledger = LandsBetween()
    window_1 = windows(ledger).join(KEY, [{"n": 1}])
    assert close_and_read(ledger, window_1) == [{"n": 1}, {"n": 2}]


@given(st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=3))
def test_a_segment_is_named_after_its_entries_alone(entries: list[dict[str, Any]]) -> None:
    reordered = [dict(reversed(entry.items())) for entry in entries]
    assert Segment.of(entries).id == Segment.of(reordered).id
    assert Segment.of(entries).id != Segment.of([*entries, {"one": "more"}]).id


def test_the_execution_is_named_after_the_window() -> None:
    assert window(42).execution_name == f"spot-{ACCOUNT}-{REGION}-00000042"
    assert str(window(42)) == f"spot#{ACCOUNT}#{REGION}#00000042"
