"""S3's notification configurations as they go over the wire: XML that is kept and given back as it was sent.

moto answers a configuration without the member for EventBridge.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
EMPTY = f'<NotificationConfiguration xmlns="{NAMESPACE}"/>'
OPERATIONS = ("GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration")


class _Raw:
    """A response's body, as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]


@dataclass
class Wire:
    """Buckets by name, each with its configuration's XML; what was asked with which headers.

    Attributes:
        closed: buckets whose policy refuses everything.
        owner: the account whose they are.
    """

    documents: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    owner: str = "123456789012"
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def serve(self, s3: Any) -> Any:
        """Has the client ask here for what concerns notifications."""
        for operation in OPERATIONS:
            s3.meta.events.register_first(f"before-send.s3.{operation}", self._answer)
        return s3

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        host = (parts.hostname or "").removesuffix(".s3.amazonaws.com")
        bucket = parts.path.strip("/") or host
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        self.requests.append((request.method, bucket, headers))
        if bucket not in self.documents:
            return _failed(request, 404, "NoSuchBucket")
        if bucket in self.closed or headers.get("x-amz-expected-bucket-owner", self.owner) != self.owner:
            return _failed(request, 403, "AccessDenied")
        if request.method == "PUT":
            self.documents[bucket] = _text(request.body)
            return _response(request, 200, "")
        return _response(request, 200, self.documents[bucket])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)


def _failed(request: AWSPreparedRequest, status: int, code: str) -> AWSResponse:
    return _response(request, status, f"<Error><Code>{code}</Code><Message>no</Message></Error>")


def _response(request: AWSPreparedRequest, status: int, body: str) -> AWSResponse:
    headers = HTTPHeaders.from_dict({"content-type": "application/xml"})
    return AWSResponse(request.url, status, headers, _Raw(body.encode()))
