"""A document inspected and settled over the real adapters, on moto."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.documents.aws_objects import Objects
from signalbox.documents.entries import Entry, entry_key, entry_of, record_of
from signalbox.documents.inspection import InspectObject
from signalbox.documents.models import Loaded, Task
from signalbox.documents.settlement import SettleDocument
from signalbox.ledger.dynamodb import DynamoLedger
from tests.adapters.tables import create_ledger_table
from tests.unit.documents.doubles import (
    BUCKET,
    GENERATION,
    NOON,
    WORK_BUCKET,
    MovableClock,
    document,
    options,
)

KEY = "a b+c/naïve/🦄.bin"
BODY = bytes(range(256))
INBOX = "arn:aws:sqs:us-east-1:123456789012:inbox"


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


class Account:
    """What settling needs of one, and a queue that hears the topic and the bus."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.s3 = client("s3")
        for bucket in (BUCKET, WORK_BUCKET):
            self.s3.create_bucket(Bucket=bucket)
        create_ledger_table(client("dynamodb"), "ledger")
        self.ledger = DynamoLedger(client("dynamodb"), "ledger", self.clock)
        self.inbox = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        arn = client("sns").create_topic(Name="alerts")["TopicArn"]
        client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=INBOX)
        events = client("events")
        events.create_event_bus(Name="bus")
        events.put_rule(Name="all", EventBusName="bus", EventPattern='{"source": ["signalbox.documents"]}')
        events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "inbox", "Arn": INBOX}])
        objects = Objects(self.s3)
        self.inspecting = InspectObject(self.ledger, objects)
        self.settling = SettleDocument(
            self.ledger,
            objects,
            SnsTopic(client("sns"), arn),
            EventBus(events, "bus"),
            self.clock,
            bucket=WORK_BUCKET,
            quarantine_bytes=1_000,
        )

    @property
    def entry(self) -> Entry:
        [record] = self.ledger.records([entry_key(BUCKET, KEY)]).values()
        return entry_of(record)

    def heard(self) -> list[dict[str, Any]]:
        messages = client("sqs").receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in messages.get("Messages", [])]


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        yield Account()


def test_what_failed_for_good_is_recorded_kept_and_told(account: Account) -> None:
    account.s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, Tagging="owner=somebody")
    of = document(key=KEY)
    admitted = Entry(bucket=BUCKET, key=KEY, generation=GENERATION, busy_until=NOON + 330)
    account.ledger.put_records([record_of(admitted, 0)])
    task = Task(document=of, options=options())
    seen = account.inspecting.inspect(task)
    assert seen.verdict is not None
    loaded = Loaded(outcome=seen.verdict.outcome)
    judged = Task(document=of, options=options(), object=seen.object, verdict=seen.verdict, loaded=loaded)
    for _ in range(2):
        account.settling.settle(judged)

    entry = account.entry
    assert (entry.outcome, entry.reason, entry.size, entry.is_done) == (
        "UNSUPPORTED",
        "media-type",
        len(BODY),
        True,
    )
    folder = f"quarantine/{BUCKET}/{of.id}/{GENERATION}"
    copy = account.s3.get_object(Bucket=WORK_BUCKET, Key=f"{folder}/object")
    assert copy["Body"].read() == BODY
    tags = account.s3.get_object_tagging(Bucket=WORK_BUCKET, Key=f"{folder}/object")
    assert tags["TagSet"] == []
    reason = json.loads(account.s3.get_object(Bucket=WORK_BUCKET, Key=f"{folder}/reason.json")["Body"].read())
    assert (reason["key"], reason["reason"]) == (KEY, "media-type")
    heard = account.heard()
    [alert] = [message for message in heard if "Subject" in message]
    [event] = [message for message in heard if "detail" in message]
    assert KEY in alert["Message"]
    assert alert["MessageAttributes"]["outcome"]["Value"] == "UNSUPPORTED"
    assert (event["detail-type"], event["detail"]["key"]) == ("Document Quarantined v1", KEY)
