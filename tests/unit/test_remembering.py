"""What is read once in so many seconds."""

from collections.abc import Collection

from signalbox.aws.remembering import Remembering
from tests.unit.spot.doubles import MovableClock


class Shelf:
    """Values by name; notes what was asked for."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.asked: list[set[str]] = []

    def read(self, names: Collection[str]) -> dict[str, str]:
        self.asked.append(set(names))
        return {name: self.values[name] for name in names if name in self.values}


def test_each_name_is_read_once_while_its_answer_holds() -> None:
    shelf, clock = Shelf(a="1", b="2"), MovableClock()
    remembering = Remembering(shelf.read, 5.0, clock)
    assert remembering(["a"]) == {"a": "1"}
    clock.now += 4
    assert remembering(["a", "b", "c"]) == {"a": "1", "b": "2"}
    assert remembering(["c"]) == {}
    assert shelf.asked == [{"a"}, {"b", "c"}]


def test_what_has_changed_is_seen_once_the_answer_is_out() -> None:
    shelf, clock = Shelf(a="1"), MovableClock()
    remembering = Remembering(shelf.read, 5.0, clock)
    assert remembering(["a", "b"]) == {"a": "1"}
    shelf.values = {"a": "2", "b": "3"}
    clock.now += 5
    assert remembering(["a", "b"]) == {"a": "2", "b": "3"}


def test_nothing_asked_is_nothing_read() -> None:
    shelf = Shelf()
    assert (Remembering(shelf.read, 5.0, MovableClock())([]), shelf.asked) == ({}, [])
