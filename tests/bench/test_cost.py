"""What events cost: counts times prices, and the page that says so."""

import pytest

from bench.cost import (
    PAGE,
    Stack,
    month_table,
    most_looks,
    read_counts,
    stack,
    tables,
    usage,
    with_tables,
)
from bench.metering import Counted
from bench.prices import MONTHLY, PRICES, dollars

MEMORY = {
    "spot_admit_events": 512,
    "spot_plan_window": 1024,
    "spot_detach_instances": 1024,
    "spot_verify_window": 512,
}


def counted(**changes: object) -> Counted:
    fields: dict[str, object] = {
        "events": 1,
        "windows": 1,
        "looks": 2,
        "invocations": {"spot_admit_events": 1, "spot_detach_instances": 1, "spot_verify_window": 2},
        "write_units": 40,
        "transitions": 33,
        "sqs_requests": 3,
        "messages": 2,
        "custom_events": 1,
        "log_bytes": 150_000,
    }
    return Counted(**fields | changes)  # type: ignore[arg-type] # a row of the table


def test_an_invocation_is_billed_a_second_at_its_memory_and_in_a_storm_ten() -> None:
    found = usage(counted(), MEMORY, looks=1)
    assert found.invocations == 4
    assert found.gb_seconds == 0.5 + 1 + 2 * 0.5
    storm = usage(counted(events=1_000), MEMORY, looks=1)
    assert storm.gb_seconds == 0.5 + 10 * (1 + 2 * 0.5)


def test_each_further_look_costs_three_transitions_and_an_invocation() -> None:
    quick, slow = (usage(counted(), MEMORY, looks) for looks in (1, 7))
    assert slow.transitions == quick.transitions + 3 * 5
    assert slow.invocations == quick.invocations + 5
    assert slow.gb_seconds == quick.gb_seconds + 0.5 * 5


def test_where_nothing_was_done_nobody_looks_twice() -> None:
    invocations = {"spot_admit_events": 1, "spot_plan_window": 1, "spot_verify_window": 1}
    observed = counted(invocations=invocations, looks=1)
    assert usage(observed, MEMORY, looks=7) == usage(observed, MEMORY, looks=1)


@pytest.mark.parametrize(("seconds", "looks"), [(1, 2), (2, 2), (3, 3), (35, 7), (840, 87)])
def test_looks_come_at_growing_pauses(seconds: float, looks: int) -> None:
    """At 0, 2, 5, 10, 20, 30, 40 s; the last one is when the time is up."""
    assert most_looks(seconds) == looks


def test_the_month_is_of_what_stands() -> None:
    memory = {"spot_sweep_windows": 256, "documents_compact_index": 1_024, "packages_rebuild_index": 1_024}
    found = month_table(Stack(memory, 20, 30, 2, 1, 1, 2))
    assert "| 20 alarms on 30 metrics | 3.00 |" in found
    assert "| 2 composite alarms | 1.00 |" in found
    assert "| 1 KMS key | 1.00 |" in found
    sweeps = 43_200 * (PRICES["Lambda requests"] + 0.25 * PRICES["Lambda GB-seconds"])
    assert f"43,200 runs of a second | {sweeps:.2f} |" in found
    assert "polling 2 idle intake queues: 1,296,000 requests | 0.52 |" in found


def test_the_stack_is_the_templates() -> None:
    found = stack()
    assert found.memory_mb["spot_plan_window"] == 1024
    assert found.alarm_metrics > found.alarms >= 18
    assert found.dashboards == 4
    assert found.pollings == 4
    assert found.keys == 1


def test_each_kind_that_was_counted_has_done_something() -> None:
    for name, each in read_counts().kinds.items():
        assert each.invocations["spot_admit_events"], name
        assert each.log_bytes > 0, name
        assert (each.windows > 0) == (each.transitions > 0) == (each.looks > 0), name
        assert sum(dollars(usage(each, stack().memory_mb, looks=1)).values()) > 0


def test_the_page_has_the_tables_as_they_are() -> None:
    """Otherwise: make cost ARGS=--write, and read the difference."""
    page = PAGE.read_text()
    assert with_tables(page, tables(read_counts())) == page


@pytest.mark.parametrize("name", MONTHLY)
def test_a_monthly_price_is_one(name: str) -> None:
    assert 0 < MONTHLY[name] < 10
