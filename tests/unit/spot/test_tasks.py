"""What the state machine sends, and the time a worker has."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from signalbox.errors import InvariantError
from signalbox.ledger.actions import Progress
from signalbox.ledger.windows import Window
from signalbox.spot.tasks import HAND_BACK_SECONDS, Task, new_owner, new_plan_id, parse_task, work
from tests.unit.spot.doubles import PLAN, window

INPUT = {"window": msgspec.to_builtins(window(42)), "plan": PLAN}


def test_the_input_of_a_step_is_a_task() -> None:
    assert parse_task(INPUT) == Task(window=window(42), plan=PLAN)
    assert parse_task({"window": INPUT["window"]}) == Task(window=window(42))


def test_the_branches_errors_are_passed_on() -> None:
    errors = [{"branch": "DetachInstances", "error": {"Error": "States.Timeout"}}]
    assert parse_task({**INPUT, "errors": errors}).errors == tuple(errors)


@pytest.mark.parametrize("event", [{}, {"window": {}}, {"window": "42"}, {**INPUT, "plan": None}])
def test_an_input_that_is_no_task_is_a_bug(event: dict[str, Any]) -> None:
    with pytest.raises(InvariantError, match="no task"):
        parse_task(event)


class Recorder:
    """In place of a worker."""

    def __init__(self) -> None:
        self.asked: list[tuple[Window, str, str, float]] = []

    def work(self, window: Window, plan: str, owner: str, until: float) -> Progress:
        self.asked.append((window, plan, owner, until))
        return Progress(succeeded=2, failed=1, next_due="2026-01-31T12:00:00.000Z")


class Invocation:
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


def test_a_worker_is_asked_for_the_window_and_given_what_time_the_function_has() -> None:
    recorder: Any = Recorder()
    before = time.time()
    answer = work(recorder, parse_task(INPUT), Invocation())
    [(asked, plan, owner, until)] = recorder.asked
    assert (asked, plan, owner) == (window(42), PLAN, Invocation.aws_request_id)
    assert before + 120 - HAND_BACK_SECONDS <= until <= time.time() + 120 - HAND_BACK_SECONDS
    assert answer == {
        "succeeded": 2,
        "failed": 1,
        "skipped": 0,
        "unfinished": False,
        "next_due": "2026-01-31T12:00:00.000Z",
    }


@pytest.mark.parametrize("new", [new_plan_id, new_owner])
def test_ids_are_unlike_each_other_and_fit_into_a_key(new: Callable[[], str]) -> None:
    ids = {new() for _ in range(100)}
    assert len(ids) == 100
    assert all(id_.isalnum() for id_ in ids)
