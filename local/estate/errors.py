"""AWS's errors, and how each protocol puts them on the wire."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from xml.sax.saxutils import escape

type Protocol = Literal["ec2", "query", "json"]
type Headers = list[tuple[str, str]]


@dataclass(eq=False)
class AwsError(Exception):
    """What AWS answers instead of a result; `status` is the HTTP status it comes with."""

    code: str
    message: str
    status: int = HTTPStatus.BAD_REQUEST

    def __str__(self) -> str:
        return f"{self.code} ({self.status}): {self.message}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as WSGI wants it."""

    status: str
    headers: Headers
    body: bytes

    @property
    def succeeded(self) -> bool:
        return self.status.startswith("2")


def throttled(service: str) -> AwsError:
    """The error of a service whose request bucket is empty, as the SDK's retry handler knows it."""
    match service:
        case "ec2":
            return AwsError("RequestLimitExceeded", "Request limit exceeded.", HTTPStatus.SERVICE_UNAVAILABLE)
        case "autoscaling" | "elasticloadbalancing":
            return AwsError("Throttling", "Rate exceeded")
        case "rekognition" | "textract":
            return AwsError("ProvisionedThroughputExceededException", "Provisioned rate exceeded")
        case _:
            return AwsError("ThrottlingException", "Rate exceeded")


def unavailable(service: str, status: int) -> AwsError:
    """A failure on AWS's side with this HTTP status (500 and above)."""
    internal = status == HTTPStatus.INTERNAL_SERVER_ERROR
    match service:
        case "ec2":
            code = "InternalError" if internal else "Unavailable"
        case "comprehend":
            code = "InternalServerException" if internal else "ServiceUnavailable"
        case "ssm" | "rekognition" | "textract":
            code = "InternalServerError" if internal else "ServiceUnavailable"
        case "ecs":
            code = "ServerException" if internal else "ServiceUnavailable"
        case _:
            code = "InternalFailure" if internal else "ServiceUnavailable"
    return AwsError(code, "The request processing has failed because of an internal error.", status)


def render(error: AwsError, protocol: Protocol) -> Answer:
    """The answer a client of this protocol turns into an exception with the error's code."""
    request_id = str(uuid.uuid4())
    match protocol:
        case "ec2":
            body, kind = _ec2_body(error, request_id), "text/xml;charset=UTF-8"
        case "query":
            body, kind = _query_body(error, request_id), "text/xml"
        case "json":
            body, kind = _json_body(error), "application/x-amz-json-1.1"
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", error.code),
    ]
    return Answer(f"{error.status} {HTTPStatus(error.status).phrase}", headers, body)


def _ec2_body(error: AwsError, request_id: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    ).encode()


def _query_body(error: AwsError, request_id: str) -> bytes:
    fault = "Sender" if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else "Receiver"
    return (
        f"<ErrorResponse><Error><Type>{fault}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _json_body(error: AwsError) -> bytes:
    return json.dumps({"__type": error.code, "message": error.message}).encode()
