"""Executions that are waited for: Step Functions by its own model, and the fake of the intake's tests."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.session import Session
from botocore.stub import ANY, Stubber

from signalbox.aws.clients import ONCE, client_config
from signalbox.aws.executions import SYNC_READ_TIMEOUT_SECONDS, SyncExecutions
from signalbox.documents.intake import Workflow
from signalbox.documents.models import Outcome
from signalbox.errors import (
    AccessDeniedError,
    ExecutionFailedError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from tests.unit.documents.doubles import NOON
from tests.unit.documents.s3_events import BUCKET, KEY, FakeWorkflow, fails

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:documents"
CONTENT = {
    "document": {"bucket": BUCKET, "key": KEY, "generation": 1, "cause": "created", "occurred_at": NOON},
    "options": {"route": "all"},
}


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    """A real client whose answers are checked against the service's model."""
    states: Any = Session().create_client(
        "stepfunctions",
        "us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=client_config(ONCE, SYNC_READ_TIMEOUT_SECONDS),
    )
    with Stubber(states) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def executions_of(stubber: Stubber) -> SyncExecutions:
    states: Any = stubber.client
    return SyncExecutions(states, ARN)


def answers(stubber: Stubber, status: str, **more: str) -> SyncExecutions:
    answer = {
        "executionArn": f"{ARN}:1:2",
        "startDate": NOON,
        "stopDate": NOON,
        "status": status,
        "output": '{"outcome": "INDEXED"}',
    }
    if status != "SUCCEEDED":
        del answer["output"]
    expected = {"stateMachineArn": ARN, "name": "a-1", "input": ANY}
    stubber.add_response("start_sync_execution", answer | more, expected)
    return executions_of(stubber)


@pytest.fixture(params=["fake", "step functions"])
def workflow(request: pytest.FixtureRequest, stubber: Stubber) -> Callable[[str], Workflow]:
    """Answers one of which the next execution ends so."""

    def which(status: str) -> Workflow:
        if request.param == "step functions":
            return answers(stubber, status)
        return FakeWorkflow(fails) if status == "FAILED" else FakeWorkflow(lambda _: Outcome.INDEXED)

    return which


def test_what_an_execution_answers(workflow: Callable[[str], Workflow]) -> None:
    assert workflow("SUCCEEDED").run("a-1", CONTENT) == {"outcome": "INDEXED"}


def test_one_that_failed_is_an_error(workflow: Callable[[str], Workflow]) -> None:
    with pytest.raises(ExecutionFailedError, match="FAILED"):
        workflow("FAILED").run("a-1", CONTENT)


def test_one_that_took_too_long_is_an_error_too(stubber: Stubber) -> None:
    executions = answers(stubber, "TIMED_OUT", error="States.Timeout", cause="295 s")
    with pytest.raises(ExecutionFailedError, match=r"a-1: TIMED_OUT: States\.Timeout: 295 s"):
        executions.run("a-1", CONTENT)


def test_it_is_asked_for_as_it_is(stubber: Stubber) -> None:
    executions = answers(stubber, "SUCCEEDED")
    sent: list[str] = []
    stubber.client.meta.events.register(
        "provide-client-params.sfn.StartSyncExecution", lambda params, **_: sent.append(params["input"])
    )
    executions.run("a-1", CONTENT)
    assert json.loads(sent[0]) == CONTENT


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, ThrottledError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("StateMachineDoesNotExist", 400, RefusedError),
        ("InvalidExecutionInput", 400, RefusedError),
        ("ServiceUnavailable", 503, UnavailableError),
    ],
)
def test_one_that_was_not_begun(stubber: Stubber, code: str, status: int, kind: type[SignalboxError]) -> None:
    stubber.add_client_error("start_sync_execution", code, "no", status)
    with pytest.raises(kind) as caught:
        executions_of(stubber).run("a-1", CONTENT)
    assert not isinstance(caught.value, ExecutionFailedError)


def test_the_client_waits_as_long_as_an_execution_may_take_and_asks_once(stubber: Stubber) -> None:
    config: Any = stubber.client.meta.config
    assert config.read_timeout > 300
    assert config.retries["total_max_attempts"] == 1
