"""Each branch and each failure of the Spot window's state machine."""

import json
from pathlib import Path

import pytest

from local.embedded import EmbeddedAws
from tests.workflow.scripted import ATTEMPTS, TRANSIENT, Answer, Machine, error, soon
from tests.workflow.spot_windows import DONE, WORKERS, Windows, outcomes, planned

pytestmark = pytest.mark.embedded

BRANCHES = list(WORKERS.values())
ACTED = slice(1, 1 + len(BRANCHES))
LAST = ["VerifyWindow", "SettleWindow", "PublishAlerts"]


@pytest.fixture(scope="module")
def workflow(aws: EmbeddedAws, state: Path) -> Windows:
    return Windows(Machine.deploy(aws, "spot_window", state, SpotWindowSeconds="2"))


def test_everything_succeeds(workflow: Windows) -> None:
    done = workflow.run()
    assert (done.status, done.error) == ("SUCCEEDED", "")
    assert done.steps[0] == "PlanWindow"
    assert sorted(done.steps[ACTED]) == sorted(BRANCHES)
    assert done.steps[ACTED.stop :] == LAST


def test_each_step_gets_its_window_its_execution_and_its_plan(workflow: Windows) -> None:
    done = workflow.run()
    [plan] = done.inputs("PlanWindow")
    window = plan["window"]
    name = f"{window['domain']}-{window['account']}-{window['region']}-{window['number']:08d}"
    assert plan == {"window": window, "execution": name}
    for call in done.calls[1:]:
        errors: Answer = {"errors": []} if call["step"] == "SettleWindow" else {}
        assert call["input"] == {**plan, "plan": "plan-1", **errors}


def test_nothing_to_do_still_settles_and_tells(workflow: Windows) -> None:
    done = workflow.run(PlanWindow=planned(0), SettleWindow=outcomes(observed=5))
    assert done.status == "SUCCEEDED"
    assert done.steps == ["PlanWindow", *LAST]


@pytest.mark.parametrize(("action", "worker"), WORKERS.items())
def test_a_branch_without_actions_calls_nothing(workflow: Windows, action: str, worker: str) -> None:
    done = workflow.run(PlanWindow=planned(0, {action: 3}))
    assert done.status == "SUCCEEDED"
    assert done.steps == ["PlanWindow", worker, *LAST]


@pytest.mark.parametrize("worker", BRANCHES)
def test_a_worker_goes_on_until_it_is_finished(workflow: Windows, worker: str) -> None:
    answers = [
        {**DONE, "unfinished": True},
        {**DONE, "next_due": soon(5)},
        {**DONE, "unfinished": True},
        DONE,
    ]
    done = workflow.run(**{worker: answers})
    assert done.status == "SUCCEEDED", (done.error, done.told)
    again = 1 if worker == "PublishAlerts" else 0  # it also publishes the outcomes
    assert done.steps.count(worker) == 4 + again
    assert done.steps[-3:] == LAST


def test_commands_wait_until_they_are_due(workflow: Windows) -> None:
    due = soon(100)  # a second, at a hundredth of the time
    loop = [{**DONE, "next_due": soon(20)}, DONE]
    done = workflow.run(PlanWindow=planned(command_due=due), DetachInstances=loop, DeregisterTargets=loop)
    assert done.status == "SUCCEEDED"
    others = [worker for worker in BRANCHES if worker != "SendCommands"]
    twice = ["DetachInstances", "DeregisterTargets"]
    assert done.steps.index("SendCommands") == 1 + len(others) + len(twice)
    assert sorted(done.steps[1 : done.steps.index("SendCommands")]) == sorted([*others, *twice])


def test_commands_that_are_overdue_go_at_once(workflow: Windows) -> None:
    done = workflow.run(PlanWindow=planned(command_due=soon(-10)))
    assert done.status == "SUCCEEDED"
    assert "SendCommands" in done.steps[ACTED]


def test_what_is_left_unfinished_does_not_wait_for_what_is_due_later(workflow: Windows) -> None:
    """As with checkpoints that take more than one pass, beside commands that are due in an hour."""
    answers = [{**DONE, "unfinished": True, "next_due": soon(86_400)}, DONE]
    done = workflow.run(SendCommands=answers)
    assert (done.status, done.steps.count("SendCommands")) == ("SUCCEEDED", 2)


@pytest.mark.parametrize("worker", BRANCHES)
def test_a_worker_that_fails_for_good_blocks_nobody(workflow: Windows, worker: str) -> None:
    done = workflow.run(**{worker: [error("AccessDeniedError", "not allowed"), DONE]})
    assert (done.status, done.error) == ("FAILED", "ActionsFailed")
    assert set(done.steps[ACTED]) == set(BRANCHES)
    assert done.steps[ACTED.stop :] == LAST
    [settled] = done.inputs("SettleWindow")
    assert done.told["errors"] == settled["errors"]
    [failure] = settled["errors"]
    assert failure["branch"] == worker
    assert failure["error"]["Error"] == "AccessDeniedError"
    assert "not allowed" in failure["error"]["Cause"]
    assert failure["error"]["Transient"] is False


def test_all_workers_may_fail_at_once(workflow: Windows) -> None:
    failing = dict.fromkeys(BRANCHES[:-1], error("InvariantError"))
    done = workflow.run(**failing, PublishAlerts=[error("RefusedError"), DONE])
    assert done.error == "ActionsFailed"
    assert [failure["branch"] for failure in done.told["errors"]] == BRANCHES
    assert done.steps[-3:] == LAST


@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("step", ["PlanWindow", "DetachInstances", "VerifyWindow", "SettleWindow"])
def test_a_transient_error_is_tried_again(workflow: Windows, step: str, name: str) -> None:
    answers: dict[str, Answer] = {
        "PlanWindow": planned(),
        "DetachInstances": DONE,
        "VerifyWindow": {"verified": True, "check_again": None},
        "SettleWindow": outcomes(handled=1),
    }
    done = workflow.run(**{step: [error(name), error(name), answers[step]]})
    assert done.status == "SUCCEEDED"
    assert done.steps.count(step) == 3


def test_a_transient_error_that_stays_is_told_as_one(workflow: Windows) -> None:
    done = workflow.run(DeregisterTargets=error("ThrottledError"))
    assert done.error == "ActionsFailed"
    assert done.steps.count("DeregisterTargets") == ATTEMPTS
    [failure] = done.told["errors"]
    assert (failure["branch"], failure["error"]["Transient"]) == ("DeregisterTargets", True)
    assert done.steps[-3:] == LAST


def test_any_other_error_is_not_tried_again(workflow: Windows) -> None:
    done = workflow.run(DeregisterTargets=error("RefusedError"))
    assert done.steps.count("DeregisterTargets") == 1


@pytest.mark.parametrize("missing", sorted(DONE))
def test_a_worker_whose_answer_lacks_something_has_failed(workflow: Windows, missing: str) -> None:
    """Were it only read later, in a Choice, it would end the other branches with it."""
    answer = {name: value for name, value in DONE.items() if name != missing}
    done = workflow.run(SendCommands=answer)
    assert done.error == "ActionsFailed"
    assert set(BRANCHES) < set(done.steps)
    assert [failure["branch"] for failure in done.told["errors"]] == ["SendCommands"]


def test_a_worker_that_never_finishes_is_stopped(workflow: Windows) -> None:
    done = workflow.run(DetachInstances={**DONE, "unfinished": True})
    assert done.error == "ActionsFailed"
    [failure] = done.told["errors"]
    assert (failure["branch"], failure["error"]["Error"]) == ("DetachInstances", "ActionsOverran")
    assert done.steps.count("DetachInstances") == 100
    assert done.steps[-3:] == LAST


def test_a_worker_is_not_waited_for_past_the_time_allowed(workflow: Windows) -> None:
    done = workflow.run(DetachInstances={**DONE, "next_due": soon(86_400)})
    assert done.error == "ActionsFailed"
    assert [failure["error"]["Error"] for failure in done.told["errors"]] == ["ActionsOverran"]
    assert done.steps.count("DetachInstances") == 1


def test_a_plan_that_fails_ends_it(workflow: Windows) -> None:
    done = workflow.run(PlanWindow=error("InvariantError", "no such window"))
    assert (done.status, done.error) == ("FAILED", "PlanFailed")
    assert done.steps == ["PlanWindow"]
    assert done.told["window"]["domain"] == "spot"
    assert "no such window" in done.told["Cause"]
    assert done.told["Transient"] is False


def test_a_plan_that_stays_throttled_is_told_as_such(workflow: Windows) -> None:
    done = workflow.run(PlanWindow=error("ThrottledError"))
    assert (done.error, done.told["Error"], done.told["Transient"]) == ("PlanFailed", "ThrottledError", True)
    assert done.steps == ["PlanWindow"] * ATTEMPTS


@pytest.mark.parametrize("missing", ["plan", "actions", "command_due", "deadline"])
def test_a_plan_that_lacks_something_ends_it(workflow: Windows, missing: str) -> None:
    answer = {name: value for name, value in planned().items() if name != missing}
    done = workflow.run(PlanWindow=answer)
    assert done.error == "PlanFailed"
    assert done.steps == ["PlanWindow"]


@pytest.mark.parametrize("missing", sorted(planned()["actions"]))
def test_a_plan_that_does_not_count_some_kind_ends_it(workflow: Windows, missing: str) -> None:
    plan = planned()
    counts = {kind: number for kind, number in plan["actions"].items() if kind != missing}
    done = workflow.run(PlanWindow={**plan, "actions": counts})
    assert (done.error, done.steps) == ("PlanFailed", ["PlanWindow"])


def test_a_deadline_far_ahead_does_not_keep_the_window_open(workflow: Windows) -> None:
    plan = {**planned(), "deadline": soon(86_500)}
    done = workflow.run(PlanWindow=plan, SendCommands={**DONE, "next_due": soon(86_400)})
    assert done.error == "ActionsFailed"
    assert [failure["error"]["Error"] for failure in done.told["errors"]] == ["ActionsOverran"]
    assert done.steps[-3:] == LAST


HOOKS = planned(0, {"complete": 2})
KEPT: Answer = {"verified": True, "check_again": None}
KEPT_AND_SEEN = ["VerifyWindow"] * 2  # while the window acts, and afterwards


def test_hooks_are_completed_after_the_last_look_and_before_settling(workflow: Windows) -> None:
    looks: list[Answer] = [KEPT, {"verified": False, "check_again": soon(5)}, KEPT]
    done = workflow.run(PlanWindow=planned(1, {"complete": 1}), VerifyWindow=looks)
    assert done.status == "SUCCEEDED"
    assert done.steps[-5:] == ["VerifyWindow", "VerifyWindow", "CompleteHooks", *LAST[1:]]
    phases = [asked.get("phase") for asked in done.inputs("VerifyWindow")]
    assert phases == ["act", None, None]


def test_hooks_are_kept_open_from_the_beginning_until_the_window_has_acted(workflow: Windows) -> None:
    again: Answer = {"verified": False, "check_again": soon(5)}
    done = workflow.run(PlanWindow=HOOKS, VerifyWindow=[again, again, KEPT])
    assert done.status == "SUCCEEDED"
    assert done.steps == ["PlanWindow", *["VerifyWindow"] * 4, "CompleteHooks", *LAST[1:]]
    assert [asked.get("phase") for asked in done.inputs("VerifyWindow")] == ["act"] * 3 + [None]


@pytest.mark.parametrize("check_again", [0, 86_400], ids=["for ever", "too late"])
def test_hooks_that_can_not_be_kept_any_longer_are_no_failure(workflow: Windows, check_again: int) -> None:
    keeping: Answer = {"verified": False, "check_again": soon(check_again)}
    most = 100 if check_again == 0 else 1
    done = workflow.run(PlanWindow=HOOKS, VerifyWindow=[*[keeping] * most, KEPT])
    assert done.status == "SUCCEEDED"
    assert [asked.get("phase") for asked in done.inputs("VerifyWindow")] == ["act"] * most + [None]


def test_hooks_that_can_not_be_kept_hold_up_nothing(workflow: Windows) -> None:
    looks = [error("RefusedError"), KEPT]
    done = workflow.run(PlanWindow=planned(1, {"complete": 1}), VerifyWindow=looks)
    assert sorted(done.steps[1 : 2 + len(BRANCHES)]) == sorted([*BRANCHES, "VerifyWindow"])
    assert done.steps[-4:] == ["VerifyWindow", "CompleteHooks", *LAST[1:]]
    assert [failure["branch"] for failure in done.told["errors"]] == ["KeepHooks"]


def test_hooks_are_completed_to_the_last(workflow: Windows) -> None:
    answers = [{**DONE, "unfinished": True}, {**DONE, "next_due": soon(5)}, DONE]
    done = workflow.run(PlanWindow=HOOKS, CompleteHooks=answers)
    assert done.status == "SUCCEEDED"
    assert done.steps == ["PlanWindow", *KEPT_AND_SEEN, *["CompleteHooks"] * 3, *LAST[1:]]


@pytest.mark.parametrize(
    ("name", "calls", "transient"), [("AccessDeniedError", 1, False), ("ThrottledError", ATTEMPTS, True)]
)
def test_hooks_that_cannot_be_completed_are_told_and_the_window_settled(
    workflow: Windows, name: str, calls: int, *, transient: bool
) -> None:
    done = workflow.run(PlanWindow=HOOKS, CompleteHooks=error(name))
    assert done.error == "ActionsFailed"
    [settled] = done.inputs("SettleWindow")
    [failure] = settled["errors"]
    assert (failure["branch"], failure["error"]["Error"]) == ("CompleteHooks", name)
    assert failure["error"]["Transient"] is transient
    assert done.steps == ["PlanWindow", *KEPT_AND_SEEN, *["CompleteHooks"] * calls, *LAST[1:]]


@pytest.mark.parametrize(
    "answer", [{**DONE, "unfinished": True}, {**DONE, "next_due": soon(86_400)}], ids=["busy", "waiting"]
)
def test_hooks_are_not_tried_for_ever(workflow: Windows, answer: Answer) -> None:
    done = workflow.run(PlanWindow=HOOKS, CompleteHooks=answer)
    assert [(e["branch"], e["error"]["Error"]) for e in done.told["errors"]] == [
        ("CompleteHooks", "ActionsOverran")
    ]
    assert done.steps[-2:] == LAST[1:]


@pytest.mark.parametrize(
    "look",
    [error("RefusedError"), {"verified": False, "check_again": soon(86_400)}],
    ids=["failed", "overran"],
)
def test_hooks_are_completed_whatever_the_looks_came_to(workflow: Windows, look: Answer) -> None:
    done = workflow.run(PlanWindow=HOOKS, VerifyWindow=[KEPT, look])
    assert done.steps == ["PlanWindow", *KEPT_AND_SEEN, "CompleteHooks", *LAST[1:]]
    assert [failure["branch"] for failure in done.told["errors"]] == ["VerifyWindow"]


def test_verifying_looks_again_until_there_is_nothing_to_wait_for(workflow: Windows) -> None:
    later = {"verified": False, "check_again": soon(5)}
    done = workflow.run(VerifyWindow=[later, later, {"verified": True, "check_again": None}])
    assert done.status == "SUCCEEDED"
    assert done.steps[ACTED.stop :] == ["VerifyWindow", "VerifyWindow", *LAST]


def test_a_window_that_cannot_be_verified_in_time_is_settled(workflow: Windows) -> None:
    done = workflow.run(VerifyWindow={"verified": False, "check_again": soon(86_400)})
    assert done.error == "ActionsFailed"
    [settled] = done.inputs("SettleWindow")
    assert [(e["branch"], e["error"]["Error"]) for e in settled["errors"]] == [
        ("VerifyWindow", "VerificationOverran")
    ]
    assert done.steps[-2:] == LAST[-2:]


@pytest.mark.parametrize(("name", "transient"), [("AccessDeniedError", False), ("UnavailableError", True)])
def test_a_verification_that_fails_still_settles(workflow: Windows, name: str, *, transient: bool) -> None:
    done = workflow.run(VerifyWindow=error(name), DetachInstances=error("RefusedError"))
    assert done.error == "ActionsFailed"
    [settled] = done.inputs("SettleWindow")
    assert [(e["branch"], e["error"]["Transient"]) for e in settled["errors"]] == [
        ("DetachInstances", False),
        ("VerifyWindow", transient),
    ]
    assert done.steps[-2:] == LAST[-2:]


@pytest.mark.parametrize(
    ("name", "calls", "transient"), [("InvariantError", 1, False), ("UnavailableError", ATTEMPTS, True)]
)
def test_a_window_that_cannot_be_settled_fails(
    workflow: Windows, name: str, calls: int, *, transient: bool
) -> None:
    done = workflow.run(SettleWindow=error(name), DetachInstances=error("RefusedError"))
    assert (done.status, done.error) == ("FAILED", "SettleFailed")
    assert done.steps[-calls:] == ["SettleWindow"] * calls
    assert (done.told["Error"], done.told["Transient"]) == (name, transient)
    assert [failure["branch"] for failure in done.told["errors"]] == ["DetachInstances"]


def test_a_failed_outcome_fails_the_execution_after_telling(workflow: Windows) -> None:
    done = workflow.run(SettleWindow=outcomes(handled=3, failed=2))
    assert (done.status, done.error) == ("FAILED", "ActionsFailed")
    assert done.told["errors"] == []
    assert done.told["outcomes"] == outcomes(handled=3, failed=2)["outcomes"]
    assert done.steps[-3:] == LAST


@pytest.mark.parametrize("harmless", ["handled", "late", "observed", "ignored"])
def test_no_other_outcome_does(workflow: Windows, harmless: str) -> None:
    assert workflow.run(SettleWindow=outcomes(**{harmless: 4})).status == "SUCCEEDED"


def test_outcomes_that_cannot_be_published_fail_the_execution(workflow: Windows) -> None:
    done = workflow.run(PublishAlerts=[DONE, error("AccessDeniedError")])
    assert done.error == "ActionsFailed"
    assert [failure["branch"] for failure in done.told["errors"]] == ["PublishOutcomes"]


def test_outcomes_are_published_to_the_last(workflow: Windows) -> None:
    answers = [DONE, {**DONE, "unfinished": True}, {**DONE, "next_due": soon(5)}, DONE]
    done = workflow.run(PublishAlerts=answers)
    assert done.status == "SUCCEEDED"
    assert done.steps[-4:] == ["SettleWindow", *["PublishAlerts"] * 3]


def test_outcomes_that_never_get_published_fail_the_execution(workflow: Windows) -> None:
    done = workflow.run(PublishAlerts=[DONE, {**DONE, "next_due": soon(86_400)}])
    assert done.error == "ActionsFailed"
    assert [(e["branch"], e["error"]["Error"]) for e in done.told["errors"]] == [
        ("PublishOutcomes", "ActionsOverran")
    ]


def test_a_long_cause_is_cut(workflow: Windows) -> None:
    """AWS takes 32,768 characters of a Fail state's cause."""
    long = error("InvariantError", "x" * 100_000)
    failing = dict.fromkeys((*BRANCHES, "VerifyWindow", "CompleteHooks"), long)
    done = workflow.run(PlanWindow=planned(1, {"complete": 1}), **failing)
    assert [failure["branch"] for failure in done.told["errors"]] == [
        *BRANCHES,
        "KeepHooks",
        "VerifyWindow",
        "CompleteHooks",
        "PublishOutcomes",
    ]
    # The window is small in truth; here it carries the test's script.
    assert len(json.dumps({**done.told, "window": ""})) < 24_576
