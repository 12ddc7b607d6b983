"""Storms of interruption warnings on the embedded AWS: caps and request buckets on, IAM enforced."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bench.estate import Fleet, Guard
from bench.one_by_one import OneByOne
from bench.ours import Signalbox
from bench.outcome import OURS, THEIRS, Outcome
from local.deployment import deploy
from local.embedded import EmbeddedAws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.shape import Bucket

LEAD_SECONDS = 90
"""Commands half a minute after the notice: after the detachments, and nobody waits a minute and a half."""
WORKERS = 50


@dataclass(frozen=True, slots=True)
class Run:
    """One storm to be met."""

    algorithm: str
    instances: int
    bucket: Bucket


def grid(sizes: Sequence[int], buckets: Sequence[Bucket], *, full: bool) -> list[Run]:
    """Both algorithms meet every size in the middle bucket.

    In the other buckets Signalbox meets all but the smallest size, and the other algorithm, which may take
    two minutes each time, only the second. Everything, where it is to be full or there is one size.
    """
    middle = buckets[len(buckets) // 2]
    return [
        Run(algorithm, size, bucket)
        for place, size in enumerate(sizes)
        for bucket in buckets
        for algorithm in (OURS, THEIRS)
        if full or len(sizes) == 1 or bucket == middle or place == 1 or (place > 1 and algorithm == OURS)
    ]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the storms are met.

    Attributes:
        lead: the stack's SpotCommandLeadSeconds.
        workers: the other algorithm's executions at once.
        cold: leaves the stack's functions cold.
    """

    lead: int = LEAD_SECONDS
    workers: int = WORKERS
    cold: bool = False


def storms(
    state: Path,
    runs: Sequence[Run],
    settings: Settings,
    report: Callable[[str], None],
    done: Callable[[Outcome], None],
) -> None:
    """Meets them one after the other: each size and bucket on an embedded AWS of its own.

    `report` is told what begins, `done` gets each outcome as it is there.
    """
    for (instances, bucket), members in groupby(runs, lambda run: (run.instances, run.bucket)):
        report(f"Starting an embedded AWS for {instances:,} warnings, Auto Scaling's bucket {bucket}")
        with EmbeddedAws.start(state) as aws:
            lead = {"SpotCommandLeadSeconds": str(settings.lead)}
            outputs = deploy(aws, overrides=lead, report=report).outputs
            guard = Guard(aws.estate_port)
            report(f"Making the fleet: {instances:,} Spot instances")
            fleet = Fleet.create(aws, guard, instances)
            for run in members:
                if run.algorithm == OURS:
                    done(_ours(Signalbox(aws, outputs, guard), fleet, run, settings, report))
                else:
                    theirs = OneByOne.prepare(aws, guard, settings.workers)
                    report(_title(run))
                    done(theirs.meet(fleet, bucket))


def _ours(
    stack: Signalbox, fleet: Fleet, run: Run, settings: Settings, report: Callable[[str], None]
) -> Outcome:
    if not settings.cold:
        report("Warming the functions up")
        stack.warm_up()
    report(_title(run))
    return stack.meet(fleet, run.bucket)


def _title(run: Run) -> str:
    return f"{run.instances:,} warnings, Auto Scaling's bucket {run.bucket}: {run.algorithm}"
