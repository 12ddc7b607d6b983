"""Event files: what placeholders become, and what is said of a file that can't be sent."""

import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from local import events
from local.events import EventError, Values
from local.settings import ROOT

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def values(*instances: str, **given: str) -> Values:
    numbers = count(1)
    return Values(NOON, iter(instances), given, lambda: f"uuid-{next(numbers)}")


def test_the_time_moves_by_seconds() -> None:
    filled = events.fill([{"a": "{{now}}", "b": "{{now-90}}", "c": "{{ now+120 }}"}], values())
    assert filled == [{"a": "2026-01-31T12:00:00Z", "b": "2026-01-31T11:58:30Z", "c": "2026-01-31T12:02:00Z"}]


def test_one_name_means_one_thing_within_an_event_and_another_in_the_next() -> None:
    event = {"id": "{{uuid}}", "again": ["x/{{uuid}}", {"{{instance}}": 1}], "detail": "{{instance}}"}
    assert events.fill([event, event], values("i-1", "i-2")) == [
        {"id": "uuid-1", "again": ["x/uuid-1", {"i-1": 1}], "detail": "i-1"},
        {"id": "uuid-2", "again": ["x/uuid-2", {"i-2": 1}], "detail": "i-2"},
    ]


def test_what_is_given_goes_first() -> None:
    event = {"account": "{{account}}", "time": "{{now}}", "instance": "{{instance}}", "color": "{{color}}"}
    given = {"account": "999999999999", "now": "yesterday", "instance": "i-9", "color": "red"}
    assert events.fill([event], values(**given)) == [
        {"account": "999999999999", "time": "yesterday", "instance": "i-9", "color": "red"}
    ]


def test_nothing_else_is_touched() -> None:
    event: dict[str, Any] = {"n": 1, "f": 1.5, "t": True, "z": None, "s": "{single} {{}} ${x}", "l": [[]]}
    assert events.fill([event], values()) == [event]


def test_an_unknown_placeholder_is_named_with_the_remedy() -> None:
    with pytest.raises(EventError, match=r"\{\{colour\}\}: give it with --set colour=VALUE"):
        events.fill([{"a": "{{colour}}"}], values())


def test_a_fleet_with_too_few_instances_is_said() -> None:
    with pytest.raises(EventError, match="--set instance=i-"):
        events.fill([{"a": "{{instance}}"}] * 2, values("i-1"))


def test_assignments_fill_placeholders_or_members() -> None:
    event = {"id": "{{uuid}}", "detail": {"instance-action": "terminate"}}
    placed, given = events.place([event], {"uuid": "mine", "detail.instance-action": "stop"})
    assert placed == [{"id": "{{uuid}}", "detail": {"instance-action": "stop"}}]
    assert given == {"uuid": "mine"}
    assert event["detail"] == {"instance-action": "terminate"}


@pytest.mark.parametrize("path", ["detail.action", "detail.instance-action.x", "nothing"])
def test_an_assignment_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(EventError, match=f"--set {path}="):
        events.place([{"detail": {"instance-action": "terminate"}}], {path: "x"})


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "event.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_one_event_or_a_list_of_them(tmp_path: Path) -> None:
    assert events.read(write(tmp_path, '{"a": 1}')) == [{"a": 1}]
    assert events.read(write(tmp_path, '[{"a": 1}, {}]')) == [{"a": 1}, {}]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{\n  "a": 1,\n  "b" 2\n}', r"event\.json:3:7: this is not JSON"),
        ("", r"event\.json:1:1: this is not JSON"),
        (b'{"a": "\xff"}', r"event\.json: this is not UTF-8: byte 7 is 0xff"),
        ('[{}, "x"]', 'event 1 is no JSON object but "x"'),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(EventError, match=complaint):
        events.read(write(tmp_path, content))


def test_a_missing_file_or_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(EventError, match=r"There is no file .*absent\.json"):
        events.read(tmp_path / "absent.json")
    with pytest.raises(EventError, match="can't be read"):
        events.read(tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "events").rglob("*.json")), ids=lambda path: path.stem)
def test_every_sample_can_be_filled_in(path: Path) -> None:
    filled = events.fill(events.read(path), values(*(f"i-{number}" for number in range(100))))
    assert "{{" not in json.dumps(filled)
