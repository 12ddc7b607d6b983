"""What is reported, in the embedded metric format."""

import contextlib
import io
import json
import logging
from collections import defaultdict

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.telemetry.metrics import NAMESPACE, Metric, emit
from tests.unit.telemetry.embedded_metrics import SCHEMA, dimensions_of, metrics_in, values_of

DOMAIN = {"Domain": "spot"}
EVENTS = Metric("Events", "Count", "events")
AGE = Metric("Age", "Seconds", "their age")
BY_KIND = Metric("Done", "Count", "what was done", ("Domain", "Kind"))


def test_a_line_has_the_documented_format(capsys: pytest.CaptureFixture[str]) -> None:
    emit(DOMAIN, {EVENTS: [3], AGE: [2.5, 4]})
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    [line] = metrics_in(output)
    assert values_of(line) == {"Events": ([3], "Count"), "Age": ([2.5, 4], "Seconds")}
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == NAMESPACE


def test_the_dimensions_are_those_given_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"Domain": "spot", "Kind": "detach"}, {BY_KIND: [1]})
    [line] = metrics_in(capsys.readouterr().out)
    assert dimensions_of(line) == [{"Domain": "spot", "Kind": "detach"}]


def test_each_line_stands_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    emit(DOMAIN, {EVENTS: [1]})
    emit({"Domain": "spot", "Kind": "detach"}, {BY_KIND: [2]})
    first, second = metrics_in(capsys.readouterr().out)
    assert (set(values_of(first)), set(values_of(second))) == ({"Events"}, {"Done"})
    assert "Events" not in second


@pytest.mark.parametrize("values", [{}, {EVENTS: []}])
def test_without_a_value_there_is_no_line(
    values: dict[Metric, list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    emit(DOMAIN, values)
    assert capsys.readouterr().out == ""


@settings(deadline=None)  # the schema is checked for every value
@given(st.lists(st.integers(min_value=0, max_value=350), min_size=1, max_size=5))
def test_every_value_is_told_once_however_many_there_are(sizes: list[int]) -> None:
    told: dict[str, list[float]] = defaultdict(list)
    wanted = {
        f"Metric{number}": [float(value) for value in range(size)]
        for number, size in enumerate(sizes)
        if size
    }
    with contextlib.redirect_stdout(io.StringIO()) as output:
        emit(DOMAIN, {Metric(name, "Seconds", ""): values for name, values in wanted.items()})
    for line in metrics_in(output.getvalue()):
        for name, (values, _) in values_of(line).items():
            told[name] += values
    assert told == wanted


@pytest.mark.parametrize(
    ("dimensions", "metric", "value"),
    [
        ({"Domain": ""}, EVENTS, 1.0),
        ({"": "spot"}, Metric("Events", "Count", "", ("",)), 1.0),
        ({"Domain": "spöt"}, EVENTS, 1.0),
        (DOMAIN, BY_KIND, 1.0),
        ({"Domain": "spot", "Kind": "detach"}, EVENTS, 1.0),
        (DOMAIN, EVENTS, float("nan")),
        (DOMAIN, EVENTS, float("inf")),
    ],
)
def test_a_metric_that_cant_be_written_fails_nothing_and_is_logged(
    dimensions: dict[str, str],
    metric: Metric,
    value: float,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    emit(dimensions, {metric: [value]})
    assert metrics_in(capsys.readouterr().out) == []
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "metrics were lost"
    assert record.exc_info


@pytest.mark.parametrize(
    "line",
    [
        {"Events": 1},
        {"_aws": {"Timestamp": 1, "CloudWatchMetrics": []}, "Events": 1},
        {
            "_aws": {
                "Timestamp": 1,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "n",
                        "Dimensions": [["Domain"]],
                        "Metrics": [{"Name": "Events", "Unit": "Furlongs"}],
                    }
                ],
            },
        },
    ],
)
def test_the_schema_refuses_what_is_no_metric(line: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json.dumps(line)), SCHEMA)
