"""The figures have names, and the tables hold what was seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest
from rich.console import Console
from rich.table import Table

from bench import report
from bench.outcome import OURS, THEIRS, Outcome
from bench.plan import Planned
from bench.prices import Usage
from bench.shape import Bucket
from bench.storm import Settings

MIDDLE, SMALL = Bucket(100, 10), Bucket(50, 5)


def outcome(algorithm: str, instances: int, calls: Mapping[str, int], bucket: Bucket = MIDDLE) -> Outcome:
    """A storm of which half was in time, the notices ten seconds old."""
    return Outcome(
        algorithm=algorithm,
        instances=instances,
        bucket=bucket,
        calls=calls,
        throttled={"ssm:SendCommand": 3},
        refused={},
        detached=instances // 2,
        drained=instances // 2,
        commanded=instances // 4,
        waits=[10.0] * (instances // 2),
        seconds=60.0,
        states={"handled": instances},
        usage=Usage(invocations=instances / 10, transitions=1_000),
    )


STORMS = (
    outcome(OURS, 100, {"autoscaling:DetachInstances": 10}),
    outcome(OURS, 1_000, {"autoscaling:DetachInstances": 60}),
    outcome(OURS, 1_000, {"autoscaling:DetachInstances": 70}, SMALL),
    outcome(THEIRS, 100, {"autoscaling:DetachInstances": 400}),
    outcome(THEIRS, 1_000, {"autoscaling:DetachInstances": 4_000}),
)


def shown(made: Table) -> str:
    """The table as text."""
    console = Console(width=250)
    with console.capture() as captured:
        console.print(made)
    return captured.get()


def results(storms: Sequence[Outcome]) -> dict[str, float]:
    found: dict[str, float] = report.document([], [], storms, Settings())["results"]
    return found


def test_every_figure_has_a_name() -> None:
    named = results(STORMS)
    place = "storm.signalbox.1000.100/10"
    assert named[f"{place}.calls"] == 60
    assert named[f"{place}.calls_above_floor"] == 60 - named[f"{place}.calls_floor"]
    assert named[f"{place}.detached_in_time_share"] == 0.5
    assert named[f"{place}.commanded_in_time_share"] == 0.25
    assert named[f"{place}.notice_to_detach_p99_seconds"] == 10.0
    assert named["storm.signalbox.1000.50/5.calls"] == 70
    assert named["storm.one-by-one.1000.100/10.most_that_the_buckets_admit"] == (100 + 10 * 120) // 2


def test_growth_is_between_the_extremes_in_one_bucket() -> None:
    named = results(STORMS)
    assert named["growth.signalbox.100-1000.calls"] == pytest.approx(0.6)
    assert named["growth.one-by-one.100-1000.calls"] == pytest.approx(1.0)
    assert named["growth.signalbox.100-1000.state_transitions"] == pytest.approx(0.1)
    assert not [name for name in named if name.startswith("growth") and "write_units" in name]


def test_one_size_does_not_grow() -> None:
    assert not [name for name in results(STORMS[:1]) if name.startswith("growth")]


def test_what_never_happened_is_no_number_and_still_json() -> None:
    nothing = replace(STORMS[0], waits=[])
    document = report.document([], [], [nothing], Settings())
    assert math.isnan(document["results"]["storm.signalbox.100.100/10.notice_to_detach_p99_seconds"])
    assert b'"storm.signalbox.100.100/10.notice_to_detach_p99_seconds":null' in msgspec.json.encode(document)


def test_the_plan_alone() -> None:
    document = report.document([Planned(100, {"detach": 10}, 0.5)], [], [], None)
    assert document["results"] == {"plan.100.calls": 10, "plan.100.planner_cpu_seconds": 0.5}
    assert document["conditions"] == []


def test_the_tables_show_ours_beside_theirs_and_the_floor() -> None:
    text = shown(report.operations_table(STORMS))
    assert all(column in text for column in ("signalbox 1,000", "floor 1,000", "one-by-one 1,000"))
    assert "70" not in text  # of the other bucket
    assert "50.0%" in shown(report.storm_table(STORMS))
    assert "(x 0.60)" in shown(report.growth_table(STORMS))
    assert "50 at once" in report.conditions(Settings(workers=50))
