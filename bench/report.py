"""The figures as tables for a person, and as JSON for a program."""

from __future__ import annotations

import os
import platform
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.figures import growth
from bench.floor import floor, of_service
from bench.outcome import OURS, THEIRS
from bench.prices import DATED, NOT_COUNTED, REGION, dollars
from bench.shape import GROUPS, UNFILTERED, group_sizes
from local.display import table
from signalbox.spot.notices import NOTICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.table import Table

    from bench.outcome import Outcome
    from bench.parsing import Cost
    from bench.plan import Planned
    from bench.shape import Bucket
    from bench.storm import Settings

GROWING = {
    "calls": "calls to the estate",
    "invocations": "Lambda invocations",
    "write_units_computed": "DynamoDB write units",
    "state_transitions": "state transitions",
    "gb_seconds": "Lambda GB-seconds",
}
CONDITIONS = """\
{groups} Auto Scaling groups of Spot instances, each with a target group of its own and shutdown commands.
Warnings, dated now, within 5 s. IAM enforced, AWS's caps and request buckets on. Signalbox's functions are
{warm}; its commands are due {lead} s before the deadline, to save time (by default 30 s).
{ours}: the deployed stack, verification included.
{theirs}: a function for each warning, {workers} at once, four calls each (DescribeInstances,
DescribeAutoScalingInstances, DetachInstances, SendCommand), boto3's standard retries, a second try after a
minute; no verification, no ledger, no alerts.
In time: before the deadline, as the estate shows. The emulator answers in milliseconds, starts replacements
and ends commands at once, and hands the intake ten messages at a time (AWS: up to 500). Calls, throttles and
shares carry over to AWS as far as the assumed buckets do; seconds, invocations and GB-seconds do not.
Transitions inside a Parallel and write units are computed. Prices: {region}, {dated};
without {not_counted}."""


def machine() -> dict[str, Any]:
    """Where and when."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def conditions(settings: Settings) -> str:
    """What the figures hold for."""
    return CONDITIONS.format(
        groups=GROUPS,
        warm="cold" if settings.cold else "warm",
        lead=settings.lead,
        workers=settings.workers,
        ours=OURS,
        theirs=THEIRS,
        region=REGION,
        dated=DATED,
        not_counted=NOT_COUNTED,
    )


def storm_table(outcomes: Sequence[Outcome]) -> Table:
    """A line for each storm met."""
    made = table(
        "warnings",
        *("bucket", "by", "calls", "throttled", "detached", "drained", "commanded", "p50", "p99"),
        *("invocations", "transitions", "writes", "$ / 1,000"),
        title="Storms: in time, and seconds from notice to detachment",
    )
    for outcome in outcomes:
        named = outcome.named()
        made.add_row(
            f"{outcome.instances:,}",
            str(outcome.bucket),
            outcome.algorithm,
            f"{outcome.total:,}",
            f"{named['throttled']:,}",
            *(f"{named[f'{what}_in_time_share']:.1%}" for what in ("detached", "drained", "commanded")),
            *(f"{named[f'notice_to_detach_{p}_seconds']:.1f}" for p in ("p50", "p99")),
            *(f"{named[name]:,.0f}" for name in ("invocations", "state_transitions", "write_units_computed")),
            f"{named['dollars_per_1000_interruptions']:.4f}",
        )
    return made


def operations_table(outcomes: Sequence[Outcome]) -> Table:
    """Calls by operation in one bucket, against the floor; in parentheses those that were throttled."""
    bucket = _shared_bucket(outcomes)
    shown = [outcome for outcome in outcomes if outcome.bucket == bucket]
    made = table("operation", title=f"Calls by operation, Auto Scaling's bucket {bucket} (throttled)")
    columns: list[tuple[Mapping[str, int], Mapping[str, int]]] = []
    for outcome in shown:
        made.add_column(f"{outcome.algorithm} {outcome.instances:,}")
        columns.append((outcome.calls, outcome.throttled))
        if outcome.algorithm == OURS:
            made.add_column(f"floor {outcome.instances:,}")
            columns.append((floor(group_sizes(outcome.instances)), {}))
    for name in sorted({name for calls, _ in columns for name in calls}):
        made.add_row(name, *(_count(calls.get(name, 0), slow.get(name, 0)) for calls, slow in columns))
    made.add_row("all", *(_count(sum(calls.values()), sum(slow.values())) for calls, slow in columns))
    return made


def growth_table(outcomes: Sequence[Outcome]) -> Table:
    """What each instance costs in the largest storm, relative to the smallest, in one bucket."""
    made = table("for each instance", title="From the smallest to the largest storm")
    pairs = list(_extremes(outcomes))
    for small, large in pairs:
        sizes = f"{small.instances:,} to {large.instances:,}"
        made.add_column(f"{small.algorithm} {small.bucket}, {sizes}")
    for name, text in GROWING.items():
        cells = []
        for small, large in pairs:
            first, last = small.named()[name], large.named()[name]
            times = growth((small.instances, first), (large.instances, last))
            each = f"{first / small.instances:.3f} to {last / large.instances:.3f} (x {times:.2f})"
            cells.append(each if first else "none")
        made.add_row(text, *cells)
    return made


def plan_table(planned: Sequence[Planned], costs: Sequence[Cost]) -> Table:
    """Calls by the pure planner; what planning takes with boto3's parsing."""
    made = table(
        "one window", *(f"{p.instances:,} instances" for p in planned), title=f"Planning, {GROUPS} groups"
    )
    for call in planned[0].calls:
        made.add_row(call, *(str(p.calls[call]) for p in planned))
    made.add_row("calls, all", *(f"{p.total:,}" for p in planned), style="bold")
    made.add_row("one at a time", *(f"{p.alone:,}" for p in planned))
    made.add_row("times fewer", *(f"{p.alone / p.total:.1f}" for p in planned))
    made.add_row("planner's CPU ms", *(f"{p.cpu_seconds * 1000:.1f}" for p in planned))
    made.add_row("parsed, MB of answers", *(f"{c.parsed_mb:.1f}" for c in costs))
    made.add_row("CPU s of the window, parsing included", *(f"{c.cpu_seconds:.2f}" for c in costs))
    made.add_row("peak MB of the process", *(f"{c.peak_mb:.0f}" for c in costs))
    made.add_row("of them before the window", *(f"{c.peak_before_mb:.0f}" for c in costs))
    return made


def document(
    planned: Sequence[Planned], costs: Sequence[Cost], outcomes: Sequence[Outcome], settings: Settings | None
) -> dict[str, Any]:
    """What .local/bench.json holds: `results` by name, and all that was seen behind them."""
    return {
        "machine": machine(),
        "conditions": conditions(settings).splitlines() if settings else [],
        "results": dict(_results(planned, costs, outcomes)),
        "plans": [asdict(plan) | {"total": plan.total, "one_at_a_time": plan.alone} for plan in planned],
        "windows": [asdict(cost) for cost in costs],
        "storms": [_storm(outcome) for outcome in outcomes],
    }


def _results(
    planned: Sequence[Planned], costs: Sequence[Cost], outcomes: Sequence[Outcome]
) -> Iterator[tuple[str, float]]:
    for plan in planned:
        yield f"plan.{plan.instances}.calls", plan.total
        yield f"plan.{plan.instances}.planner_cpu_seconds", plan.cpu_seconds
    for cost in costs:
        yield f"plan.{cost.instances}.window_cpu_seconds", cost.cpu_seconds
        yield f"plan.{cost.instances}.peak_mb", cost.peak_mb
    for outcome in outcomes:
        place = f"storm.{outcome.algorithm}.{outcome.instances}.{outcome.bucket}"
        for name, value in outcome.named().items():
            yield f"{place}.{name}", value
        if outcome.algorithm == OURS:
            fewest = floor(group_sizes(outcome.instances))
            yield f"{place}.calls_floor", sum(fewest.values())
            yield f"{place}.calls_above_floor", outcome.total - sum(fewest.values())
            yield (
                f"{place}.auto_scaling_floor_seconds",
                outcome.bucket.seconds_for(of_service(fewest, "autoscaling")),
            )
        else:
            yield f"{place}.most_that_the_buckets_admit", most_one_by_one(outcome.bucket)
    yield from _growths(outcomes)


def _growths(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, float]]:
    for small, large in _extremes(outcomes):
        for name in GROWING:
            if first := small.named()[name]:
                times = growth((small.instances, first), (large.instances, large.named()[name]))
                yield f"growth.{small.algorithm}.{small.instances}-{large.instances}.{name}", times


def most_one_by_one(bucket: Bucket) -> int:
    """The most instances that the buckets let through within a notice, two calls of Auto Scaling's each and
    one DescribeInstances, if not one call were wasted."""
    return min(bucket.admits_within(NOTICE_SECONDS) // 2, UNFILTERED.admits_within(NOTICE_SECONDS))


def _extremes(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """The smallest and the largest storm of each algorithm in one bucket, where they differ."""
    bucket = _shared_bucket(outcomes) if outcomes else None
    for algorithm in (OURS, THEIRS):
        own = [o for o in outcomes if o.algorithm == algorithm and o.bucket == bucket]
        small, large = (pick(own, key=lambda o: o.instances, default=None) for pick in (min, max))
        if small and large and small.instances < large.instances:
            yield small, large


def _shared_bucket(outcomes: Sequence[Outcome]) -> Bucket:
    """The one in which most storms were met."""
    return Counter(outcome.bucket for outcome in outcomes).most_common(1)[0][0]


def _storm(outcome: Outcome) -> dict[str, Any]:
    return {
        "algorithm": outcome.algorithm,
        "instances": outcome.instances,
        "bucket": str(outcome.bucket),
        "calls": dict(outcome.calls),
        "throttled": dict(outcome.throttled),
        "refused": dict(outcome.refused),
        "states": dict(outcome.states),
        "windows": [asdict(window) for window in outcome.windows],
        "dollars": dollars(outcome.usage),
        "figures": outcome.named(),
    }


def _count(calls: int, throttled: int) -> str:
    return f"{calls:,} ({throttled:,})" if throttled else f"{calls:,}"
