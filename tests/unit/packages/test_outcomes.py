"""What a try came to: by the ledger, whatever its execution says."""

from typing import Any

import msgspec
import pytest

from signalbox.errors import InvariantError
from signalbox.packages.entries import next_step
from signalbox.packages.outcomes import (
    Outcome,
    is_trouble,
    settlement_of,
    shown_state,
    told_of,
    why_it_stands,
)
from signalbox.packages.releases import Reason, State
from tests.unit.packages.settlements import (
    ENTRIES,
    FAILURE,
    NOON,
    entry_of,
    release_of,
    settlement,
    task_of,
)

CAME_TO = {
    "planned": (Outcome.PLANNED, ""),
    "planned-nothing": (Outcome.PLANNED, ""),
    "promoted": (Outcome.PROMOTED, ""),
    "denied": (Outcome.FAILED, "policy"),
    "build-failed": (Outcome.FAILED, "build-failed"),
    "build-stopped": (Outcome.STOPPED, "build-stopped"),
    "refused": (Outcome.FAILED, "promotion-refused"),
    "withdrawn": (Outcome.STOPPED, "withdrawn"),
    "superseded": (Outcome.SUPERSEDED, ""),
    "stuck": (Outcome.STUCK, "BrokenPolicyError"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_end_has_its_outcome(name: str) -> None:
    found = settlement(name)
    assert (found.outcome, found.reason) == CAME_TO[name]


def test_every_outcome_and_every_reason_is_tried() -> None:
    assert {outcome for outcome, _ in CAME_TO.values()} | {Outcome.OUTDATED} == set(Outcome)
    assert {reason for _, reason in CAME_TO.values()} >= set(Reason)


@pytest.mark.parametrize("name", ["planned", "promoted", "superseded", "denied"])
def test_where_the_ledger_has_an_end_a_failed_execution_has_not_the_last_word(name: str) -> None:
    """A step may have done its work, and died before it could answer."""
    entry = ENTRIES[name]
    assert settlement_of(entry, task_of(entry, failure=FAILURE), NOON) == settlement(name)


@pytest.mark.parametrize("changes", [{"round": 2}, {"tries": 1}], ids=str)
@pytest.mark.parametrize("failure", [None, FAILURE], ids=["ended", "failed"])
def test_a_try_that_is_past_says_nothing(changes: dict[str, Any], failure: Any) -> None:
    entry = entry_of(release_of(state=State.BUILDING, waves=(("npm/acme/a",),), **changes))
    past = task_of(entry, round=1, tries=0, failure=failure)
    assert settlement_of(entry, past, NOON).outcome is Outcome.OUTDATED


def test_what_an_error_says_is_the_detail() -> None:
    assert settlement("stuck").detail == "PlanRelease: BrokenPolicyError: expected int - at `$.rebuild`"


def test_what_codeartifact_said_is_the_detail_of_a_promotion_alone() -> None:
    assert settlement("refused").detail == "another one of 1.1.0 is in shared"
    denied = msgspec.structs.replace(ENTRIES["denied"], detail="the same as the objections")
    assert settlement_of(denied, task_of(denied), NOON).detail == ""


@pytest.mark.parametrize("state", list(State))
def test_nobody_settles_what_is_not_at_its_end(state: State) -> None:
    """Whoever asks `next_step` is only sent here at an end."""
    reason = Reason.POLICY if state in {State.FAILED, State.STOPPED} else None
    entry = entry_of(release_of(state=state, reason=reason))
    if next_step(entry.release) == "settle":
        assert settlement_of(entry, task_of(entry), NOON).outcome is not Outcome.STUCK
        return
    with pytest.raises(InvariantError, match=state):
        settlement_of(entry, task_of(entry), NOON)


@pytest.mark.parametrize(
    ("name", "needless"),
    [
        ("superseded", ("rebuild-forms:0001", "rebuild-shop:0001")),
        ("withdrawn", ("rebuild-shop:0001",)),
        ("build-failed", ()),
        ("promoted", ()),
    ],
)
def test_builds_are_needless_once_the_release_is_over(name: str, needless: tuple[str, ...]) -> None:
    assert settlement(name).needless == needless


def test_those_that_failed_are_named_where_that_is_why() -> None:
    assert settlement("build-failed").failed == ("npm/acme/forms", "npm/acme/shop")
    superseded = msgspec.structs.replace(
        ENTRIES["build-failed"].release, state=State.SUPERSEDED, reason=None, by="npm/acme/ui/1.1.1"
    )
    entry = entry_of(superseded)
    assert settlement_of(entry, task_of(entry), NOON).failed == ()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("planned", "planned (dry run)"),
        ("build-failed", "failed: build-failed"),
        ("superseded", "superseded: npm/acme/ui/1.1.1"),
        ("promoted", "promoted"),
        ("withdrawn", "stopped: withdrawn"),
    ],
)
def test_its_state_in_a_word_or_two(name: str, shown: str) -> None:
    assert shown_state(ENTRIES[name]) == shown


def test_of_a_try_that_has_not_ended_nothing_is_told_yet() -> None:
    entry = entry_of(release_of(tries=1), settled=release_of().execution, outcome="stuck", stuck="a bug")
    assert (told_of(entry), why_it_stands(entry), is_trouble(entry)) == ("", "", False)


def test_one_that_could_not_go_on_says_why() -> None:
    entry = entry_of(release_of(), settled=release_of().execution, outcome="stuck", stuck="a bug")
    assert (told_of(entry), why_it_stands(entry), is_trouble(entry)) == ("stuck", "a bug", True)


def test_one_that_was_refused_says_why_before_it_is_told() -> None:
    entry = ENTRIES["refused"]
    assert (told_of(entry), why_it_stands(entry)) == ("", "another one of 1.1.0 is in shared")
    assert is_trouble(entry)
