"""Each branch and each failure of the Documents workflow."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.embedded import EmbeddedAws
from signalbox.documents.models import Options, Outcome, Verdict
from signalbox.documents.tasks import parse_task
from tests.workflow.documents import (
    ENTITIES,
    FOUND,
    INDEXED,
    LABELS,
    NO_TEXT,
    SCAN,
    TEXT,
    USUAL,
    Objects,
    converted,
    inspected,
    labelled,
    plain,
    recognised,
)
from tests.workflow.scripted import ATTEMPTS, TRANSIENT, Answer, Execution, Machine, error

pytestmark = pytest.mark.embedded

PLAIN = Options(route="all")
EVERYTHING = Options(route="all", entities=True, labels=True, ocr=True)
ENCRYPTED = Verdict(outcome=Outcome.ENCRYPTED, reason="password-needed", detail="It asks for a password.")
UNSUPPORTED = Verdict(outcome=Outcome.UNSUPPORTED, reason="video", detail="Videos hold no text.")
TOO_LARGE = Verdict(outcome=Outcome.TOO_LARGE, reason="pixels", detail="It has 12,000 pixels a side.")
DELETED = Verdict(outcome=Outcome.DELETED, reason="gone", detail="There is no such object.")
LAST = ["LoadDocument", "SettleDocument"]
WAYS: dict[str, tuple[Options, dict[str, Answer], list[str]]] = {
    "InspectObject": (PLAIN, {}, ["InspectObject"]),
    "ConvertObject": (PLAIN, {}, ["InspectObject", "ConvertObject"]),
    "RecogniseText": (
        EVERYTHING,
        {"ConvertObject": converted(None, NO_TEXT, scanned=True)},
        ["InspectObject", "ConvertObject", "RecogniseText"],
    ),
    "DetectEntities": (EVERYTHING, {}, ["InspectObject", "ConvertObject", "DetectEntities"]),
    "DetectLabels": (
        EVERYTHING,
        {"InspectObject": inspected("labels")},
        ["InspectObject", "DetectLabels"],
    ),
    "LoadDocument": (PLAIN, {}, ["InspectObject", "ConvertObject", "LoadDocument"]),
}
"""Step → options, script and steps of a way that leads to it."""
KEYS = {
    "InspectObject": ("object", "verdict", "next"),
    "ConvertObject": ("text", "verdict", "scanned"),
    "RecogniseText": ("text", "verdict"),
    "DetectLabels": ("labels", "verdict"),
}
RECORDED: Answer = {"outcome": "FAILED"}


@pytest.fixture(scope="module")
def workflow(aws: EmbeddedAws, state: Path) -> Objects:
    return Objects(Machine.deploy(aws, "documents_object", state, type_="EXPRESS"))


def handed(done: Execution, step: str) -> dict[str, Any]:
    """What the step was given, but for the document and the options, which every step is."""
    given = done.inputs(step)[-1]
    first = done.calls[0]["input"]
    assert {name: given[name] for name in first} == first
    parse_task({**given, "document": {k: v for k, v in given["document"].items() if k != "script"}})
    return {name: value for name, value in given.items() if name not in first}


def test_a_document_is_converted_loaded_and_settled(workflow: Objects) -> None:
    done = workflow.run()
    assert (done.status, done.error) == ("SUCCEEDED", "")
    assert done.steps == ["InspectObject", "ConvertObject", *LAST]
    assert handed(done, "InspectObject") == {}
    assert handed(done, "ConvertObject") == {"object": plain(FOUND)}
    loading = {
        "object": plain(FOUND),
        "text": plain(TEXT),
        "entities": None,
        "labels": None,
        "verdict": None,
    }
    assert handed(done, "LoadDocument") == loading
    assert handed(done, "SettleDocument") == {**loading, "loaded": plain(INDEXED)}


def test_the_execution_answers_what_settling_did(workflow: Objects) -> None:
    assert workflow.run(SettleDocument={"outcome": "SUPERSEDED"}).output == {"outcome": "SUPERSEDED"}


def test_entities_are_looked_for_where_the_route_asks(workflow: Objects) -> None:
    done = workflow.run(Options(route="all", entities=True))
    assert done.status == "SUCCEEDED"
    assert done.steps == ["InspectObject", "ConvertObject", "DetectEntities", *LAST]
    assert handed(done, "DetectEntities") == {"object": plain(FOUND), "text": plain(TEXT)}
    for step in LAST:
        assert handed(done, step)["entities"] == plain(ENTITIES)


@pytest.mark.parametrize("options", [EVERYTHING, Options(route="all", ocr=True)], ids=["entities", "none"])
def test_a_scan_is_read_where_the_route_asks(workflow: Objects, options: Options) -> None:
    done = workflow.run(options, ConvertObject=converted(None, NO_TEXT, scanned=True))
    assert done.status == "SUCCEEDED"
    analysed = ["DetectEntities"] if options.entities else []
    assert done.steps == ["InspectObject", "ConvertObject", "RecogniseText", *analysed, *LAST]
    assert handed(done, "RecogniseText") == {"object": plain(FOUND)}
    for step in [*analysed, *LAST]:
        assert handed(done, step)["text"] == plain(SCAN)
    assert handed(done, "LoadDocument")["verdict"] is None


def test_a_scan_in_which_nothing_is_read_has_no_text(workflow: Objects) -> None:
    done = workflow.run(
        EVERYTHING,
        ConvertObject=converted(None, NO_TEXT, scanned=True),
        RecogniseText=recognised(None, NO_TEXT),
    )
    assert done.steps == ["InspectObject", "ConvertObject", "RecogniseText", *LAST]
    assert handed(done, "SettleDocument")["verdict"] == plain(NO_TEXT)


@pytest.mark.parametrize("scanned", [True, False])
@pytest.mark.parametrize("options", [PLAIN, Options(route="all", entities=True)], ids=["plain", "entities"])
def test_what_is_not_read_goes_straight_to_the_index(
    workflow: Objects, options: Options, *, scanned: bool
) -> None:
    done = workflow.run(options, ConvertObject=converted(None, NO_TEXT, scanned=scanned))
    assert done.status == "SUCCEEDED"
    assert done.steps == ["InspectObject", "ConvertObject", *LAST]
    for step in LAST:
        given = handed(done, step)
        assert (given["verdict"], given["text"]) == (plain(NO_TEXT), None)


def test_what_is_no_scan_is_not_read(workflow: Objects) -> None:
    done = workflow.run(EVERYTHING, ConvertObject=converted(None, ENCRYPTED))
    assert done.steps == ["InspectObject", "ConvertObject", *LAST]


@pytest.mark.parametrize("verdict", [UNSUPPORTED, DELETED], ids=lambda each: each.outcome)
def test_what_is_clear_at_once_goes_straight_to_the_index(workflow: Objects, verdict: Verdict) -> None:
    found = None if verdict is DELETED else FOUND
    done = workflow.run(
        EVERYTHING,
        InspectObject=inspected("load", verdict, found),
        LoadDocument={"outcome": verdict.outcome, "rows": 0},
        SettleDocument={"outcome": verdict.outcome},
    )
    assert (done.status, done.output) == ("SUCCEEDED", {"outcome": verdict.outcome})
    assert done.steps == ["InspectObject", *LAST]
    assert handed(done, "LoadDocument") == {
        "object": plain(found),
        "text": None,
        "entities": None,
        "labels": None,
        "verdict": plain(verdict),
    }
    assert handed(done, "SettleDocument")["loaded"] == {"outcome": verdict.outcome, "rows": 0}


@pytest.mark.parametrize(("labels", "verdict"), [(LABELS, None), (None, TOO_LARGE)])
def test_an_image_is_looked_at(workflow: Objects, labels: Any, verdict: Verdict | None) -> None:
    done = workflow.run(EVERYTHING, InspectObject=inspected("labels"), DetectLabels=labelled(labels, verdict))
    assert done.status == "SUCCEEDED"
    assert done.steps == ["InspectObject", "DetectLabels", *LAST]
    assert handed(done, "DetectLabels") == {"object": plain(FOUND)}
    given = handed(done, "LoadDocument")
    assert (given["labels"], given["verdict"], given["text"]) == (plain(labels), plain(verdict), None)


@pytest.mark.parametrize("step", WAYS)
def test_a_step_that_fails_for_good_ends_the_try_and_is_recorded(workflow: Objects, step: str) -> None:
    options, script, way = WAYS[step]
    done = workflow.run(
        options, **script | {step: error("AccessDeniedError", "not allowed"), "SettleDocument": RECORDED}
    )
    assert (done.status, done.error) == ("FAILED", "AccessDeniedError")
    assert done.cause.startswith(f"{step}: ")
    assert "not allowed" in done.cause
    assert done.steps == [*way, "SettleDocument"]
    given = handed(done, "SettleDocument")
    assert (given["failure"]["step"], given["failure"]["error"]) == (step, "AccessDeniedError")
    assert "not allowed" in given["failure"]["cause"]
    assert given["object"] == (None if step == "InspectObject" else plain(FOUND))


@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("step", [*WAYS, "SettleDocument"])
def test_a_transient_error_is_tried_again(workflow: Objects, step: str, name: str) -> None:
    options, script, _ = WAYS.get(step, (PLAIN, {}, []))
    right = {**USUAL, **script}[step]
    done = workflow.run(options, **script | {step: [error(name), error(name), right]})
    assert done.status == "SUCCEEDED"
    assert done.steps.count(step) == 3


@pytest.mark.parametrize("step", WAYS)
def test_a_transient_error_that_stays_fails_the_try(workflow: Objects, step: str) -> None:
    options, script, way = WAYS[step]
    done = workflow.run(options, **script | {step: error("ThrottledError"), "SettleDocument": RECORDED})
    assert (done.status, done.error) == ("FAILED", "ThrottledError")
    assert done.steps == [*way, *[step] * (ATTEMPTS - 1), "SettleDocument"]


@pytest.mark.parametrize("step", [*WAYS, "SettleDocument"])
def test_any_other_error_is_not_tried_again(workflow: Objects, step: str) -> None:
    options, script, _ = WAYS.get(step, (PLAIN, {}, []))
    answers = (
        [error("Runtime.ExitError"), RECORDED] if step == "SettleDocument" else error("Runtime.ExitError")
    )
    done = workflow.run(options, **script | {step: answers})
    assert done.error == "Runtime.ExitError"
    assert done.steps.count(step) == (2 if step == "SettleDocument" else 1)


@pytest.mark.parametrize(("step", "missing"), [(step, key) for step, keys in KEYS.items() for key in keys])
def test_a_step_whose_answer_lacks_something_has_failed(workflow: Objects, step: str, missing: str) -> None:
    options, script, way = WAYS[step]
    lacking = {name: value for name, value in USUAL[step].items() if name != missing}
    done = workflow.run(options, **script | {step: lacking, "SettleDocument": RECORDED})
    assert (done.status, done.error) == ("FAILED", "States.QueryEvaluationError")
    assert done.steps == [*way, "SettleDocument"]
    assert handed(done, "SettleDocument")["failure"]["step"] == step


def test_an_inspection_that_fails_leaves_nothing_undefined(workflow: Objects) -> None:
    done = workflow.run(InspectObject=error("InvariantError"), SettleDocument=RECORDED)
    given = handed(done, "SettleDocument")
    assert given.keys() == {"object", "verdict", "failure"}
    assert (given["object"], given["verdict"]) == (None, None)


def test_settling_that_fails_is_recorded_as_a_failure(workflow: Objects) -> None:
    done = workflow.run(SettleDocument=[error("RefusedError", "no bus"), RECORDED])
    assert (done.status, done.error) == ("FAILED", "RefusedError")
    assert done.steps == ["InspectObject", "ConvertObject", *LAST, "SettleDocument"]
    first, second = done.inputs("SettleDocument")
    assert "failure" not in first
    assert second["failure"]["step"] == "SettleDocument"


@pytest.mark.parametrize(("name", "calls"), [("AccessDeniedError", 1), ("UnavailableError", ATTEMPTS)])
def test_a_failure_that_cannot_be_recorded_is_told_all_the_same(
    workflow: Objects, name: str, calls: int
) -> None:
    """By the first error: that one says what to do."""
    done = workflow.run(ConvertObject=error("InvariantError", "a bug"), SettleDocument=error(name))
    assert (done.status, done.error) == ("FAILED", "InvariantError")
    assert done.steps == ["InspectObject", "ConvertObject", *["SettleDocument"] * calls]
    assert done.cause.startswith("ConvertObject: ")
    assert "a bug" in done.cause
    assert done.cause.endswith(f"Not recorded: {name}.")


def test_neither_settling_nor_recording_works(workflow: Objects) -> None:
    done = workflow.run(SettleDocument=error("RefusedError", "no table"))
    assert (done.status, done.error) == ("FAILED", "RefusedError")
    assert done.steps[-2:] == ["SettleDocument"] * 2
    assert done.cause.startswith("SettleDocument: ")
    assert done.cause.endswith("Not recorded: RefusedError.")


def test_a_long_cause_is_cut(workflow: Objects) -> None:
    """AWS takes 32,768 characters of a Fail state's cause, and the next step has to take it too."""
    done = workflow.run(ConvertObject=error("InvariantError", "x" * 100_000), SettleDocument=RECORDED)
    assert done.error == "InvariantError"
    assert len(json.dumps(handed(done, "SettleDocument")["failure"])) < 3_000
    assert len(done.cause) < 3_000
