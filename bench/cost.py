"""`make cost`: what each event costs, and the stack by the month, from counted usage and the table of prices.

Prints the tables of docs/cost.md. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, chain, repeat, takewhile
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec
from cfnlint.decode.cfn_yaml import loads  # type: ignore[import-untyped] # ships no types

from bench.document_cost import documents_table, searches_table, unit_prices
from bench.metering import VERIFY, Counted, measure
from bench.prices import DATED, MONTHLY, PRICES, READ_UNIT, REGION, RELEASE_PRICES, Usage, dollars
from bench.release_cost import releases_table
from local.exits import exit_code
from local.progress import Steps
from local.settings import ROOT, LocalSettings
from signalbox.documents import telemetry as documents
from signalbox.documents.models import QUARANTINED
from signalbox.packages import telemetry as packages
from signalbox.packages.releases import Reason
from signalbox.spot import telemetry as spot
from signalbox.spot.verification import GRACE_SECONDS, LONGEST_SECONDS, PAUSES_SECONDS
from signalbox.spot.window import BRANCHES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COUNTS = ROOT / "bench" / "usage.json"
PAGE = ROOT / "docs" / "cost.md"
BILLED_SECONDS = 1.0
"""Of an invocation, assumed: a function that seldom runs starts cold, and a cold start is billed."""
STORM_SECONDS = 10.0
"""Of an invocation that works for hundreds of instances, assumed."""
INTAKE = "spot_admit_events"
COMMAND_LEAD_SECONDS = 30
LOOKING_SECONDS = {"rebalance recommendation, acted on": LONGEST_SECONDS}
"""Kind → seconds of looking; for the others from their commands to the last look after the deadline."""
TAKE_PART_ALWAYS = frozenset(
    {
        "spot_admit_events",
        "spot_plan_window",
        "spot_publish_alerts",
        "spot_verify_window",
        "spot_settle_window",
    }
)
"""Functions that every window needs. Where no other was called, nothing was done and one look is enough."""
LOOK_TRANSITIONS = 3
MONTH_MINUTES = 30 * 24 * 60
COMPACTIONS = 30 * 24
REBUILDS = 30
REBUILD_MINUTES = 2
"""Of the job that has the index made anew, assumed."""
REBUILD_SECONDS = 15.0
"""Of the function that it calls, for some 1,000 packages, assumed."""
POLLERS = 5
POLL_SECONDS = 20
"""Lambda's pollers of an idle queue, with long polling ("Scaling", Lambda with Amazon SQS)."""
SWEEP_READS = 2
"""In an idle minute: the pointers and what is due later, strongly consistent."""
BLOCK = re.compile(r"(?s)(<!-- (\w+): make cost -->\n).*?(<!-- end -->)")


class Counts(msgspec.Struct, frozen=True):
    """When it was counted, and kind of event → what it has used."""

    counted: str
    kinds: dict[str, Counted]


@dataclass(frozen=True, slots=True)
class Stack:
    """What of the template costs something. An alarm is billed for each metric that it watches."""

    memory_mb: Mapping[str, int]
    alarms: int
    alarm_metrics: int
    composites: int
    dashboards: int
    keys: int
    pollings: int


def stack() -> Stack:
    """As the template has it; functions by their folders."""
    template = loads((ROOT / "template.yaml").read_text())
    shared = template["Globals"]["Function"]["MemorySize"]
    of: dict[str, list[dict[str, Any]]] = {}
    for resource in template["Resources"].values():
        of.setdefault(resource["Type"], []).append(resource.get("Properties", {}))
    return Stack(
        memory_mb={
            each["CodeUri"].removeprefix("functions/").rstrip("/"): each.get("MemorySize", shared)
            for each in of["AWS::Serverless::Function"]
        },
        alarms=len(of["AWS::CloudWatch::Alarm"]),
        alarm_metrics=sum(map(_watched, of["AWS::CloudWatch::Alarm"])),
        composites=len(of.get("AWS::CloudWatch::CompositeAlarm", ())),
        dashboards=len(of["AWS::CloudWatch::Dashboard"]),
        keys=len(of["AWS::KMS::Key"]),
        pollings=sum(
            event["Type"] == "SQS"
            for function in of["AWS::Serverless::Function"]
            for event in function.get("Events", {}).values()
        ),
    )


def _watched(alarm: Mapping[str, Any]) -> int:
    """Metrics of an alarm; not those that only a stack with member accounts has."""
    return sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1


def most_looks(seconds: float) -> int:
    """Looks at the estate within that time after acting, the first one included."""
    at = accumulate(chain(PAUSES_SECONDS, repeat(PAUSES_SECONDS[-1])))
    return 2 + sum(1 for _ in takewhile(lambda elapsed: elapsed < seconds, at))


def usage(counted: Counted, memory_mb: Mapping[str, int], looks: int = 1) -> Usage:
    """What is billed for it, where the estate shows the effect of acting at that look."""
    acted = counted.invocations.keys() - TAKE_PART_ALWAYS
    more = max(0, looks * counted.windows - counted.looks) if acted else 0
    invocations = {**counted.invocations, VERIFY: counted.looks + more}
    each = STORM_SECONDS if counted.events > 1 else BILLED_SECONDS
    gb_seconds = sum(
        number * (BILLED_SECONDS if function == INTAKE else each) * memory_mb[function] / 1_024
        for function, number in invocations.items()
    )
    return Usage(
        invocations=sum(invocations.values()),
        gb_seconds=gb_seconds,
        write_units=counted.write_units,
        transitions=counted.transitions + more * LOOK_TRANSITIONS,
        sqs_requests=counted.sqs_requests,
        messages=counted.messages,
        custom_events=counted.custom_events,
        log_gb=counted.log_bytes / 1e9,
        traces=counted.windows + counted.invocations[INTAKE],
    )


def events_table(counts: Counts, memory_mb: Mapping[str, int]) -> str:
    """Dollars for a thousand events of each kind."""
    rows = [
        "| 1,000 events | $, seen at once | $, at the last look | transitions | invocations | write units |",
        "|---|---|---|---|---|---|",
    ]
    for name, counted in counts.kinds.items():
        quick, slow = (usage(counted, memory_mb, looks) for looks in (1, _looks(name)))
        scale = 1_000 / counted.events
        rows.append(
            f"| {name} | {_money(sum(dollars(quick).values()) * scale)}"
            f" | {_money(sum(dollars(slow).values()) * scale)} | {quick.transitions * scale:,.0f}"
            f" | {quick.invocations * scale:,.0f} | {quick.write_units * scale:,.0f} |"
        )
    return "\n".join(rows)


def _looks(kind: str) -> int:
    return most_looks(LOOKING_SECONDS.get(kind, COMMAND_LEAD_SECONDS + GRACE_SECONDS))


def parts_table(counts: Counts, memory_mb: Mapping[str, int], names: Sequence[str]) -> str:
    """Where the dollars of these kinds of events go, at the last look."""
    bills = [dollars(usage(counts.kinds[name], memory_mb, _looks(name))) for name in names]
    scales = [1_000 / counts.kinds[name].events for name in names]
    rows = [f"| | price | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for part, price in PRICES.items():
        amounts = " | ".join(_money(bill[part] * scale) for bill, scale in zip(bills, scales, strict=True))
        rows.append(f"| {part} | {_unit_price(price)} | {amounts} |")
    return "\n".join(rows)


def month_table(found: Stack) -> str:
    """What the stack costs in a month of 30 days in which nothing happens."""
    sweeps = MONTH_MINUTES * (
        PRICES["Lambda requests"]
        + BILLED_SECONDS * found.memory_mb["spot_sweep_windows"] / 1_024 * PRICES["Lambda GB-seconds"]
    )
    polls = found.pollings * POLLERS * MONTH_MINUTES * 60 / POLL_SECONDS
    compactions = COMPACTIONS * (
        PRICES["Lambda requests"]
        + BILLED_SECONDS * found.memory_mb["documents_compact_index"] / 1_024 * PRICES["Lambda GB-seconds"]
    )
    rebuilds = REBUILDS * (
        REBUILD_MINUTES * RELEASE_PRICES["CodeBuild minutes"]
        + REBUILD_SECONDS * found.memory_mb["packages_rebuild_index"] / 1_024 * PRICES["Lambda GB-seconds"]
    )
    lines = {
        f"{found.alarms} alarms on {found.alarm_metrics} metrics": found.alarm_metrics
        * MONTHLY["alarm metric"],
        f"{found.composites} composite alarms": found.composites * MONTHLY["composite alarm"],
        f"{found.dashboards} dashboards (the first three of an account are free)": found.dashboards
        * MONTHLY["dashboard"],
        f"{found.keys} KMS key": found.keys * MONTHLY["KMS key"],
        f"the sweeper: {MONTH_MINUTES:,} runs of a second": sweeps,
        f"… its reads, {SWEEP_READS} units in an idle one": MONTH_MINUTES * SWEEP_READS * READ_UNIT,
        "… its traces, if each is recorded": MONTH_MINUTES * PRICES["X-Ray traces"],
        f"the documents' compaction: {COMPACTIONS:,} runs of a second": compactions,
        f"the packages' index, of a domain: {REBUILDS} rebuilds of {REBUILD_MINUTES} minutes": rebuilds,
        f"polling {found.pollings} idle intake queues: {polls:,.0f} requests": polls * PRICES["SQS requests"],
    }
    rows = ["| a month | $ |", "|---|---|", *(f"| {what} | {amount:.2f} |" for what, amount in lines.items())]
    most = _custom_metrics() * MONTHLY["custom metric"]
    rows.append(f"| **sum** | **{sum(lines.values()):.2f}** |")
    rows.append(
        f"| custom metrics: {_custom_metrics()}, were each written in every hour | up to {most:.2f} |"
    )
    return "\n".join(rows)


def _custom_metrics() -> int:
    """Every combination of dimensions is one."""
    values = {
        "Domain": 1,
        "Kind": sum(map(len, BRANCHES.values())) + 1,
        "Outcome": len(QUARANTINED),
        "Reason": len(Reason),
    }
    metrics = (*spot.METRICS, *documents.METRICS, *packages.METRICS)
    return sum(prod(values[name] for name in metric.dimensions) for metric in metrics)


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.995 else f"{amount:.4f}"


def _unit_price(price: float) -> str:
    return f"${price * 1e6:g}/M" if price < 1e-3 else f"${price:g}"


def tables(counts: Counts) -> dict[str, str]:
    """Name of the block in docs/cost.md → its table."""
    found = stack()
    alone, storm = next(iter(counts.kinds)), list(counts.kinds)[-1]
    return {
        "events": events_table(counts, found.memory_mb),
        "parts": parts_table(counts, found.memory_mb, (alone, storm)),
        "documents": documents_table(found.memory_mb),
        "prices": unit_prices(),
        "searches": searches_table(),
        "releases": releases_table(found.memory_mb),
        "month": month_table(found),
    }


def with_tables(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each block's table as it is now."""
    return BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]}\n{found[3]}", page)


def read_counts() -> Counts:
    """What was counted last."""
    return msgspec.json.decode(COUNTS.read_bytes(), type=Counts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument(
        "--count", action="store_true", help="count anew, on an embedded AWS of its own: some ten minutes"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/cost.md")
    options = parser.parse_args(arguments)
    return exit_code("cost", lambda: _cost(options))


def _cost(options: argparse.Namespace) -> int:
    if options.count:
        with Steps() as report:
            kinds = measure(LocalSettings.from_env().state / "cost", report)
        counted = Counts(f"{datetime.now(UTC):%Y-%m-%d}", kinds)
        COUNTS.write_bytes(msgspec.json.format(msgspec.json.encode(counted)) + b"\n")
    counts = read_counts()
    found = tables(counts)
    print(f"Counted {counts.counted}; list prices of {REGION}, {DATED}.\n")
    print("\n\n".join(found.values()))
    if options.write:
        PAGE.write_text(with_tables(PAGE.read_text(), found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
