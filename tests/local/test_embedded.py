"""The embedded AWS as a whole: it starts, admits AWS's events unchanged, knows its functions, ends."""

import http.client
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.embedded import EmbeddedAws
from local.processes import ProcessError
from local.settings import ACCOUNT, HOST, REGION

pytestmark = pytest.mark.embedded

WARNING: dict[str, Any] = {
    "version": "0",
    "id": "1e5527d7-bb36-4607-3370-4164db56a40e",
    "detail-type": "EC2 Spot Instance Interruption Warning",
    "source": "aws.ec2",
    "account": ACCOUNT,
    "time": "1970-01-01T00:00:00Z",
    "region": REGION,
    "resources": "arn:aws:ec2:us-east-1b:instance/i-0b662ef9931388ba0",
    "detail": {
        "instance-id": "i-0b662ef9931388ba0",
        "instance-action": "terminate",
        "nested": [None, 1.5, {}],
    },
    "replay-name": None,
    "unknown": {"kept": ["as", "it", "is"]},
}
HANDLER = "import os\ndef handle(event, context):\n    return dict(os.environ)\n"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("embedded"), estate=False) as started:
        yield started


@pytest.fixture(scope="module")
def queue_url(aws: EmbeddedAws) -> str:
    """A queue that gets every event of aws.ec2 about this account."""
    url, arn = open_queue(aws, "events")
    events = aws.client("events")
    events.put_rule(Name="warnings", EventPattern=json.dumps({"source": ["aws.ec2"], "account": [ACCOUNT]}))
    events.put_targets(Rule="warnings", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def open_queue(aws: EmbeddedAws, name: str) -> tuple[str, str]:
    """Url and ARN of a new queue that EventBridge may send to."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {"Service": "events.amazonaws.com"}
    admit = {"Effect": "Allow", "Principal": sender, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admit]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn


def received(aws: EmbeddedAws, queue_url: str) -> list[dict[str, Any]]:
    sqs = aws.client("sqs")
    bodies = []
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_it_is_healthy_and_enforces_iam(aws: EmbeddedAws) -> None:
    assert aws.alive()
    assert ask(aws.spine_port, "GET", "/_signalbox/health") == (200, {"status": "ok", "auth": True})
    assert aws.client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_an_event_of_awss_own_arrives_as_it_was_written(aws: EmbeddedAws, queue_url: str) -> None:
    assert aws.deliver([WARNING]) == [{"id": WARNING["id"], "rules": ["warnings"]}]
    assert received(aws, queue_url) == [WARNING]


def test_an_event_of_another_account_keeps_it_and_is_held_to_the_rules(
    aws: EmbeddedAws, queue_url: str
) -> None:
    foreign = {**WARNING, "account": "999999999999"}
    assert aws.deliver([foreign, WARNING]) == [
        {"id": WARNING["id"], "rules": []},
        {"id": WARNING["id"], "rules": ["warnings"]},
    ]
    assert received(aws, queue_url) == [WARNING]


def test_put_events_still_refuses_what_only_aws_may_say(aws: EmbeddedAws, queue_url: str) -> None:
    entry = {"Source": "aws.ec2", "DetailType": WARNING["detail-type"], "Detail": "{}"}
    answer = aws.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert received(aws, queue_url) == []


@pytest.mark.parametrize(
    ("body", "complaint"), [("{", "the body is not JSON"), ('[{}, "x"]', "event 1 is no JSON object")]
)
def test_what_is_no_event_is_refused(aws: EmbeddedAws, body: str, complaint: str) -> None:
    status, answer = ask(aws.spine_port, "POST", "/_signalbox/events", body)
    assert status == 400
    assert complaint in answer["message"]


def test_a_functions_access_key_is_known_to_be_its_roles(aws: EmbeddedAws) -> None:
    environment = environment_of_a_function(aws)
    status, principal = ask(
        aws.spine_port, "GET", f"/_signalbox/principal?access_key={environment['AWS_ACCESS_KEY_ID']}"
    )
    assert status == 200
    assert principal == {
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/asked",
        "role_arn": f"arn:aws:iam::{ACCOUNT}:role/worker",
        "account": ACCOUNT,
    }
    assert environment["AWS_ENDPOINT_URL"] == aws.spine_url
    assert Path(environment["TMPDIR"]).is_relative_to(aws.state)


@pytest.mark.parametrize("key", ["", "test", "ASIA0000000000000000"])
def test_any_other_key_is_nobodys(aws: EmbeddedAws, key: str) -> None:
    status, answer = ask(aws.spine_port, "GET", f"/_signalbox/principal?access_key={key}")
    assert status == 404
    assert "no assumed role" in answer["message"]


def test_a_running_one_can_be_attached_to_but_not_started_again(aws: EmbeddedAws) -> None:
    attached = EmbeddedAws.attach(aws.state)
    assert attached is not None
    assert attached.spine_url == aws.spine_url
    with pytest.raises(ProcessError, match="already runs"):
        EmbeddedAws.start(aws.state, estate=False)


def test_a_taken_port_is_named_with_the_remedy(aws: EmbeddedAws, tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=f"Port {aws.spine_port}, .*SIGNALBOX_SPINE_PORT"):
        EmbeddedAws.start(tmp_path, spine_port=aws.spine_port)
    with pytest.raises(ProcessError, match=f"Port {aws.spine_port}, .*SIGNALBOX_CODEARTIFACT_PORT"):
        EmbeddedAws.start(tmp_path, codeartifact_port=aws.spine_port)


def test_after_the_end_nothing_is_left_but_logs(tmp_path: Path) -> None:
    with EmbeddedAws.start(tmp_path) as aws:
        worker = environment_of_a_function(aws)
        estate = aws.estate
        assert estate is not None
        assert list((tmp_path / "scratch").iterdir())
        assert aws.client("ec2").describe_instances()["Reservations"] == []
        codeartifact = aws.codeartifact
        assert codeartifact is not None
        assert aws.client("codeartifact").list_domains()["domains"] == []
    assert not aws.spine.alive()
    assert not estate.alive()
    assert not codeartifact.alive()
    assert not Path(worker["TMPDIR"]).exists()
    assert not [process for process in processes_of(tmp_path) if process != os.getpid()]
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["codeartifact.log", "estate.log", "spine.log"]
    assert EmbeddedAws.attach(tmp_path) is None


def environment_of_a_function(aws: EmbeddedAws) -> dict[str, str]:
    """What a function, with the role `worker`, sees in its environment."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = aws.client("iam").create_role(
        RoleName="worker",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", HANDLER)
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName="asked",
        Runtime="python3.13",
        Role=role,
        Handler="handler.handle",
        Code={"ZipFile": package.getvalue()},
    )
    environment: dict[str, str] = json.load(functions.invoke(FunctionName="asked")["Payload"])
    return environment


def processes_of(state: Path) -> list[int]:
    """Processes started with a path below `state`, workers included. Linux only: elsewhere, none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if str(state).encode() in command:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.parametrize(("name", "code"), [("gone", "NO_RESOURCE"), ("closed", "NO_PERMISSIONS")])
def test_an_event_that_its_queue_does_not_take_waits_in_the_targets_dead_letter_queue(
    aws: EmbeddedAws, name: str, code: str
) -> None:
    """With the attributes that EventBridge gives it; without such a queue it is dropped."""
    sqs, events = aws.client("sqs"), aws.client("events")
    url, arn = open_queue(aws, f"undelivered-{name}")
    gone = f"{arn}-target"
    if name == "closed":
        sqs.create_queue(QueueName=f"undelivered-{name}-target")
    rule, source = f"undeliverable-{name}", f"test.{name}"
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    kept = {"Id": "kept", "Arn": gone, "DeadLetterConfig": {"Arn": arn}}
    events.put_targets(Rule=rule, Targets=[kept, {"Id": "dropped", "Arn": gone}])
    event = WARNING | {"source": source}
    assert aws.deliver([event])[0]["rules"] == [rule]
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    [message] = answer["Messages"]
    assert json.loads(message["Body"]) == event
    said = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert said["RULE_ARN"].endswith(f"rule/{rule}")
    assert (said["TARGET_ARN"], said["ERROR_CODE"]) == (gone, code)
