"""Arithmetic of the benchmarks: percentiles, growth, write units, dollars."""

import math
from typing import Any

import pytest

from bench.figures import growth, item_bytes, percentile, write_units
from bench.prices import PRICES, Usage, dollars, per_thousand

KB = 1024


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.50, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == expected


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.99))


def test_growth_is_per_instance() -> None:
    assert growth((100, 50), (5_000, 2_500)) == 1
    assert growth((100, 50), (5_000, 500)) == pytest.approx(0.2)
    assert math.isnan(growth((100, 0), (5_000, 500)))


def test_an_item_is_its_names_and_its_values() -> None:
    item: dict[str, dict[str, Any]] = {"pk": {"S": "ä"}, "n": {"N": "-123.45"}, "open": {"BOOL": True}}
    assert item_bytes(item) == (2 + 2) + (1 + 5 // 2 + 1) + (4 + 1)


def row(sk: str, size: int, **attributes: dict[str, str]) -> dict[str, dict[str, str]]:
    """A row of the ledger that is so many bytes large."""
    rest = {"pk": {"S": "WINDOW#1"}, "sk": {"S": sk}, **attributes}
    return {**rest, "body": {"S": "x" * (size - item_bytes(rest) - len("body"))}}


@pytest.mark.parametrize(("size", "units"), [(KB - 1, 1), (KB, 1), (KB + 1, 2), (100 * KB, 100)])
def test_a_unit_for_each_kilobyte_begun(size: int, units: int) -> None:
    segment = row("SEGMENT#a", size)
    assert item_bytes(segment) == size
    assert write_units(segment) == units


def test_an_episode_is_written_in_transactions_once_a_version() -> None:
    assert write_units(row("CURRENT", 500, version={"N": "3"})) == 3 * 2
    assert write_units(row("CURRENT", 1_500, version={"N": "3"})) == 3 * 2 * 2


def test_an_action_is_written_at_each_of_its_steps() -> None:
    planned = row("ACTION#p#detach#0", 500, attempts={"N": "0"})
    finished = row("ACTION#p#detach#0", 500, attempts={"N": "2"}, finished_at={"N": "1"})
    seen = {**finished, "verdict": {"S": "{}"}}
    assert [write_units(action) for action in (planned, finished, seen)] == [1, 1 + 2 + 1, 1 + 2 + 1 + 1]


def test_a_plan_is_written_again_when_it_is_settled() -> None:
    assert write_units(row("PLAN", 500)) == 1
    assert write_units(row("PLAN", 500, settled={"S": "{}"})) == 2


def test_each_price_is_for_its_own_usage() -> None:
    million = Usage(
        invocations=1_000_000,
        gb_seconds=1_000_000,
        write_units=1_000_000,
        transitions=1_000_000,
        sqs_requests=1_000_000,
        messages=1_000_000,
        custom_events=1_000_000,
        log_gb=1_000_000,
        traces=1_000_000,
    )
    assert dollars(million) == {name: pytest.approx(price * 1_000_000) for name, price in PRICES.items()}
    assert dollars(Usage(write_units=1_000_000))["DynamoDB write units"] == pytest.approx(0.625)
    assert dollars(Usage(transitions=1_000_000))["Step Functions transitions"] == pytest.approx(25)


def test_dollars_are_for_a_thousand_interruptions() -> None:
    usage = Usage(invocations=10_000_000)
    assert per_thousand(usage, 5_000) == pytest.approx(sum(dollars(usage).values()) / 5)
