"""One line a report, in the embedded metric format."""

import json
import logging

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from signalbox.telemetry.metrics import NAMESPACE, emit
from tests.unit.telemetry.embedded_metrics import SCHEMA, dimensions_of, metrics_in, values_of

DOMAIN = {"Domain": "spot"}


def test_a_line_has_the_documented_format(capsys: pytest.CaptureFixture[str]) -> None:
    emit(DOMAIN, {"Events": (3, "Count"), "Age": (2.5, "Seconds")}, {"window": "w-1", "number": 7})
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    [line] = metrics_in(output)
    assert values_of(line) == {"Events": (3, "Count"), "Age": (2.5, "Seconds")}
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == NAMESPACE
    assert (line["window"], line["number"]) == ("w-1", 7)


def test_the_dimensions_are_those_given_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"Domain": "spot", "Kind": "detach"}, {"Events": (1, "Count")})
    [line] = metrics_in(capsys.readouterr().out)
    assert dimensions_of(line) == [{"Domain": "spot", "Kind": "detach"}]


def test_each_line_stands_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    emit(DOMAIN, {"One": (1, "Count")}, {"about": "one"})
    emit({"Kind": "detach"}, {"Two": (2, "Count")})
    first, second = metrics_in(capsys.readouterr().out)
    assert (set(values_of(first)), set(values_of(second))) == ({"One"}, {"Two"})
    assert "about" not in second
    assert dimensions_of(second) == [{"Kind": "detach"}]


def test_without_a_metric_there_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    emit(DOMAIN, {}, {"window": "w-1"})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("dimensions", "value"),
    [
        ({"Domain": ""}, 1.0),
        ({"": "spot"}, 1.0),
        ({"Domain": "spöt"}, 1.0),
        ({f"D{number}": "x" for number in range(40)}, 1.0),
        (DOMAIN, float("nan")),
        (DOMAIN, float("inf")),
    ],
)
def test_a_metric_that_cant_be_written_fails_nothing_and_is_logged(
    dimensions: dict[str, str],
    value: float,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    emit(dimensions, {"Events": (value, "Count")})
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
