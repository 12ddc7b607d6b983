"""The operator's tools on moto: replaying a dead-letter queue, announcing a deployment, what goes wrong."""

import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from operations import cli
from operations.announcing import METRIC, NAMESPACE
from operations.letters import Letter
from operations.queues import MoveTasks, Queue
from operations.redriving import Task
from operations.stacks import Stack, StackError
from signalbox.clock import iso

STACK = "signalbox-test"
QUEUES = {
    name: {"Type": "AWS::SQS::Queue"}
    for name in (
        *("SpotRuleDeadLetterQueue", "SpotIntakeDeadLetterQueue", "SpotSweepDeadLetterQueue"),
        *("SpotIntakeQueue", "DocumentsIntakeQueue"),
        *(
            "DocumentsRuleDeadLetterQueue",
            "DocumentsIntakeDeadLetterQueue",
            "DocumentsCompactDeadLetterQueue",
        ),
        *("PackagesIntakeQueue", "PackagesBuildsQueue", "PackagesRuleDeadLetterQueue"),
        *(
            "PackagesIntakeDeadLetterQueue",
            "PackagesBuildsDeadLetterQueue",
            "PackagesJobDeadLetterQueue",
        ),
    )
}
TEMPLATE = {
    "Parameters": {"SpotMaximumEventAgeSeconds": {"Type": "Number", "Default": 900}},
    "Resources": QUEUES,
}
RULE_ARN = "arn:aws:events:us-east-1:123456789012:rule/warned"
SOURCE_ARN = "arn:aws:sqs:us-east-1:123456789012:dlq"


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with mock_aws():
        monkeypatch.setattr(cli, "client", client)
        # moto's queue is one server: an empty answer is an empty queue.
        monkeypatch.setattr("operations.queues.WAIT_SECONDS", 0)
        yield


@dataclass(frozen=True)
class Deployed:
    """A stack with the queues of a domain."""

    stack: Stack
    domain: str = "spot"

    def url(self, queue: str) -> str:
        return self.stack.queue_url(f"{self.domain.capitalize()}{queue}")

    def put(self, queue: str, body: str, **said: str) -> None:
        attributes = {name: {"DataType": "String", "StringValue": text} for name, text in said.items()}
        client("sqs").send_message(QueueUrl=self.url(queue), MessageBody=body, MessageAttributes=attributes)

    def undeliverable(self, event: dict[str, Any]) -> None:
        """As EventBridge leaves an event that it could not deliver."""
        cause = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "access denied", "RULE_ARN": RULE_ARN}
        self.put("RuleDeadLetterQueue", json.dumps(event), **cause)

    def bodies(self, queue: str) -> list[Any]:
        """What can be received now."""
        letters = Queue(client("sqs"), self.url(queue)).receive(10)
        return [json.loads(letter.body) for letter in letters]


@pytest.fixture
def deployed() -> Deployed:
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    return Deployed(Stack.find(cloudformation, STACK))


def event(instance: str, age: float = 30.0) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"id-of-{instance}",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": "123456789012",
        "time": iso(time.time() - age),
        "region": "us-east-1",
        "resources": [],
        "detail": {"instance-id": instance, "instance-action": "terminate"},
    }


def replay(*options: str) -> int:
    return cli.main(["replay", "--stack", STACK, *options])


def test_looking_changes_nothing_and_says_what_a_replay_comes_to(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.undeliverable(event("i-new"))
    deployed.undeliverable(event("i-old", age=7_200))
    deployed.put("RuleDeadLetterQueue", "no JSON")
    assert replay() == 0
    shown = capsys.readouterr().out
    assert "rule 3, intake 0, sweep 0" in shown
    for text in ("i-new", "i-old", "warned", "NO_PERMISSIONS", "access denied", "2 h", "--execute"):
        assert text in shown
    for line in ("1 handled", "1 too old to act on: recorded as stale", "1 no event: left where it is"):
        assert line in shown
    assert deployed.bodies("IntakeQueue") == []
    letters = Queue(client("sqs"), deployed.url("RuleDeadLetterQueue"))
    assert len(letters.receive(10)) == 3


def test_executed_each_event_goes_to_the_intake_as_it_came(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [event(f"i-{n}", age=n * 100) for n in range(12)]
    for each in events:
        deployed.undeliverable(each)
    deployed.put("RuleDeadLetterQueue", "no JSON")
    assert replay("--execute") == 0
    assert "12 replayed." in capsys.readouterr().out
    arrived = deployed.bodies("IntakeQueue") + deployed.bodies("IntakeQueue")
    assert sorted(each["id"] for each in arrived) == sorted(each["id"] for each in events)
    assert all(each in events for each in arrived)
    [left] = Queue(client("sqs"), deployed.url("RuleDeadLetterQueue")).receive(10)
    assert left.body == "no JSON"
    assert replay("--execute") == 0
    assert deployed.bodies("IntakeQueue") == []


def test_bounded_by_number_and_by_time(deployed: Deployed) -> None:
    for n in range(5):
        deployed.undeliverable(event(f"i-{n}", age=60 if n % 2 else 5_000))
    assert replay("--execute", "--since", "30m") == 0
    assert {each["detail"]["instance-id"] for each in deployed.bodies("IntakeQueue")} == {"i-1", "i-3"}
    assert replay("--execute", "--limit", "2") == 0
    assert len(deployed.bodies("IntakeQueue")) == 2
    assert len(deployed.bodies("RuleDeadLetterQueue")) == 1


@pytest.mark.parametrize(
    ("domain", "queue"), [("spot", "sweep"), ("documents", "compact"), ("packages", "job")]
)
def test_failed_runs_are_thrown_away(
    deployed: Deployed, domain: str, queue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {"requestContext": {"condition": "RetriesExhausted"}, "responsePayload": {"errorType": "Bug"}}
    theirs = dataclasses.replace(deployed, domain=domain)
    theirs.put(f"{queue.capitalize()}DeadLetterQueue", json.dumps(failed))
    assert replay("--domain", domain, "--queue", queue) == 0
    assert "Bug" in capsys.readouterr().out
    assert replay("--domain", domain, "--queue", queue, "--execute") == 0
    assert "1 thrown away." in capsys.readouterr().out
    for name in (f"{queue.capitalize()}DeadLetterQueue", "IntakeQueue"):
        assert theirs.bodies(name) == []


def test_an_event_goes_to_the_queue_that_its_rule_delivers_to(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = dataclasses.replace(deployed, domain="packages")
    sources = ["aws.codeartifact", "aws.codebuild", "aws.codebuild"]
    for number, source in enumerate(sources):
        theirs.undeliverable(event(f"i-{number}") | {"source": source})
    assert replay("--domain", "packages", "--execute") == 0
    assert "3 replayed" in capsys.readouterr().out
    assert [each["source"] for each in theirs.bodies("IntakeQueue")] == sources[:1]
    assert [each["source"] for each in theirs.bodies("BuildsQueue")] == sources[1:]
    assert theirs.bodies("RuleDeadLetterQueue") == []


def test_an_event_about_an_object_is_never_too_old(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps(event("i-1", age=86_400.0 * 365))
    theirs = dataclasses.replace(deployed, domain="documents")
    theirs.put("RuleDeadLetterQueue", body)
    assert replay("--domain", "documents", "--execute") == 0
    assert "1 replayed" in capsys.readouterr().out
    assert theirs.bodies("IntakeQueue") == [json.loads(body)]


def test_an_empty_queue_is_no_failure(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployed.stack.name == STACK
    assert replay("--execute") == 0
    assert "Nothing there." in capsys.readouterr().out


def test_where_sqs_does_not_take_an_event_it_stays(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.undeliverable(event("i-1"))
    monkeypatch.setattr(Queue, "send", lambda *_: set[str]())
    assert replay("--execute") == 1
    assert "1 SQS did not take" in capsys.readouterr().out
    assert len(deployed.bodies("RuleDeadLetterQueue")) == 1


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--queue", "intake", "--limit", "3"], 2, "--limit"),
        (["--domain", "packages", "--queue", "builds", "--limit", "3"], 2, "--queue builds"),
        (["--queue", "sweep", "--since", "2h"], 2, "--since"),
        (["--domain", "documents", "--queue", "sweep"], 2, "rule, intake, compact only"),
    ],
)
def test_what_makes_no_sense_is_refused(
    deployed: Deployed, options: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deployed.stack.name == STACK
    assert replay(*options) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--limit", "0"], ["--limit", "all"], ["--since", "yesterday"], ["--queue", "x"]]
)
def test_options_that_cannot_be_read_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        replay(*options)
    assert ended.value.code == 2
    assert options[1] in capsys.readouterr().err


def test_a_stack_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay() == 2
    told = capsys.readouterr().err
    assert STACK in told
    assert "us-east-1" in told
    assert "AWS_REGION" in told


def test_a_stack_of_something_else_is_named() -> None:
    cloudformation = client("cloudformation")
    other = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    cloudformation.create_stack(StackName="other", TemplateBody=json.dumps(other))
    stack = Stack.find(cloudformation, "other")
    with pytest.raises(StackError, match="SpotMaximumEventAgeSeconds"):
        stack.seconds("SpotMaximumEventAgeSeconds")
    with pytest.raises(StackError, match="SpotIntakeQueue"):
        stack.queue_url("SpotIntakeQueue")


def test_a_permission_that_lacks_is_named_with_those_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = client("cloudformation")
    stubber = Stubber(denied)
    stubber.add_client_error(
        "describe_stacks", "AccessDenied", "not authorized to perform: DescribeStacks", 403
    )
    stubber.activate()
    monkeypatch.setattr(cli, "client", lambda _service: denied)
    assert replay() == 1
    told = capsys.readouterr().err
    assert "not authorized to perform: DescribeStacks" in told
    assert "ReceiveMessage" in told


def test_no_credentials_are_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bare(service: str) -> Any:
        session = boto3.Session(aws_access_key_id=None, region_name=None)
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        return session.client(service)  # type: ignore[call-overload]  # any service

    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(cli, "client", bare)
    assert replay() == 1
    assert "region" in capsys.readouterr().err


def test_without_an_embedded_aws_local_says_how_to_start_one(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGNALBOX_STATE", str(tmp_path))
    assert cli.main(["replay", "--local"]) == 2
    assert "make up" in capsys.readouterr().err


def test_a_deployment_is_announced_by_one_data_point(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["announce", "--stack", STACK]) == 0
    [metric] = client("cloudwatch").list_metrics(Namespace=NAMESPACE)["Metrics"]
    assert metric["MetricName"] == METRIC
    assert metric["Dimensions"] == [{"Name": "Stack", "Value": STACK}]
    assert "15 minutes" in capsys.readouterr().out


# moto has no message move tasks: requests and answers are held to the service's model instead.


def moves() -> tuple[MoveTasks, Stubber]:
    sqs = client("sqs")
    return MoveTasks(sqs, SOURCE_ARN), Stubber(sqs)


def test_a_move_is_started_from_the_dead_letter_queue() -> None:
    tasks, stubber = moves()
    stubber.add_response("start_message_move_task", {"TaskHandle": "h"}, {"SourceArn": SOURCE_ARN})
    with stubber:
        tasks.start()
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], None),
        (
            [{"Status": "RUNNING", "TaskHandle": "h", "ApproximateNumberOfMessagesToMove": 9}],
            Task("RUNNING", "h", 0, 9),
        ),
        (
            [{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 9}],
            Task("COMPLETED", "", 9),
        ),
        ([{"Status": "FAILED", "FailureReason": "why"}], Task("FAILED", reason="why")),
    ],
)
def test_the_newest_move_is_read(results: list[dict[str, Any]], expected: Task | None) -> None:
    tasks, stubber = moves()
    asked = {"SourceArn": SOURCE_ARN, "MaxResults": 1}
    stubber.add_response("list_message_move_tasks", {"Results": results}, asked)
    with stubber:
        assert tasks.newest() == expected


def test_a_move_is_cancelled_by_its_handle() -> None:
    tasks, stubber = moves()
    stubber.add_response("cancel_message_move_task", {}, {"TaskHandle": "h"})
    with stubber:
        tasks.cancel("h")
    stubber.assert_no_pending_responses()


def test_only_what_sqs_confirmed_counts_as_sent_or_deleted() -> None:
    letters = [Letter(f"m-{n}", f"r-{n}", f"body {n}", 0.0) for n in range(3)]
    sqs = client("sqs")
    half = {
        "Successful": [{"Id": "0", "MessageId": "x", "MD5OfMessageBody": "y"}],
        "Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}],
    }
    with Stubber(sqs) as stubber:
        queue = Queue(sqs, "https://sqs.us-east-1.amazonaws.com/123456789012/q")
        stubber.add_response("send_message_batch", half)
        assert queue.send(letters) == {"m-0"}
        stubber.add_response("delete_message_batch", {"Successful": [{"Id": "2"}], "Failed": half["Failed"]})
        assert queue.delete(letters) == {"m-2"}


def test_more_than_ten_letters_are_released() -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="many")["QueueUrl"]
    for n in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    queue = Queue(sqs, url)
    letters = queue.receive(10) + queue.receive(10)
    assert len(letters) == 12
    assert queue.receive(10) == []
    queue.release(letters)
    assert len(queue.receive(10)) == 10
