"""`python -m local status`: what happened, from the ledger."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from local.account import Account, Depth, WindowAccount
from local.deployment import DeploymentError, outputs
from local.display import table, terminal
from local.embedded import EmbeddedAws
from local.settings import LocalSettings
from signalbox.clock import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from signalbox.ledger.actions import Action
    from signalbox.ledger.records import Rejection
    from signalbox.spot.episodes import Episode


def main(arguments: Sequence[str]) -> int:
    """Prints the account; 2 where nothing runs."""
    options = _parser().parse_args(arguments)
    aws = EmbeddedAws.attach(LocalSettings.from_env().state)
    if aws is None:
        print("The embedded AWS is not running. Start it with `make up`.", file=sys.stderr)
        return 2
    try:
        account = Account(aws, outputs(aws))
    except DeploymentError as error:
        print(error, file=sys.stderr)
        return 1
    windows, rejections, queues = account.windows(options.windows), account.rejections(), account.queues()
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(as_data(windows, rejections, queues))).decode())
    else:
        show(terminal(), windows, rejections, queues)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local status",
        description="What happened, from the ledger: episodes, actions with outcome and reason, "
        "open windows, rejected events, and the depths of the queues.",
    )
    parser.add_argument("--windows", type=int, default=5, metavar="N", help="the newest N (default: 5)")
    parser.add_argument("--json", action="store_true", help="the same as JSON, for programs")
    return parser


def as_data(
    windows: Sequence[WindowAccount], rejections: Sequence[Rejection], queues: Sequence[Depth]
) -> dict[str, Any]:
    """The whole account as plain data."""
    return {
        "windows": [
            {
                "window": str(w.window),
                "state": w.state,
                "settled": w.plan.settled if w.plan else None,
                "episodes": [msgspec.to_builtins(episode) for episode in w.episodes.values()],
                "actions": [msgspec.to_builtins(action) for action in w.actions],
            }
            for w in windows
        ],
        "rejections": [msgspec.to_builtins(rejection) for rejection in rejections],
        "queues": [asdict(queue) for queue in queues],
    }


def show(
    console: Console,
    windows: Sequence[WindowAccount],
    rejections: Sequence[Rejection],
    queues: Sequence[Depth],
) -> None:
    """The account for a person."""
    if not windows:
        console.print("No event yet. Send one: make send EVENT=events/spot/interruption_warning.json")
    for account in windows:
        opened = iso(account.pointer.opened_at) if account.state == "open" else ""
        console.print(f"\n[bold]Window {account.window}[/]: {account.state} {opened}".rstrip())
        if account.decisions:
            console.print(episodes_table(account))
            console.print(actions_table(account.actions))
    if rejections:
        console.print(rejections_table(rejections))
    depths = table("queue", "waiting", "in flight", title="Queues")
    for queue in queues:
        style = "red" if queue.visible and "DeadLetter" in queue.name else None
        depths.add_row(queue.name, str(queue.visible), str(queue.in_flight), style=style)
    console.print(depths)


def episodes_table(account: WindowAccount) -> Table:
    """One row an instance: what threatens it, how it is treated, how it ended, how soon, and why."""
    columns = ("instance", "group", "what comes", "mode", "outcome", "s after the notice", "s left", "why")
    episodes = table(*columns)
    for decision in account.decisions:
        episode = account.episodes.get(decision.instance)
        timings = episode.timings if episode else {}
        left = timings.get("seconds_left")
        steps = [f"{kind} {timings[kind]:.1f}" for kind in decision.kinds if kind in timings]
        episodes.add_row(
            decision.instance,
            decision.group or "-",
            f"{decision.instance_action} {iso(decision.deadline)[11:]}",
            decision.mode,
            _outcome(episode) if episode else "-",
            ", ".join(steps) or "-",
            "-" if left is None else f"{left:.1f}",
            "; ".join(reason.text for reason in decision.reasons),
        )
    return episodes


def _outcome(episode: Episode) -> str:
    outcome = episode.outcome or episode.status
    return (
        f"{outcome}, found running at {iso(episode.found_running_at)}"
        if episode.found_running_at
        else outcome
    )


def actions_table(actions: Sequence[Action]) -> Table:
    """One row an action: for whom, how it ended and why, what the estate showed."""
    rows = table("action", "group", "for", "status", "reason", "seen")
    for action in sorted(actions, key=lambda a: (a.started_at or float("inf"), a.id)):
        notes = [f"{i}: {d.status}, {d.reason}" for i, d in action.deviations.items()]
        rows.add_row(
            action.kind,
            action.group or "-",
            _about(action),
            action.status,
            "; ".join(filter(None, [action.reason, *notes])) or "-",
            action.verdict.state if action.verdict else "-",
            style="red" if action.status == "failed" else None,
        )
    return rows


def _about(action: Action) -> str:
    if action.subjects:
        return ", ".join(action.subjects[:3]) + (", …" if len(action.subjects) > 3 else "")
    return str(action.payload.get("subject") or action.payload.get("detail_type") or "-")


def rejections_table(rejections: Sequence[Rejection]) -> Table:
    """One row a rejected event: what is wrong, and where."""
    rows = table("at", "code", "where", "what", title="Rejected today (bodies in the ledger)")
    for rejection in rejections:
        rows.add_row(iso(rejection.at), rejection.code, rejection.where, rejection.what)
    return rows
