"""`python -m bench.parsing N`: what it takes to plan one window of N warnings, answers parsed as AWS's.

A process of its own, so that its memory is that of the plan: the interpreter, boto3, the window, the answers.
The ledger is in memory; the estate's answers are canned, and parsed by boto3 as they would be on AWS. Prints
a JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

import boto3
import msgspec

from bench.apart import measured_apart
from bench.canned import CannedEstate
from bench.memory import peak_bytes
from bench.plan import NOTICED_AT, instance_ids, notice
from bench.shape import GROUPS
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.windows import Segment, Window
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEstate, AwsInstances
from signalbox.spot.planning import Policy
from signalbox.spot.window import PlanWindow

if TYPE_CHECKING:
    from collections.abc import Collection

    from signalbox.spot.estate import TargetGroup

MB = 2**20
INTAKE_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What planning one window took. `peak_before_mb` is the process's peak before it began."""

    instances: int
    cpu_seconds: float
    cpu_seconds_outside_answers: float
    peak_mb: float
    peak_before_mb: float
    calls: int
    parsed_mb: float
    actions: dict[str, int]


def measure_apart(instances: int) -> Cost:
    """Measures in a process of its own."""
    return measured_apart(Cost, "bench.parsing", instances)


def measure(instances: int) -> Cost:
    """Plans one window of so many warnings."""
    ids = instance_ids(instances)
    groups: dict[str, list[str]] = defaultdict(list)
    for number, instance in enumerate(ids):
        groups[f"group-{number % GROUPS}"].append(instance)
    estate = TimedEstate(groups)
    ledger, window = gathered(ids)
    plan = PlanWindow(ledger, adapters(estate), Policy(), lambda: NOTICED_AT + 5, lambda: "plan")
    before = peak_bytes()
    began = time.process_time()
    summary = plan.plan(window).summary
    seconds = time.process_time() - began
    return Cost(
        instances=instances,
        cpu_seconds=seconds,
        cpu_seconds_outside_answers=seconds - estate.seconds,
        peak_mb=peak_bytes() / MB,
        peak_before_mb=before / MB,
        calls=estate.calls,
        parsed_mb=estate.bytes / MB,
        actions=summary["actions"],
    )


class TimedEstate(CannedEstate):
    """Knows how much CPU went into making its answers up, which AWS would not charge us."""

    seconds = 0.0

    def _answer(self, *args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        try:
            return super()._answer(*args, **kwargs)
        finally:
            self.seconds += time.process_time() - began


def adapters(estate: CannedEstate) -> AwsEstate:
    """The program's own, on boto3 clients that the estate answers."""
    session = boto3.Session("test", "test", region_name="us-east-1")
    ec2, auto_scaling, ssm = session.client("ec2"), session.client("autoscaling"), session.client("ssm")
    for client in (ec2, auto_scaling, ssm):
        estate.install(client)
    return AwsEstate(AwsInstances(ec2), AwsAutoScaling(auto_scaling), ssm, no_target_groups)


def no_target_groups(names: Collection[str]) -> dict[str, TargetGroup]:
    """What the storm's groups need looked up: nothing, as neither tag nor health check asks for it."""
    raise AssertionError(f"looked up for nothing: {names}")


def gathered(instances: list[str]) -> tuple[MemoryLedger, Window]:
    """A window that has gathered their warnings, in the intake's batches."""
    ledger, window = MemoryLedger(), Window("spot", "123456789012", "us-east-1", 1)
    ledger.open_next(window.key, None, NOTICED_AT)
    for part in batched(instances, INTAKE_BATCH, strict=False):
        ledger.append(window, Segment.of([msgspec.to_builtins(notice(instance)) for instance in part]))
    return ledger, window


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measure(int(sys.argv[1])))))
