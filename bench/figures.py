"""Arithmetic on what was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNIT_BYTES = 1024
POINTER_WRITES = 3
"""A window's pointer is written when it opens, starts and closes; only the newest window's row remains."""


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that is not below that share of them (nearest rank); NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def growth(small: tuple[int, float], large: tuple[int, float]) -> float:
    """How a cost for each instance grows: 1 when it is the same at both sizes, below 1 when it falls.

    Each argument is (instances, cost of all of them). NaN where the small storm cost nothing.
    """
    each = small[1] / small[0]
    return large[1] / large[0] / each if each else math.nan


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """The size that DynamoDB bills, roughly for numbers ("DynamoDB Item sizes and formats")."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def write_units(item: Mapping[str, Mapping[str, Any]]) -> int:
    """The write units that a row of the ledger has cost, computed from what is in it now.

    A write costs a unit for each KB begun, in a transaction two; an update costs what the larger of the two
    items does, taken as what it is now. A window's pointer is not a row of that window: see POINTER_WRITES.
    """
    units = math.ceil(item_bytes(item) / UNIT_BYTES)
    kind = item["sk"]["S"].partition("#")[0]
    if kind == "CURRENT":  # an episode: its version counts its writes, all in transactions
        return int(item["version"]["N"]) * units * 2
    if kind == "ACTION":  # planned, claimed, finished, looked at
        return (1 + int(item["attempts"]["N"]) + ("finished_at" in item) + ("verdict" in item)) * units
    if kind == "PLAN":
        return (1 + ("settled" in item)) * units
    return units


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content.strip("-").replace(".", "")) // 2 + 1
        case _:
            return 1
