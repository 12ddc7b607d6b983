"""What each widget of a dashboard has to show: numbers and texts, before anything is drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.pictures.arithmetic import Points, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.pictures.body import Series, Widget

LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a graph, or one number."""

    label: str
    color: str | None
    points: Points
    derived: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """Lines over `times`; without one, `why` says why."""

    lines: tuple[Line, ...]
    why: str
    times: tuple[float, ...]
    stacked: bool
    thresholds: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Each with its label and colour; None where there is no value."""

    items: tuple[tuple[str, str | None, float | None], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What a query has found."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Alarms:
    """Name → state: OK, ALARM, or why it has none here."""

    states: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown without its links' addresses: (heading, lines)."""

    heading: str
    lines: tuple[str, ...]


type Panel = Graph | Numbers | Table | Alarms | Text


def graph(
    widget: Widget, points: Mapping[str, Points], times: Sequence[float], derived: frozenset[str]
) -> Graph:
    """Of a metric widget over time. `derived` are the namespaces that the emulator has no metrics in."""
    series = widget.series()
    lines = [_line(each, points, times, derived) for each in series if each.visible]
    horizontal = widget.properties.get("annotations", {}).get("horizontal", ())
    known = [line for line in lines if line.points]
    return Graph(
        lines=tuple(line for line in known if any(line.points.values())),
        why="0 throughout" if known else "nothing here: see below",
        times=tuple(times),
        stacked=bool(widget.properties.get("stacked")),
        thresholds=tuple((item["label"], float(item["value"])) for item in horizontal),
    )


def _line(
    series: Series, points: Mapping[str, Points], times: Sequence[float], derived: frozenset[str]
) -> Line:
    if series.metric:
        found = points.get(series.id, {})
        return Line(series.label, series.color, found, series.metric.namespace in derived)
    found = evaluate(series.expression, points, times)
    label = series.label.replace("${SUM}", f"{sum(found.values()):.6f}")
    return Line(label, series.color, found, derived=True)


def numbers(widget: Widget, points: Mapping[str, Points]) -> Numbers:
    """Of a widget of single values: one point each, over the whole time."""
    return Numbers(
        tuple(
            (each.label, each.color, next(iter(points.get(each.id, {}).values()), None))
            for each in widget.series()
        )
    )


def text(widget: Widget) -> Text:
    """Of a text widget."""
    plain = LINK.sub(r"\1", widget.properties["markdown"]).replace("`", "")
    heading, _, rest = plain.partition("\n")
    return Text(heading.lstrip("# "), tuple(line for line in rest.split("\n") if line))


def alarm_state(alarm: Mapping[str, Any], points: Points, until: float) -> str:
    """As CloudWatch evaluates M of N, missing data not breaching, at `until`.

    Args:
        alarm: as DescribeAlarms answers it, on one metric.
        points: the alarm's metric at the alarm's period.
        until: seconds since 1970.
    """
    period = alarm["Period"]
    newest = until // period * period
    breaches = OPERATORS[alarm["ComparisonOperator"]]
    values = [points.get(newest - period * back) for back in range(alarm["EvaluationPeriods"])]
    breaching = sum(value is not None and breaches(value, alarm["Threshold"]) for value in values)
    needed = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    return "ALARM" if breaching >= needed else "OK"
