"""The guard's own doors, under /_guard: counts, faults, limits, reset, health."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from local.estate.errors import Answer
from local.estate.faults import Fault

if TYPE_CHECKING:
    from local.estate.authorization import Authorization
    from local.estate.buckets import RequestLimits
    from local.estate.calls import CallCounts
    from local.estate.faults import Faults
    from local.estate.requests import Environ

PREFIX = "/_guard/"
PARTS = ("calls", "faults", "limits", "caches")


class Control:
    """Answers the doors; holds nothing itself."""

    def __init__(
        self,
        calls: CallCounts,
        faults: Faults,
        limits: RequestLimits,
        authorization: Authorization | None,
    ) -> None:
        self._calls = calls
        self._faults = faults
        self._limits = limits
        self._authorization = authorization

    def answer(self, environ: Environ) -> Answer:
        try:
            document = self._route(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ)
        except ValueError as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except LookupError as error:
            return _json(HTTPStatus.NOT_FOUND, {"error": str(error.args[0])})
        return _json(HTTPStatus.OK, document)

    def _route(self, method: str, path: str, environ: Environ) -> dict[str, Any]:
        match method, path.removeprefix(PREFIX):
            case "GET", "health":
                return {"status": "ok", "authorization": self._authorization is not None}
            case "GET", "calls":
                return self._calls.document()
            case "POST", "reset":
                return self._reset(_document(environ))
            case _, "faults":
                return self._route_faults(method, environ)
            case _, "limits":
                return self._route_limits(method, environ)
            case _:
                raise LookupError(f"the guard has no door {method} {path}: see local/README.md")

    def _route_faults(self, method: str, environ: Environ) -> dict[str, Any]:
        match method:
            case "POST":
                self._faults.add(Fault.from_document(_document(environ)))
            case "DELETE":
                self._faults.clear()
            case "GET":
                pass
            case _:
                raise LookupError(f"/_guard/faults takes GET, POST and DELETE, not {method}")
        return self._faults.document()

    def _route_limits(self, method: str, environ: Environ) -> dict[str, Any]:
        match method:
            case "POST":
                self._limits.change(_document(environ))
            case "GET":
                pass
            case _:
                raise LookupError(f"/_guard/limits takes GET and POST, not {method}")
        return self._limits.document()

    def _reset(self, document: dict[str, Any]) -> dict[str, Any]:
        keep = document.get("keep", [])
        if not isinstance(keep, list) or not set(keep) <= set(PARTS):
            raise ValueError(f'"keep" is a list of {", ".join(PARTS)}, not {keep!r}')
        if "calls" not in keep:
            self._calls.clear()
        if "faults" not in keep:
            self._faults.clear()
        if "limits" in keep:
            self._limits.refill()
        else:
            self._limits.restore()
        if "caches" not in keep and self._authorization:
            self._authorization.forget()
        return {"kept": keep}


def _document(environ: Environ) -> dict[str, Any]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        document = json.loads(environ["wsgi.input"].read(length) or b"{}")
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004 - the caller's mistake, answered with 400
    return document


def _json(status: HTTPStatus, document: dict[str, Any]) -> Answer:
    body = json.dumps(document, indent=2).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return Answer(f"{status.value} {status.phrase}", headers, body)
