"""What another try of a release would do, and how it is asked for."""

import json

import msgspec
import pytest

from operations.releases import Place, asking, is_open, objection_to, prospect
from signalbox.eventbridge import parse_envelope
from signalbox.packages.entries import Entry
from signalbox.packages.events import Request, parse_event
from signalbox.packages.releases import Reason, State
from tests.unit.packages.settlements import ENTRIES, FORMS, KEY, NOON, SHOP, entry_of, release_of

PLACE = Place("123456789012", "eu-west-1")


def entry(name: str) -> Entry:
    if name == "denied-dry":
        return entry_of(release_of(acts=False, state=State.FAILED, reason=Reason.POLICY))
    return ENTRIES[name]


@pytest.mark.parametrize(
    ("name", "acts", "comes"),
    [
        ("planned", True, f"Another try builds wave 1 of 2: {FORMS}, {SHOP}. It is promoted when all"),
        ("planned", False, "tells once more what the dry run has come to. To have it built and promoted: a"),
        ("planned-nothing", True, "Another try promotes it."),
        ("denied", False, "judges and plans it anew, then builds and promotes it."),
        ("denied-dry", False, "judges and plans it anew; it stays a dry run."),
        ("denied-dry", True, "judges and plans it anew, then builds and promotes it."),
        ("refused", False, "Another try promotes it."),
        ("build-failed", False, f"Another try builds wave 1 of 2: {FORMS}, {SHOP}."),
        ("stuck", False, "Another try plans it, then builds and promotes it."),
    ],
)
def test_it_is_said_before_it_is_done(name: str, acts: bool, comes: str) -> None:  # noqa: FBT001 - pytest passes it by name
    assert comes in prospect(entry(name), acts=acts)


@pytest.mark.parametrize(
    ("name", "acts", "why"),
    [
        ("promoted", False, "It is promoted"),
        ("superseded", False, "npm/acme/ui/1.1.1 has taken its place"),
        ("withdrawn", False, "Publish it again"),
        ("build-failed", True, "no dry run"),
        ("promoted", True, "no dry run"),
    ],
)
def test_what_cant_be_tried_says_why(name: str, acts: bool, why: str) -> None:  # noqa: FBT001 - pytest passes it by name
    assert prospect(entry(name), acts=acts) == ""
    assert why in objection_to(entry(name), acts=acts)


def test_of_many_builds_a_few_are_named() -> None:
    names = tuple(f"npm//p{number}" for number in range(9))
    planned = ENTRIES["planned"].release
    release = msgspec.structs.replace(
        planned, waves=(names,), builds=dict.fromkeys(names, planned.builds[FORMS])
    )
    assert prospect(entry_of(release), acts=True) == (
        "Another try builds wave 1 of 1: npm//p0, npm//p1, npm//p2, npm//p3, npm//p4 and 4 more. "
        "It is promoted when all waves are green."
    )


@pytest.mark.parametrize("acts", [True, False])
def test_what_is_sent_is_what_the_intake_reads(acts: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    release = release_of(round=2, tries=3)
    asked = asking(release, PLACE, NOON, "id-1", acts=acts)
    envelope = parse_envelope(asked.body)
    assert (envelope.id, envelope.account, envelope.region) == ("id-1", PLACE.account, PLACE.region)
    assert parse_event(envelope) == Request(release=KEY, round=2, tries=3, acts=acts, occurred_at=NOON)
    assert json.loads(asked.body)["version"] == "0"


@pytest.mark.parametrize("name", ENTRIES)
def test_of_what_is_over_nothing_comes(name: str) -> None:
    assert is_open(entry(name)) is (name not in {"promoted", "superseded", "withdrawn"})


@pytest.mark.parametrize("state", State)
def test_of_every_state_something_can_be_said(state: State) -> None:
    planned = ENTRIES["planned"].release
    found = entry_of(release_of(state=state, waves=planned.waves, builds=planned.builds))
    assert prospect(found, acts=False) or objection_to(found, acts=False)
