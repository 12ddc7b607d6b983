"""What the Documents domain tells other programs: its events, and the schemas published for them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # comes without type information

from signalbox.documents.alerts import (
    INDEXED_EVENT,
    QUARANTINED_EVENT,
    REMOVED_EVENT,
    Quarantine,
    Settlement,
    event_of,
)
from signalbox.documents.models import QUARANTINED, Entities, Label, Labels, Outcome
from tests.template.sources import ROOT
from tests.unit.documents.doubles import NOON, WORK_BUCKET, document, found, text_of

FILES = {
    INDEXED_EVENT: "document_indexed",
    REMOVED_EVENT: "document_removed",
    QUARANTINED_EVENT: "document_quarantined",
}
SCHEMAS: dict[str, dict[str, Any]] = {
    title: json.loads((ROOT / "events" / "documents" / f"{name}.v1.schema.json").read_text())
    for title, name in FILES.items()
}
LARGEST_ENTRY = 256 * 1024
LONGEST_KEY = "🦄" * 256


def settlement(outcome: Outcome, **changes: Any) -> Settlement:
    of = document()
    fields: dict[str, Any] = {
        "document": of,
        "route": "reports",
        "outcome": outcome,
        "reason": "some-reason",
        "detail": "A sentence.",
        "found": found(),
        "settled_at": NOON + 3.5,
        "bucket": WORK_BUCKET,
    }
    return Settlement(**fields | changes)


def indexed(**changes: Any) -> Settlement:
    fields: dict[str, Any] = {
        "text": text_of(document()),
        "entities": Entities(key="entities/0/1.jsonl.gz", language="en", found=12, calls=2),
        "rows": 3,
    }
    return settlement(Outcome.INDEXED, **fields | changes)


def image(**changes: Any) -> Settlement:
    seen = Labels(labels=(Label(name="Cat", confidence=99.1), Label(name="Sofa", confidence=80.0)))
    return settlement(Outcome.INDEXED, found=found(media_type="image/png"), labels=seen, rows=1, **changes)


def quarantined(outcome: Outcome = Outcome.CORRUPT, **changes: Any) -> Settlement:
    kept = Quarantine(reason="quarantine/b/0/1/reason.json", object="quarantine/b/0/1/object")
    return settlement(outcome, **{"quarantine": kept, **changes})


def emitted(of: Settlement) -> dict[str, Any]:
    """As a rule of the bus sees it, without what EventBridge itself adds."""
    event = event_of(of)
    assert event is not None
    detail = json.loads(json.dumps(event.detail))
    return {"source": "signalbox.documents", "detail-type": event.detail_type, "detail": detail}


def faults(event: dict[str, Any]) -> list[str]:
    schema = SCHEMAS[event["detail-type"]]
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(event)]


EVENTS = [
    indexed(),
    indexed(entities=None),
    indexed(entities=Entities(note="access-denied: no")),
    indexed(document=document(cause="found")),
    image(),
    settlement(Outcome.DELETED, reason="deleted", found=None),
    settlement(Outcome.DELETED, reason="gone-before-read", found=None),
    *(quarantined(outcome) for outcome in sorted(QUARANTINED)),
    quarantined(found=None, quarantine=Quarantine(reason="quarantine/b/0/1/reason.json", without="gone")),
]
WHOLE = {INDEXED_EVENT: indexed(), REMOVED_EVENT: EVENTS[5], QUARANTINED_EVENT: quarantined()}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
def test_the_schema_itself_is_valid(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("of", EVENTS, ids=lambda of: f"{of.outcome} {of.reason}")
def test_an_emitted_event_is_as_published(of: Settlement) -> None:
    assert faults(emitted(of)) == []


def members(node: Any, path: str = "detail") -> Iterator[tuple[str, set[str]]]:
    """Every object in there: where it is, and its members."""
    if isinstance(node, dict):
        yield path, set(node)
        for name, member in node.items():
            yield from members(member, f"{path}.{name}")


def published(schema: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[tuple[str, set[str]]]:
    """The same, of a schema."""
    if "oneOf" in node:
        node = schema["$defs"]["reference"]
    if "properties" in node:
        yield path, set(node["properties"])
        for name, member in node["properties"].items():
            yield from published(schema, member, f"{path}.{name}")


@pytest.mark.parametrize("title", SCHEMAS)
def test_what_is_emitted_is_published_member_by_member(title: str) -> None:
    """The schema lets new members pass, as consumers should; a new one must be published all the same."""
    schema = SCHEMAS[title]
    expected = dict(published(schema, schema["properties"]["detail"], "detail"))
    assert dict(members(emitted(WHOLE[title])["detail"])) == expected


@pytest.mark.parametrize(
    ("title", "member"),
    [(title, m) for title, schema in SCHEMAS.items() for m in schema["properties"]["detail"]["required"]],
)
def test_the_schema_misses_what_is_missing(title: str, member: str) -> None:
    event = emitted(WHOLE[title])
    detail = {name: value for name, value in event["detail"].items() if name != member}
    assert faults({**event, "detail": detail})


@pytest.mark.parametrize("title", SCHEMAS)
def test_all_that_is_emitted_is_required(title: str) -> None:
    required = SCHEMAS[title]["properties"]["detail"]["required"]
    assert set(required) == set(emitted(WHOLE[title])["detail"])


@pytest.mark.parametrize(
    ("title", "place", "value"),
    [
        (INDEXED_EVENT, "version", 2),
        (INDEXED_EVENT, "document", "0123"),
        (INDEXED_EVENT, "text", {"bucket": "work"}),
        (INDEXED_EVENT, "indexed_at", "2026-01-31 12:00"),
        (REMOVED_EVENT, "generation", 0),
        (QUARANTINED_EVENT, "outcome", "INDEXED"),
        (QUARANTINED_EVENT, "outcome", "SUPERSEDED"),
        (QUARANTINED_EVENT, "reason", "In words"),
        (QUARANTINED_EVENT, "quarantine", {}),
    ],
)
def test_the_schema_refuses_what_is_never_emitted(title: str, place: str, value: object) -> None:
    event = emitted(WHOLE[title])
    assert faults({**event, "detail": {**event["detail"], place: value}})


def test_every_outcome_that_is_told_has_an_event_of_its_own() -> None:
    told = {
        outcome: (event.detail_type if (event := event_of(settlement(outcome))) else None)
        for outcome in Outcome
    }
    assert told == {
        Outcome.INDEXED: INDEXED_EVENT,
        Outcome.DELETED: REMOVED_EVENT,
        Outcome.SUPERSEDED: None,
        **dict.fromkeys(QUARANTINED, QUARANTINED_EVENT),
    }


def test_the_largest_event_is_one_that_the_bus_takes() -> None:
    """PutEvents once took 256 KB: what can grow beyond lies in S3."""
    of = document(key=LONGEST_KEY)
    labels = Labels(labels=tuple(Label(name="x" * 100, confidence=99.0) for _ in range(50)))
    events = [
        indexed(document=of, labels=labels),
        quarantined(document=of, detail="🦄" * 2_000),
    ]
    assert max(len(json.dumps(emitted(each))) for each in events) < LARGEST_ENTRY / 4
