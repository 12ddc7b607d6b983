"""What the state machine sends its functions, and what they answer."""

import time
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from signalbox.errors import InvariantError
from signalbox.ledger.actions import ActionStore, Performer, Worker
from signalbox.ledger.windows import Window
from signalbox.spot.telemetry import report_failure
from signalbox.telemetry import logger

HAND_BACK_SECONDS = 10.0
"""Before a function's timeout: enough for the call under way and its account."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One step for one window."""

    window: Window
    plan: str = ""
    errors: tuple[dict[str, Any], ...] = ()


class Remaining(Protocol):
    """The part of the Lambda context that is needed here."""

    def get_remaining_time_in_millis(self) -> int: ...


def parse_task(event: dict[str, Any]) -> Task:
    """The task in a function's input.

    Raises:
        InvariantError: the state machine and the function do not agree.
    """
    try:
        task = msgspec.convert(event, Task)
    except msgspec.ValidationError as error:
        raise InvariantError(f"the input is no task: {error}") from error
    logger.append_keys(window=str(task.window), plan=task.plan)
    return task


def new_plan_id() -> str:
    """Unique among the attempts to plan one window."""
    return uuid.uuid4().hex[:12]


def worker(store: ActionStore, performers: Mapping[str, Performer]) -> Worker:
    """A worker on the wall clock that reports each failure."""
    return Worker(store, performers, time.time, time.sleep, report_failure)


def work(worker: Worker, event: dict[str, Any], context: Remaining) -> dict[str, Any]:
    """Performs the due actions of the worker's kinds, until the function's own time is nearly up."""
    task = parse_task(event)
    until = time.time() + context.get_remaining_time_in_millis() / 1000 - HAND_BACK_SECONDS
    return dict(msgspec.to_builtins(worker.work(task.window, task.plan, task.window.execution_name, until)))
