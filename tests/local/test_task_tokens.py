"""Task tokens on the spine: who answers them, how often, and what becomes of a function that fails."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.embedded import EmbeddedAws
from local.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.embedded

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:waiting"
RAISED = "Runtime.HandlerError"
"""ministack's word for every exception of a function; AWS names its class."""
HANDLER = """\
import json
from botocore.session import Session

class RefusedError(Exception):
    pass

def handle(event, context):
    client = Session().create_client
    if event["do"] == "answer":
        client("stepfunctions").send_task_success(taskToken=event["token"], output='{"by": "the function"}')
    if event["do"] == "answer and fail":
        client("stepfunctions").send_task_success(taskToken=event["token"], output='{"by": "the function"}')
        raise RefusedError("too late")
    if event["do"] == "fail" or event["do"] == "fail once" and not event["retries"]:
        client("sqs").send_message(QueueUrl=event["queue"], MessageBody=event["token"])
        raise RefusedError("no")
    client("sqs").send_message(QueueUrl=event["queue"], MessageBody=event["token"])
"""
DEFINITION = {
    "QueryLanguage": "JSONata",
    "StartAt": "Keep",
    "States": {
        "Keep": {"Type": "Pass", "Assign": {"given": "{% $states.input %}"}, "Next": "Ask"},
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {
                "FunctionName": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:asked",
                "Payload": {
                    "token": "{% $states.context.Task.Token %}",
                    "retries": "{% $states.context.State.RetryCount %}",
                    "do": "{% $given.do %}",
                    "queue": "{% $given.queue %}",
                },
            },
            "TimeoutSeconds": 20,
            "Retry": [{"ErrorEquals": [RAISED], "IntervalSeconds": 1, "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Ask"}],
            "End": True,
        },
    },
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("embedded"), estate=False, wait_scale=0.01) as started:
        make_function(started)
        make_machine(started, "waiting", DEFINITION)
        yield started


@pytest.fixture
def queue(aws: EmbeddedAws) -> str:
    """Where the function leaves the tokens that it doesn't answer itself."""
    url: str = aws.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
    aws.client("sqs").purge_queue(QueueUrl=url)
    return url


def make_function(aws: EmbeddedAws) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    aws.client("iam").create_role(RoleName="asked", AssumeRolePolicyDocument=document(trust))
    may(aws, "asked", {"sqs:SendMessage": "*", "states:SendTaskSuccess": MACHINE})
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", HANDLER)
    aws.client("lambda").create_function(
        FunctionName="asked",
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT}:role/asked",
        Handler="handler.handle",
        Code={"ZipFile": package.getvalue()},
    )


def make_machine(aws: EmbeddedAws, name: str, definition: Mapping[str, Any]) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    may(aws, name, {"lambda:InvokeFunction": "*"})
    made = aws.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}"
    )
    return str(made["stateMachineArn"])


def may(aws: EmbeddedAws, role: str, allowed: Mapping[str, str]) -> None:
    """Gives a role these actions on these resources, and takes away any others."""
    statements = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in allowed.items()]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="least", PolicyDocument=policy)


def document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Execution:
    """One that runs meanwhile, and the tokens that it gives away."""

    def __init__(self, aws: EmbeddedAws, queue: str, do: str, machine: str = MACHINE) -> None:
        self._aws, self._queue = aws, queue
        self._threads = ThreadPoolExecutor(1)
        self._ended: Future[dict[str, Any]] = self._threads.submit(
            # ministack runs a Standard machine to its end in one call, as AWS does an Express one.
            aws.client(
                "stepfunctions", config=Config(inject_host_prefix=False, read_timeout=30)
            ).start_sync_execution,
            stateMachineArn=machine,
            input=json.dumps({"do": do, "queue": queue}),
        )

    def token(self) -> str:
        """The next one."""
        sqs = self._aws.client("sqs")
        [message] = sqs.receive_message(QueueUrl=self._queue, WaitTimeSeconds=20)["Messages"]
        sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return str(message["Body"])

    def end(self) -> dict[str, Any]:
        """How it ended."""
        with self._threads:
            return self._ended.result(timeout=30)


def answer(aws: EmbeddedAws, token: str) -> str:
    """Answers as the account's root; the error's code, if it is one."""
    try:
        aws.client("stepfunctions").send_task_success(taskToken=token, output='{"by": "the test"}')
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_a_functions_error_fails_the_task_at_once_and_is_tried_again(aws: EmbeddedAws, queue: str) -> None:
    execution = Execution(aws, queue, "fail")
    first, second = execution.token(), execution.token()
    ended = execution.end()
    assert (ended["status"], ended["error"]) == ("FAILED", RAISED)
    assert json.loads(ended["cause"])["errorMessage"] == "no"
    assert first != second
    assert [answer(aws, token) for token in (first, second)] == ["TaskTimedOut"] * 2


def test_another_attempt_has_another_token_and_that_one_is_answered_once(
    aws: EmbeddedAws, queue: str
) -> None:
    execution = Execution(aws, queue, "fail once")
    first, second = execution.token(), execution.token()
    assert answer(aws, first) == "TaskTimedOut"
    assert [answer(aws, second) for _ in range(2)] == ["", "TaskTimedOut"]
    ended = execution.end()
    assert json.loads(ended["output"]) == {"by": "the test"}
    assert answer(aws, second) == "TaskTimedOut"


def test_a_token_that_never_was_is_invalid(aws: EmbeddedAws) -> None:
    assert answer(aws, "0123") == "InvalidToken"


@pytest.mark.parametrize("resource", ["*", MACHINE])
def test_a_function_answers_itself_if_its_role_may(aws: EmbeddedAws, queue: str, resource: str) -> None:
    may(aws, "asked", {"sqs:SendMessage": "*", "states:SendTaskSuccess": resource})
    execution = Execution(aws, queue, "answer and fail")
    assert json.loads(execution.end()["output"]) == {"by": "the function"}


@pytest.mark.parametrize("resource", [f"{MACHINE}-another", ""])
def test_a_role_that_may_not_is_refused(aws: EmbeddedAws, queue: str, resource: str) -> None:
    may(aws, "asked", {"sqs:SendMessage": "*"} | ({"states:SendTaskSuccess": resource} if resource else {}))
    ended = Execution(aws, queue, "answer").end()
    assert ended["status"] == "FAILED"
    assert "not authorized to perform: states:SendTaskSuccess" in ended["cause"]


def test_a_task_that_nobody_answers_times_out_and_a_catch_leads_back_to_it(
    aws: EmbeddedAws, queue: str
) -> None:
    hurried = json.loads(json.dumps(DEFINITION))
    hurried["States"]["Ask"]["TimeoutSeconds"] = 1
    machine = make_machine(aws, "hurried", hurried)
    execution = Execution(aws, queue, "nothing", machine)
    first, second = execution.token(), execution.token()
    assert answer(aws, first) == "TaskTimedOut"
    assert answer(aws, second) == ""
    assert json.loads(execution.end()["output"]) == {"by": "the test"}
