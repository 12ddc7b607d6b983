"""What the workflow hands its functions."""

from typing import Any

import msgspec

from signalbox.errors import InvariantError
from signalbox.packages.entries import Entry
from signalbox.telemetry.steps import correlate


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step failed for good, as Step Functions tells it."""

    step: str
    error: str
    cause: str = ""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A step's input.

    Attributes:
        release: the key of the version.
        round: the execution's. Where the release has a later one, nothing is left to be done here.
        tries: likewise.
        token: of BuildWave, what Step Functions waits for to be answered.
        failure: of SettleRelease, why the execution is about to fail.
    """

    release: str
    round: int
    tries: int = 0
    token: str = ""
    failure: Failure | None = None

    def is_of(self, entry: Entry) -> bool:
        """Whether the release is still in the round and the try of this execution."""
        return (entry.release.round, entry.release.tries) == (self.round, self.tries)


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
