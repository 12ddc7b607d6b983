"""A dashboard's body: its widgets, and the series that a metric widget shows.

Source: "Dashboard body structure and syntax", Amazon CloudWatch API reference. Of the shorthands for metrics
(`.` and `...`) none is known here: the template writes each metric out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

COLUMNS = 24


class BodyError(ValueError):
    """A body that can't be read; says where and why."""


class MetricName(NamedTuple):
    """What names a metric: dimensions in the order of their names."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a metric widget: a metric with a statistic, or an expression on other lines."""

    id: str
    label: str
    visible: bool
    color: str | None
    stat: str
    metric: MetricName | None = None
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget: what it is, where it is in a grid of 24 columns, and what it shows."""

    kind: str
    x: int
    y: int
    width: int
    height: int
    properties: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.properties.get("title", ""))

    def overlaps(self, other: Widget) -> bool:
        """Whether any cell of the grid is in both."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def series(self) -> list[Series]:
        """Of a metric widget, in order. Raises BodyError."""
        return [_series(entry, self, place) for place, entry in enumerate(self.properties["metrics"])]


def parse(body: str) -> list[Widget]:
    """The widgets of a dashboard's body. Raises BodyError."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise BodyError(f"the body is not JSON: {error}") from error
    return [
        Widget(item["type"], item["x"], item["y"], item["width"], item["height"], item["properties"])
        for item in document["widgets"]
    ]


def _series(entry: list[Any], widget: Widget, place: int) -> Series:
    options: dict[str, Any] = entry[-1] if isinstance(entry[-1], dict) else {}
    names = entry[: len(entry) - bool(options)]
    wrong = len(names) == 1 or len(names) % 2 or any(name in (".", "...") for name in names)
    if wrong or bool(names) == ("expression" in options):
        raise BodyError(f"{widget.title}: metric {place} is neither written out nor an expression: {entry}")
    return Series(
        id=options.get("id", f"_{place}"),
        label=options.get("label", names[1] if names else options.get("id", "")),
        visible=options.get("visible", True),
        color=options.get("color"),
        stat=options.get("stat", widget.properties.get("stat", "Average")),
        metric=MetricName(names[0], names[1], tuple(sorted(zip(names[2::2], names[3::2], strict=True))))
        if names
        else None,
        expression=options.get("expression", ""),
    )
