"""`python -m local demo`: five interruption warnings, handled from beginning to end, and checked.

The warnings are dated so that their deadline is near: nothing is sped up, but nobody waits two minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from local import events, fleet
from local.account import Account, WindowAccount
from local.cli import print_left_out
from local.deployment import DeploymentError, deploy
from local.display import table, terminal
from local.embedded import EmbeddedAws
from local.inbox import Inbox
from local.inspection import Expectation, Finding, inspect
from local.processes import ProcessError
from local.progress import Steps
from local.settings import ROOT, LocalSettings, SettingsError
from local.status import episodes_table
from signalbox.clock import iso
from signalbox.spot.notices import NOTICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from signalbox.ledger.actions import Action

AGE_SECONDS = 80.0
"""How long ago the warnings say that they were sent: 40 s are left, and 10 until the commands are due."""
WARNED = {"web": 3, "batch": 2}
POLL_SECONDS = 0.3
PATIENCE_SECONDS = 150.0
WARNING = ROOT / "events" / "spot" / "interruption_warning.json"


def main(arguments: Sequence[str]) -> int:
    """Runs it; 0 only if every check of the estate itself holds."""
    argparse.ArgumentParser(prog="python -m local demo", description=__doc__).parse_args(arguments)
    console = terminal()
    try:
        return _demo(console, LocalSettings.from_env().state / "demo")
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (DeploymentError, ProcessError, BotoCoreError, ClientError) as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline. Lines with the same key are the same news."""

    key: str
    at: float
    subject: str
    group: str
    text: str


def _demo(console: Console, state: Path) -> int:
    with Steps() as report:
        report("Starting the embedded AWS")
        aws = EmbeddedAws.start(state)
    with aws:
        with Steps() as report:
            deployment = deploy(aws, report=report)
            report("Making the fleet: two Auto Scaling groups, a load balancer, twelve Spot instances")
            made = fleet.create(aws)
            inbox = Inbox.open(aws, deployment.outputs)
        print_left_out(deployment.left_out)
        expectation = _expectation(made)
        _send(aws, expectation)
        console.print(
            f"\n{len(expectation.instances)} interruption warnings, dated {AGE_SECONDS:.0f} s ago:"
            f" EC2 takes the instances at {iso(expectation.deadline)}.\n"
            "[dim]seconds after the notice[/]"
        )
        windows = _follow(console, Account(aws, deployment.outputs), expectation)
        findings = inspect(aws, deployment.outputs, expectation, windows, inbox.drain())
    for window in windows:
        console.print(episodes_table(window))
    return _conclude(console, findings, state / "logs")


def _conclude(console: Console, findings: Sequence[Finding], logs: Path) -> int:
    checks = table("", "check", "seen", title="The estate itself")
    for finding in findings:
        checks.add_row("[green]✓[/]" if finding.holds else "[red]✗[/]", finding.check, escape(finding.seen))
    console.print(checks)
    broken = [finding.check for finding in findings if not finding.holds]
    if broken:
        console.print(f"[red]The demo failed:[/] {'; '.join(broken)}. Logs: {logs}")
        return 1
    console.print("[green]Every check holds.[/] Next: make up, make send, make status (see README.md).")
    return 0


def _expectation(made: fleet.Fleet) -> Expectation:
    warned = {group: made.instances[group][:count] for group, count in WARNED.items()}
    noticed_at = float(int(time.time() - AGE_SECONDS))
    return Expectation(
        groups={group: frozenset(instances) for group, instances in warned.items()},
        members={group: frozenset(instances) for group, instances in made.instances.items()},
        target_groups={"web": made.target_group_arn},
        noticed_at=noticed_at,
        deadline=noticed_at + NOTICE_SECONDS,
    )


def _send(aws: EmbeddedAws, expectation: Expectation) -> None:
    instances = sorted(expectation.instances)
    noticed = datetime.fromtimestamp(expectation.noticed_at, UTC)
    aws.deliver(events.fill(events.read(WARNING) * len(instances), events.Values(noticed, iter(instances))))


def _follow(console: Console, account: Account, expectation: Expectation) -> list[WindowAccount]:
    """Prints what the ledger has to tell as it comes, until every warned instance is settled."""
    told: set[str] = set()
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        windows = account.windows(most=10)
        news = sorted((line for w in windows for line in _lines(w)), key=lambda line: (line.at, line.key))
        for line in news:
            if line.key not in told:
                told.add(line.key)
                offset = line.at - expectation.noticed_at
                console.print(f"{offset:6.1f}  {line.subject:<20} {line.group:<6} {escape(line.text)}")
        settled = {i for w in windows if w.state == "settled" for i in w.episodes}
        done = settled >= expectation.instances and all(_published(w) for w in windows)
        if done or time.monotonic() > give_up_at:
            return windows
        time.sleep(POLL_SECONDS)


def _published(window: WindowAccount) -> bool:
    messages = [action for action in window.actions if action.kind in ("alert", "event")]
    return all(action.status not in ("pending", "running") for action in messages)


def _lines(window: WindowAccount) -> Iterator[Line]:
    if window.plan is None:
        return
    for decision in window.decisions:
        why = "; ".join(reason.text for reason in decision.reasons)
        text = f"{decision.mode}: {', '.join(decision.kinds) or 'nothing to do'} ({why})"
        key = f"{window.window} plan {decision.instance}"
        yield Line(key, window.plan.planned_at, decision.instance, decision.group, text)
    for action in window.actions:
        if action.finished_at:
            for subject in action.subjects or ("",):
                yield _action_line(window, action, subject)
    if window.plan.settled:
        at = window.plan.settled["settled_at"]
        for instance, episode in window.episodes.items():
            left = episode.timings.get("seconds_left")
            spare = "" if left is None else f", {left:.0f} s of the notice left"
            key = f"{window.window} settled {instance}"
            yield Line(key, at, instance, episode.group, f"{episode.outcome}{spare}")


DONE = {
    "detach": "detached from the group, replacement starting",
    "deregister": "draining from the target group",
    "deregister-classic": "draining from the classic load balancer",
    "containers": "ECS container instance draining",
    "nodes": "EKS node cordoned and drained",
    "checkpoint": "checkpoint commands sent",
    "command": "shutdown commands sent",
    "complete": "lifecycle hook completed",
    "terminate": "ended by its group, replacement starting",
    "alert": "alert published",
    "event": "domain event published",
}


def _action_line(window: WindowAccount, action: Action, subject: str) -> Line:
    status, reason = action.outcome_of(subject)
    text = DONE[action.kind] if status == "succeeded" else f"{action.kind} {status}: {reason}"
    if action.kind == "command" and status == "succeeded":
        text += f", {action.deadline - action.finished_at:.0f} s before the deadline"
    if action.kind == "alert":
        text += f": {action.payload['subject']}"
    return Line(f"{window.window} {action.id} {subject}", action.finished_at, subject, action.group, text)
