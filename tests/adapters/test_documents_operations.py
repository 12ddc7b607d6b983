"""The operator's commands of the Documents domain on moto: routes, notifications, backfill."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from operations import cli
from tests.adapters.notification_wire import EMPTY, NAMESPACE, Wire
from tests.adapters.tables import create_ledger_table

STACK = "signalbox-test"
PARAMETER = "/signalbox/test/documents/routes"
OWN = "signalbox-documents"
WORK = "team-work"
TEMPLATE = {
    "Parameters": {
        "DocumentsExistingBuckets": {"Type": "CommaDelimitedList", "Default": "acme-1,acme-2"},
        "DocumentsBucketPrefix": {"Type": "String", "Default": "team-"},
        "DocumentsCloudTrailEvents": {"Type": "String", "Default": "false"},
    },
    "Resources": {"DocumentsIntakeQueue": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {
        "DocumentsBucketName": {"Value": OWN},
        "DocumentsWorkBucketName": {"Value": WORK},
        "DocumentsRoutesParameter": {"Value": PARAMETER},
        "DocumentsIntakeQueueUrl": {"Value": {"Ref": "DocumentsIntakeQueue"}},
        "LedgerTableName": {"Value": "ledger"},
    },
}
THEIRS = (
    f'<NotificationConfiguration xmlns="{NAMESPACE}"><QueueConfiguration><Id>a</Id>'
    "<Queue>arn:aws:sqs:us-east-1:123456789012:theirs</Queue><Event>s3:ObjectCreated:*</Event>"
    "<Filter><S3Key><FilterRule><Name>prefix</Name><Value>in/</Value></FilterRule></S3Key></Filter>"
    "</QueueConfiguration></NotificationConfiguration>"
)
BUCKETS = (OWN, WORK, "acme-1", "acme-2", "team-a", "team-b", "other")


@dataclass
class Deployed:
    """A stack, buckets with and without notifications, and the clients that the commands get."""

    wire: Wire = field(default_factory=lambda: Wire(dict.fromkeys(BUCKETS, THEIRS)))

    def client(self, service: str) -> Any:
        made = boto3.client(  # type: ignore[call-overload]  # any service
            service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        return self.wire.serve(made) if service == "s3" else made

    @property
    def declared(self) -> str:
        value: str = self.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
        return value

    def is_on(self, bucket: str) -> bool:
        return "EventBridgeConfiguration" in self.wire.documents[bucket]

    def received(self) -> list[dict[str, Any]]:
        """The events in the intake queue, taken out."""
        sqs = self.client("sqs")
        url = sqs.list_queues()["QueueUrls"][0]
        bodies = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def put(self, bucket: str, *keys: str) -> None:
        for key in keys:
            self.client("s3").put_object(Bucket=bucket, Key=key, Body=b"four")


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with mock_aws():
        made = Deployed()
        monkeypatch.setattr(cli, "client", made.client)
        made.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
        create_ledger_table(made.client("dynamodb"), "ledger")
        for name in BUCKETS:
            made.client("s3").create_bucket(Bucket=name)
        yield made


type Declare = Callable[..., Path]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Writes a file of routes named r0, r1, …"""

    def write(*routes: dict[str, Any]) -> Path:
        path = tmp_path / "routes.json"
        full = [
            {"name": f"r{n}", "bucket": "*", "pipeline": "index", **each} for n, each in enumerate(routes)
        ]
        path.write_text(json.dumps(full, indent=1))
        return path

    return write


def run(*arguments: str | Path) -> int:
    return cli.main([*map(str, arguments)])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, without the breaks of tables."""
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("routes", "status", "parts"),
    [
        ([{"bucket": "acme-*", "key": "*.{pdf,docx}"}], 0, ["r0", "s3://acme-a/.pdf"]),
        ([{"key": "in/*"}, {"key": "*.pdf"}], 0, ["overlap", "s3://aaa/in/.pdf", "the earlier one has it"]),
        ([{"key": "*.pdf"}, {"key": "in/*.pdf"}], 1, ["unreachable", "nothing", "take all that it matches"]),
        ([{"key": "[bold]*", "options": {"ocr": True}}], 0, ["[bold]*", "ocr=True"]),
    ],
)
def test_a_file_of_routes_is_checked_without_aws(
    declare: Declare, capsys: pytest.CaptureFixture[str], routes: list[Any], status: int, parts: list[str]
) -> None:
    assert run("routes", "check", declare(*routes)) == status
    shown = said(capsys)
    for part in parts:
        assert part in shown


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[{]", ["JSON", "routes.json"]),
        ('[{"name": "a", "bucket": "A", "pipeline": "index"}]', ["lower-case", "$[0].bucket"]),
        (None, ["can't be read"]),
        (b"\xff", ["can't be read"]),
    ],
)
def test_a_file_that_makes_no_sense_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: Any, parts: list[str]
) -> None:
    path = tmp_path / "routes.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert run("routes", "check", path) == 2
    told = capsys.readouterr().err
    for part in parts:
        assert part in told


def test_routes_are_put_only_when_that_is_said(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    path = declare({"bucket": "acme-*", "key": "*.pdf"})
    assert run("routes", "put", path, "--stack", STACK) == 0
    shown = capsys.readouterr().out
    assert '+    "key": "*.pdf",' in shown or '+    "key": "*.pdf"' in shown
    assert "Nothing was changed" in shown
    with pytest.raises(deployed.client("ssm").exceptions.ParameterNotFound):
        assert deployed.declared

    assert run("routes", "put", path, "--stack", STACK, "--yes") == 0
    assert json.loads(deployed.declared) == json.loads(path.read_text())
    assert run("routes", "put", path, "--stack", STACK, "--yes") == 0
    assert "says so already" in capsys.readouterr().out

    path = declare({"bucket": "acme-*", "key": "*.docx"})
    assert run("routes", "put", path, "--stack", STACK, "--yes") == 0
    shown = capsys.readouterr().out
    assert '-    "key": "*.pdf"' in shown
    assert '+    "key": "*.docx"' in shown


def test_what_can_not_be_reached_is_not_put(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("routes", "put", declare({}, {"key": "a"}), "--stack", STACK, "--yes") == 2
    assert "Nothing was changed" in capsys.readouterr().err
    with pytest.raises(deployed.client("ssm").exceptions.ParameterNotFound):
        assert deployed.declared


def test_a_declaration_that_no_parameter_can_hold_is_not_put(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [{"bucket": f"acme-{n}", "key": f"{n}" * 60} for n in range(100)]
    assert run("routes", "put", declare(*many), "--stack", STACK, "--yes") == 2
    assert "a parameter holds 8,192" in capsys.readouterr().err


def test_the_routes_that_hold_are_shown_with_what_the_stack_does_not_hear(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("routes", "show", "--stack", STACK) == 0
    shown = said(capsys)
    assert "What holds by default" in shown
    assert OWN in shown
    assert run("routes", "put", declare({"bucket": "far-*"}), "--stack", STACK, "--yes") == 0
    assert "hears of no bucket like far-*" in capsys.readouterr().out
    assert run("routes", "show", "--stack", STACK) == 0
    assert "hears of no bucket like far-*" in capsys.readouterr().out


def test_a_broken_parameter_is_shown_as_broken_and_can_be_mended(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.client("ssm").put_parameter(Name=PARAMETER, Value="no JSON", Type="String")
    assert run("routes", "show", "--stack", STACK) == 1
    assert PARAMETER in capsys.readouterr().err
    assert run("routes", "put", declare({}), "--stack", STACK, "--yes") == 0
    assert "-no JSON" in capsys.readouterr().out
    assert run("routes", "show", "--stack", STACK) == 0


def test_eventbridge_is_turned_on_and_off_for_named_buckets(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    run("routes", "put", declare({"bucket": "acme-*"}), "--stack", STACK, "--yes")
    assert run("notifications", "enable", "acme-1", "--stack", STACK) == 0
    shown = said(capsys)
    for part in ("to be turned on", "+ EventBridgeConfiguration {}", "1 queue", "Nothing was changed"):
        assert part in shown
    assert deployed.wire.documents["acme-1"] == THEIRS

    assert run("notifications", "enable", "acme-1", "--stack", STACK, "--yes") == 0
    assert "1 turned on." in said(capsys)
    assert deployed.is_on("acme-1")
    assert "<Id>a</Id>" in deployed.wire.documents["acme-1"]

    assert run("notifications", "show", "acme-1", "acme-2", "--stack", STACK) == 0
    shown = said(capsys)
    assert "by this command" in shown
    assert "1 on, 1 off." in shown

    assert run("notifications", "disable", "acme-1", "--stack", STACK, "--yes") == 0
    assert "1 turned off." in said(capsys)
    assert not deployed.is_on("acme-1")


def test_all_buckets_whose_name_begins_so_also_one_made_later(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("notifications", "enable", "--prefix", "team-", "--stack", STACK, "--yes") == 0
    assert "2 turned on." in said(capsys)
    deployed.client("s3").create_bucket(Bucket="team-c")
    deployed.wire.documents["team-c"] = EMPTY
    assert run("notifications", "enable", "--prefix", "team-", "--stack", STACK, "--yes") == 0
    assert "2 on, 1 turned on." in said(capsys)
    assert [name for name in (*BUCKETS, "team-c") if deployed.is_on(name)] == ["team-a", "team-b", "team-c"]
    assert run("notifications", "show", "--prefix", "nothing-", "--stack", STACK) == 1
    assert "begins with 'nothing-'" in said(capsys)


def test_one_closed_bucket_does_not_hold_up_the_others(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.wire.closed = {"acme-1"}
    names = ("acme-1", "nobody", "acme-2")
    assert run("notifications", "enable", *names, "--stack", STACK, "--yes") == 1
    shown = said(capsys)
    for part in ("access-denied", "NoSuchBucket", "2 failed, 1 turned on.", "Look at acme-1, nobody."):
        assert part in shown
    assert deployed.is_on("acme-2")


def test_what_a_bucket_lacks_is_said(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.client("s3").create_bucket(
        Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    deployed.wire.documents["far"] = EMPTY
    assert run("notifications", "show", "other", "far", "--stack", STACK) == 0
    shown = said(capsys)
    for part in ("add other to DocumentsExistingBuckets", "no route takes its objects", "lies in eu-west-1"):
        assert part in shown


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["notifications", "show", "--stack", STACK], "--prefix"),
        (["notifications", "enable", "acme-1", "--force", "--stack", STACK], "--force is only"),
    ],
)
def test_a_command_used_wrongly_says_what_to_write(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    assert run(*arguments) == 2
    assert part in capsys.readouterr().err


def test_a_backfill_counts_and_then_sends_an_event_for_each_object_of_a_route(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    run("routes", "put", declare({"key": "*.pdf"}, {"key": "in/*"}), "--stack", STACK, "--yes")
    keys = [f"in/{n:02} b+c.txt" for n in range(23)]
    deployed.put("acme-1", *keys, "out/a.pdf", "out/a.txt")
    capsys.readouterr()
    assert run("backfill", "s3://acme-1/in/", "--stack", STACK) == 0
    shown = said(capsys)
    assert "23 objects, 92 bytes, would be taken in" in shown
    assert deployed.received() == []

    assert run("backfill", "s3://acme-1", "--stack", STACK, "--yes") == 0
    shown = said(capsys)
    for part in ("25 looked at", "r0 1", "r1 23", "(none, or ignored) 1", "24 events sent."):
        assert part in shown
    events = deployed.received()
    assert sorted(each["detail"]["object"]["key"] for each in events) == [*keys, "out/a.pdf"]
    assert {each["detail"]["bucket"]["name"] for each in events} == {"acme-1"}
    assert {(each["account"], each["region"]) for each in events} == {("123456789012", "us-east-1")}


def test_a_backfill_takes_nothing_of_what_the_domain_makes_itself(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    run("routes", "put", declare({}), "--stack", STACK, "--yes")
    deployed.put(WORK, "index/documents/shard=00/a.json.gz")
    assert run("backfill", f"s3://{WORK}", "--stack", STACK, "--yes") == 0
    assert "(none, or ignored) 1" in said(capsys)
    assert deployed.received() == []


def test_a_backfill_goes_on_where_it_ended(
    deployed: Deployed, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    run("routes", "put", declare({}), "--stack", STACK, "--yes")
    deployed.put("acme-1", "a b", "c", "d", "e")
    assert run("backfill", "s3://acme-1/", "--limit", "2", "--stack", STACK, "--yes") == 0
    assert "--after c" in capsys.readouterr().out
    assert run("backfill", "s3://acme-1/", "--after", "c", "--stack", STACK, "--yes") == 0
    assert sorted(each["detail"]["object"]["key"] for each in deployed.received()) == ["a b", "c", "d", "e"]
    assert run("backfill", "s3://acme-1/", "--since", "2099-01-01T00:00:00Z", "--stack", STACK) == 0
    assert "(older than --since) 4" in said(capsys)


def test_a_backfill_of_a_bucket_that_the_stack_may_not_read_says_so(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("backfill", "s3://other", "--stack", STACK) == 0
    assert "add other to DocumentsExistingBuckets" in said(capsys)
    assert run("backfill", "s3://nobody", "--stack", STACK) == 1
    assert "NoSuchBucket" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["acme-1", "s3://", "s3://A/b", "https://acme-1.s3.amazonaws.com/"])
def test_a_place_that_is_none_says_how_to_write_one(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("backfill", place, "--stack", STACK)
    assert ended.value.code == 2
    assert "s3://BUCKET/PREFIX" in capsys.readouterr().err
