"""The upload API over S3 and a ledger in memory, and somebody who calls it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from signalbox.documents.uploads.api import respond
from signalbox.documents.uploads.managing import ManageUploads
from signalbox.documents.uploads.planning import MIB
from signalbox.errors import SignalboxError
from signalbox.ledger.memory import MemoryLedger
from tests.unit.documents.uploads.multipart import MemoryMultipart, digest_of

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
MAXIMUM = 1_000 * MIB
JANE = {"callerId": "AIDAJANE", "userArn": "arn:aws:iam::123456789012:user/jane", "accountId": "123456789012"}
JOE = {"callerId": "AIDAJOE", "userArn": "arn:aws:iam::123456789012:user/joe", "accountId": "123456789012"}


@dataclass
class Now:
    """A clock that is moved."""

    at: float = NOON

    def __call__(self) -> float:
        return self.at


@dataclass
class Scene:
    """One API."""

    clock: Now = field(default_factory=Now)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    errors: list[SignalboxError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = MemoryMultipart(self.clock)
        ids = (f"id-{number}" for number in count(1))
        self.uploads = ManageUploads(
            self.ledger, self.s3, self.clock, lambda: next(ids), ("uploads/", MAXIMUM), url_seconds=900
        )

    def call(
        self,
        route: str,
        upload: str = "",
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        caller: Mapping[str, Any] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and answer. Bodies that are text are sent as they stand."""
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route,
            "requestContext": {"authorizer": {"iam": JANE if caller is None else caller}},
        }
        if upload:
            event["pathParameters"] = {"id": upload}
        if query:
            event["queryStringParameters"] = dict(query)
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        answer = respond(self.uploads, event, self.errors.append)
        assert answer["headers"]["content-type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])

    def begin(self, size: int = 12 * MIB, name: str = "a.pdf", **more: Any) -> dict[str, Any]:
        status, answer = self.call("POST /uploads", body={"name": name, "size": size, **more})
        assert status == 201, answer
        return answer

    def sign(self, upload: str, first: int = 1, *checksums: str) -> tuple[int, dict[str, Any]]:
        query = {"from": str(first)} | ({"checksums": ",".join(checksums)} if checksums else {})
        return self.call("GET /uploads/{id}/parts", upload, query=query)

    def send(self, upload: str, *bodies: bytes) -> list[str]:
        """Signs and puts the parts, from the first; answers their checksums."""
        checksums = [digest_of(body) for body in bodies]
        status, page = self.sign(upload, 1, *checksums)
        assert status == 200, page
        for part, body in zip(page["parts"], bodies, strict=True):
            assert self.s3.put(part["url"], body, part["headers"]) == 200
        return checksums

    def complete(self, upload: str, checksums: list[str] | None = None) -> tuple[int, dict[str, Any]]:
        body = None if checksums is None else {"parts": checksums}
        return self.call("POST /uploads/{id}/complete", upload, body)


BODIES = (b"a" * (8 * MIB), b"b" * (4 * MIB))
"""The parts of an upload of 12 MiB."""
