"""Whom a bulk call is refused for."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import AccessDeniedError, RefusedError
from signalbox.spot.halving import by_halves


class Bulk:
    """A call that takes these or none, and remembers what it took."""

    def __init__(self, bad: set[str]) -> None:
        self.bad = bad
        self.done: list[str] = []
        self.calls = 0

    def __call__(self, items: Sequence[str]) -> int:
        self.calls += 1
        if self.bad.intersection(items):
            raise RefusedError("one of them")
        self.done += items
        return len(items)


@given(st.lists(st.text(), unique=True), st.sets(st.text()), st.integers(1, 7))
def test_each_item_is_taken_once_or_refused_alone(items: list[str], bad: set[str], most: int) -> None:
    bulk = Bulk(bad)
    answers, refused = by_halves(items, bulk, RefusedError, most=most)
    assert sorted(bulk.done) == sorted(set(items) - bad)
    assert refused.keys() == set(items) & bad
    assert sum(answers) == len(bulk.done)
    assert max(answers, default=1) <= most


def test_nothing_is_no_call() -> None:
    bulk = Bulk(set())
    assert by_halves([], bulk, RefusedError, most=10) == ([], {})
    assert bulk.calls == 0


def test_another_error_is_passed_on() -> None:
    with pytest.raises(RefusedError):
        by_halves(["a"], Bulk({"a"}), AccessDeniedError, most=10)
