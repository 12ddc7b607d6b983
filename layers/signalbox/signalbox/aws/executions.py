"""Step Functions executions: one a window, those with names of their own, those that are waited for."""

from typing import TYPE_CHECKING, Any

import msgspec

from signalbox.aws.calls import call, code_of
from signalbox.errors import ExecutionFailedError, NotFoundError, RefusedError
from signalbox.ledger.windows import ExecutionState, Window

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start_once(states: "SFNClient", state_machine_arn: str, name: str, content: dict[str, Any]) -> None:
    """Starts an execution of that name and input, unless there is one, or was in the last 90 days."""
    try:
        call(
            states.start_execution,
            stateMachineArn=state_machine_arn,
            name=name,
            input=msgspec.json.encode(content).decode(),
        )
    except RefusedError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise


class NamedExecutions:
    """The executions of one standard state machine, each with a name that stands for what it does."""

    def __init__(self, states: "SFNClient", state_machine_arn: str) -> None:
        self._states = states
        self._arn = state_machine_arn

    def start(self, name: str, content: dict[str, Any]) -> None:
        """Starts it, unless it was started before (StartExecution, Step Functions API Reference)."""
        start_once(self._states, self._arn, name, content)


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
        start_once(self._states, self._arn, window.execution_name + suffix, {"window": window})

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


SYNC_READ_TIMEOUT_SECONDS = 305
"""An express execution has 300 s ("Quotas", AWS Step Functions Developer Guide)."""


class SyncExecutions:
    """Executions of one express state machine, each waited for.

    Args:
        states: a client that waits `SYNC_READ_TIMEOUT_SECONDS` for an answer, and asks once: the SDK's second
            try would be a second execution.
    """

    def __init__(self, states: "SFNClient", state_machine_arn: str) -> None:
        self._states = states
        self._arn = state_machine_arn

    def run(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """What an execution of that name and input answers. Two may have the same name.

        Raises:
            ExecutionFailedError: it has ended otherwise. StartSyncExecution answers 200 all the same (Step
                Functions API Reference).
            UnavailableError: no answer came. The execution may be running.
            SignalboxError: it was not begun.
        """
        answer = call(
            self._states.start_sync_execution,
            stateMachineArn=self._arn,
            name=name,
            input=msgspec.json.encode(content).decode(),
        )
        if answer["status"] != "SUCCEEDED":
            how = f"{answer['status']}: {answer.get('error', '')}: {answer.get('cause', '')}"
            raise ExecutionFailedError(f"execution {name}: {how}")
        output: dict[str, Any] = msgspec.json.decode(answer["output"])
        return output


OVER = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})
"""Codes of SendTaskSuccess for a token that nothing waits for any more (Step Functions API Reference)."""


class TaskTokens:
    """Executions that wait until somebody answers their token."""

    def __init__(self, states: "SFNClient") -> None:
        self._states = states

    def succeed(self, token: str, output: dict[str, Any]) -> None:
        """Lets one go on, with that output. One that does not wait any more is passed over."""
        try:
            call(
                self._states.send_task_success,
                taskToken=token,
                output=msgspec.json.encode(output).decode(),
            )
        except RefusedError as error:
            if code_of(error) not in OVER:
                raise
