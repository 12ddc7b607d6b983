"""Each branch and each failure of the Packages workflow."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.embedded import EmbeddedAws
from signalbox.packages.entries import Step
from signalbox.packages.tasks import parse_task
from tests.workflow.releases import SETTLED, STARTED, STATES, USUAL, VERSION, Tries, built, goes_on
from tests.workflow.scripted import TRANSIENT, Answer, Execution, Machine, error

pytestmark = pytest.mark.embedded

WAIT_SECONDS = 3
"""For an answer to a token, in place of an hour."""
ATTEMPTS = {name: 11 if name == "PromoteVersion" else 7 for name in USUAL}
"""The first one and those of its Retry: promoting waits for whoever has claimed it before."""
WORKING = list(USUAL)[:-1]
ALL = ["InspectVersion", "PlanRelease", "BuildWave", "PromoteVersion", "SettleRelease"]
RECORDED: Answer = {"outcome": "stuck"}


@pytest.fixture(scope="module")
def workflow(aws: EmbeddedAws, state: Path) -> Tries:
    return Tries(Machine.deploy(aws, "packages_release", state, seconds={"BuildWave": WAIT_SECONDS}))


def answering(step: str, follows: str) -> Answer:
    """The step's answer, or its token's, with that to come next."""
    return built(follows) if step == "BuildWave" else goes_on(follows)


def handed(done: Execution, step: str) -> dict[str, Any]:
    """What the step was given last, but for what every step is: the release, its round and its try."""
    given = done.inputs(step)[-1]
    parse_task({**given, "release": VERSION})
    first = done.calls[0]["input"]
    assert {name: given[name] for name in ("release", "round", "tries")} == {
        name: first[name] for name in ("release", "round", "tries")
    }
    return {name: value for name, value in given.items() if name not in {"release", "round", "tries"}}


def test_a_version_is_inspected_planned_built_promoted_and_settled(workflow: Tries) -> None:
    done = workflow.run()
    assert (done.status, done.error, done.output) == ("SUCCEEDED", "", SETTLED)
    assert done.steps == ALL
    assert done.answered == [""]
    given = {step: handed(done, step) for step in ALL}
    assert given.pop("BuildWave")["token"]
    assert given == {step: {} for step in ALL if step != "BuildWave"}


def test_one_wave_follows_the_other_each_with_a_token_of_its_own(workflow: Tries) -> None:
    done = workflow.run({"BuildWave": [built(Step.BUILD), built(Step.BUILD), built(Step.PROMOTE)]})
    assert done.status == "SUCCEEDED"
    assert done.steps == [*ALL[:2], *["BuildWave"] * 3, *ALL[3:]]
    assert len({given["token"] for given in done.inputs("BuildWave")}) == 3


@pytest.mark.parametrize("follows", [*Step])
@pytest.mark.parametrize("step", WORKING)
def test_what_a_step_says_comes_next(workflow: Tries, step: str, follows: Step) -> None:
    begin = next(name for name, state in STATES.items() if state == step)
    rest = {other: answering(other, Step.SETTLE) for other in WORKING}
    script = rest | {step: [answering(step, follows), answering(step, Step.SETTLE)]}
    done = workflow.run(script, begin=begin)
    assert done.status == "SUCCEEDED"
    assert done.steps == [step, *([] if follows is Step.SETTLE else [STATES[follows]]), "SettleRelease"]


@pytest.mark.parametrize("begin", [*Step])
def test_a_second_try_goes_on_where_the_first_one_stopped(workflow: Tries, begin: Step) -> None:
    done = workflow.run(begin=begin, tries=2)
    assert (done.status, done.steps) == ("SUCCEEDED", ALL[ALL.index(STATES[begin]) :])
    assert {(call["input"]["round"], call["input"]["tries"]) for call in done.calls} == {(1, 2)}


def test_what_it_does_not_know_is_settled(workflow: Tries) -> None:
    assert workflow.run(begin="dance").steps == ["SettleRelease"]


def test_a_wave_is_waited_for_until_somebody_answers_its_token(aws: EmbeddedAws, workflow: Tries) -> None:
    machine, states = workflow.machine, aws.client("stepfunctions")
    number = next(machine.numbers)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: workflow.run({"BuildWave": STARTED}, number=number))
        while [call["step"] for call in machine.calls(number)][-1:] != ["BuildWave"]:
            assert not running.done()
            time.sleep(0.05)
        token = machine.calls(number)[-1]["input"]["token"]
        states.send_task_success(taskToken=token, output=json.dumps(goes_on(Step.PROMOTE)))
        done = running.result()
    assert (done.status, done.steps) == ("SUCCEEDED", ALL)


def test_a_token_that_is_answered_twice_is_answered_once(workflow: Tries) -> None:
    """Both who start builds and who take in their ends may find that a wave is through."""
    twice = {"tells": [[-1, goes_on(Step.PROMOTE)], [-1, goes_on(Step.BUILD)]]}
    done = workflow.run({"BuildWave": twice})
    assert (done.status, done.steps) == ("SUCCEEDED", ALL)
    assert done.answered == ["", "TaskTimedOut"]


def test_a_token_of_the_wave_before_says_nothing_about_this_one(workflow: Tries) -> None:
    late = {"tells": [[0, goes_on(Step.SETTLE)], [-1, goes_on(Step.PROMOTE)]]}
    done = workflow.run({"BuildWave": [built(Step.BUILD), late]})
    assert done.steps == [*ALL[:2], *["BuildWave"] * 2, *ALL[3:]]
    assert done.answered == ["", "TaskTimedOut", ""]


def test_a_wave_that_nobody_tells_of_is_looked_at_again(workflow: Tries) -> None:
    """The event of its last build was lost. What comes late then is of no use to anybody."""
    late = {"tells": [[0, goes_on(Step.SETTLE)], [-1, goes_on(Step.PROMOTE)]]}
    done = workflow.run({"BuildWave": [STARTED, late]})
    assert done.status == "SUCCEEDED"
    assert done.steps == [*ALL[:2], *["BuildWave"] * 2, *ALL[3:]]
    first, second = (given["token"] for given in done.inputs("BuildWave"))
    assert first != second
    assert done.answered == ["TaskTimedOut", ""]


@pytest.mark.parametrize("step", WORKING)
def test_a_step_that_fails_for_good_ends_the_try_and_is_recorded(workflow: Tries, step: str) -> None:
    refusal = error("AccessDeniedError", "not allowed")
    done = workflow.run({step: refusal, "SettleRelease": RECORDED})
    assert (done.status, done.error) == ("FAILED", "AccessDeniedError")
    assert done.cause.startswith(f"{step}: ")
    assert "not allowed" in done.cause
    assert done.steps == [*ALL[: ALL.index(step) + 1], "SettleRelease"]
    failure = handed(done, "SettleRelease")["failure"]
    assert (failure["step"], failure["error"]) == (step, "AccessDeniedError")
    assert "not allowed" in failure["cause"]


@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("step", ALL)
def test_a_transient_error_is_tried_again(workflow: Tries, step: str, name: str) -> None:
    done = workflow.run({step: [error(name), error(name), USUAL[step]]})
    assert done.status == "SUCCEEDED"
    assert done.steps.count(step) == 3


@pytest.mark.parametrize("step", WORKING)
def test_a_transient_error_that_stays_fails_the_try(workflow: Tries, step: str) -> None:
    done = workflow.run({step: error("ThrottledError"), "SettleRelease": RECORDED})
    assert (done.status, done.error) == ("FAILED", "ThrottledError")
    assert done.steps == [*ALL[: ALL.index(step)], *[step] * ATTEMPTS[step], "SettleRelease"]


def test_builds_that_are_held_back_are_tried_for_longer(workflow: Tries) -> None:
    """CodeBuild takes no more of them at the moment: that passes, but not within minutes."""
    longer = [error("BuildsHeldBackError")] * ATTEMPTS["BuildWave"]
    done = workflow.run({"BuildWave": [*longer, built(Step.PROMOTE)]})
    assert done.status == "SUCCEEDED"
    assert done.steps.count("BuildWave") == ATTEMPTS["BuildWave"] + 1


@pytest.mark.parametrize("name", ["Runtime.ExitError", "BrokenPolicyError", "InvariantError"])
@pytest.mark.parametrize("step", ALL)
def test_any_other_error_is_not_tried_again(workflow: Tries, step: str, name: str) -> None:
    script: dict[str, Any] = {"SettleRelease": RECORDED, step: error(name)}
    if step == "SettleRelease":
        script = {step: [error(name), RECORDED]}
    done = workflow.run(script)
    assert done.error == name
    assert done.steps.count(step) == (2 if step == "SettleRelease" else 1)


@pytest.mark.parametrize("step", WORKING)
def test_a_step_that_does_not_say_what_comes_next_has_failed(workflow: Tries, step: str) -> None:
    lacking: Answer = {"tells": [[-1, {"release": VERSION}]]} if step == "BuildWave" else {"release": VERSION}
    done = workflow.run({step: lacking, "SettleRelease": RECORDED})
    assert (done.status, done.error) == ("FAILED", "States.QueryEvaluationError")
    assert done.steps[-2:] == [step, "SettleRelease"]
    assert handed(done, "SettleRelease")["failure"]["step"] == step


def test_settling_that_fails_is_recorded_as_a_failure(workflow: Tries) -> None:
    done = workflow.run({"SettleRelease": [error("RefusedError", "no topic"), RECORDED]})
    assert (done.status, done.error) == ("FAILED", "RefusedError")
    assert done.steps == [*ALL, "SettleRelease"]
    first, second = done.inputs("SettleRelease")
    assert "failure" not in first
    assert second["failure"]["step"] == "SettleRelease"


@pytest.mark.parametrize(
    ("name", "calls"), [("AccessDeniedError", 1), ("UnavailableError", ATTEMPTS["SettleRelease"])]
)
def test_a_failure_that_cannot_be_recorded_is_told_all_the_same(
    workflow: Tries, name: str, calls: int
) -> None:
    """By the first error: that one says what to do."""
    done = workflow.run({"PlanRelease": error("BrokenOwnersError", "no JSON"), "SettleRelease": error(name)})
    assert (done.status, done.error) == ("FAILED", "BrokenOwnersError")
    assert done.steps == [*ALL[:2], *["SettleRelease"] * calls]
    assert done.cause.startswith("PlanRelease: ")
    assert "no JSON" in done.cause
    assert done.cause.endswith(f"Not recorded: {name}.")


def test_neither_settling_nor_recording_works(workflow: Tries) -> None:
    done = workflow.run({"SettleRelease": error("RefusedError", "no table")})
    assert (done.status, done.error) == ("FAILED", "RefusedError")
    assert done.steps[-2:] == ["SettleRelease"] * 2
    assert done.cause.startswith("SettleRelease: ")
    assert done.cause.endswith("Not recorded: RefusedError.")


def test_a_long_cause_is_cut(workflow: Tries) -> None:
    """AWS takes 32,768 characters of a Fail state's cause, and the next step has to take it too."""
    done = workflow.run({"PlanRelease": error("InvariantError", "x" * 100_000), "SettleRelease": RECORDED})
    assert done.error == "InvariantError"
    assert len(json.dumps(handed(done, "SettleRelease")["failure"])) < 3_000
    assert len(done.cause) < 3_000
