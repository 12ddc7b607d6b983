"""The topic, the bus and the executions through boto3, on moto."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from signalbox.aws.calls import call, code_of, translate
from signalbox.aws.executions import Executions
from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from signalbox.ledger.windows import Window

WINDOW = Window("spot", "123456789012", "us-east-1", 7)


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def inbox() -> str:
    url: str = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    return url


def received(url: str) -> list[dict[str, Any]]:
    messages = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_an_alert_arrives_with_its_attributes(inbox: str) -> None:
    sns = client("sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")
    message_id = SnsTopic(sns, arn).publish("a subject", "line one\nline two", {"group": "web"})
    alert = received(inbox)[0]
    assert (alert["MessageId"], alert["Subject"], alert["Message"]) == (
        message_id,
        "a subject",
        "line one\nline two",
    )
    assert alert["MessageAttributes"] == {"group": {"Type": "String", "Value": "web"}}


def test_who_subscribes_by_another_protocol_gets_another_text(inbox: str) -> None:
    sns = client("sns")
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")
    topic = SnsTopic(sns, arn)
    topic.publish("a subject", 'says "no"\nto ü', {"owner": "web"}, {"https": '{"version":"1.0"}'})
    topic.publish("a subject", "all the same", {"owner": "web"}, {"sqs": "for queues"})
    assert [alert["Message"] for alert in received(inbox)] == ['says "no"\nto ü', "for queues"]


def test_a_topic_that_is_gone() -> None:
    topic = SnsTopic(client("sns"), "arn:aws:sns:us-east-1:123456789012:gone")
    with pytest.raises(NotFoundError):
        topic.publish("s", "m", {})


def test_a_domain_event_arrives_on_the_bus(inbox: str) -> None:
    events = client("events")
    events.create_event_bus(Name="signalbox")
    events.put_rule(Name="all", EventBusName="signalbox", EventPattern='{"source": ["signalbox.spot"]}')
    target = {"Id": "inbox", "Arn": "arn:aws:sqs:us-east-1:123456789012:inbox"}
    events.put_targets(Rule="all", EventBusName="signalbox", Targets=[target])
    event_id = EventBus(events, "signalbox").put("signalbox.spot", "Something Happened v1", {"n": 1.5})
    event = received(inbox)[0]
    assert (event["id"], event["detail-type"], event["detail"]) == (
        event_id,
        "Something Happened v1",
        {"n": 1.5},
    )


class RefusingBus:
    """PutEvents answers 200 and says in the entry that it took nothing."""

    def __init__(self, code: str) -> None:
        self._code = code

    def put_events(self, **_: Any) -> dict[str, Any]:
        return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": self._code, "ErrorMessage": "no"}]}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", ThrottledError),
        ("InternalFailure", UnavailableError),
        ("InternalException", UnavailableError),
        ("NotAuthorizedForSourceException", RefusedError),
    ],
)
def test_an_event_that_was_not_taken_is_an_error(code: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=code):
        EventBus(RefusingBus(code), "signalbox").put("s", "d", {})  # type: ignore[arg-type]  # a fake


class TestExecutions:
    @pytest.fixture
    def machine(self) -> str:
        role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        arn: str = client("stepfunctions").create_state_machine(
            name="spot", definition=definition, roleArn=role
        )["stateMachineArn"]
        return arn

    def test_a_window_starts_once_under_its_own_name(self, machine: str) -> None:
        states = client("stepfunctions")
        executions = Executions(states, machine)
        executions.start(WINDOW)
        executions.start(WINDOW)
        started = states.list_executions(stateMachineArn=machine)["executions"]
        assert [e["name"] for e in started] == ["spot-123456789012-us-east-1-00000007"]
        described = states.describe_execution(executionArn=started[0]["executionArn"])
        assert json.loads(described["input"]) == {
            "window": {"domain": "spot", "account": "123456789012", "region": "us-east-1", "number": 7}
        }

    def test_its_state(self, machine: str) -> None:
        executions = Executions(client("stepfunctions"), machine)
        assert executions.state(WINDOW) == "absent"
        executions.start(WINDOW)
        assert executions.state(WINDOW) == "running"
        assert executions.state(WINDOW, "-r1") == "absent"
        arn = machine.replace(":stateMachine:", ":execution:")
        client("stepfunctions").stop_execution(executionArn=f"{arn}:{WINDOW.execution_name}")
        assert executions.state(WINDOW) == "failed"


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the part that is read
        "SomeOperation",
    )


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestLimitExceeded", 503, ThrottledError),
        ("Throttling", 400, ThrottledError),
        ("ThrottlingException", 400, ThrottledError),
        ("Whatever", 429, ThrottledError),
        ("UnauthorizedOperation", 403, AccessDeniedError),
        ("AccessDenied", 403, AccessDeniedError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("ConditionalCheckFailedException", 400, ConflictError),
        ("TransactionCanceledException", 400, ConflictError),
        ("ScalingActivityInProgress", 400, UnavailableError),
        ("ResourceContention", 400, UnavailableError),
        ("Whatever", 500, UnavailableError),
        ("TargetGroupNotFound", 400, NotFoundError),
        ("InvalidInstanceID.NotFound", 400, NotFoundError),
        ("ValidationError", 400, RefusedError),
    ],
)
def test_an_aws_error_becomes_one_of_ours(code: str, status: int, kind: type[Exception]) -> None:
    translated = translate(client_error(code, status))
    assert type(translated) is kind
    assert str(translated) == f"SomeOperation: {code}: words"


def test_the_aws_code_can_be_read_behind_it() -> None:
    def fails() -> None:
        raise client_error("InvalidInstanceId")

    with pytest.raises(RefusedError) as raised:
        call(fails)
    assert code_of(raised.value) == "InvalidInstanceId"
    assert code_of(None) == ""


def test_no_connection_is_unavailable() -> None:
    def fails() -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    with pytest.raises(UnavailableError, match="EndpointConnectionError"):
        call(fails)
