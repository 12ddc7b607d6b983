"""The API's form: events of an HTTP API in, answers out. Pure.

| route | |
|---|---|
| ``POST /uploads`` | begins: ``{name, size, content_type?, part_size?}`` |
| ``GET /uploads/{id}/parts`` | signs: ``?from=1``, ``&checksums=…,…`` |
| ``GET /uploads/{id}`` | tells: ``?after=0`` |
| ``POST /uploads/{id}/complete`` | completes: ``{parts?: […]}`` |
| ``DELETE /uploads/{id}`` | aborts |

Five routes are matched by hand: Powertools' resolver would import 72 modules, in more than a tenth of a
second.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from signalbox.clock import iso
from signalbox.documents.uploads.callers import owner_of
from signalbox.documents.uploads.checksums import checksums_of
from signalbox.documents.uploads.managing import ManageUploads
from signalbox.documents.uploads.models import Beginning, Upload, UploadError
from signalbox.errors import SignalboxError, TransientError

RETRY_AFTER_SECONDS = "2"

type Event = Mapping[str, Any]
type Body = dict[str, Any]
type Report = Callable[[SignalboxError], None]


class Completion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /uploads/{id}/complete``: the SHA-256 of each part, in order, in base64."""

    parts: list[str] | None = None


def respond(uploads: ManageUploads, event: Event, report: Report) -> dict[str, Any]:
    """Answers one request, in the payload format 2.0.

    Args:
        uploads: the use cases.
        event: likewise in the format 2.0.
        report: is told of each error that is not the caller's.
    """
    try:
        status, body = _route(event)(uploads, owner_of(event["requestContext"]), event)
    except UploadError as error:
        return _answer(error.status, _problem(error.code, error.where, error.what) | error.more)
    except TransientError as error:
        report(error)
        problem = _problem(error.code, "server", "try the same again in a moment")
        return _answer(503, problem, {"retry-after": RETRY_AFTER_SECONDS})
    except SignalboxError as error:
        report(error)
        return _answer(500, _problem("internal", "server", "the server's log has the cause"))
    return _answer(status, body)


def _begin(uploads: ManageUploads, owner: str, event: Event) -> tuple[int, Body]:
    return 201, _told(uploads.begin(owner, _body(event, Beginning)))


def _sign(uploads: ManageUploads, owner: str, event: Event) -> tuple[int, Body]:
    given = _query(event).get("checksums")
    checksums = checksums_of(given.split(","), "?checksums") if given else None
    page = uploads.sign(owner, _id(event), _number(event, "from", 1), checksums)
    parts = msgspec.to_builtins(page.parts)
    return 200, {"parts": parts, "expires_at": iso(page.expires_at), "next": page.next}


def _look(uploads: ManageUploads, owner: str, event: Event) -> tuple[int, Body]:
    progress = uploads.look(owner, _id(event), _number(event, "after", 0))
    return 200, _told(progress.upload) | msgspec.to_builtins(progress.page)


def _complete(uploads: ManageUploads, owner: str, event: Event) -> tuple[int, Body]:
    given = _body(event, Completion).parts if event.get("body") else None
    checksums = checksums_of(given, "$.parts") if given is not None else None
    return 200, _told(uploads.complete(owner, _id(event), checksums))


def _abort(uploads: ManageUploads, owner: str, event: Event) -> tuple[int, Body]:
    return 200, _told(uploads.abort(owner, _id(event)))


type Route = Callable[[ManageUploads, str, Event], tuple[int, Body]]

ROUTES: Mapping[str, Route] = {
    "POST /uploads": _begin,
    "GET /uploads/{id}/parts": _sign,
    "GET /uploads/{id}": _look,
    "POST /uploads/{id}/complete": _complete,
    "DELETE /uploads/{id}": _abort,
}


def _route(event: Event) -> Route:
    route = ROUTES.get(event.get("routeKey", ""))
    if route is None:
        raise UploadError(404, "unknown-route", "path", f"the routes are {', '.join(ROUTES)}")
    return route


def _told(upload: Upload) -> Body:
    """What the caller learns of an upload: all but who owns it and what S3 calls it."""
    told: Body = msgspec.to_builtins(upload)
    del told["owner"], told["multipart_id"]
    return told | {"began_at": iso(upload.began_at), "part_count": upload.part_count}


def _id(event: Event) -> str:
    return str(event["pathParameters"]["id"])


def _query(event: Event) -> Mapping[str, str]:
    return event.get("queryStringParameters") or {}


def _number(event: Event, name: str, otherwise: int) -> int:
    text = _query(event).get(name, str(otherwise))
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise UploadError(400, "bad-number", f"?{name}", "expected the number of a part")
    return int(text)


def _body[T](event: Event, kind: type[T]) -> T:
    text = event.get("body") or ""
    try:
        body = b64decode(text) if event.get("isBase64Encoded") else text
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise UploadError(400, "malformed", where.strip("`") or "$", what) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise UploadError(400, "unreadable", "$", f"the body can't be read as JSON: {error}") from error


def _problem(code: str, where: str, what: str) -> Body:
    return {"code": code, "message": what, "where": where}


def _answer(status: int, body: Body, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    usual = {"content-type": "application/json", "cache-control": "no-store"}
    return {
        "statusCode": status,
        "headers": usual | dict(headers or {}),
        "body": msgspec.json.encode(body).decode(),
    }
