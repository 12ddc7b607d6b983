"""Events of S3 in each of their forms, and the workflow that the intake works with."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from signalbox.clock import iso
from signalbox.documents.models import Document, Outcome
from signalbox.documents.objects import ObjectEvent
from signalbox.errors import ExecutionFailedError
from signalbox.eventbridge import Scope
from tests.unit.documents.doubles import NOON

ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET, KEY = "acme-documents", "reports/2026.pdf"
SCOPE = Scope(frozenset({(ACCOUNT, REGION)}), maximum_age=14 * 86_400.0)
SEQUENCER = "617f08299329d189"
KEYS = {
    "plain": "reports/2026.pdf",
    "space": "my report.pdf",
    "plus": "c++ and a+b.pdf",
    "percent": "100%.pdf",
    "looks encoded": "a%20b%2Fc.pdf",
    "slashes": "//a///b/",
    "dots": "../../etc/./passwd",
    "emoji": "🗂️/é/报告.pdf",
    "control characters": "a\tb\nc\x01",
    "quotes": "\"'`$(rm -rf)`&<>;",
    "1,024 bytes": "k" * 1_024,
    "1,024 bytes of two-byte letters": "é" * 512,
}


def envelope(source: str, detail_type: str, detail: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": iso(NOON),
        "region": REGION,
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": detail,
    } | changes


def created(
    key: str = KEY, *, reason: str = "PutObject", request: str = "R1", **of_object: Any
) -> dict[str, Any]:
    """As S3 tells of it, with a version, an ETag and a size."""
    found = {
        "key": key,
        "size": 5,
        "etag": "b1946ac92492d2347c6235b4d2611184",
        "version-id": "Zk3v7QpL.2sYw8dTnB5fRjM0aXcE1gUh",
        "sequencer": SEQUENCER,
    } | of_object
    return envelope("aws.s3", "Object Created", _detail(found, reason, request))


def deleted(
    key: str = KEY,
    *,
    reason: str = "DeleteObject",
    kind: str = "Permanently Deleted",
    request: str = "R1",
    **of_object: Any,
) -> dict[str, Any]:
    """As S3 tells of it, with no more than an unversioned bucket has to say."""
    found = {"key": key, "sequencer": SEQUENCER} | of_object
    return envelope("aws.s3", "Object Deleted", _detail(found, reason, request) | {"deletion-type": kind})


def _detail(found: dict[str, Any], reason: str, request: str) -> dict[str, Any]:
    return {
        "version": "0",
        "bucket": {"name": BUCKET},
        "object": found,
        "request-id": request,
        "requester": ACCOUNT,
        "source-ip-address": "1.2.3.4",
        "reason": reason,
    }


def called(name: str = "PutObject", key: str = KEY, *, request: str = "R1", **changes: Any) -> dict[str, Any]:
    """As CloudTrail tells of it, the key URL-encoded."""
    encoded = quote_plus(key, safe="/")
    detail = {
        "eventVersion": "1.10",
        "eventTime": iso(NOON),
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "requestParameters": {"bucketName": BUCKET, "Host": f"{BUCKET}.s3.amazonaws.com", "key": encoded},
        "responseElements": None,
        "requestID": request,
        "readOnly": False,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{BUCKET}/{encoded}"},
            {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{BUCKET}"},
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "eventCategory": "Data",
    }
    return envelope("aws.s3", "AWS API Call via CloudTrail", detail | changes)


def called_for_many(**changes: Any) -> dict[str, Any]:
    """DeleteObjects, as CloudTrail records it: without any key."""
    bucket = {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{BUCKET}"}
    prefix = {"type": "AWS::S3::Object", "ARNPrefix": f"arn:aws:s3:::{BUCKET}/"}
    parameters = {"bucketName": BUCKET, "delete": "", "x-id": "DeleteObjects"}
    return called(
        "DeleteObjects", **{"requestParameters": parameters, "resources": [prefix, bucket]} | changes
    )


def found(key: str = KEY) -> dict[str, Any]:
    """As the backfill sends it."""
    detail = {"bucket": {"name": BUCKET}, "object": {"key": key}}
    return envelope("signalbox.documents", "Object Found", detail)


def object_event(**changes: Any) -> ObjectEvent:
    """What the parser makes of `created`, of another sequencer or request perhaps."""
    fields: dict[str, Any] = {
        "bucket": BUCKET,
        "key": KEY,
        "cause": "created",
        "way": "native",
        "occurred_at": NOON,
        "account": ACCOUNT,
        "region": REGION,
    }
    return ObjectEvent(**fields | changes)


@dataclass
class FakeWorkflow:
    """The state machine: it answers as its last step would, or with an error.

    Attributes:
        work: done for each document; whatever it raises is the execution's end.
        asked: (name, input) of each execution.
    """

    work: Callable[[Document], Outcome] = lambda _: Outcome.INDEXED
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def run(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        json.dumps(content)
        self.asked.append((name, content))
        outcome = self.work(Document(**content["document"]))
        return {"outcome": str(outcome)}


def fails(_: Document) -> Outcome:
    raise ExecutionFailedError("execution x: FAILED: UnavailableError: LoadDocument: no answer")
