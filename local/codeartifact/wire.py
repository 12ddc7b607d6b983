"""Requests and answers as botocore's service model of CodeArtifact describes them (rest-json).

Requests are held to it as the service would (required members, patterns, lengths, enums), and so are our own
answers: one that doesn't fit is a bug of ours, and is answered as one.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from local.codeartifact.errors import ServiceError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from werkzeug.wrappers import Request

JSON = "application/json"
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "blob": (bytes,),
    "timestamp": (datetime,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """What goes back over HTTP."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes


@cache
def service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("codeartifact", "service-2"), "codeartifact")


@cache
def routes() -> Mapping[tuple[str, str], str]:
    """Operation by method and path. No path of this service has a parameter in it."""
    model = service_model()
    https = {name: model.operation_model(name).http for name in model.operation_names}
    return {(http["method"], http["requestUri"]): name for name, http in https.items()}


def operation_model(operation: str) -> OperationModel:
    return service_model().operation_model(operation)


@cache
def shape(name: str) -> Shape:
    """A shape by its name in the model."""
    return service_model().shape_for(name)


def read(operation: str, request: Request) -> dict[str, Any]:
    """The parameters of a request, by the model's names. Raises ServiceError 400, naming what is wrong."""
    expected = operation_model(operation).input_shape
    if expected is None:
        return {}
    given = dict(_given(expected, request))
    _refuse(list(problems(expected, given, "")))
    return given


def write(operation: str, output: dict[str, Any]) -> WireAnswer:
    """The answer to a call. Raises ServiceError 500 if `output` is not what the model says."""
    promised = operation_model(operation).output_shape
    if promised is None:
        return WireAnswer(HTTPStatus.OK, {"Content-Type": JSON}, b"")
    if found := list(problems(promised, output, "", strict=True)):
        message = (
            f"a bug of the embedded CodeArtifact: its answer to {operation} is wrong: {'; '.join(found)}"
        )
        raise ServiceError("InternalServerException", message)
    headers = {
        member.serialization["name"]: _header(output[name])
        for name, member in promised.members.items()
        if member.serialization.get("location") == "header" and name in output
    }
    payload = promised.serialization.get("payload")
    if payload and promised.members[payload].type_name == "blob":
        headers["Content-Type"] = "application/octet-stream"
        return WireAnswer(HTTPStatus.OK, headers, output.get(payload, b""))
    return WireAnswer(
        HTTPStatus.OK, {"Content-Type": JSON, **headers}, json.dumps(output, default=_json).encode()
    )


def _header(value: object) -> str:
    """WSGI's form of a header in UTF-8: its bytes, each as one character."""
    return str(value).encode().decode("latin-1")


def write_error(error: ServiceError) -> WireAnswer:
    """The answer a client turns into an exception with the error's code and members."""
    members = {"message": error.message, **error.members}
    headers = {"Content-Type": JSON, "x-amzn-ErrorType": error.code}
    status = error.status
    if error.code in service_model().shape_names:
        exception: Any = shape(error.code)
        status = HTTPStatus(exception.metadata["error"]["httpStatusCode"])
        for name, member in exception.members.items():
            if member.serialization.get("location") == "header" and name in members:
                headers[member.serialization["name"]] = str(members.pop(name))
    return WireAnswer(status or HTTPStatus.BAD_REQUEST, headers, json.dumps(members).encode())


def _given(shape: Any, request: Request) -> Iterator[tuple[str, Any]]:
    payload = shape.serialization.get("payload")
    located = {name: member.serialization.get("location") for name, member in shape.members.items()}
    in_body = payload is None and not all(located.values())
    body = _body(request) if in_body else {}
    for name, member in shape.members.items():
        if name == payload:
            value: Any = request.get_data()
        elif located[name] == "querystring":
            value = _from_text(member, request.args.get(member.serialization["name"]), name)
        elif located[name] == "header":
            value = _from_text(member, request.headers.get(member.serialization["name"]), name)
        else:
            value = body.get(name)
        if value is not None:
            yield name, value


def _body(request: Request) -> dict[str, Any]:
    data = request.get_data()
    if not data:
        return {}
    try:
        body = json.loads(data)
    except ValueError as error:
        raise invalid(f"The body is not JSON: {error}", "CANNOT_PARSE") from error
    if not isinstance(body, dict):
        raise invalid("The body is no JSON object", "CANNOT_PARSE")
    return body


def _from_text(shape: Shape, text: str | None, name: str) -> Any:
    if text is None:
        return None
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case _:
                return text
    except (ValueError, KeyError):
        raise invalid(f"Value '{text}' at '{name}' is no {shape.type_name}") from None


def _refuse(found: list[str]) -> None:
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def problems(shape: Any, value: Any, place: str, *, strict: bool = False) -> Iterator[str]:
    """What is wrong with a value. `strict` also refuses members that the model doesn't have."""
    if not _typed(shape, value):
        yield f"Value at '{place}' is no {shape.type_name}"
        return
    yield from _constraints(shape, value, place)
    match shape.type_name:
        case "structure":
            yield from _members(shape, value, place, strict=strict)
        case "list":
            for index, item in enumerate(value):
                yield from problems(shape.member, item, f"{place}[{index}]", strict=strict)
        case "map":
            for key, item in value.items():
                yield from problems(shape.key, key, f"{place} (key)", strict=strict)
                yield from problems(shape.value, item, f"{place}.{key}", strict=strict)


def _typed(shape: Shape, value: object) -> bool:
    # To Python a boolean is an integer too.
    if isinstance(value, bool):
        return shape.type_name == "boolean"
    return isinstance(value, TYPES[shape.type_name])


def _members(shape: Any, value: dict[str, Any], place: str, *, strict: bool) -> Iterator[str]:
    path = f"{place}." if place else ""
    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{path}{name}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        if name in shape.members:
            yield from problems(shape.members[name], item, f"{path}{name}", strict=strict)
        elif strict:
            yield f"'{path}{name}' is not in the model"


def _constraints(shape: Any, value: Any, place: str) -> Iterator[str]:
    limits = shape.metadata
    said = f"Value '{value}' at '{place}' failed to satisfy constraint: Member must"
    if isinstance(value, (str, bytes, list, dict)):
        measured, what = len(value), "have length"
    elif isinstance(value, int) and not isinstance(value, bool):
        measured, what = value, "have value"
    else:
        return
    if "min" in limits and measured < limits["min"]:
        yield f"{said} {what} greater than or equal to {limits['min']}"
    if "max" in limits and measured > limits["max"]:
        yield f"{said} {what} less than or equal to {limits['max']}"
    if isinstance(value, str) and limits.get("enum") and value not in limits["enum"]:
        yield f"{said} satisfy enum value set: {limits['enum']}"
    pattern = limits.get("pattern")
    if isinstance(value, str) and pattern and not _pattern(pattern).fullmatch(_comparable(value)):
        yield f"{said} satisfy regular expression pattern: {pattern}"


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    r"""A pattern of the model's, which is Java's: \P{C} is what is neither control, format nor unassigned."""
    inside = pattern.replace(r"[\P{C}\s]", r"[\x20-\x7e\xa0-\U0010ffff\s]")
    return re.compile(inside.replace(r"\P{C}", r"[\x20-\x7e\xa0-\U0010ffff]"))


def _comparable(text: str) -> str:
    """The text with NUL for each character of Unicode's category C that isn't white space."""
    return "".join(
        "\0" if unicodedata.category(one).startswith("C") and not one.isspace() else one for one in text
    )


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} is in no answer of JSON")
