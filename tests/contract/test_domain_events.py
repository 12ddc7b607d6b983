"""What the domain tells other programs: the events that settling emits, and the schema published for them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # comes without type information

from signalbox.ledger.actions import Action
from signalbox.spot.alerts import (
    EVENT_INSTANCES,
    Settlement,
    Survivor,
    running_messages,
    settlement_messages,
)
from signalbox.spot.late_look import LEAVING
from signalbox.spot.settlement import OUTCOMES
from tests.template.sources import ROOT
from tests.unit.spot.doubles import NOON, PLAN, instance_id, window

EVENTS = ROOT / "events" / "spot"
SCHEMA: dict[str, Any] = json.loads((EVENTS / "interruption_settled.v1.schema.json").read_text())
RUNNING: dict[str, Any] = json.loads((EVENTS / "instances_found_running.v1.schema.json").read_text())
UNTOLD = "ignored"


def settlement(number: int = 0, **changes: Any) -> Settlement:
    fields: dict[str, Any] = {
        "instance": instance_id(number),
        "group": "web",
        "outcome": "handled",
        "noticed_at": NOON,
        "deadline": NOON + 120,
        "seconds_left": 31.2,
        "seconds_to": {"detach": 3.2, "command": 88.8},
    }
    return Settlement(**fields | changes)


def emitted(*settlements: Settlement) -> list[dict[str, Any]]:
    """As a rule of the bus sees them, without what EventBridge itself adds."""
    messages = settlement_messages(PLAN, window(), settlements, NOON + 90.5)
    return on_the_bus(messages)


def on_the_bus(messages: list[Action]) -> list[dict[str, Any]]:
    payloads = [message.payload for message in messages if message.kind == "event"]
    return [{"source": p["source"], "detail-type": p["detail_type"], "detail": p["detail"]} for p in payloads]


def survivor(number: int = 0, **changes: Any) -> Survivor:
    fields: dict[str, Any] = {
        "instance": instance_id(number),
        "group": "web",
        "left_by": "detach",
        "left_at": NOON + 4,
        "deadline": NOON + 120,
    }
    return Survivor(**fields | changes)


def faults(event: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> list[str]:
    return [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(event)
    ]


def objects(node: Any, path: str = "detail") -> Iterator[tuple[str, set[str]]]:
    """Every object in there: where it is, and its members."""
    if isinstance(node, dict):
        yield path, set(node)
        for name, member in node.items():
            yield from objects(member, f"{path}.{name}")
    elif isinstance(node, list):
        for item in node:
            yield from objects(item, f"{path}[]")


@pytest.mark.parametrize("schema", [SCHEMA, RUNNING], ids=lambda schema: schema["title"])
def test_the_schema_itself_is_valid(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "changes",
    [
        *({"outcome": outcome} for outcome in OUTCOMES if outcome != UNTOLD),
        {"outcome": "late", "seconds_left": -12.5},
        {"outcome": "observed", "seconds_left": None},
        {"group": ""},
        {"instance": "i-12345678"},
    ],
    ids=str,
)
def test_an_emitted_event_is_as_published(changes: dict[str, Any]) -> None:
    (event,) = emitted(settlement(**changes))
    assert faults(event) == []


def test_what_is_emitted_is_published_member_by_member() -> None:
    """The schema lets new members pass, as consumers should; a new one must be published all the same."""
    detail = SCHEMA["properties"]["detail"]
    published = {
        "detail": set(detail["properties"]),
        "detail.instances[]": set(detail["properties"]["instances"]["items"]["properties"]),
    }
    (event,) = emitted(settlement())
    kinds = {"detail.instances[].seconds_to": {"detach", "command"}}  # names of kinds, not members
    assert dict(objects(event["detail"])) == published | kinds


def test_an_ignored_instance_causes_no_event() -> None:
    assert emitted(settlement(outcome=UNTOLD)) == []


def test_a_storm_is_told_in_events_of_the_published_size() -> None:
    events = emitted(*(settlement(number) for number in range(EVENT_INSTANCES + 1)))
    assert [len(event["detail"]["instances"]) for event in events] == [EVENT_INSTANCES, 1]
    assert [fault for event in events for fault in faults(event)] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("outcome", "ignored"),
        ("version", 2),
        ("settled_at", "2026-01-31 12:00"),
        ("window", 0),
        ("instances", []),
        ("instances", [{"instance_id": "web-1"}]),
    ],
)
def test_the_schema_refuses_what_is_never_emitted(place: str, value: object) -> None:
    (event,) = emitted(settlement())
    assert faults({**event, "detail": {**event["detail"], place: value}})


@pytest.mark.parametrize("member", SCHEMA["properties"]["detail"]["required"])
def test_the_schema_misses_what_is_missing(member: str) -> None:
    (event,) = emitted(settlement())
    detail = {name: value for name, value in event["detail"].items() if name != member}
    assert faults({**event, "detail": detail})


def found_running(*survivors: Survivor) -> list[dict[str, Any]]:
    return on_the_bus(running_messages(PLAN, window(), survivors, NOON + 1_020.5))


@pytest.mark.parametrize("left_by", LEAVING)
def test_what_runs_on_is_told_as_published(left_by: str) -> None:
    (event,) = found_running(survivor(left_by=left_by))
    assert faults(event, RUNNING) == []
    detail = RUNNING["properties"]["detail"]
    assert dict(objects(event["detail"])) == {
        "detail": set(detail["properties"]),
        "detail.instances[]": set(detail["properties"]["instances"]["items"]["properties"]),
    }


def test_a_storm_that_runs_on_is_told_in_events_of_the_published_size() -> None:
    events = found_running(*(survivor(number) for number in range(EVENT_INSTANCES + 1)))
    assert [len(event["detail"]["instances"]) for event in events] == [EVENT_INSTANCES, 1]
    assert [fault for event in events for fault in faults(event, RUNNING)] == []


@pytest.mark.parametrize("member", RUNNING["properties"]["detail"]["required"])
def test_the_schema_of_what_runs_on_misses_what_is_missing(member: str) -> None:
    (event,) = found_running(survivor())
    detail = {name: value for name, value in event["detail"].items() if name != member}
    assert faults({**event, "detail": detail}, RUNNING)
