"""Whose turn it is: no more at once than allowed, in order, and none that is held."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.builds.turns import Turns


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as executor:
        yield executor


def joined(turns: Turns, threads: ThreadPoolExecutor, *builds: str) -> dict[str, Future[bool]]:
    for build in builds:
        turns.join(build)
    return {build: threads.submit(turns.take, build) for build in builds}


def test_so_many_at_once_in_the_order_they_came(threads: ThreadPoolExecutor) -> None:
    turns = Turns(2)
    taken = joined(turns, threads, "a", "b", "c", "d")
    assert taken["a"].result(10)
    assert taken["b"].result(10)
    assert turns.document() == {"hold": False, "held": [], "queued": ["c", "d"], "running": ["a", "b"]}
    turns.leave("b")
    assert taken["c"].result(10)
    assert not taken["d"].done()
    turns.leave("d")
    assert not taken["d"].result(10)
    turns.leave("d")


def test_those_that_are_held_wait_for_their_release_in_any_order(threads: ThreadPoolExecutor) -> None:
    turns = Turns(1)
    turns.hold(on=True)
    taken = joined(turns, threads, "a", "b", "c")
    assert turns.release("c") == ["c"]
    assert taken["c"].result(10)
    with pytest.raises(LookupError, match="no held build has the id c"):
        turns.release("c")
    turns.leave("c")
    turns.leave("a")
    assert not taken["a"].result(10)
    turns.hold(on=False)
    assert taken["b"].result(10)
    assert turns.document() == {"hold": False, "held": [], "queued": [], "running": ["b"]}


@given(st.lists(st.sampled_from("jlr"), max_size=30), st.integers(1, 3))
def test_never_more_than_allowed_and_everybody_comes_to_an_end(steps: list[str], at_once: int) -> None:
    """Joins, leaves and releases in any order; in the end all that are left get their turn, one by one."""
    turns, held = Turns(at_once), Turns(at_once)
    held.hold(on=True)
    waiting: list[str] = []
    for number, step in enumerate(steps):
        if step == "j":
            waiting.append(str(number))
            turns.join(str(number))
            held.join(str(number))
        elif step == "l" and waiting:
            left = waiting.pop(0)
            turns.leave(left)
            held.leave(left)
        elif step == "r":
            held.release()
    held.hold(on=False)
    for each in (turns, held):
        for build in waiting:
            assert each.take(build)
            assert each.document()["running"] == [build]
            each.leave(build)
        assert not any(each.document().values())
