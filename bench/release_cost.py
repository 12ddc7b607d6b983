"""What the release of a version costs: what its way through the workflow uses, times the table of prices.

Worked out from the design, not counted: which functions run, how often, and what each asks of the ledger, the
queues and CodeArtifact. What depends on the packages and on the machine is assumed, and named below. The
builds are those of projects of the user's own: what they cost is named apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bench.prices import PRICES, RELEASE_PRICES
from signalbox.packages.entries import Entry, record_of
from signalbox.packages.releases import Build, Progress, Release

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP_SECONDS = 1.0
"""Of an invocation, assumed: most of it is waiting for AWS, or a cold start."""
START_SECONDS = 0.25
"""Of starting one build, assumed: they are started one after the other."""
STEP_LOG_BYTES = 6_000
"""Of a step, assumed: five events in the workflow's log, and its own lines."""
INTAKE_LOG_BYTES = 2_000
AT_ONCE = 20
"""Builds of one release: the default of PackagesBuildsAtOnce."""
BUILD_MINUTES = 5
"""Of a build, assumed."""
DEPENDENCIES = 6
"""Of a version, assumed: whether each is there is asked of CodeArtifact."""
DECISION_BYTES = 300
INDEX_UNITS = 6
"""Of one of the index's 16 records, for a domain of some 1,000 packages with six dependencies each."""
ROW_BYTES = 150
"""Of a row of the ledger, beside what it holds: its key, its version, when it expires."""
VERSION_MESSAGES = 5
"""Requests to SQS for a version that comes in one event: sent, received, sent back until it is quiet,
received again, deleted."""
BUILD_MESSAGES = 3
"""Sent, received and deleted: of a build that ends alone. Ten at once share the last two."""
INTAKE_CALLS = 4
"""Of CodeArtifact: what the version is, twice, which others there are, what it depends on."""
INSPECT_CALLS = 6
"""The same of it and of the version before, and the repository's upstreams."""
PROMOTE_CALLS = 3
"""Is it the same, copy it, is it there."""
PARTS = {
    "Lambda": ("Lambda requests", "Lambda GB-seconds"),
    "workflow": ("Step Functions transitions",),
    "ledger": ("DynamoDB write units",),
    "queues, bus, topic": ("SQS requests", "EventBridge custom events", "SNS messages"),
    "CodeArtifact": ("CodeArtifact requests",),
    "logs, traces": ("CloudWatch Logs GB", "X-Ray traces"),
}
"""Column of the table → the prices in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What one kind of release goes through: nobody is throttled, and nothing is tried again.

    Attributes:
        builds: dependents, in so many waves.
        acts: false of a dry run, which ends with the plan.
    """

    builds: int
    waves: int
    acts: bool = True


WAYS: Mapping[str, Way] = {
    "dry run, 20 dependents": Way(builds=20, waves=2, acts=False),
    "no dependents": Way(builds=0, waves=0),
    "20 builds in 2 waves": Way(builds=20, waves=2),
    "200 builds in 4 waves": Way(builds=200, waves=4),
}
"""Kind of release → its way."""


def invocations(way: Way) -> dict[str, int]:
    """Function → how often. The intake sees a version twice, and a build's end once."""
    always = {"admit_events": 2, "inspect_version": 1, "plan_release": 1, "settle_release": 1}
    acting = {"build_wave": way.waves, "admit_builds": way.builds, "promote_version": 1}
    return {f"packages_{name}": count for name, count in (always | (acting if way.acts else {})).items()}


def transitions(way: Way) -> int:
    """Of its execution: the first, then the choice and the step it leads to, each time."""
    steps = 3 + (way.waves + 1 if way.acts else 0)
    return 1 + 2 * steps


def entry_units(way: Way) -> int:
    """Write units of the release's row as it is at the end."""
    names = [f"npm/acme/package-{number:03}" for number in range(way.builds)]
    build = Build(progress=Progress.SUCCEEDED, id=f"rebuild-package-000:{'0' * 36}", lease_until=1.7e9)
    each = _wave(way)
    release = Release(
        version="npm/acme/ui/1.0.0",
        revision="0" * 44,
        sequence=1,
        acts=way.acts,
        waves=tuple(tuple(names[wave * each : (wave + 1) * each]) for wave in range(way.waves)),
        builds=dict.fromkeys(names, build),
    )
    projects = {name: f"rebuild-{name.rpartition('/')[2]}" for name in names}
    entry = Entry(release=release, version="1.0.0", repository="team-a", projects=projects)
    return _units(len(msgspec.json.encode(record_of(entry).body)))


def write_units(way: Way) -> int:
    """The release's row: admitted, noted, judged, planned; each wave begun and let go, each end of a build;
    the promotion claimed and done; settled. A build that had to wait for a place is noted once more.

    Beside it the package's releases, the index, the plan, and what each build is for."""
    waiting = way.waves * max(0, _wave(way) - AT_ONCE)
    changes = 5 + (3 * way.waves + way.builds + waiting + 2 if way.acts else 0)
    plan = _units(DECISION_BYTES * way.builds) if way.builds else 0
    return entry_units(way) * changes + 1 + INDEX_UNITS + plan + (way.builds if way.acts else 0)


def _wave(way: Way) -> int:
    """Builds of a wave: they are all alike here."""
    return math.ceil(way.builds / way.waves) if way.waves else 0


def _units(size: int) -> int:
    return math.ceil((size + ROW_BYTES) / 1_024)


def dollars(way: Way, memory_mb: Mapping[str, int]) -> dict[str, float]:
    """Price → its share of the bill of one release, without its builds."""
    called = invocations(way)
    seconds = {name: count * STEP_SECONDS for name, count in called.items()}
    if way.acts:
        seconds["packages_build_wave"] += way.builds * START_SECONDS
    intakes = called["packages_admit_events"] + called.get("packages_admit_builds", 0)
    builds = way.builds if way.acts else 0
    used = {
        "Lambda requests": sum(called.values()),
        "Lambda GB-seconds": sum(memory_mb[name] / 1_024 * each for name, each in seconds.items()),
        "Step Functions transitions": transitions(way),
        "DynamoDB write units": write_units(way),
        "SQS requests": VERSION_MESSAGES + BUILD_MESSAGES * builds,
        "EventBridge custom events": 1,
        "SNS messages": 1,
        "CodeArtifact requests": INTAKE_CALLS
        + INSPECT_CALLS
        + DEPENDENCIES
        + (PROMOTE_CALLS if way.acts else 0),
        "CloudWatch Logs GB": ((sum(called.values()) - intakes) * STEP_LOG_BYTES + intakes * INTAKE_LOG_BYTES)
        / 1e9,
        "X-Ray traces": intakes,
    }
    prices = PRICES | RELEASE_PRICES
    return {name: prices[name] * amount for name, amount in used.items()}


def builds_dollars(way: Way) -> float:
    """What CodeBuild bills for the builds of one release: projects of the user's own."""
    return way.builds * BUILD_MINUTES * RELEASE_PRICES["CodeBuild minutes"] if way.acts else 0.0


def releases_table(memory_mb: Mapping[str, int]) -> str:
    """Dollars for a thousand releases of each kind, what they are for, and the builds apart."""
    rows = [
        f"| 1,000 releases | $ | {' | '.join(PARTS)} | transitions | and the builds, $ |",
        "|---|---|" + "---|" * len(PARTS) + "---|---|",
    ]
    for name, way in WAYS.items():
        bill = dollars(way, memory_mb)
        parts = [sum(bill[each] for each in prices) * 1_000 for prices in PARTS.values()]
        builds = f"{builds_dollars(way) * 1_000:,.0f}" if builds_dollars(way) else ""
        rows.append(
            f"| {name} | {_money(sum(parts))} | {' | '.join(map(_money, parts))}"
            f" | {transitions(way) * 1_000:,} | {builds} |"
        )
    return "\n".join(rows)


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.995 else f"{amount:.4f}"
