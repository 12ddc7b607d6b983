"""Each instance's outcome, from its actions and from what the estate showed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.ledger.actions import Action, Deviation, Verdict
from signalbox.spot.alerts import Settlement
from signalbox.spot.commands import COMMAND_KINDS
from signalbox.spot.configuration import Reason
from signalbox.spot.planning import Decision
from signalbox.spot.settlement import OUTCOMES, settle
from tests.unit.spot.doubles import NOON, action, decision, instance_id

ME, OTHER = instance_id(0), instance_id(1)


def done(kind: str = "detach", **changes: Any) -> Action:
    fields: dict[str, Any] = {"of": (0, 1), "status": "succeeded", "finished_at": NOON + 3.25, "attempts": 1}
    return action(kind, **fields | changes)


def settled(*actions: Action, found: Decision | None = None) -> Settlement:
    [settlement] = settle([found or decision(0)], actions)
    return settlement


def test_all_done_in_time_is_handled() -> None:
    found = settled(
        done(), done("deregister", finished_at=NOON + 5), done("command", finished_at=NOON + 92.5)
    )
    assert (found.outcome, found.seconds_left) == ("handled", 27.5)
    assert (found.instance, found.group, found.noticed_at, found.deadline) == (ME, "web", NOON, NOON + 120)
    assert found.steps.keys() == {"detach", "deregister", "command"}
    assert found.steps["detach"] == "succeeded 3.2 s after the notice (not looked at)"
    assert found.seconds_to == {"detach": 3.2, "deregister": 5.0, "command": 92.5}


def test_only_what_succeeded_for_the_instance_has_taken_time() -> None:
    found = settled(
        done(deviations={ME: Deviation("failed", "not-managed")}),
        done("command", status="skipped"),
        done("deregister", finished_at=NOON + 9),
        done("deregister", finished_at=NOON + 5),
    )
    assert found.seconds_to == {"deregister": 9.0}


@pytest.mark.parametrize(("finished_at", "outcome"), [(120, "handled"), (121, "late")])
def test_done_after_the_deadline_is_late(finished_at: int, outcome: str) -> None:
    found = settled(done(), done("command", finished_at=NOON + finished_at))
    assert (found.outcome, found.seconds_left) == (outcome, 120 - finished_at)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (done(status="failed", reason="refused: no"), "failed: refused: no"),
        (done(status="failed"), "failed: failed"),
        (done(status="pending", finished_at=0), "failed: not finished"),
        (done(status="running", finished_at=0), "failed: not finished"),
        (done(deviations={ME: Deviation("failed", "not-managed")}), "failed: not-managed"),
        (done(verdict=Verdict("contradicted", "1", {ME: "the command ended Failed"})), "the command ended"),
    ],
)
def test_trouble_with_any_action_is_a_failure(trouble: Action, said: str) -> None:
    found = settled(done("deregister"), trouble)
    assert found.outcome == "failed"
    assert said in found.steps["detach"]
    assert found.steps["deregister"].startswith("succeeded")


@pytest.mark.parametrize(
    "others",
    [
        done(deviations={OTHER: Deviation("failed", "not-managed")}),
        done(verdict=Verdict("contradicted", "1", {OTHER: "the command ended Failed"})),
        done(of=(1,), status="failed"),
    ],
)
def test_trouble_of_another_instance_is_not_ours(others: Action) -> None:
    assert settled(done("deregister"), others).outcome == "handled"


def test_what_was_skipped_is_no_trouble_and_says_why() -> None:
    found = settled(done(deviations={ME: Deviation("skipped", "Terminating in web")}))
    assert (found.outcome, found.steps["detach"]) == ("handled", "skipped: Terminating in web")


def test_what_the_look_showed_is_told() -> None:
    assert settled(done(verdict=Verdict("confirmed"))).steps["detach"].endswith("(confirmed)")
    assert settled(done(verdict=Verdict("waiting"))).steps["detach"].endswith("(waiting)")


@pytest.mark.parametrize(("mode", "outcome"), [("observe", "observed"), ("ignore", "ignored")])
def test_without_acting_nothing_is_judged(mode: Any, outcome: str) -> None:
    found = settled(done(status="failed"), found=decision(0, mode=mode))
    assert (found.outcome, found.steps, found.seconds_left) == (outcome, {}, None)


def test_what_could_not_be_decided_has_failed() -> None:
    reasons = (Reason("member-closed", "the account does not let us in"),)
    found = settled(found=decision(0, mode="ignore", kinds=(), reasons=reasons, undecided=True))
    assert (found.outcome, found.steps, found.seconds_left) == ("failed", {}, None)
    assert found.reasons == ("the account does not let us in",)


def test_the_reasons_of_the_decision_are_passed_on() -> None:
    reasons = (Reason("a", "one thing"), Reason("b", "another"))
    assert settled(found=decision(0, reasons=reasons)).reasons == ("one thing", "another")


statuses = st.sampled_from(("pending", "running", "succeeded", "failed", "skipped"))
verdicts = st.none() | st.sampled_from(
    (Verdict("confirmed"), Verdict("waiting", "x"), Verdict("contradicted", "x", {ME: "bad"}))
)


@given(
    st.lists(st.sampled_from(("act", "observe", "ignore")), max_size=4),
    st.lists(st.tuples(statuses, verdicts, st.integers(0, 200)), max_size=4),
)
def test_every_decision_gets_one_outcome_in_order(
    modes: list[Any], drawn: list[tuple[Any, Any, int]]
) -> None:
    decisions = [decision(number, mode=mode) for number, mode in enumerate(modes)]
    actions = [
        done(of=range(4), number=n, status=status, verdict=verdict, finished_at=NOON + at)
        for n, (status, verdict, at) in enumerate(drawn)
    ]
    found = settle(decisions, actions)
    assert [each.instance for each in found] == [each.instance for each in decisions]
    assert {each.outcome for each in found} <= set(OUTCOMES)
    assert all((each.seconds_left is None) == (each.steps == {}) for each in found)


def test_acting_with_nothing_to_act_on_is_no_success() -> None:
    assert settled(done(of=(1,))).outcome == "ignored"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [*((kind, "failed") for kind in COMMAND_KINDS), ("detach", "handled"), ("deregister", "handled")],
)
def test_a_command_without_an_answer_has_failed_and_a_slow_replacement_has_not(
    kind: str, outcome: str
) -> None:
    waiting = Verdict("waiting", "one is missing", {ME: "no answer"})
    found = settled(done(kind, verdict=waiting))
    assert (found.outcome, "no answer" in found.steps[kind]) == (outcome, outcome == "failed")


def test_who_answered_does_not_fail_with_who_did_not() -> None:
    assert (
        settled(done("command", verdict=Verdict("waiting", "x", {"i-other": "no answer"}))).outcome
        == "handled"
    )
