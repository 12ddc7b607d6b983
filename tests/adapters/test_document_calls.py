"""What a document asks of AWS on its way: every call counted, step by step, over the adapters on moto."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from bench.document_cost import LEDGER_WRITES, WAYS
from local.samples import make
from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.aws.queues import SqsQueue
from signalbox.documents.aws_objects import Objects
from signalbox.documents.aws_routes import ParameterRoutes
from signalbox.documents.conversion.converters import Limits
from signalbox.documents.conversion.converting import ConvertObject
from signalbox.documents.conversion.sandbox import Sandbox
from signalbox.documents.entities import DetectEntities
from signalbox.documents.inspection import InspectObject
from signalbox.documents.intake import AdmitEvents
from signalbox.documents.loading import LoadDocument
from signalbox.documents.models import Outcome, Task
from signalbox.documents.s3_index import S3Index
from signalbox.documents.settlement import SettleDocument
from signalbox.intake import Message, Retries
from signalbox.ledger.dynamodb import DynamoLedger
from tests.adapters.tables import create_ledger_table
from tests.unit.documents.analysers import FakeDetector
from tests.unit.documents.doubles import MovableClock
from tests.unit.documents.s3_events import BUCKET, SCOPE, created, deleted

WORK, ROUTES = "work", "/signalbox/documents/routes"
BATCH = 5
READS = frozenset({"s3:HeadObject", "s3:GetObject"})
WRITES = frozenset({"s3:PutObject", "s3:CopyObject", "s3:ListObjectsV2"})
"""As S3 bills them: a listing costs as much as a write."""

ADMIT = {"dynamodb:BatchGetItem": 1, "dynamodb:TransactWriteItems": 1}
"""For all of a batch."""
ADMIT_ONE = {"dynamodb:BatchGetItem": 1, "dynamodb:PutItem": 1}
LOOK = {"dynamodb:BatchGetItem": 1, "s3:HeadObject": 1}
INSPECT = LOOK | {"s3:GetObject": 1}
CONVERT = {"s3:GetObject": 1, "s3:PutObject": 1}
EMPTY = {"s3:PutObject": 1, "s3:ListObjectsV2": 1}
LOAD = EMPTY | {"s3:GetObject": 1}
SETTLE = {"dynamodb:BatchGetItem": 1, "dynamodb:PutItem": 2, "events:PutEvents": 1}
QUARANTINE = SETTLE | {"s3:CopyObject": 1, "s3:PutObject": 1, "sns:Publish": 1}


class Counted:
    """The Documents domain over moto, wired as its functions are. The workflow runs here.

    Attributes:
        calls: step → call → how often.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Counter[str]] = defaultdict(Counter)
        self.step = ""
        self.clock = MovableClock()
        s3, dynamodb, sqs, sns, events, ssm = map(
            self.client, ("s3", "dynamodb", "sqs", "sns", "events", "ssm")
        )
        self.s3 = s3
        for bucket in (BUCKET, WORK):
            s3.create_bucket(Bucket=bucket)
        create_ledger_table(dynamodb, "ledger")
        queue = sqs.create_queue(QueueName="intake")["QueueUrl"]
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        events.create_event_bus(Name="bus")
        self.ssm = ssm
        ledger, objects = DynamoLedger(dynamodb, "ledger", self.clock), Objects(s3)
        self.intake = AdmitEvents(
            ledger,
            ParameterRoutes(ssm, ROUTES, BUCKET, WORK, self.clock),
            self,
            SqsQueue(sqs, queue),
            SCOPE,
            self.clock,
            Retries(5, lambda: 1.0),
        )
        self.inspecting = InspectObject(ledger, objects)
        self.converting = ConvertObject(objects, WORK, Sandbox(os.environ), TemporaryDirectory, Limits())
        self.detecting = DetectEntities(objects, WORK, FakeDetector())
        self.loading = LoadDocument(objects, WORK, S3Index(objects, WORK), self.clock)
        self.settling = SettleDocument(
            ledger,
            objects,
            SnsTopic(sns, topic),
            EventBus(events, "bus"),
            self.clock,
            bucket=WORK,
            quarantine_bytes=10**6,
        )

    def client(self, service: str) -> Any:
        client = boto3.client(  # type: ignore[call-overload]  # any service
            service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        client.meta.events.register("before-call", self._count)
        return client

    def _count(self, model: Any, **_: Any) -> None:
        self.calls[self.step][f"{model.service_model.service_name}:{model.name}"] += 1

    def route(self, **options: bool) -> None:
        declared = [{"name": "all", "bucket": BUCKET, "pipeline": "index", "options": options}]
        self.ssm.put_parameter(Name=ROUTES, Value=json.dumps(declared), Type="String")

    def upload(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def take(self, *events: dict[str, Any]) -> dict[Outcome, int]:
        """One batch. Answers the outcomes; what was called before does not count."""
        self.calls.clear()
        self.step = "admit"
        self.clock.now += 1
        admission = self.intake.admit(
            [Message(f"m{number}", json.dumps(event)) for number, event in enumerate(events)]
        )
        assert not admission.returned
        return dict(admission.outcomes)

    def run(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """As the state machine does."""
        self.calls["execution"]["states:StartSyncExecution"] += 1
        task = msgspec.convert(content, Task)
        try:
            return {"outcome": self._execute(task)}
        finally:
            self.step = "admit"

    def _execute(self, task: Task) -> Outcome | None:
        self.step = "inspect"
        inspected = self.inspecting.inspect(task)
        task = msgspec.structs.replace(task, object=inspected.object, verdict=inspected.verdict)
        if inspected.next == "convert":
            self.step = "convert"
            converted = self.converting.convert(task)
            task = msgspec.structs.replace(task, text=converted.text, verdict=converted.verdict)
        if task.text is not None and task.options.entities:
            self.step = "entities"
            task = msgspec.structs.replace(task, entities=self.detecting.detect(task))
        self.step = "load"
        task = msgspec.structs.replace(task, loaded=self.loading.load(task))
        self.step = "settle"
        return self.settling.settle(task).outcome

    def of_all_steps(self) -> Counter[str]:
        return sum(self.calls.values(), Counter())

    def billed(self) -> tuple[int, int]:
        """Reads and writes of S3."""
        calls = self.of_all_steps()
        return sum(calls[name] for name in READS), sum(calls[name] for name in WRITES)


@pytest.fixture
def counted() -> Iterator[Counted]:
    with mock_aws():
        counted = Counted()
        counted.take(created("missing"))  # the first of a minute reads the routes
        assert counted.calls["admit"].pop("ssm:GetParameter") == 1
        yield counted


def times(calls: dict[str, int], many: int) -> dict[str, int]:
    return {name: count * many for name, count in calls.items()}


def test_a_batch_is_admitted_by_two_calls_and_each_document_takes_as_many_more(counted: Counted) -> None:
    keys = [f"{number}.pdf" for number in range(BATCH)]
    for key in keys:
        counted.upload(key, make("pdf"))
    assert counted.take(*map(created, keys)) == {Outcome.INDEXED: BATCH}
    assert counted.calls == {
        "admit": ADMIT,
        "execution": {"states:StartSyncExecution": BATCH},
        "inspect": times(INSPECT, BATCH),
        "convert": times(CONVERT, BATCH),
        "load": times(LOAD, BATCH),
        "settle": times(SETTLE, BATCH),
    }


def test_a_document_that_comes_alone(counted: Counted) -> None:
    counted.upload("a.pdf", make("pdf"))
    assert counted.take(created("a.pdf")) == {Outcome.INDEXED: 1}
    assert counted.calls["admit"] == ADMIT_ONE
    calls = counted.of_all_steps()
    assert calls["dynamodb:PutItem"] == LEDGER_WRITES
    way = WAYS["PDF of 10 pages"]
    assert counted.billed() == (way.reads, way.writes)


def test_entities_are_one_more_file_to_write_and_two_more_to_read(counted: Counted) -> None:
    counted.route(entities=True)
    counted.clock.now += 3_600
    counted.upload("a.pdf", make("pdf"))
    assert counted.take(created("a.pdf")) == {Outcome.INDEXED: 1}
    assert counted.calls["entities"] == {"s3:GetObject": 1, "s3:PutObject": 1}
    assert counted.calls["load"] == LOAD | {"s3:GetObject": 2}
    way = WAYS["… with entities"]
    assert counted.billed() == (way.reads, way.writes)


def test_what_failed_for_good_is_copied_and_told(counted: Counted) -> None:
    counted.upload("a.mp4", make("video"))
    assert counted.take(created("a.mp4")) == {Outcome.UNSUPPORTED: 1}
    assert counted.calls["inspect"] == INSPECT
    assert counted.calls["load"] == EMPTY
    assert counted.calls["settle"] == QUARANTINE
    way = WAYS["video: unsupported"]
    assert counted.billed() == (way.reads, way.writes)


def test_what_is_deleted_is_only_looked_at(counted: Counted) -> None:
    assert counted.take(deleted("a.pdf")) == {Outcome.DELETED: 1}
    assert counted.calls["inspect"] == LOOK
    assert counted.calls["load"] == EMPTY
    assert counted.calls["settle"] == SETTLE


def test_what_has_not_changed_is_neither_read_nor_written_nor_told(counted: Counted) -> None:
    counted.upload("a.pdf", make("pdf"))
    counted.take(created("a.pdf"))
    assert counted.take(created("a.pdf", sequencer="f" * 16, request="R2")) == {Outcome.INDEXED: 1}
    settle = {"dynamodb:BatchGetItem": 1, "dynamodb:PutItem": 1}
    assert counted.calls == {
        "admit": ADMIT_ONE,
        "execution": {"states:StartSyncExecution": 1},
        "inspect": LOOK,
        "settle": settle,
    }


def test_an_echo_costs_one_call_for_the_batch(counted: Counted) -> None:
    counted.upload("a.pdf", make("pdf"))
    counted.take(created("a.pdf"))
    assert counted.take(*[created("a.pdf")] * BATCH) == {}
    assert counted.calls == {"admit": {"dynamodb:BatchGetItem": 1}}


def test_what_no_route_takes_costs_nothing(counted: Counted) -> None:
    elsewhere = created() | {"detail": created()["detail"] | {"bucket": {"name": "another-bucket"}}}
    assert counted.take(*[elsewhere] * BATCH) == {}
    assert counted.of_all_steps() == {}
