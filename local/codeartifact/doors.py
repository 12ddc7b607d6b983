"""The doors under /_codeartifact: what AWS doesn't have and a test or a demonstration needs."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from local.codeartifact.delivery import DeliverySwitches
from local.codeartifact.errors import ServiceError
from local.codeartifact.wire import JSON, WireAnswer, write_error

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from local.codeartifact.service import CodeArtifact

PREFIX = "/_codeartifact/"


class Doors:
    """Answers the doors; holds nothing itself."""

    def __init__(self, service: CodeArtifact) -> None:
        self._service = service

    def answer(self, request: Request) -> WireAnswer:
        """400 with an explanation for a document that can't be used, 404 for a door that isn't there."""
        door = request.path.removeprefix(PREFIX)
        try:
            document = self._read(door) if request.method == "GET" else self._write(request, door)
        except ServiceError as error:
            return write_error(error)
        except ValueError as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except LookupError as error:
            return _json(HTTPStatus.NOT_FOUND, {"error": str(error.args[0])})
        return _json(HTTPStatus.OK, document)

    def _read(self, door: str) -> dict[str, Any]:
        service = self._service
        match door:
            case "health":
                return {"status": "ok", "roles": service.access.knows_roles}
            case "calls":
                return service.calls.document()
            case "events":
                service.courier.deliver()
                return service.courier.document()
            case "limits":
                return service.limits.document()
            case "delivery":
                return service.courier.switches.document()
        raise LookupError(f"there is no door GET {PREFIX}{door}: see local/codeartifact/README.md")

    def _write(self, request: Request, door: str) -> dict[str, Any]:
        service = self._service
        match request.method, door:
            case "POST", "seed":
                return {"published": service.seed(_document(request))}
            case "POST", "forget":
                service.access.forget()
                return {}
            case "POST", "reset":
                service.restore()
                return {}
            case "POST", "limits":
                service.limits.change(_document(request))
                return service.limits.document()
            case "POST", "delivery":
                service.switch_delivery(DeliverySwitches.from_document(_document(request)))
                return service.courier.switches.document()
            case "POST", "deliver":
                return {"delivered": service.courier.deliver(everything=True)}
        raise LookupError(
            f"there is no door {request.method} {PREFIX}{door}: see local/codeartifact/README.md"
        )


def _document(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("the body is no JSON object")  # noqa: TRY004 - the caller's mistake, answered with 400
    return document


def _json(status: HTTPStatus, document: object) -> WireAnswer:
    return WireAnswer(status, {"Content-Type": JSON}, json.dumps(document).encode())
