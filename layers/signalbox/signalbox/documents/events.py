"""The forms in which a change of an object is told, and their way to one: `ObjectEvent`.

- S3's own events. Their keys are as they are. Sources: "EventBridge event message structure" and "Using
  EventBridge", Amazon S3 User Guide.
- API calls, as CloudTrail records them. Their keys are URL-encoded. Sources: "Amazon S3 CloudTrail events",
  Amazon S3 User Guide; "CloudTrail record contents", AWS CloudTrail User Guide.
- An event of this program's own, for objects that were there before anybody told of them.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from signalbox.documents.objects import Cause, ObjectEvent, padded
from signalbox.documents.routes import LONGEST_KEY
from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope, parser_of, read_detail

OWN_SOURCE = "signalbox.documents"
FOUND = "Object Found"
S3_EVENT_SOURCE = "s3.amazonaws.com"
CALLS: dict[str, Cause] = {
    "PutObject": "created",
    "PostObject": "created",
    "POST Object": "created",
    "CopyObject": "created",
    "CompleteMultipartUpload": "created",
    "DeleteObject": "deleted",
    "DeleteObjects": "deleted",
}
"""The API calls that create or delete objects."""
BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
"""Some are older than today's rules ("General purpose bucket naming rules", Amazon S3 User Guide)."""
OBJECT_ARN = re.compile(r"arn:[a-z-]+:s3:::(?P<bucket>[^/]+)/(?P<key>.+)", re.DOTALL)


class _Bucket(msgspec.Struct):
    name: str


class _Object(msgspec.Struct, rename="kebab"):
    key: str
    version_id: str = ""
    sequencer: str = ""
    etag: str = ""
    size: int | None = None


class _Detail(msgspec.Struct, rename="kebab"):
    bucket: _Bucket
    object: _Object
    request_id: str = ""


class _Request(msgspec.Struct, rename="camel"):
    bucket_name: str = ""
    key: str = ""
    version_id: str = ""


class _Resource(msgspec.Struct):
    arn: str = msgspec.field(name="ARN", default="")


class _Call(msgspec.Struct, rename="camel"):
    event_source: str
    event_name: str
    error_code: str | None = None
    request_parameters: _Request | None = None
    request_id: str = msgspec.field(name="requestID", default="")
    resources: tuple[_Resource, ...] | None = None


def parse_event(envelope: Envelope) -> tuple[ObjectEvent, ...]:
    """What the envelope tells; nothing where the call that it tells of has failed.

    Raises:
        RejectedError: ``unexpected-event``, ``malformed`` or ``keys-not-named``.
    """
    return parser_of(envelope, PARSERS)(envelope)


def _created(envelope: Envelope) -> tuple[ObjectEvent, ...]:
    """PutObject, POST Object, CopyObject or CompleteMultipartUpload: the ``reason`` makes no difference."""
    return (_native(envelope, "created"),)


def _deleted(envelope: Envelope) -> tuple[ObjectEvent, ...]:
    """A delete marker, a version that is gone, an expiry. What is left the workflow finds out."""
    return (_native(envelope, "deleted"),)


def _native(envelope: Envelope, cause: Cause) -> ObjectEvent:
    detail = read_detail(envelope, _Detail)
    found = detail.object
    return ObjectEvent(
        bucket=_checked_bucket(detail.bucket.name, "$.detail.bucket.name"),
        key=_checked_key(found.key, "$.detail.object.key"),
        cause=cause,
        way="native",
        version_id=found.version_id,
        sequencer=_sequencer(found.sequencer, "$.detail.object.sequencer"),
        etag=found.etag,
        size=found.size,
        request_id=detail.request_id,
        **_of(envelope),
    )


def _found(envelope: Envelope) -> tuple[ObjectEvent, ...]:
    detail = read_detail(envelope, _Detail)
    bucket = _checked_bucket(detail.bucket.name, "$.detail.bucket.name")
    key = _checked_key(detail.object.key, "$.detail.object.key")
    return (ObjectEvent(bucket=bucket, key=key, cause="found", way="found", **_of(envelope)),)


def _called(envelope: Envelope) -> tuple[ObjectEvent, ...]:
    call = read_detail(envelope, _Call)
    if call.event_source != S3_EVENT_SOURCE or call.event_name not in CALLS:
        raise RejectedError(
            "unexpected-event",
            "$.detail.eventName",
            f"{call.event_name!r} of {call.event_source!r} is not one of S3's {', '.join(CALLS)}",
        )
    if call.error_code:
        return ()
    request = call.request_parameters or _Request()
    bucket = _checked_bucket(request.bucket_name, "$.detail.requestParameters.bucketName")
    events = tuple(
        ObjectEvent(
            bucket=bucket,
            key=_checked_key(_decoded(key, where), where),
            cause=CALLS[call.event_name],
            way="cloudtrail",
            version_id=request.version_id,
            request_id=call.request_id,
            **_of(envelope),
        )
        for key, where in _named(call, request)
    )
    if not events:
        raise _keys_not_named(call.event_name)
    return events


def _named(call: _Call, request: _Request) -> Iterator[tuple[str, str]]:
    """The keys that a call names, URL-encoded, and where it does."""
    if request.key:
        yield request.key, "$.detail.requestParameters.key"
        return
    for number, resource in enumerate(call.resources or ()):
        arn = OBJECT_ARN.fullmatch(resource.arn)
        if arn and arn["bucket"] == request.bucket_name:
            yield arn["key"], f"$.detail.resources[{number}].ARN"


def _keys_not_named(name: str) -> RejectedError:
    """DeleteObjects has never named its keys. Since June 2025 CloudTrail records a DeleteObject for each of
    them besides ("AWS CloudTrail enhances logging for Amazon S3 DeleteObjects API", AWS What's New)."""
    what = f"{name} does not say of which objects"
    if name == "DeleteObjects":
        what += (
            ": CloudTrail records a DeleteObject for each. Have the trail's selectors take eventName"
            " DeleteObject in, and leave DeleteObjects out"
        )
    return RejectedError("keys-not-named", "$.detail.requestParameters.key", what)


def _decoded(key: str, where: str) -> str:
    """The key behind a URL-encoded one: ``+`` is a space, ``%2B`` is a plus sign.

    One with a space, or with anything that is not ASCII, was never encoded.
    """
    if " " in key or not key.isascii():
        return key
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as error:
        raise RejectedError("malformed", where, f"{key!r} is no URL-encoded UTF-8: {error}") from error


def _checked_bucket(name: str, where: str) -> str:
    if not BUCKET.fullmatch(name):
        raise RejectedError("malformed", where, f"{name!r} is no name of a bucket")
    return name


def _checked_key(key: str, where: str) -> str:
    """Keys have 1 to 1,024 bytes ("Naming Amazon S3 objects", S3 User Guide)."""
    size = len(key.encode())
    if not 1 <= size <= LONGEST_KEY:
        raise RejectedError("malformed", where, f"expected a key of 1 to {LONGEST_KEY:,} bytes, not {size:,}")
    return key


def _sequencer(value: str, where: str) -> str:
    try:
        return padded(value) if value else ""
    except ValueError as error:
        raise RejectedError("malformed", where, str(error)) from error


def _of(envelope: Envelope) -> dict[str, Any]:
    return {
        "occurred_at": envelope.occurred_at,
        "account": envelope.account,
        "region": envelope.region,
    }


PARSERS: dict[tuple[str, str], Callable[[Envelope], tuple[ObjectEvent, ...]]] = {
    ("aws.s3", "Object Created"): _created,
    ("aws.s3", "Object Deleted"): _deleted,
    ("aws.s3", "AWS API Call via CloudTrail"): _called,
    (OWN_SOURCE, FOUND): _found,
}
"""(source, detail-type) → parser."""
