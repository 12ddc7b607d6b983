"""Event files: reading one, filling in its placeholders, putting it on the embedded AWS's bus.

{{now}} {{now-60}} {{now+120}}   the time in UTC, moved by seconds
{{account}} {{region}}           of the embedded AWS
{{uuid}}                         a new one for each event of the file
{{bucket}}                       the stack's bucket of documents
{{instance}}                     a Spot instance of the demo fleet, another for each event of the file
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PLACEHOLDER = re.compile(r"\{\{\s*(?P<name>[A-Za-z][\w.-]*?)(?P<shift>[+-]\d+)?\s*\}\}")
BUILT_IN = ("account", "bucket", "instance", "now", "region", "uuid")


class EventError(ValueError):
    """An event file that can't be sent; says which, where, and what to do."""


@dataclass(slots=True)
class Values:
    """What placeholders stand for. `instances` and `bucket` are only asked when an event wants one."""

    now: datetime
    instances: Iterator[str]
    given: Mapping[str, str] = field(default_factory=dict)
    new_uuid: Callable[[], str] = lambda: str(uuid.uuid4())
    bucket: Callable[[], str] = lambda: "amzn-s3-demo-bucket"

    def for_one_event(self) -> Callable[[str, int], str]:
        """Looks placeholders up: the same name means the same thing all through one event."""
        remembered: dict[str, str] = {"account": ACCOUNT, "region": REGION, **self.given}

        def look_up(name: str, shift: int) -> str:
            if name == "now" and name not in self.given:
                return timestamp(self.now + timedelta(seconds=shift))
            if name not in remembered:
                remembered[name] = self._new(name)
            return remembered[name]

        return look_up

    def _new(self, name: str) -> str:
        if name == "uuid":
            return self.new_uuid()
        if name == "bucket":
            return self.bucket()
        if name == "instance":
            instance = next(self.instances, None)
            if instance is None:
                raise EventError(
                    "No Spot instance of the demo fleet is in service to stand for {{instance}}: "
                    "name one with --set instance=i-…"
                )
            return instance
        raise EventError(
            f"Nothing is known for {{{{{name}}}}}: give it with --set {name}=VALUE. "
            f"Known without: {', '.join(BUILT_IN)}."
        )


def timestamp(moment: datetime) -> str:
    """A moment as EventBridge writes it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a file: one JSON object, or a list of them. Raises EventError with line and column."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EventError(f"There is no file {path}. Samples are in events/.") from error
    except (IsADirectoryError, PermissionError) as error:
        raise EventError(f"{path} can't be read: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        raise EventError(f"{path}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}.") from error
    except UnicodeDecodeError as error:
        raise EventError(
            f"{path}: this is not UTF-8: byte {error.start} is {error.object[error.start]:#x}."
        ) from error
    events = document if isinstance(document, list) else [document]
    for position, event in enumerate(events):
        if not isinstance(event, dict):
            raise EventError(f"{path}: event {position} is no JSON object but {json.dumps(event)[:60]}.")
    return events


def fill(events: list[dict[str, Any]], values: Values) -> list[dict[str, Any]]:
    """The events with their placeholders filled in. Raises EventError for one that nothing is known for."""
    return [_filled(event, values.for_one_event()) for event in events]


def place(
    events: list[dict[str, Any]], assignments: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Puts assignments like `detail.instance-action=stop` in place; returns those that name placeholders.

    Raises EventError for one that is neither a member of every event nor a placeholder of any.
    """
    named = {match["name"] for text in _texts(events) for match in PLACEHOLDER.finditer(text)}
    placeholders = {name: value for name, value in assignments.items() if name in named}
    placed = json.loads(json.dumps(events))
    for path, value in assignments.items():
        if path not in placeholders:
            for event in placed:
                _place(event, path, value)
    return placed, placeholders


def _place(event: dict[str, Any], path: str, value: str) -> None:
    *parents, last = path.split(".")
    owner: Any = event
    for parent in parents:
        owner = owner.get(parent) if isinstance(owner, dict) else None
    if not isinstance(owner, dict) or last not in owner:
        raise EventError(
            f"--set {path}=…: the file has no placeholder {{{{{path}}}}} and the event no member {path}."
        )
    owner[last] = value


def _texts(node: object) -> Iterator[str]:
    match node:
        case str(text):
            yield text
        case dict():
            for key, value in node.items():
                yield from (key, *_texts(value))
        case list():
            for item in node:
                yield from _texts(item)


def _filled(node: Any, look_up: Callable[[str, int], str]) -> Any:
    match node:
        case str(text):
            return PLACEHOLDER.sub(lambda match: look_up(match["name"], int(match["shift"] or 0)), text)
        case dict():
            return {_filled(key, look_up): _filled(value, look_up) for key, value in node.items()}
        case list():
            return [_filled(item, look_up) for item in node]
    return node
