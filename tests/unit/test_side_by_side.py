"""Several calls at once: in order, bounded, and over as soon as one fails."""

from threading import Barrier, Event

import pytest

from signalbox.side_by_side import SideBySide


def test_answers_come_in_the_order_of_the_items() -> None:
    assert SideBySide(4)(lambda item: item * 2, range(100)) == [item * 2 for item in range(100)]


def test_as_many_work_at_once_as_may() -> None:
    together = Barrier(3, timeout=10)
    assert len(SideBySide(3)(lambda _: together.wait(), range(3))) == 3


def test_what_has_not_begun_when_one_fails_is_left() -> None:
    begun, never = [], Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("the first")
        if item == 1:
            never.wait(0.5)  # is at work when the others are called off

    with pytest.raises(ValueError, match="the first"):
        SideBySide(1)(work, range(100_000))
    assert len(begun) < 100_000
