"""Step Functions executions, one a window."""

from typing import TYPE_CHECKING

import msgspec

from signalbox.aws.calls import call, code_of
from signalbox.errors import NotFoundError, RefusedError
from signalbox.ledger.windows import ExecutionState, Window

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class Executions:
    """The executions of one state machine, named after their windows.

    Starting the same name twice is harmless: AWS returns the one that runs, or answers
    ExecutionAlreadyExists, which counts as success (StartExecution, Step Functions API Reference).

    An execution goes on with the trace of whoever starts it: Step Functions reads it from the header that the
    traced SDK sends, and prefers that to its parameter ``traceHeader``.
    """

    def __init__(self, states: "SFNClient", state_machine_arn: str) -> None:
        self._states = states
        self._arn = state_machine_arn

    def start(self, window: Window, suffix: str = "") -> None:
        """Starts the window's execution; ``suffix`` sets a recovery apart."""
        try:
            call(
                self._states.start_execution,
                stateMachineArn=self._arn,
                name=window.execution_name + suffix,
                input=msgspec.json.encode({"window": window}).decode(),
            )
        except RefusedError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise

    def state(self, window: Window, suffix: str = "") -> ExecutionState:
        """What became of it."""
        arn = self._arn.replace(":stateMachine:", ":execution:", 1)
        try:
            answer = call(
                self._states.describe_execution, executionArn=f"{arn}:{window.execution_name}{suffix}"
            )
        except NotFoundError:
            return "absent"
        except RefusedError as error:
            if code_of(error) == "ExecutionDoesNotExist":
                return "absent"
            raise
        return _STATES.get(answer["status"], "failed")


_STATES: dict[str, ExecutionState] = {
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "SUCCEEDED": "succeeded",
}
