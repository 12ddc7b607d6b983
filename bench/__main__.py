"""How many AWS calls a storm of interruptions costs, and how the planner's own time grows with it.

Counted, not measured on AWS: the calls are the actions that the planner makes of its decisions, and the reads
that the adapters' caps come to. "One at a time" is a function that is started for each warning and makes four
calls: describe the member, detach it, deregister it, send its command. Neither side counts tries again, nor
the looks of the verification. CPU times are of this machine; only their ratio says something elsewhere.
"""

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from signalbox.spot.aws_estate import FILTER_CAP, GROUPS_CAP, MEMBERS_CAP, PARAMETERS_CAP
from signalbox.spot.commands import GroupCommands
from signalbox.spot.episodes import merge
from signalbox.spot.estate import Group, Instance, Snapshot
from signalbox.spot.notices import NOTICE_SECONDS, Notice, Severity
from signalbox.spot.planning import Policy, actions_of, decide

GROUPS = 10
SIZES = (100, 1_000)
CALLS_ONE_AT_A_TIME = 4
REPEATS = 5
NOTICED_AT = 1_780_000_000.0
RESULT = Path(__file__).resolve().parent.parent / ".local" / "bench.json"


def storm(instances: int) -> tuple[list[Notice], Snapshot]:
    """One warning for each instance, spread evenly over groups that opted in, each with one target group."""
    names = [f"group-{number}" for number in range(GROUPS)]
    members = {f"i-{number:017x}": names[number % GROUPS] for number in range(instances)}
    groups = {n: Group(name=n, tags={"signalbox:spot": "act"}, target_groups=(f"arn-{n}",)) for n in names}
    known = {
        i: Instance(id=i, state="running", lifecycle="spot", group=group, member_state="InService")
        for i, group in members.items()
    }
    notices = [
        Notice(
            event_id=instance,
            account="123456789012",
            region="us-east-1",
            instance=instance,
            severity=Severity.INTERRUPTION,
            instance_action="terminate",
            noticed_at=NOTICED_AT,
            deadline=NOTICED_AT + NOTICE_SECONDS,
        )
        for instance in members
    ]
    return notices, Snapshot(known, groups)


def measure(instances: int) -> dict[str, Any]:
    """The calls of one window with so many instances, and the planner's CPU seconds (the least of a few)."""
    notices, snapshot = storm(instances)
    commands = dict.fromkeys(snapshot.groups, GroupCommands(shutdown=("systemctl stop app",)))
    seconds = math.inf
    for _ in range(REPEATS):
        began = time.process_time()
        decisions = [decide(merge(None, n, window=1), snapshot, commands, Policy()) for n in notices]
        actions = actions_of("plan", decisions, snapshot, commands, Policy())
        seconds = min(seconds, time.process_time() - began)
    caps = {"members": (instances, MEMBERS_CAP), "instances": (instances, FILTER_CAP)}
    caps |= {"groups": (GROUPS, GROUPS_CAP), "parameters": (GROUPS, PARAMETERS_CAP)}
    reads = {f"read {what}": math.ceil(count / cap) for what, (count, cap) in caps.items()}
    calls = reads | Counter(action.kind for action in actions)
    total, alone = sum(calls.values()), instances * CALLS_ONE_AT_A_TIME
    return {"instances": instances, "calls": calls, "total": total, "alone": alone, "cpu_seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULT, help="default: .local/bench.json")
    output: Path = parser.parse_args().output
    results = [measure(instances) for instances in SIZES]
    table = Table(f"one window, {GROUPS} groups", *(f"{size:,} instances" for size in SIZES))
    for call in results[0]["calls"]:
        table.add_row(call, *(str(result["calls"][call]) for result in results))
    table.add_row("calls, all", *(f"{result['total']:,}" for result in results), style="bold")
    table.add_row("one at a time", *(f"{result['alone']:,}" for result in results))
    table.add_row("times fewer", *(f"{result['alone'] / result['total']:.1f}" for result in results))
    small, large = (result["cpu_seconds"] for result in results)
    table.add_row("planner's CPU time", "1", f"{large / small:.1f} times as much")
    Console().print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(msgspec.json.format(json.dumps({"groups": GROUPS, "results": results}).encode()))


if __name__ == "__main__":
    main()
