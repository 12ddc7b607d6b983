"""The analyser beside Signalbox: it hears what Signalbox emits, reads what it may, and keeps what is last."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.events.models import EventPattern

from signalbox.documents.alerts import Settlement, event_of
from signalbox.documents.batching import batches
from signalbox.documents.lines import write_lines
from signalbox.documents.models import MAXIMUM_BATCH_CHARACTERS, Document, Outcome
from tests.examples.example_templates import DOCUMENT_CONSUMER
from tests.unit.documents.doubles import GENERATION, NOON, WORK_BUCKET, document, found, text_of

PROGRAM = DOCUMENT_CONSUMER.path.with_name("function") / "find_contacts.py"
TABLE = "findings"
CHANGES = [Outcome.INDEXED, Outcome.DELETED, Outcome.CORRUPT]


def _load() -> Any:
    """Its folder is no package."""
    spec = spec_from_file_location("find_contacts", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


program = _load()


class Aws:
    """Its bucket and its table, as it has them."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3", region_name="us-east-1")
        self.s3.create_bucket(Bucket=WORK_BUCKET)
        self.table = boto3.resource("dynamodb", region_name="us-east-1").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "document", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "document", "KeyType": "HASH"}],
        )

    def keep(self, of: Document, text: str) -> str:
        """As the converter keeps a text."""
        key = text_of(of).key
        self.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=write_lines(batches(text)))
        return key

    def item(self, of: Document) -> dict[str, Any] | None:
        return self.table.get_item(Key={"document": of.id}).get("Item")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in {"TABLE": TABLE, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    program.s3.cache_clear()
    program.table.cache_clear()
    with mock_aws():
        yield Aws()


def told(outcome: Outcome, of: Document | None = None, reason: str = "some-reason") -> dict[str, Any]:
    """The domain event of an outcome, as Signalbox puts it on the bus and EventBridge delivers it."""
    of = of or document()
    settlement = Settlement(
        document=of,
        route="reports",
        outcome=outcome,
        reason=reason,
        found=found(),
        text=text_of(of) if outcome is Outcome.INDEXED else None,
        settled_at=NOON,
        bucket=WORK_BUCKET,
    )
    event = event_of(settlement)
    assert event is not None
    return {
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "source": "signalbox.documents",
        "detail-type": event.detail_type,
        "account": "123456789012",
        "region": "us-east-1",
        "time": "2026-05-28T20:26:41Z",
        "resources": [],
        "detail": event.detail,
    }


def deliver(*events: dict[str, Any]) -> list[str]:
    """Has the function take a batch; answers the numbers of the messages that failed."""
    records = [{"messageId": str(number), "body": json.dumps(event)} for number, event in enumerate(events)]
    answer = program.lambda_handler({"Records": records}, None)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


@pytest.mark.parametrize("outcome", [Outcome.INDEXED, Outcome.DELETED, Outcome.CORRUPT, Outcome.FAILED])
def test_the_rule_lets_in_all_that_signalbox_tells(outcome: Outcome) -> None:
    pattern = EventPattern.load(json.dumps(DOCUMENT_CONSUMER.properties("DocumentRule")["EventPattern"]))
    event: Any = told(outcome)
    assert pattern.matches_event(event)
    event["source"] = "signalbox.spot"
    assert not pattern.matches_event(event)


def test_it_may_read_where_signalbox_keeps_texts() -> None:
    role = DOCUMENT_CONSUMER.properties("FindContactsRole")
    [read] = [s for s in role["Policies"][0]["PolicyDocument"]["Statement"] if s["Sid"] == "ReadTexts"]
    prefix = text_of(document()).key.partition("/")[0]
    assert read["Resource"]["Fn::Sub"].endswith(f":s3:::${{WorkBucketName}}/{prefix}/*")


def test_what_is_found_is_kept(aws: Aws) -> None:
    aws.keep(document(), "Write to Ann@Example.com, or pay to GB82 WEST 1234 5698 7654 32 today.")
    assert deliver(told(Outcome.INDEXED)) == []
    assert aws.item(document()) == {
        "document": document().id,
        "generation": GENERATION,
        "bucket": document().bucket,
        "key": document().key,
        "emails": ["ann@example.com"],
        "ibans": ["GB82WEST12345698765432"],
    }


@pytest.mark.parametrize("at", range(MAXIMUM_BATCH_CHARACTERS - 40, MAXIMUM_BATCH_CHARACTERS + 2, 7))
def test_a_number_that_a_batch_was_cut_in_is_found(aws: Aws, at: int) -> None:
    """Its groups have spaces between them, and at a space a batch may end."""
    aws.keep(document(), ("word " * 2_000)[:at] + " DE89 3704 0044 0532 0130 00 " + "word " * 50)
    deliver(told(Outcome.INDEXED))
    item = aws.item(document())
    assert item is not None
    assert item["ibans"] == ["DE89370400440532013000"]


def test_an_image_has_no_text(aws: Aws) -> None:
    event = told(Outcome.INDEXED)
    event["detail"]["text"] = None
    assert deliver(event) == []
    assert aws.item(document()) is not None


def test_a_text_that_is_gone_comes_again_and_holds_up_no_other(aws: Aws) -> None:
    other = document(key="other")
    aws.keep(other, "bob@example.org")
    assert deliver(told(Outcome.INDEXED), told(Outcome.INDEXED, other)) == ["0"]
    item = aws.item(other)
    assert item is not None
    assert item["emails"] == ["bob@example.org"]


@pytest.mark.parametrize("outcome", [Outcome.DELETED, Outcome.CORRUPT])
def test_what_the_index_has_no_more_leaves_nothing_found(aws: Aws, outcome: Outcome) -> None:
    aws.keep(document(), "ann@example.com")
    deliver(told(Outcome.INDEXED), told(outcome, document(generation=GENERATION + 1)))
    item = aws.item(document())
    assert item is not None
    assert "emails" not in item


def test_what_the_index_kept_is_kept(aws: Aws) -> None:
    aws.keep(document(), "ann@example.com")
    later = document(generation=GENERATION + 1)
    deliver(told(Outcome.INDEXED), told(Outcome.FAILED, later, "tries-used-up"))
    item = aws.item(document())
    assert item is not None
    assert item["emails"] == ["ann@example.com"]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    outcomes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
    key=st.uuids().map(str),  # of its own: all examples share the table
    data=st.data(),
)
def test_whatever_the_order_and_how_often_the_last_one_stands(
    aws: Aws, outcomes: list[Outcome], key: str, data: st.DataObject
) -> None:
    admissions = [document(key=key, generation=GENERATION + number) for number in range(len(outcomes))]
    for number, of in enumerate(admissions):
        aws.keep(of, f"person-{number}@example.com")
    events = [told(outcome, of) for outcome, of in zip(outcomes, admissions, strict=True)]
    again = data.draw(st.lists(st.sampled_from(events), max_size=3))
    aws.table.delete_item(Key={"document": admissions[0].id})  # an example may be run twice
    for event in data.draw(st.permutations([*events, *again])):
        assert deliver(event) == []
    item = aws.item(admissions[0])
    assert item is not None
    last = len(outcomes) - 1
    assert item["generation"] == GENERATION + last
    expected = [f"person-{last}@example.com"] if outcomes[-1] is Outcome.INDEXED else None
    assert item.get("emails") == expected


@pytest.mark.parametrize(
    ("text", "found_there"),
    [
        ("NL91ABNA0417164300.", ["NL91ABNA0417164300"]),
        ("BE68 5390 0754 7034 EUR 100", ["BE68539007547034"]),
        ("NO93 8601 1117 947", ["NO9386011117947"]),
        ("MT84 MALT 0110 0001 2345 MTLC AST0 01S", ["MT84MALT011000012345MTLCAST001S"]),
        ("GB82 WEST 1234 5698 7654 33", []),
        ("ORDER AB12 CDEF GHIJ KLMN", []),
        ("twice NL91ABNA0417164300 and NL91 ABNA 0417 1643 00", ["NL91ABNA0417164300"]),
        ("", []),
    ],
)
def test_account_numbers(text: str, found_there: list[str]) -> None:
    assert program.findings(text)["ibans"] == found_there


@pytest.mark.parametrize(
    ("text", "found_there"),
    [
        ("a.b+c@mail.example.co.uk,", ["a.b+c@mail.example.co.uk"]),
        ("mailto:Ann@Example.com?x=1", ["ann@example.com"]),
        ("no@host, @example.com, ann@-x.com", []),
        ("ann@example.com ANN@example.com", ["ann@example.com"]),
    ],
)
def test_addresses(text: str, found_there: list[str]) -> None:
    assert program.findings(text)["emails"] == found_there


def test_no_more_is_kept_than_an_item_takes() -> None:
    many = program.findings(" ".join(f"{'a' * 60}{number}@example.com" for number in range(2_000)))
    assert len(many["emails"]) == program.KEPT
    assert len(json.dumps(many)) < 400_000
