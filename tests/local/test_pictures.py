"""Pictures of the dashboards: bodies, expressions, queries and metrics are read as CloudWatch reads them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from local.pictures.arithmetic import ExpressionError, evaluate, names_in
from local.pictures.body import BodyError, MetricName, Widget, parse
from local.pictures.drawing import draw
from local.pictures.insights import Query, QueryError, found_in, record
from local.pictures.observed import Datum, Line, embedded_metrics, log_bytes, records
from local.pictures.panels import (
    Alarms,
    Graph,
    Numbers,
    Panel,
    Table,
    Text,
    alarm_state,
    graph,
    numbers,
    text,
)

NOON = 1_780_000_000.0
TIMES = [0.0, 10.0, 20.0]


def widget(kind: str = "metric", **properties: Any) -> Widget:
    return Widget(kind, 0, 0, 12, 6, {"title": "t", **properties})


def test_a_body_is_read() -> None:
    entry = [
        "Signalbox",
        "Late",
        "Kind",
        "detach",
        "Domain",
        "spot",
        {"label": "late", "stat": "p99", "id": "x"},
    ]
    [found] = parse(
        json.dumps(
            {
                "widgets": [
                    {
                        "type": "metric",
                        "x": 1,
                        "y": 2,
                        "width": 3,
                        "height": 4,
                        "properties": {"metrics": [entry]},
                    }
                ]
            }
        )
    )
    assert (found.kind, found.x, found.y, found.width, found.height) == ("metric", 1, 2, 3, 4)
    [series] = found.series()
    assert series.metric == MetricName("Signalbox", "Late", (("Domain", "spot"), ("Kind", "detach")))
    assert (series.id, series.label, series.stat, series.visible) == ("x", "late", "p99", True)


@pytest.mark.parametrize(
    "entry", [["Signalbox"], ["Signalbox", "A", "B"], [".", "A"], [{"label": "x"}], ["..."]]
)
def test_a_metric_that_is_not_written_out_is_refused(entry: list[Any]) -> None:
    with pytest.raises(BodyError, match="metric 0"):
        widget(metrics=[entry]).series()


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(BodyError, match="not JSON"):
        parse("{")


@pytest.mark.parametrize(
    ("place", "overlaps"), [((12, 0), False), ((0, 6), False), ((11, 5), True), ((0, 0), True)]
)
def test_widgets_overlap_where_they_share_a_cell(place: tuple[int, int], overlaps: bool) -> None:  # noqa: FBT001 - a row of the table
    other = Widget("text", *place, 3, 3, {})
    assert widget().overlaps(other) is other.overlaps(widget()) is overlaps


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", {0.0: 11.0}),
        ("a * 2 - 1", {0.0: 1.0, 10.0: 3.0}),
        ("1 / a", {0.0: 1.0, 10.0: 0.5}),
        ("FILL(b, 0)", {0.0: 10.0, 10.0: 0.0, 20.0: 0.0}),
        ('SUM(METRICS("m_"))', {0.0: 1.0, 20.0: 5.0}),
        ('SUM(FILL(METRICS("m_"), 0)) * 2', {0.0: 2.0, 10.0: 0.0, 20.0: 10.0}),
        ("3", {0.0: 3.0, 10.0: 3.0, 20.0: 3.0}),
    ],
)
def test_an_expression_is_worked_out(expression: str, expected: dict[float, float]) -> None:
    series = {"a": {0.0: 1.0, 10.0: 2.0}, "b": {0.0: 10.0}, "m_1": {0.0: 1.0, 20.0: 2.0}, "m_2": {20.0: 3.0}}
    assert evaluate(expression, series, TIMES) == expected


@pytest.mark.parametrize(
    "expression", ["c", "a +", "a ** 2", "IF(a, 1, 0)", "SUM(a)", 'METRICS("a") + 1', "FILL(a, REPEAT)"]
)
def test_an_expression_that_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, {"a": {0.0: 1.0}}, TIMES)


def test_the_names_of_an_expression_are_found() -> None:
    assert names_in('FILL(a, 0) + SUM(METRICS("m_")) * b') == {"a", "b"}


LOGGED = [
    record(NOON, json.dumps({"level": "ERROR", "message": "no", "outcomes": {"late": 3}})),
    record(NOON + 1, json.dumps({"level": "INFO", "message": "window settled", "outcomes": {"late": 1}})),
    record(NOON + 2, "not JSON | at all"),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields message | filter level = 'ERROR'", [["no"]]),
        (
            "fields message | filter level in ['ERROR', 'INFO'] | sort outcomes.late asc",
            [["window settled"], ["no"]],
        ),
        ("fields outcomes.late | sort outcomes.late desc | limit 1", [["3"]]),
        ("fields @message | filter @message like /JSON \\| at/", [["not JSON | at all"]]),
        ("fields @message | filter @message like 'JSON | at'", [["not JSON | at all"]]),
        ("fields level | filter level = 'ERROR' and message = 'x' or message like /settled/", [["INFO"]]),
        ("fields nothing | limit 2", [[""], [""]]),
    ],
)
def test_a_query_finds(query: str, expected: list[list[str]]) -> None:
    assert Query.parse(query).rows(LOGGED) == expected


@pytest.mark.parametrize(
    "query",
    [
        "stats count(*)",
        "fields a | filter a > 3",
        "fields a | filter (a = 'x')",
        "SOURCE x | fields a",
        "sort a b",
    ],
)
def test_a_query_that_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        Query.parse(query)


def test_a_query_asks_the_groups_it_names() -> None:
    query = Query.parse("SOURCE 'one' | SOURCE 'two' | fields message | filter level = 'ERROR'")
    assert found_in(query, {"one": LOGGED, "two": LOGGED, "three": LOGGED}) == [["no"], ["no"]]
    with pytest.raises(QueryError, match="two"):
        found_in(query, {"one": LOGGED})


EMBEDDED = {
    "_aws": {
        "Timestamp": int(NOON * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": "Signalbox",
                "Dimensions": [["Domain"]],
                "Metrics": [{"Name": "One", "Unit": "Count"}, {"Name": "Many", "Unit": "Seconds"}],
            }
        ],
    },
    "Domain": "spot",
    "One": 1,
    "Many": [2.5, 3],
}


def test_metrics_are_taken_out_of_a_log_line() -> None:
    dimensions = (("Domain", "spot"),)
    assert list(embedded_metrics(Line(NOON + 5, json.dumps(EMBEDDED)))) == [
        Datum(MetricName("Signalbox", "One", dimensions), NOON, (1,)),
        Datum(MetricName("Signalbox", "Many", dimensions), NOON, (2.5, 3)),
    ]


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_a_line_without_metrics_has_none(text: str) -> None:
    assert list(embedded_metrics(Line(NOON, text))) == []


def test_bytes_and_records_are_of_the_lines_of_each_group() -> None:
    lines = {"/aws/lambda/x": [Line(NOON, "four")]}
    assert [(d.metric.dimensions, d.values) for d in log_bytes(lines)] == [
        ((("LogGroupName", "/aws/lambda/x"),), (30,))
    ]
    assert records(lines)["/aws/lambda/x"][0]["@message"] == "four"


ALARM = {
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 5,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.mark.parametrize(
    ("values", "state"),
    [({}, "OK"), ({0: 6}, "OK"), ({0: 6, 2: 9}, "ALARM"), ({0: 6, 3: 9}, "OK"), ({0: 5, 1: 5, 2: 5}, "OK")],
)
def test_an_alarm_rings_when_m_of_the_last_n_points_breach(values: dict[int, float], state: str) -> None:
    newest = NOON // 60 * 60
    points = {newest - 60 * back: value for back, value in values.items()}
    assert alarm_state(ALARM, points, NOON) == state


def test_a_graph_has_what_is_visible_and_there() -> None:
    shown = widget(
        metrics=[
            ["Signalbox", "Late", "Domain", "spot", {"label": "late", "id": "a"}],
            ["AWS/SQS", "Sent", "QueueName", "q", {"label": "sent", "id": "b", "visible": False}],
            ["AWS/SQS", "Age", "QueueName", "q", {"label": "age", "id": "c"}],
            [{"expression": "FILL(b, 0) * 2", "label": "$${SUM}", "id": "d"}],
        ],
        annotations={"horizontal": [{"label": "alarm", "value": 30}]},
    )
    found = graph(shown, {"a": {0.0: 1.0}, "b": {10.0: 4.0}}, TIMES, frozenset({"AWS/SQS"}))
    assert [(line.label, line.derived) for line in found.lines] == [("late", False), ("$8.000000", True)]
    assert found.thresholds == (("alarm", 30.0),)
    assert (
        graph(widget(metrics=shown.properties["metrics"][:1]), {"a": {0.0: 0.0}}, TIMES, frozenset()).why
        == "0 throughout"
    )
    assert graph(widget(metrics=shown.properties["metrics"][:1]), {}, TIMES, frozenset()).why.startswith(
        "nothing"
    )


def test_numbers_are_the_only_point_of_each() -> None:
    shown = widget(
        metrics=[
            ["N", "A", {"label": "a", "id": "a", "color": "#fff"}],
            ["N", "B", {"label": "b", "id": "b"}],
        ]
    )
    assert numbers(shown, {"a": {0.0: 7.0}}) == Numbers((("a", "#fff", 7.0), ("b", None, None)))


def test_a_text_loses_its_links() -> None:
    assert text(widget("text", markdown="## Spot: `x`\n[Runbook](https://r) · [Map](#m)\n\nMore")) == Text(
        "Spot: x", ("Runbook · Map", "More")
    )


def test_a_picture_of_every_kind_of_panel_is_drawn_and_small(tmp_path: Path) -> None:
    shown = widget(
        metrics=[["N", "A", {"label": "costs $1 or $2", "id": "a"}]],
        annotations={"horizontal": [{"label": "x", "value": 3}]},
    )
    points = {"a": {0.0: 1.0, 10.0: 2.0}}
    line = graph(shown, points, TIMES, frozenset())
    panels: list[Panel] = [
        line,
        Graph(line.lines, line.why, line.times, True, ()),  # noqa: FBT003 - stacked
        Graph((), "nothing", (), False, ()),  # noqa: FBT003 - not stacked
        Numbers((("a", None, 1.0), ("b", "#ff0000", None))),
        Table(("@timestamp", "message"), (("now", "a very long message " * 20),)),
        Table(("@timestamp",), ()),
        Alarms((("SpotAlarm", "OK"), ("OtherAlarm", "ALARM"), ("Third", "not here"))),
        Text("Heading", ("a line",)),
    ]
    page = [(Widget("x", 0, 6 * place, 12, 6, {"title": "t"}), panel) for place, panel in enumerate(panels)]
    draw(page, "how it came about", tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1_000
    assert (tmp_path / "page.png").stat().st_size < 200_000
