"""The upload API and S3, over HTTP."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, HeadersDict
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from operations.uploading import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    TRIES,
    Begun,
    EndedError,
    ExpiredError,
    PartsError,
    Signed,
)
from signalbox.errors import (
    AccessDeniedError,
    NotFoundError,
    RefusedError,
    RejectedError,
    SignalboxError,
    ThrottledError,
    TransientError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from botocore.credentials import Credentials

TIMEOUT_SECONDS = (10, 60)
"""To connect, and for an answer: S3 has one once it has all of a part; the API waits 30 s for its own."""
ERROR_CODE = re.compile(rb"<Code>(\w+)</Code>")
PASSING = frozenset({"BadDigest", "IncompleteBody", "InternalError", "RequestTimeout", "SlowDown"})
"""Errors of S3 that another try may not have: also bytes that were spoilt on their way."""


class Http:
    """Connections for so many requests at a time, through the proxies of the environment. Repeats nothing."""

    def __init__(self, jobs: int, url: str) -> None:
        options: dict[str, Any] = {  # botocore's own types are narrower than what it takes
            "verify": os.environ.get("AWS_CA_BUNDLE") or True,
            "proxies": get_environ_proxies(url),
            "timeout": TIMEOUT_SECONDS,
            "max_pool_connections": jobs + 1,
        }
        self._session = URLLib3Session(**options)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None
    ) -> tuple[int, bytes]:
        """Status and answer.

        Raises:
            UnavailableError: none came.
        """
        known: Any = HeadersDict(headers)  # likewise
        sent: Any = body
        request = AWSPreparedRequest(method, url, known, sent, stream_output=False)
        try:
            answer = self._session.send(request)
        except BotoCoreError as error:
            raise UnavailableError(str(error)) from error
        return answer.status_code, answer.content


@dataclass(frozen=True, slots=True)
class Signer:
    """Whoever calls the API: Signature V4 for API Gateway. Credentials renew themselves."""

    credentials: Credentials
    region: str

    def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        """All that must go with a request."""
        usual = {"content-type": "application/json"} if body else {}
        request = AWSRequest(method, url, data=body, headers=usual)
        SigV4Auth(self.credentials.get_frozen_credentials(), "execute-api", self.region).add_auth(request)
        return dict(request.headers.items())


class HttpApi:
    """The upload API (`operations.uploading.Api`).

    Args:
        http: the connections.
        url: of the API, without a slash at the end.
        signer: whoever calls.
        pause: waits so many seconds.
    """

    def __init__(self, http: Http, url: str, signer: Signer, pause: Callable[[float], object]) -> None:
        self._http = http
        self._url = url
        self._signer = signer
        self._pause = pause

    def begin(self, name: str, size: int, part_size: int) -> Begun:
        asked = {"name": name, "size": size} | ({"part_size": part_size} if part_size else {})
        return _begun(self._ask("POST", "/uploads", body=asked))

    def sign(self, upload_id: str, first: int, checksums: Sequence[str]) -> list[Signed]:
        query = {"from": str(first), "checksums": ",".join(map(_for_url, checksums))}
        answer = self._ask("GET", f"{_path(upload_id)}/parts", query)
        return [Signed(p["number"], p["size"], p["url"], p["headers"]) for p in answer["parts"]]

    def look(self, upload_id: str) -> tuple[Begun, dict[int, str]]:
        answer = self._ask("GET", _path(upload_id))
        there = {part["number"]: part["checksum"] for part in answer["parts"]}
        begun, page = _begun(answer), answer
        while page["next"] is not None:
            page = self._ask("GET", _path(upload_id), {"after": str(page["next"])})
            there |= {part["number"]: part["checksum"] for part in page["parts"]}
        return begun, there

    def complete(self, upload_id: str, checksums: Sequence[str]) -> Begun:
        return _begun(self._ask("POST", f"{_path(upload_id)}/complete", body={"parts": list(checksums)}))

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, *, body: object = None
    ) -> dict[str, Any]:
        """Tried again while it may help: every route may be asked twice, but for an upload begun in vain."""
        url = f"{self._url}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        data = b"" if body is None else json.dumps(body).encode()
        for attempt in range(TRIES):
            try:
                return self._once(method, url, data)
            except TransientError:
                if attempt == TRIES - 1:
                    raise
                self._pause(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt))
        raise AssertionError("unreachable")

    def _once(self, method: str, url: str, data: bytes) -> dict[str, Any]:
        headers = self._signer.headers(method, url, data)
        status, answer = self._http.ask(method, url, headers, data or None)
        if status >= HTTPStatus.BAD_REQUEST:
            raise _api_error(status, answer)
        told: dict[str, Any] = json.loads(answer)
        return told


class HttpSender:
    """Sends parts to S3 (`operations.uploading.Sender`)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def send(self, part: Signed, body: Iterable[bytes]) -> None:
        headers = {**part.headers, "content-length": str(part.size)}
        status, answer = self._http.ask("PUT", part.url, headers, body)
        if status != HTTPStatus.OK:
            raise _part_error(part.number, status, answer)


def _path(upload_id: str) -> str:
    return f"/uploads/{quote(upload_id, safe='')}"


def _for_url(checksum: str) -> str:
    return checksum.translate(str.maketrans("+/", "-_")).rstrip("=")


def _begun(answer: Mapping[str, Any]) -> Begun:
    return Begun(
        id=answer["id"],
        key=answer["key"],
        size=answer["size"],
        part_size=answer["part_size"],
        part_count=answer["part_count"],
        state=answer["state"],
    )


def _api_error(status: int, data: bytes) -> SignalboxError:
    """Ours have a code. API Gateway's have a message alone."""
    try:
        problem = json.loads(data)
    except ValueError:
        problem = {}
    what = problem.get("message") or data[:200].decode(errors="replace")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ThrottledError if status == HTTPStatus.TOO_MANY_REQUESTS else UnavailableError
        return kind(f"the upload API answered {status}: {what}")
    if numbers := problem.get("missing") or problem.get("different"):
        return PartsError(what, numbers)
    if status in {HTTPStatus.GONE, HTTPStatus.NOT_FOUND} and "code" in problem:
        return EndedError(what)
    if status in {HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED}:
        return AccessDeniedError(f"the upload API refuses you: {what}")
    return RejectedError(problem.get("code", str(status)), problem.get("where", "request"), what)


def _part_error(number: int, status: int, data: bytes) -> SignalboxError:
    """Any 403 is taken for a URL that no longer holds: which it is, S3 tells in words only."""
    found = ERROR_CODE.search(data)
    code = found[1].decode() if found else ""
    what = f"part {number}: S3 answered {status} {code}".rstrip()
    if status == HTTPStatus.FORBIDDEN or code == "ExpiredToken":
        return ExpiredError(what)
    if (
        code in PASSING
        or status == HTTPStatus.TOO_MANY_REQUESTS
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return UnavailableError(what)
    if code == "NoSuchUpload":
        return EndedError(f"{what}: the upload was aborted, or has expired")
    return NotFoundError(what) if status == HTTPStatus.NOT_FOUND else RefusedError(what)
