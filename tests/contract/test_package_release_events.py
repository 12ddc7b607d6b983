"""What the Packages domain tells other programs: what settling emits, and the schemas published for it."""

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # comes without type information

from signalbox.packages.announcing import EVENT_SOURCE, DomainEvent, event_of
from signalbox.packages.findings import Level, Objection
from signalbox.packages.outcomes import settlement_of
from signalbox.packages.releases import Build, Progress, Reason, State
from tests.template.sources import ROOT
from tests.unit.packages.settlements import (
    DENIED,
    ENTRIES,
    NOON,
    OWNERS,
    entry_of,
    release_of,
    settlement,
    task_of,
)

FILES = sorted((ROOT / "events" / "packages").glob("release_*.schema.json"))
SCHEMAS: dict[str, Any] = {
    json.loads(path.read_text())["title"]: json.loads(path.read_text()) for path in FILES
}
KIND = {
    "planned": "Planned",
    "planned-nothing": "Planned",
    "promoted": "Promoted",
    "superseded": "Superseded",
}
"""The others are Failed."""
LARGEST_EVENT = 256 * 1024


def on_the_bus(event: DomainEvent | None) -> dict[str, Any]:
    """As a rule of the bus sees it, without what EventBridge itself adds."""
    assert event is not None
    return {"source": EVENT_SOURCE, "detail-type": event.detail_type, "detail": event.detail}


def emitted(name: str) -> dict[str, Any]:
    return on_the_bus(event_of(settlement(name), OWNERS, "shared"))


def faults(event: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator(SCHEMAS[event["detail-type"]])
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event)]


@pytest.mark.parametrize("title", SCHEMAS)
def test_the_schema_itself_is_valid(title: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[title])


@pytest.mark.parametrize("name", ENTRIES)
def test_an_emitted_event_is_as_published(name: str) -> None:
    event = emitted(name)
    assert event["detail-type"] == f"Package Release {KIND.get(name, 'Failed')} v1"
    assert faults(event) == []


def test_every_schema_is_of_an_event() -> None:
    assert {emitted(name)["detail-type"] for name in ENTRIES} == set(SCHEMAS)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_is_emitted_is_published_member_by_member(name: str) -> None:
    """The schema lets new members pass, as consumers should; a new one must be published all the same."""
    event = emitted(name)
    detail = SCHEMAS[event["detail-type"]]["properties"]["detail"]
    assert set(event["detail"]) == set(detail["properties"]) == set(detail["required"])
    for member in ("failed", "objections"):
        for item in event["detail"].get(member, []):
            assert set(item) == set(detail["properties"][member]["items"]["properties"])


def test_the_parts_are_tried_too() -> None:
    assert emitted("build-failed")["detail"]["failed"]
    assert emitted("denied")["detail"]["objections"]


@pytest.mark.parametrize("title", SCHEMAS)
def test_the_schema_misses_what_is_missing(title: str) -> None:
    event = next(each for each in map(emitted, ENTRIES) if each["detail-type"] == title)
    for member in event["detail"]:
        detail = {name: value for name, value in event["detail"].items() if name != member}
        assert faults({**event, "detail": detail}), member


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        ("promoted", "version", 2),
        ("promoted", "seconds", -1),
        ("promoted", "settled_at", "2026-01-31 12:00"),
        ("planned", "waves", [[]]),
        ("planned", "try", 0),
        ("denied", "outcome", "promoted"),
        ("denied", "objections", [{"code": "license", "level": "allow", "text": "fine"}]),
        ("superseded", "by", ""),
    ],
)
def test_the_schema_refuses_what_is_never_emitted(name: str, member: str, value: object) -> None:
    event = emitted(name)
    assert faults({**event, "detail": {**event["detail"], member: value}})


def test_a_clock_that_is_behind_that_of_codeartifact() -> None:
    entry = msgspec.structs.replace(ENTRIES["promoted"], published_at=NOON + 5)
    event = on_the_bus(event_of(settlement_of(entry, task_of(entry), NOON), OWNERS, "shared"))
    assert event["detail"]["seconds"] == 0
    assert faults(event) == []


@pytest.mark.parametrize("acts", [True, False], ids=["failed", "planned"])
def test_of_a_thousand_packages_there_is_an_event_that_eventbridge_takes(acts: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    names = [f"npm/{'ü' * 200}/{'ü' * 240}{number:04}" for number in range(1_000)]
    progress = Progress.FAILED if acts else Progress.PENDING
    release = release_of(
        acts=acts,
        state=State.FAILED if acts else State.PLANNED,
        reason=Reason.BUILD_FAILED if acts else None,
        waves=(tuple(names[:1]), tuple(names[1:])),
        builds={name: Build(progress, 1, f"rebuild:{name[-4:]}") for name in names},
    )
    objections = tuple(Objection("license", Level.WARN, "ü" * 2_000) for _ in range(200))
    entry = entry_of(release, troubles=dict.fromkeys(names, "ü" * 5_000), objections=(DENIED, *objections))
    event = on_the_bus(event_of(settlement_of(entry, task_of(entry), NOON), OWNERS, "shared"))
    assert faults(event) == []
    assert len(json.dumps(event, ensure_ascii=False).encode()) < LARGEST_EVENT
    detail = event["detail"]
    assert detail["objections"][0]["code"] == DENIED.code
    assert detail["failures" if acts else "affected"] == 1_000
    assert 40 < (len(detail["failed"]) if acts else len(detail["waves"][1])) < 1_000
