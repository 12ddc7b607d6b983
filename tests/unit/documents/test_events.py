"""Every form of every verb comes to one event; everything else is refused with its place and a reason."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.events import CALLS, parse_event
from signalbox.documents.objects import ObjectEvent, padded
from signalbox.errors import RejectedError
from signalbox.eventbridge import parse_envelope
from tests.unit.documents.doubles import NOON
from tests.unit.documents.s3_events import (
    ACCOUNT,
    BUCKET,
    KEY,
    KEYS,
    REGION,
    SEQUENCER,
    called,
    called_for_many,
    created,
    deleted,
    envelope,
    found,
)

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: len(key.encode()) <= 1_024
)


def parsed(event: dict[str, Any]) -> tuple[ObjectEvent, ...]:
    return parse_event(parse_envelope(json.dumps(event)))


def one(event: dict[str, Any]) -> ObjectEvent:
    [news] = parsed(event)
    return news


def without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(event))
    owner = copied
    for name in path[:-1]:
        owner = owner[name]
    del owner[path[-1]]
    return copied


def test_what_s3_says_of_a_new_object() -> None:
    assert one(created()) == ObjectEvent(
        bucket=BUCKET,
        key=KEY,
        cause="created",
        way="native",
        occurred_at=NOON,
        account=ACCOUNT,
        region=REGION,
        version_id="Zk3v7QpL.2sYw8dTnB5fRjM0aXcE1gUh",
        sequencer=padded(SEQUENCER),
        etag="b1946ac92492d2347c6235b4d2611184",
        size=5,
        request_id="R1",
    )


def test_what_cloudtrail_says_of_it_is_less() -> None:
    event = one(called())
    assert (event.bucket, event.key, event.cause, event.way) == (BUCKET, KEY, "created", "cloudtrail")
    assert (event.sequencer, event.etag, event.size, event.request_id) == ("", "", None, "R1")


@pytest.mark.parametrize(
    "reason", ["PutObject", "POST Object", "CopyObject", "CompleteMultipartUpload", "a reason of tomorrow"]
)
def test_every_reason_of_a_creation(reason: str) -> None:
    assert one(created(reason=reason)).cause == "created"


@pytest.mark.parametrize(
    "event",
    [
        deleted(kind="Delete Marker Created", **{"version-id": "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF"}),
        deleted(kind="Permanently Deleted"),
        deleted(reason="Lifecycle Expiration", etag="d41d8cd98f00b204e9800998ecf8427e"),
        without(deleted(), "detail", "object", "sequencer"),
        without(deleted(), "detail", "request-id"),
    ],
    ids=["marker", "for good, unversioned", "expiry", "no sequencer", "no request"],
)
def test_every_form_of_a_deletion(event: dict[str, Any]) -> None:
    assert one(event).cause == "deleted"


@pytest.mark.parametrize("name", CALLS)
def test_every_call_of_cloudtrails(name: str) -> None:
    assert one(called(name)).cause == ("deleted" if name.startswith("Delete") else "created")


def test_every_verb_that_creates_or_deletes_is_known() -> None:
    """As they are named in "Amazon S3 CloudTrail events", S3 User Guide; POST Object in older records."""
    verbs = [
        "PutObject",
        "PostObject",
        "CopyObject",
        "CompleteMultipartUpload",
        "DeleteObject",
        "DeleteObjects",
    ]
    assert CALLS.keys() == {*verbs, "POST Object"}


def test_what_the_backfill_says() -> None:
    event = one(found())
    assert (event.key, event.cause, event.way, event.sequencer, event.request_id) == (
        KEY,
        "found",
        "found",
        "",
        "",
    )


def test_fields_of_tomorrow_are_passed_over() -> None:
    event = created(checksum={"crc": 1})
    event["detail"] |= {"event-version": "2.0", "source-storage-class": None}
    assert one(event) == one(created())
    assert one(called(tlsDetails={"tlsVersion": "TLSv1.3"})) == one(called())


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_the_same_in_every_form(key: str) -> None:
    assert (
        one(created(key)).key
        == one(deleted(key)).key
        == one(found(key)).key
        == one(called(key=key)).key
        == key
    )


@given(keys)
def test_any_key_is_the_same_in_every_form(key: str) -> None:
    assert one(created(key)).key == key
    assert one(called(key=key)).key == key
    spaces_as_percent = called(requestParameters={"bucketName": BUCKET, "key": quote(key)})
    assert one(spaces_as_percent).key == key


@pytest.mark.parametrize("key", ["my report.pdf", "é+ü.pdf", "100 % sure.pdf"])
def test_a_key_that_can_not_have_been_encoded_is_taken_as_it_is(key: str) -> None:
    assert one(called(requestParameters={"bucketName": BUCKET, "key": key})).key == key


def test_a_call_that_failed_changed_nothing() -> None:
    assert (
        parsed(called(errorCode="AccessDenied", errorMessage="Access Denied", requestParameters=None)) == ()
    )


def test_a_deletion_of_many_that_names_them() -> None:
    resources = [
        {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{BUCKET}/a+b.pdf"},
        {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{BUCKET}/c%2Bd.pdf"},
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::another/e.pdf"},
        {"type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{BUCKET}"},
    ]
    events = parsed(called_for_many(resources=resources))
    assert [(event.bucket, event.key, event.cause) for event in events] == [
        (BUCKET, "a b.pdf", "deleted"),
        (BUCKET, "c+d.pdf", "deleted"),
    ]


LONG = "k" * 1_025
REJECTED = {
    "another source": (envelope("my.own", "Object Created", {}), "unexpected-event", "$.detail-type"),
    "another event of S3": (
        envelope("aws.s3", "Object ACL Updated", {}),
        "unexpected-event",
        "$.detail-type",
    ),
    "our event from somebody else": (
        envelope("aws.s3", "Object Found", {}),
        "unexpected-event",
        "$.detail-type",
    ),
    "another call": (called("GetObject"), "unexpected-event", "$.detail.eventName"),
    "another service's call": (
        called(eventSource="s3express.amazonaws.com"),
        "unexpected-event",
        "$.detail.eventName",
    ),
    "no bucket": (without(created(), "detail", "bucket"), "malformed", "$.detail"),
    "no key": (without(created(), "detail", "object", "key"), "malformed", "$.detail.object"),
    "no object": (without(found(), "detail", "object"), "malformed", "$.detail"),
    "a number for a key": (created(7), "malformed", "$.detail.object.key"),  # type: ignore[arg-type] # bad input
    "an empty key": (created(""), "malformed", "$.detail.object.key"),
    "a key too long": (created(LONG), "malformed", "$.detail.object.key"),
    "a key of too many bytes": (created("é" * 513), "malformed", "$.detail.object.key"),
    "a found key too long": (found(LONG), "malformed", "$.detail.object.key"),
    "an encoded key too long": (called(key=LONG), "malformed", "$.detail.requestParameters.key"),
    "no UTF-8 behind the encoding": (
        called(requestParameters={"bucketName": BUCKET, "key": "a%FFb"}),
        "malformed",
        "$.detail.requestParameters.key",
    ),
    "a sequencer that is no number": (created(sequencer="zz"), "malformed", "$.detail.object.sequencer"),
    "a sequencer too long": (deleted(sequencer="1" * 33), "malformed", "$.detail.object.sequencer"),
    "a number for a sequencer": (created(sequencer=1), "malformed", "$.detail.object.sequencer"),
    "a size in words": (created(size="big"), "malformed", "$.detail.object.size"),
    "a bucket with a slash": (
        without(created(), "detail", "bucket")
        | {"detail": created()["detail"] | {"bucket": {"name": "a/b/c"}}},
        "malformed",
        "$.detail.bucket.name",
    ),
    "an access point for a bucket": (
        called(requestParameters={"bucketName": "arn:aws:s3:us-east-1:1:accesspoint/a", "key": KEY}),
        "malformed",
        "$.detail.requestParameters.bucketName",
    ),
    "a call without parameters": (
        called(requestParameters=None),
        "malformed",
        "$.detail.requestParameters.bucketName",
    ),
    "a call without a key": (
        called(requestParameters={"bucketName": BUCKET}, resources=None),
        "keys-not-named",
        "$.detail.requestParameters.key",
    ),
    "a deletion of many that names none": (
        called_for_many(),
        "keys-not-named",
        "$.detail.requestParameters.key",
    ),
    "a call without its name": (without(called(), "detail", "eventName"), "malformed", "$.detail"),
}


@pytest.mark.parametrize(("event", "code", "where"), REJECTED.values(), ids=REJECTED)
def test_bad_input_is_refused_with_its_place(event: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parsed(event)
    assert (caught.value.code, caught.value.where) == (code, where)


def test_a_deletion_of_many_says_what_to_do() -> None:
    with pytest.raises(RejectedError, match="leave DeleteObjects out"):
        parsed(called_for_many())


def test_half_a_character_is_no_json() -> None:
    with pytest.raises(RejectedError) as caught:
        parse_envelope(json.dumps(created("k")).replace('"k"', '"\\ud800"'))
    assert caught.value.code == "unreadable"


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_no_detail_is_an_error_of_another_kind(detail: dict[str, Any]) -> None:
    for detail_type in ("Object Created", "Object Deleted", "AWS API Call via CloudTrail"):
        with pytest.raises(RejectedError):
            parsed(envelope("aws.s3", detail_type, detail))
