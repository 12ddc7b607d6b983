"""Draws a dashboard's panels into one picture, about as the console arranges them."""

from __future__ import annotations

import io
import math
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator
from PIL import Image

from local.pictures.body import COLUMNS
from local.pictures.panels import Alarms, Graph, Numbers, Panel, Table, Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from local.pictures.body import Widget

COLUMN_INCHES, ROW_INCHES, FOOT_INCHES = 0.62, 0.44, 0.62
GAP_INCHES = 0.07
TITLE_INCHES, LEGEND_LINE_INCHES, TABLE_ROW_INCHES = 0.34, 0.16, 0.19
CHARACTER_INCHES = 0.057
"""Of small print, about."""
DOTS_PER_INCH = 100
COLOURS_KEPT = 96
PALETTE = (
    *("#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#17becf", "#8c564b", "#e377c2", "#bcbd22"),
    *("#393b79", "#637939", "#8c6d31", "#843c39"),
)
INK, FAINT, RULE, CARD, PAGE = "#16191f", "#687078", "#e1e4e8", "#ffffff", "#f2f3f3"
RED = "#d62728"
STATE_COLOURS = {"OK": "#2ca02c", "ALARM": RED}


def draw(panels: Sequence[tuple[Widget, Panel]], foot: str, path: Path) -> None:
    """Writes a PNG of a few colours, so that it stays small."""
    rows = max(widget.y + widget.height for widget, _ in panels)
    size = (COLUMNS * COLUMN_INCHES, rows * ROW_INCHES + FOOT_INCHES)
    # A dollar begins no formula.
    with mpl.rc_context({"text.color": INK, "axes.edgecolor": RULE, "text.parse_math": False}):
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor=PAGE)
        for widget, panel in panels:
            _card(figure, widget, size, panel)
        figure.text(GAP_INCHES * 2 / size[0], 0.12 / size[1], foot, color=FAINT, fontsize=7.5, va="bottom")
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    few = Image.open(picture).convert("RGB").quantize(COLOURS_KEPT, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _card(figure: Figure, widget: Widget, size: tuple[float, float], panel: Panel) -> None:
    left, top = widget.x * COLUMN_INCHES + GAP_INCHES, size[1] - widget.y * ROW_INCHES - GAP_INCHES
    width, height = (
        widget.width * COLUMN_INCHES - 2 * GAP_INCHES,
        widget.height * ROW_INCHES - 2 * GAP_INCHES,
    )
    bottom = top - height
    figure.patches.append(
        FancyBboxPatch(
            (left / size[0], bottom / size[1]),
            width / size[0],
            height / size[1],
            boxstyle="round,pad=0,rounding_size=0.002",
            facecolor=CARD,
            edgecolor=RULE,
            transform=figure.transFigure,
            figure=figure,
            zorder=-1,
        )
    )
    if widget.title:
        x, y = (left + 0.1) / size[0], (top - 0.1) / size[1]
        figure.text(x, y, widget.title, fontsize=8.5, fontweight="bold", va="top")
    inner = _inner(panel, width, height)
    axes = figure.add_axes(
        (
            (left + inner[0]) / size[0],
            (bottom + inner[1]) / size[1],
            (width - inner[0] - inner[2]) / size[0],
            (height - inner[1] - inner[3]) / size[1],
        )
    )
    _fill(axes, panel, (width - inner[0] - inner[2], height - inner[1] - inner[3]))


def _inner(panel: Panel, width: float, height: float) -> tuple[float, float, float, float]:
    """Margins inside a card, in inches: left, bottom, right, top."""
    if isinstance(panel, Graph):
        lines = len(_legend(panel, width))
        room = min(lines * LEGEND_LINE_INCHES, height * 0.4)
        return 0.5, 0.3 + room, 0.16, TITLE_INCHES
    return 0.12, 0.06, 0.12, 0.1 if isinstance(panel, Text) else TITLE_INCHES


def _fill(axes: Axes, panel: Panel, size: tuple[float, float]) -> None:
    match panel:
        case Graph():
            _graph(axes, panel, size)
        case Numbers():
            _numbers(axes, panel)
        case Table():
            _table(axes, panel, size)
        case Alarms():
            _alarms(axes, panel, size)
        case Text():
            _text(axes, panel, size)


def _colours(panel: Graph) -> list[str]:
    return [line.color or PALETTE[place % len(PALETTE)] for place, line in enumerate(panel.lines)]


def _legend(panel: Graph, width: float) -> list[list[tuple[str, str]]]:
    """Rows of (label, colour) that fit into the width."""
    rows: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for line, colour in zip(panel.lines, _colours(panel), strict=True):
        label = line.label + ("*" if line.derived else "")
        needed = 0.28 + 0.062 * len(label)
        if rows[-1] and used + needed > width - 0.5:
            rows.append([])
            used = 0.0
        rows[-1].append((label, colour))
        used += needed
    return rows if panel.lines else []


def _graph(axes: Axes, panel: Graph, size: tuple[float, float]) -> None:
    moments: Any = [datetime.fromtimestamp(at, UTC) for at in panel.times]
    below = np.zeros(len(moments))
    for line, colour in zip(panel.lines, _colours(panel), strict=True):
        values = np.array([line.points.get(at, math.nan) for at in panel.times])
        if panel.stacked:
            heights = np.nan_to_num(values)
            axes.bar(moments, heights, bottom=below, width=(moments[1] - moments[0]) * 0.86, color=colour)
            below += heights
        else:
            axes.plot(moments, values, color=colour, marker="o", markersize=3, linewidth=1.2)
    for label, value in panel.thresholds if panel.lines else ():
        axes.axhline(value, color=RED, linewidth=0.9, linestyle="--")
        where = axes.get_yaxis_transform()
        axes.text(0.995, value, label, color=RED, fontsize=6.5, ha="right", va="bottom", transform=where)
    _frame(axes, panel)
    _draw_legend(axes, panel, size)


def _frame(axes: Axes, panel: Graph) -> None:
    axes.set_facecolor(CARD)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=FAINT, labelsize=6.5, length=0, pad=3)
    if not panel.lines:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, panel.why, color=FAINT, fontsize=8, ha="center", transform=axes.transAxes)
        return
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    half = (panel.times[1] - panel.times[0]) / 2
    ends: Any = [datetime.fromtimestamp(at, UTC) for at in (panel.times[0] - half, panel.times[-1] + half)]
    axes.set_xlim(*ends)
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6))  # type: ignore[no-untyped-call] # no types
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))  # type: ignore[no-untyped-call] # no types


def _draw_legend(axes: Axes, panel: Graph, size: tuple[float, float]) -> None:
    for place, row in enumerate(_legend(panel, size[0] + 0.66)):
        x = 0.0
        y = -(0.36 + place * LEGEND_LINE_INCHES) / size[1]
        for label, colour in row:
            axes.text(x / size[0], y, "■", color=colour, fontsize=6.5, transform=axes.transAxes)
            axes.text((x + 0.12) / size[0], y, label, fontsize=6.5, color=INK, transform=axes.transAxes)
            x += 0.28 + 0.062 * len(label)


def _numbers(axes: Axes, panel: Numbers) -> None:
    axes.set_axis_off()
    for place, (label, colour, value) in enumerate(panel.items):
        x = (place + 0.5) / len(panel.items)
        shown = "--" if value is None else f"{value:,.1f}".removesuffix(".0")
        axes.text(x, 0.62, shown, fontsize=19, ha="center", va="center", color=colour or INK)
        axes.text(x, 0.22, label, fontsize=7.5, ha="center", va="center", color=FAINT)


def _table(axes: Axes, panel: Table, size: tuple[float, float]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, size[0])
    axes.set_ylim(size[1], 0)
    if not panel.rows:
        axes.text(size[0] / 2, size[1] / 2, "no such line", color=FAINT, fontsize=8, ha="center")
        return
    shown = panel.rows[: int(size[1] / TABLE_ROW_INCHES) - 1]
    widths = _widths([panel.columns, *shown], int(size[0] / CHARACTER_INCHES))
    x = 0.0
    for place, width in enumerate(widths):
        for number, row in enumerate([panel.columns, *shown]):
            y = 0.12 + number * TABLE_ROW_INCHES
            weight = "normal" if number else "bold"
            axes.text(x, y, _cut(row[place], width), fontsize=6.5, fontweight=weight, va="center")
        x += (width + 2) * CHARACTER_INCHES
    axes.axhline(0.22, color=RULE, linewidth=0.8)


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Characters of each column: the widest give way until all fit."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * len(widths) > room:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _alarms(axes: Axes, panel: Alarms, size: tuple[float, float]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, size[0])
    axes.set_ylim(size[1], 0)
    rows = max(1, int(size[1] / 0.19))
    columns = -(-len(panel.states) // rows)
    for place, (name, state) in enumerate(panel.states):
        x, y = place // rows * size[0] / columns, 0.1 + place % rows * 0.19
        axes.text(x, y, "●", color=STATE_COLOURS.get(state, "#aab7b8"), fontsize=8, va="center")
        suffix = "" if state in STATE_COLOURS else f" ({state})"
        most = int((size[0] / columns - 0.2) / CHARACTER_INCHES)
        axes.text(x + 0.14, y, _cut(name + suffix, most), fontsize=6.5, va="center")


def _text(axes: Axes, panel: Text, size: tuple[float, float]) -> None:
    axes.set_axis_off()
    axes.text(0, 1, panel.heading, fontsize=11, fontweight="bold", va="top", transform=axes.transAxes)
    wrapped = [part for line in panel.lines for part in textwrap.wrap(line, int(size[0] / 0.062))]
    axes.text(
        0,
        1 - 0.3 / size[1],
        "\n".join(wrapped),
        fontsize=7.5,
        va="top",
        linespacing=1.5,
        transform=axes.transAxes,
    )
