"""Objects become searchable, exactly once, whatever is uploaded; on the deployed stack."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.estate.scans import scanned_pdf
from local.samples import SAMPLES, WORD, make
from local.settings import ACCOUNT, REGION
from signalbox.clock import iso
from signalbox.documents.models import QUARANTINED, document_id
from tests.e2e.documents import Shelf
from tests.e2e.stack import Stack, wait_until

pytestmark = pytest.mark.embedded

STRANGE_KEYS = (
    "with space.txt",
    "a+b.txt",
    "100%25.txt",
    "a/b//c.txt",
    "../up.txt",
    "résumé 📄.txt",
    "no extension",
    "a.b.TXT",
)


@pytest.fixture
def shelf(stack: Stack) -> Shelf:
    return Shelf.begin(stack)


def test_every_kind_of_file_ends_as_it_should(shelf: Shelf) -> None:
    samples = {f"{kind}/{s.key}": (kind, s) for kind, s in SAMPLES.items() if not s.patient}
    for name, (kind, _) in samples.items():
        shelf.put(name, make(kind))
    ends = {n: (e.outcome, e.reason) for n, e in shelf.settled(*samples, patience=240).items()}
    expected = {name: sample.outcome for name, (_, sample) in samples.items()}
    assert {name: outcome for name, (outcome, _) in ends.items()} == expected
    failed = {name: s.reason for name, (_, s) in samples.items() if s.outcome in QUARANTINED}
    assert {name: reason for name, (_, reason) in ends.items() if name in failed} == failed
    assert shelf.names_found(WORD) == sorted(name for name, (_, s) in samples.items() if s.contains)
    heard = shelf.heard()
    assert len(heard.alerts) == len(failed)
    assert len(heard.events) == len(samples)


def test_a_scan_and_a_picture_are_found_by_what_they_show(shelf: Shelf) -> None:
    shelf.put("analysed/scan.pdf", scanned_pdf(["Minutes of 1913", "by Emmy Noether"], ["Second page"]))
    shelf.put("analysed/photo.jpg", make("png-as-pdf"))
    outcomes = shelf.outcomes("analysed/scan.pdf", "analysed/photo.jpg")
    assert set(outcomes.values()) == {"INDEXED"}
    assert shelf.names_found("Emmy Noether") == ["analysed/scan.pdf"]
    assert shelf.names_found("", label="Mobile Phone") == ["analysed/photo.jpg"]


def test_keys_of_every_kind_are_found_under_their_own_name(shelf: Shelf) -> None:
    longest = 1_024 - len(shelf.key(""))
    keys = (*STRANGE_KEYS, "k" * longest)
    for key in keys:
        shelf.put(key, f"the word heliotrope, of {len(key)} characters".encode())
    assert shelf.outcomes(*keys) == dict.fromkeys(keys, "INDEXED")
    assert shelf.names_found("heliotrope") == sorted(keys)


def test_the_same_name_again_replaces_and_a_deletion_removes(shelf: Shelf) -> None:
    shelf.put("minutes.txt", b"the first wording, about marigolds")
    shelf.settled("minutes.txt")
    assert shelf.names_found("marigolds") == ["minutes.txt"]
    shelf.put("minutes.txt", b"the second wording, about begonias")
    shelf.settled("minutes.txt")
    assert (shelf.names_found("marigolds"), shelf.names_found("begonias")) == ([], ["minutes.txt"])
    shelf.delete("minutes.txt")
    assert shelf.outcomes("minutes.txt") == {"minutes.txt": "DELETED"}
    assert shelf.names_found("begonias") == []
    assert [event["detail-type"] for event in shelf.heard().events] == [
        "Document Indexed v1",
        "Document Indexed v1",
        "Document Removed v1",
    ]


def test_an_event_that_comes_twice_and_by_both_ways_is_one(shelf: Shelf) -> None:
    native = object_created(shelf, "once.txt")
    shelf.s3.put_bucket_notification_configuration(Bucket=shelf.bucket, NotificationConfiguration={})
    try:
        shelf.put("once.txt", b"told by hand")
    finally:
        shelf.s3.put_bucket_notification_configuration(
            Bucket=shelf.bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    shelf.stack.aws.deliver([native, native, native])
    first = shelf.settled("once.txt")["once.txt"]
    put_on_queue(shelf, api_call(shelf, "once.txt", native["detail"]["request-id"]))
    wait_until(shelf.is_quiet, "the twin is taken in", shelf.depths)
    again = shelf.settled("once.txt")["once.txt"]
    assert again.generation == first.generation
    assert len(shelf.heard().events) == 1


def test_what_no_route_takes_is_left_alone(shelf: Shelf) -> None:
    shelf.put("left-alone/a.txt", b"nobody's business")
    shelf.put("a.txt", b"somebody's business")
    shelf.settled("a.txt")
    assert shelf.entries(["left-alone/a.txt"]) == {}
    assert shelf.names_found("business") == ["a.txt"]


def test_what_is_refused_for_good_lies_in_the_quarantine_with_its_reason(shelf: Shelf) -> None:
    shelf.put("small/large.txt", b"x" * 65)
    entry = shelf.settled("small/large.txt")["small/large.txt"]
    assert (entry.outcome, entry.reason) == ("TOO_LARGE", "too-many-bytes")
    work = shelf.stack.outputs["DocumentsWorkBucketName"]
    folder = f"quarantine/{shelf.bucket}/{document_id(shelf.bucket, shelf.key('small/large.txt'))}/"
    listed = shelf.s3.list_objects_v2(Bucket=work, Prefix=folder)["Contents"]
    kept = {each["Key"].rpartition("/")[2]: each["Key"] for each in listed}
    assert kept.keys() == {"object", "reason.json"}
    assert shelf.s3.get_object(Bucket=work, Key=kept["object"])["Body"].read() == b"x" * 65
    reason = json.loads(shelf.s3.get_object(Bucket=work, Key=kept["reason.json"])["Body"].read())
    assert (reason["outcome"], reason["reason"]) == ("TOO_LARGE", "too-many-bytes")
    heard = shelf.heard()
    assert [event["detail-type"] for event in heard.events] == ["Document Quarantined v1"]
    assert len(heard.alerts) == 1


def test_a_new_version_that_cannot_be_indexed_takes_the_old_text_away(shelf: Shelf) -> None:
    shelf.put("small/growing.txt", b"small enough, with a gladiolus")
    shelf.settled("small/growing.txt")
    assert shelf.names_found("gladiolus") == ["small/growing.txt"]
    shelf.put("small/growing.txt", b"gladiolus " * 20)
    assert shelf.outcomes("small/growing.txt") == {"small/growing.txt": "TOO_LARGE"}
    assert shelf.names_found("gladiolus") == []


def test_an_object_that_is_gone_before_it_is_read_and_one_that_is_forbidden(shelf: Shelf) -> None:
    forbidden = f"forbidden-{uuid.uuid4().hex[:8]}"
    shelf.s3.create_bucket(Bucket=forbidden)
    shelf.put("secret.txt", b"not for everybody", bucket=forbidden)
    put_on_queue(shelf, object_created(shelf, "never-there.txt"))
    put_on_queue(shelf, object_found(forbidden, shelf.key("secret.txt")))
    shelf.put("ordinary.txt", b"goes on all the same")
    assert shelf.outcomes("never-there.txt", "ordinary.txt") == {
        "never-there.txt": "DELETED",
        "ordinary.txt": "INDEXED",
    }
    entry = shelf.settled("secret.txt", bucket=forbidden)["secret.txt"]
    assert (entry.outcome, entry.reason) == ("FAILED", "access-denied")


def test_bad_input_is_kept_and_holds_nothing_up(shelf: Shelf) -> None:
    today = iso(time.time())[:10]
    before = len(shelf.stack.ledger.rejections("documents", today))
    detail = {"bucket": {"name": shelf.bucket}, "object": {"size": 1}}
    put_on_queue(shelf, object_created(shelf, "x.txt") | {"detail": detail})
    put_on_queue(shelf, object_created(shelf, "x.txt") | {"account": "444455556666"})
    shelf.put("fine.txt", b"fine")
    shelf.settled("fine.txt")
    wait_until(shelf.is_quiet, "the bad ones are taken in", shelf.depths)
    kept = shelf.stack.ledger.rejections("documents", today)
    assert len(kept) == before + 2
    assert {each.code for each in kept} >= {"malformed", "foreign-account"}


def test_what_may_pass_is_tried_again(shelf: Shelf) -> None:
    shelf.stack.guard.order("comprehend:BatchDetectEntities", "throttle", 3)
    shelf.put("analysed/letter.txt", b"Ada Lovelace wrote to Charles Babbage in London on 5 June 1833.")
    assert shelf.outcomes("analysed/letter.txt") == {"analysed/letter.txt": "INDEXED"}
    assert shelf.names_found("", entity="Ada Lovelace") == ["analysed/letter.txt"]


def test_what_fails_every_time_goes_to_the_dead_letter_queue_and_is_told_once(shelf: Shelf) -> None:
    stack = shelf.stack
    with one_try(stack), stack.without_permission("DocumentsConvertObjectFunctionRole", "s3:PutObject"):
        shelf.put("doomed.txt", b"a fault that passes only when somebody mends it")
        entry = shelf.settled("doomed.txt")["doomed.txt"]
        assert (entry.outcome, entry.reason) == ("FAILED", "tries-used-up")
        wait_until(lambda: stack.depth("DocumentsIntakeDeadLetterQueue").visible == 1, "a dead letter")
    heard = shelf.heard()
    assert [event["detail-type"] for event in heard.events] == ["Document Quarantined v1"]
    assert len(heard.alerts) == 1
    stack.aws.client("sqs").purge_queue(QueueUrl=stack.outputs["DocumentsIntakeDeadLetterQueueUrl"])
    put_on_queue(shelf, object_found(shelf.bucket, shelf.key("doomed.txt")))
    wait_until(
        lambda: shelf.entries(["doomed.txt"])["doomed.txt"].outcome == "INDEXED", "it is indexed once mended"
    )
    assert shelf.names_found("mends") == ["doomed.txt"]


def test_many_at_once_are_all_indexed(shelf: Shelf) -> None:
    names = [f"many/{number}.txt" for number in range(60)]
    for number, name in enumerate(names):
        shelf.put(name, f"number {number} of a crowd of fuchsias".encode())
    assert set(shelf.settled(*names, patience=240)) == set(names)
    assert shelf.names_found("fuchsias") == sorted(names)
    assert dead_letters(shelf.stack) == 0


def dead_letters(stack: Stack) -> int:
    queues = ("DocumentsIntakeDeadLetterQueue", "DocumentsRuleDeadLetterQueue")
    return sum(stack.depth(queue).visible for queue in queues)


@contextmanager
def one_try(stack: Stack) -> Iterator[None]:
    """A message that fails goes to the dead-letter queue at once, for a while."""
    sqs, url = stack.aws.client("sqs"), stack.outputs["DocumentsIntakeQueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    policy = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": 1}
    try:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
        with stack.variable("DocumentsAdmitEventsFunction", "DOCUMENTS_MAXIMUM_RECEIVES", "1"):
            yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def put_on_queue(shelf: Shelf, event: dict[str, Any]) -> None:
    url = shelf.stack.outputs["DocumentsIntakeQueueUrl"]
    shelf.stack.aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event))


def object_created(shelf: Shelf, name: str, sequencer: str = "0062E99A88DC407460") -> dict[str, Any]:
    """S3's own event about an object of the scenario."""
    return envelope(
        "aws.s3",
        "Object Created",
        {
            "version": "0",
            "bucket": {"name": shelf.bucket},
            "object": {"key": shelf.key(name), "size": 1, "etag": "e", "sequencer": sequencer},
            "request-id": uuid.uuid4().hex[:16].upper(),
            "reason": "PutObject",
        },
    )


def api_call(shelf: Shelf, name: str, request_id: str) -> dict[str, Any]:
    """The same as CloudTrail records it."""
    return envelope(
        "aws.s3",
        "AWS API Call via CloudTrail",
        {
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutObject",
            "requestParameters": {"bucketName": shelf.bucket, "key": shelf.key(name)},
            "requestID": request_id,
        },
    )


def object_found(bucket: str, key: str) -> dict[str, Any]:
    """What the backfill says of an object that was there before."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return envelope("signalbox.documents", "Object Found", detail)


def envelope(source: str, detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": source,
        "detail-type": detail_type,
        "account": ACCOUNT,
        "region": REGION,
        "time": iso(time.time()),
        "resources": [],
        "detail": detail,
    }
