"""What the workflow hands its functions."""

from typing import Any

import msgspec

from signalbox.documents.models import Task
from signalbox.errors import InvariantError
from signalbox.telemetry.steps import correlate


def parse_task(event: dict[str, Any]) -> Task:
    """A step's input. From here on every log line and the trace say which object it is about.

    Raises:
        InvariantError: the state machine passed something else.
    """
    try:
        task = msgspec.convert(event, Task)
    except msgspec.ValidationError as error:
        raise InvariantError(f"a step's input: {error}") from error
    document = task.document
    correlate(
        document=document.id,
        bucket=document.bucket,
        key=document.key,
        generation=str(document.generation),
        execution=document.execution,
    )
    return task
