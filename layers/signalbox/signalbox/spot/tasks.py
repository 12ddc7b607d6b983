"""What the state machine sends its functions, and what they answer."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import msgspec

from signalbox.errors import InvariantError
from signalbox.ledger.actions import Action, ActionStore, End, Performer, Worker
from signalbox.ledger.windows import Window
from signalbox.spot.telemetry import report_failure, report_progress
from signalbox.spot.verification import Phase
from signalbox.telemetry.performing import Traced
from signalbox.telemetry.steps import correlate

HAND_BACK_SECONDS = 10.0
"""Before a function's timeout: enough for the call under way and its account."""
ACTIONS_AT_ONCE = 4
"""A call takes AWS some tenths of a second, so that these are a dozen a second: within any request bucket's
refill that is worth the name, and a thousand instances of a window are detached in seconds."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One step for one window.

    Attributes:
        execution: the name of the execution that asks: a window that was restarted has had several.
        errors: what the branches before came to.
        phase: ``act`` while other branches act; there is nothing to look at yet.
    """

    window: Window
    plan: str = ""
    execution: str = ""
    errors: tuple[dict[str, Any], ...] = ()
    phase: Phase = "verify"


class Invocation(Protocol):
    """The part of the Lambda context that is needed here."""

    @property
    def aws_request_id(self) -> str: ...

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
    window = task.window
    correlate(
        window=str(window),
        account=window.account,
        region=window.region,
        plan=task.plan,
        execution=task.execution,
    )
    return task


def new_plan_id() -> str:
    """Unique among the attempts to plan one window."""
    return uuid.uuid4().hex[:12]


def new_owner() -> str:
    """Unlike any other worker's."""
    return uuid.uuid4().hex


def worker(store: ActionStore, performers: Mapping[str, Performer]) -> Worker:
    """A worker on the wall clock, whose every action can be followed, and every failure is reported."""
    traced = {kind: Traced(performer) for kind, performer in performers.items()}
    return Worker(store, traced, time.time, time.sleep, report_failure, _side_by_side)


def _side_by_side(work_on: Callable[[Action], End], actions: Iterable[Action]) -> Iterable[End]:
    """Threads of this invocation's own: what they know of its trace ends with it."""
    with ThreadPoolExecutor(ACTIONS_AT_ONCE) as pool:
        return list(pool.map(work_on, actions))


def work(worker: Worker, task: Task, context: Invocation) -> dict[str, Any]:
    """Performs the due actions of the worker's kinds, until the function's own time is nearly up.

    It owns its claims under the id of the request, by which its log is found.
    """
    until = time.time() + context.get_remaining_time_in_millis() / 1000 - HAND_BACK_SECONDS
    progress = worker.work(task.window, task.plan, context.aws_request_id, until)
    report_progress(progress)
    return dict(msgspec.to_builtins(progress))
