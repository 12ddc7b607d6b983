"""What a step's log lines and its trace carry: the same ids, of this invocation and no other."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from signalbox.errors import RefusedError, ThrottledError
from signalbox.ledger.actions import Action, Result
from signalbox.telemetry import logger, tracer
from signalbox.telemetry.performing import Traced
from signalbox.telemetry.steps import annotate, correlate, correlation, span, step
from tests.unit.spot.doubles import PLAN, action, window

type Lines = Callable[[], list[dict[str, Any]]]


class Segments:
    """In place of the X-Ray SDK: the subsegments with their annotations, in the order they were opened."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, object]]] = []
        self._open: list[dict[str, object]] = []

    @contextmanager
    def in_subsegment(self, name: str = "") -> Iterator["Segments"]:
        annotations: dict[str, object] = {}
        self.made.append((name, annotations))
        self._open.append(annotations)
        try:
            yield self
        finally:
            self._open.pop()

    def put_annotation(self, key: str, value: object) -> None:
        self._open[-1][key] = value

    def put_metadata(self, **_: object) -> None:
        """Not looked at."""

    def of(self, name: str) -> list[dict[str, object]]:
        return [annotations for made, annotations in self.made if made == f"## {name}"]


@pytest.fixture
def segments(monkeypatch: pytest.MonkeyPatch) -> Segments:
    made = Segments()
    monkeypatch.setattr(tracer, "provider", made)
    monkeypatch.setattr(tracer, "disabled", False)
    return made


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """The log lines that were written."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=x;Sampled=1")
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


class Context:
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "request-1"


def invoke(handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> Any:
    """As a step of the domain `spot`."""

    @step("spot", "PlanWindow")
    def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return handler(event, context)

    return lambda_handler({}, Context())


def test_every_line_says_whose_it_is(segments: Segments, lines: Lines) -> None:
    def handler(*_: object) -> dict[str, Any]:
        correlate(window=str(window()), plan=PLAN, execution="")
        logger.info("planned")
        return {}

    invoke(handler)
    [line] = lines()
    wanted = {"domain": "spot", "stage": "PlanWindow", "window": str(window()), "plan": PLAN}
    assert line.items() >= wanted.items()
    assert line["function_request_id"] == "request-1"
    assert line["xray_trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert "execution" not in line
    [annotations] = segments.of("lambda_handler")
    assert annotations.items() >= wanted.items()
    assert "execution" not in annotations


def test_an_invocation_knows_nothing_of_the_one_before(segments: Segments, lines: Lines) -> None:
    def first(*_: object) -> dict[str, Any]:
        correlate(window=str(window(1)))
        return {}

    def second(*_: object) -> dict[str, Any]:
        logger.info("no window yet")
        return {}

    invoke(first)
    invoke(second)
    assert "window" not in lines()[-1]
    assert "window" not in segments.of("lambda_handler")[-1]


def test_a_trace_says_which_stack_it_is_of(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX_STACK", "signalbox-dev")
    invoke(lambda *_: {})
    assert segments.of("lambda_handler")[0]["stack"] == "signalbox-dev"


def test_a_step_that_fails_is_logged_with_its_ids(segments: Segments, lines: Lines) -> None:
    def handler(*_: object) -> dict[str, Any]:
        correlate(window=str(window()))
        raise RefusedError("too much")

    with pytest.raises(RefusedError, match="too much"):
        invoke(handler)
    [line] = lines()
    assert (line["level"], line["window"]) == ("ERROR", str(window()))
    assert "too much" in line["exception"]
    [annotations] = segments.of("lambda_handler")
    assert (annotations["outcome"], annotations["harm"]) == ("failed", True)


def test_a_span_takes_its_ids_away_with_it(segments: Segments, lines: Lines) -> None:
    def handler(*_: object) -> dict[str, Any]:
        with span("JoinWindow", window=str(window()), action="plan#detach#1"):
            logger.info("inside")
            assert correlation()["window"] == str(window())
        logger.info("outside")
        annotate(outcome="admitted", group="")
        return {}

    invoke(handler)
    inside, outside = lines()
    assert (inside["window"], inside["action"]) == (str(window()), "plan#detach#1")
    assert not {"window", "action"} & outside.keys()
    assert inside["stage"] == outside["stage"] == "PlanWindow"
    assert segments.of("JoinWindow") == [{"window": str(window())}]  # an action's id would be one too many
    [annotations] = segments.of("lambda_handler")
    assert annotations["outcome"] == "admitted"
    assert "group" not in annotations


class Performer:
    """Logs, and ends as it is told."""

    def __init__(self, end: Result | Exception) -> None:
        self._end = end

    def perform(self, _: Action) -> Result:
        logger.info("performing")
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (Result(status="succeeded"), "succeeded"),
        (Result(status="skipped"), "skipped"),
        (ThrottledError("slow"), "throttled"),
        (RefusedError("no"), "failed"),
        (KeyError("a bug"), "failed"),
    ],
)
def test_an_action_that_is_worked_on_can_be_followed(
    end: Result | Exception, outcome: str, segments: Segments, lines: Lines
) -> None:
    subject = action("detach", of=[1])

    def handler(*_: object) -> dict[str, Any]:
        traced = Traced(Performer(end))
        if isinstance(end, Exception):
            with pytest.raises(type(end)):
                traced.perform(subject)
        else:
            assert traced.perform(subject) == end
        return {}

    invoke(handler)
    [line] = lines()
    ids = (line["action"], line["kind"], line["group"], line["instance"])
    assert ids == (subject.id, "detach", subject.group, subject.subjects[0])
    [annotations] = segments.of("detach")
    harm = {"harm": True} if outcome == "failed" else {}
    assert annotations == {"group": subject.group, "outcome": outcome, **harm}


def test_an_action_for_many_names_no_instance(segments: Segments, lines: Lines) -> None:
    def handler(*_: object) -> dict[str, Any]:
        Traced(Performer(Result(status="succeeded"))).perform(action("detach", of=[1, 2]))
        return {}

    invoke(handler)
    assert "instance" not in lines()[0]
