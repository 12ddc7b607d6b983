"""What the workflow hands its functions."""

from typing import Any

import msgspec

from signalbox.errors import InvariantError
from signalbox.packages.entries import Task
from signalbox.telemetry.steps import correlate


def parse_task(event: dict[str, Any]) -> Task:
    """A step's input. From here on every log line and the trace say which release it is about.

    Raises:
        InvariantError: the state machine passed something else.
    """
    try:
        task = msgspec.convert(event, Task)
    except msgspec.ValidationError as error:
        raise InvariantError(f"a step's input: {error}") from error
    correlate(release=task.release, round=str(task.round), tries=str(task.tries))
    return task
