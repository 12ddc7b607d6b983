"""Which buckets: the four patterns of docs/documents.md, on a stack that is told of all of them.

S3's and CloudTrail's events are those of the embedded AWS; CloudTrail's are delivered as CloudTrail would.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from local import fleet
from local.deployment import STACK, deploy
from local.embedded import EmbeddedAws
from local.inbox import Inbox
from local.settings import ACCOUNT, REGION
from operations.backfill_command import Request as Backfill
from operations.backfill_command import backfill
from operations.notifications_command import Request, notifications
from operations.stacks import Stack as Formation
from tests.e2e.documents import Shelf, declare_routes
from tests.e2e.stack import Stack, wait_until
from tests.e2e.test_documents import envelope

pytestmark = pytest.mark.embedded

NAMED, PREFIX = "acme-contracts", "team-"
PARAMETERS = {
    "DocumentsExistingBuckets": f"{NAMED},acme-scans",
    "DocumentsBucketPrefix": PREFIX,
    "DocumentsCloudTrailEvents": "true",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The existing bucket is older than the stack, and notifies a queue of somebody else's."""
    with EmbeddedAws.start(tmp_path_factory.mktemp("patterns"), enforce_iam=True) as aws:
        aws.client("s3").create_bucket(Bucket=NAMED)
        outputs = deploy(aws, overrides=PARAMETERS).outputs
        hub = Stack(aws, outputs, fleet.Fleet({}, ""), Inbox.open(aws, outputs))
        declare_routes(hub)
        yield hub


@pytest.fixture
def shelf(hub: Stack) -> Shelf:
    return Shelf.begin(hub)


class Queue:
    """Somebody else's, which a bucket or a rule may send to."""

    def __init__(self, aws: EmbeddedAws, name: str) -> None:
        self._sqs = aws.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        services = {"Service": ["s3.amazonaws.com", "events.amazonaws.com"]}
        may = {"Effect": "Allow", "Principal": services, "Action": "sqs:SendMessage", "Resource": self.arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})

    def bodies(self) -> list[str]:
        """What has come in since."""
        found = []
        while taken := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in taken:
                found.append(message["Body"])
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found


def switched(hub: Stack, action: Literal["enable", "disable"], *buckets: str, prefix: str = "") -> int:
    """What the operator's command answers, done for true."""
    request = Request(action=action, buckets=buckets, prefix=prefix, execute=True, force=False)
    return notifications(request, formation(hub), hub.aws.client)


def filled(hub: Stack, bucket: str, prefix: str) -> int:
    """What the operator's command answers, done for true."""
    request = Backfill(bucket=bucket, prefix=prefix, after="", since=0.0, most=100, rate=0, execute=True)
    return backfill(request, formation(hub), hub.aws.client)


def formation(hub: Stack) -> Formation:
    return Formation.find(hub.aws.client("cloudformation"), STACK)


def configuration(hub: Stack, bucket: str) -> dict[str, Any]:
    answer: dict[str, Any] = hub.aws.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def object_call(name: str, bucket: str, key: str) -> dict[str, Any]:
    """As a trail with data events records it."""
    detail = {
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "requestParameters": {"bucketName": bucket, "key": key},
        "requestID": "PATTERNS00000001",
    }
    return envelope("aws.s3", "AWS API Call via CloudTrail", detail)


def test_a_bucket_of_the_stack_needs_nothing(shelf: Shelf) -> None:
    shelf.put("letter.txt", b"a letter about snapdragons")
    assert shelf.outcomes("letter.txt") == {"letter.txt": "INDEXED"}
    assert shelf.names_found("snapdragons") == ["letter.txt"]


def test_an_existing_bucket_is_indexed_keeps_its_notifications_and_is_left_as_it_was(shelf: Shelf) -> None:
    hub = shelf.stack
    theirs = Queue(hub.aws, "theirs")
    rules = [{"Name": "suffix", "Value": ".txt"}]
    entry = {
        "QueueArn": theirs.arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    shelf.s3.put_bucket_notification_configuration(
        Bucket=NAMED, NotificationConfiguration={"QueueConfigurations": [entry]}
    )
    before = configuration(hub, NAMED)
    shelf.put("old.txt", b"there before anybody listened: amaryllis", bucket=NAMED)
    theirs.bodies()

    assert switched(hub, "enable", NAMED) == 0
    assert configuration(hub, NAMED) == {**before, "EventBridgeConfiguration": {}}
    assert theirs.bodies() == []
    shelf.put("new.txt", b"heard of: amaryllis", bucket=NAMED)
    assert shelf.settled("new.txt", bucket=NAMED)["new.txt"].outcome == "INDEXED"
    assert [shelf.key("new.txt") in body for body in theirs.bodies()] == [True]
    assert shelf.names_found("amaryllis") == ["new.txt"]

    assert filled(hub, NAMED, shelf.key("")) == 0
    assert shelf.settled("old.txt", bucket=NAMED)["old.txt"].outcome == "INDEXED"
    assert shelf.names_found("amaryllis") == ["new.txt", "old.txt"]

    assert switched(hub, "disable", NAMED) == 0
    assert configuration(hub, NAMED) == before
    assert switched(hub, "disable", hub.outputs["DocumentsBucketName"]) == 1
    assert "EventBridgeConfiguration" in configuration(hub, hub.outputs["DocumentsBucketName"])


def test_buckets_by_prefix_also_one_made_later(shelf: Shelf) -> None:
    hub = shelf.stack
    first, later = f"{PREFIX}first", f"{PREFIX}later"
    shelf.s3.create_bucket(Bucket=first)
    shelf.s3.create_bucket(Bucket="x-team-other")
    assert switched(hub, "enable", prefix=PREFIX) == 0
    shelf.put("a.txt", b"crocus", bucket=first)
    assert shelf.settled("a.txt", bucket=first)["a.txt"].outcome == "INDEXED"
    assert configuration(hub, "x-team-other") == {}

    # Made later, it sends nothing; what CloudTrail records of it is taken all the same.
    shelf.s3.create_bucket(Bucket=later)
    shelf.put("b.txt", b"crocus", bucket=later)
    [matched] = hub.aws.deliver([object_call("PutObject", later, shelf.key("b.txt"))])
    assert len(matched["rules"]) == 1
    assert shelf.settled("b.txt", bucket=later)["b.txt"].outcome == "INDEXED"
    assert switched(hub, "enable", prefix=PREFIX) == 0
    shelf.put("c.txt", b"crocus", bucket=later)
    assert shelf.settled("c.txt", bucket=later)["c.txt"].outcome == "INDEXED"
    assert shelf.names_found("crocus") == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize(
    ("verb", "bucket", "taken"),
    [
        ("PutObject", NAMED, True),
        ("CopyObject", f"{PREFIX}any", True),
        ("CompleteMultipartUpload", NAMED, True),
        ("DeleteObject", f"{PREFIX}any", True),
        ("GetObject", NAMED, False),
        ("PutObject", "somebody-elses", False),
    ],
)
def test_which_calls_of_cloudtrail_are_taken(shelf: Shelf, verb: str, bucket: str, *, taken: bool) -> None:
    [matched] = shelf.stack.aws.deliver([object_call(verb, bucket, shelf.key("none.txt"))])
    assert bool(matched["rules"]) is taken


def test_several_consumers_with_overlapping_prefixes_and_suffixes(shelf: Shelf) -> None:
    """Plain S3 notifications refuse such a configuration; rules know nothing of each other."""
    hub = shelf.stack
    events, keys = hub.aws.client("events"), ("in/a.pdf", "in/a.txt", "out/a.pdf", "out/a.txt")
    patterns: dict[str, dict[str, str]] = {
        "everything-in": {"prefix": shelf.key("in/")},
        "pdf-anywhere": {"suffix": ".pdf"},
        "pdf-in": {"wildcard": f"{shelf.key('in/')}*.pdf"},
    }
    queues = {}
    for name, key in patterns.items():
        queues[name] = Queue(hub.aws, name)
        detail = {"bucket": {"name": [shelf.bucket]}, "object": {"key": [key]}}
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queues[name].arn}])
    for key_ in keys:
        shelf.put(key_, b"%PDF-1.4 no more than that" if key_.endswith(".pdf") else b"plain")
    shelf.settled(*keys)

    def heard(name: str) -> list[str]:
        sent = [json.loads(body)["detail"]["object"]["key"] for body in queues[name].bodies()]
        return sorted(key.removeprefix(shelf.key("")) for key in sent)

    assert heard("everything-in") == ["in/a.pdf", "in/a.txt"]
    assert heard("pdf-anywhere") == ["in/a.pdf", "out/a.pdf"]
    assert heard("pdf-in") == ["in/a.pdf"]
    wait_until(shelf.is_quiet, "nothing is on its way", shelf.depths)
