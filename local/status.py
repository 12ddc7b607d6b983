"""`python -m local status`: what happened, from the ledger."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from rich.markup import escape

from local.account import Account
from local.deployment import DeploymentError, outputs
from local.display import table, terminal
from local.embedded import EmbeddedAws
from local.settings import LocalSettings
from signalbox.clock import iso
from signalbox.documents.models import QUARANTINED
from signalbox.packages.outcomes import is_trouble, shown_state, told_of, why_it_stands
from signalbox.packages.releases import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from local.account import Depth, DocumentsAccount, WindowAccount
    from signalbox.documents.entries import Entry
    from signalbox.ledger.actions import Action
    from signalbox.ledger.records import Rejection
    from signalbox.packages.entries import Entry as Release
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
    said = Said(
        account.windows(options.windows),
        account.documents(options.documents),
        account.releases(options.releases),
        account.rejections(),
        account.queues(),
    )
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(said.as_data())).decode())
    else:
        show(terminal(), said)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local status",
        description="What happened, from the ledger: episodes, actions with outcome and reason, "
        "open windows, documents with outcome and reason, those under way, releases of packages, rejected "
        "events, and the depths of the queues. It reads the whole ledger, as nobody should on AWS.",
    )
    parser.add_argument("--windows", type=int, default=5, metavar="N", help="the newest N (default: 5)")
    parser.add_argument(
        "--documents", type=int, default=20, metavar="N", help="the N settled last (default: 20)"
    )
    parser.add_argument(
        "--releases", type=int, default=20, metavar="N", help="the N changed last (default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON, for programs")
    return parser


@dataclass(frozen=True, slots=True)
class Said:
    """All that is shown."""

    windows: Sequence[WindowAccount]
    documents: DocumentsAccount
    releases: Sequence[Release]
    rejections: Sequence[Rejection]
    queues: Sequence[Depth]

    def as_data(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "windows": [
                {
                    "window": str(w.window),
                    "state": w.state,
                    "settled": w.plan.settled if w.plan else None,
                    "episodes": [msgspec.to_builtins(episode) for episode in w.episodes.values()],
                    "actions": [msgspec.to_builtins(action) for action in w.actions],
                }
                for w in self.windows
            ],
            "documents": {
                "objects": self.documents.objects,
                "objects_under_way": self.documents.objects_under_way,
                "settled": [_document(entry) for entry in self.documents.settled],
                "under_way": [msgspec.to_builtins(entry) for entry in self.documents.under_way],
            },
            "releases": [msgspec.to_builtins(entry) for entry in self.releases],
            "rejections": [msgspec.to_builtins(rejection) for rejection in self.rejections],
            "queues": [asdict(queue) for queue in self.queues],
        }


def show(console: Console, said: Said) -> None:
    """The account for a person."""
    if not (said.windows or said.documents.objects or said.releases):
        console.print("No event yet. Send one: make send EVENT=events/spot/interruption_warning.json")
        console.print("Or upload a document (make upload), or publish a version (docs/packages.md).")
    for account in said.windows:
        opened = iso(account.pointer.opened_at) if account.state == "open" else ""
        console.print(f"\n[bold]Window {account.window}[/]: {account.state} {opened}".rstrip())
        if account.decisions:
            console.print(episodes_table(account))
            console.print(actions_table(account.actions))
    if said.documents.objects:
        console.print(documents_table(said.documents))
    if said.releases:
        console.print(releases_table(said.releases))
    if said.rejections:
        console.print(rejections_table(said.rejections))
    depths = table("queue", "waiting", "in flight", title="Queues")
    for queue in said.queues:
        style = "red" if queue.visible and "DeadLetter" in queue.name else None
        depths.add_row(queue.name, str(queue.visible), str(queue.in_flight), style=style)
    console.print(depths)


def documents_table(documents: DocumentsAccount) -> Table:
    """One row an object: what became of it, why, how much of it is in the index, how soon."""
    title = f"Documents: {documents.objects:,}, of which {documents.objects_under_way:,} are under way"
    rows = table("object", "outcome", "why", "media type", "rows", "s after the event", title=title)
    for entry in documents.settled:
        rows.add_row(
            _object(entry),
            str(entry.outcome),
            _why(entry),
            escape(entry.media_type) or "-",
            str(entry.rows),
            f"{_seconds(entry):.1f}",
            style="red" if entry.outcome in QUARANTINED else None,
        )
    for entry in documents.under_way:
        rows.add_row(_object(entry), "under way" if entry.busy_until else "comes again", _why(entry))
    return rows


def releases_table(releases: Sequence[Release]) -> Table:
    """One row a release: how far it is, what was told of it, why it stands."""
    rows = table("release", "state", "try", "wave", "builds", "told", "why", title="Releases")
    for entry in releases:
        release = entry.release
        done = sum(build.progress is Progress.SUCCEEDED for build in release.builds.values())
        troubles = [f"{package}: {why}" for package, why in sorted(entry.troubles.items())]
        rows.add_row(
            escape(release.version),
            escape(shown_state(entry)),
            f"{release.round}.{release.tries + 1}",
            f"{release.wave + 1} of {len(release.waves)}" if release.waves else "-",
            f"{done} of {len(release.builds)}" if release.builds else "-",
            told_of(entry) or "-",
            escape("; ".join(filter(None, [why_it_stands(entry), *troubles]))) or "-",
            style="red" if is_trouble(entry) else None,
        )
    return rows


def _object(entry: Entry) -> str:
    return escape(f"s3://{entry.bucket}/{entry.key}")


def _why(entry: Entry) -> str:
    return escape(": ".join(filter(None, (entry.reason, entry.detail)))) or "-"


def _seconds(entry: Entry) -> float:
    """From its event, whose time AWS rounds to seconds, to its outcome."""
    return max(entry.settled_at - entry.occurred_at, 0.0)


def _document(entry: Entry) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(entry)
    return data | {"seconds_after_event": _seconds(entry)}


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
    """One row a rejected event: whose it was to be, what is wrong, and where."""
    rows = table("at", "domain", "code", "where", "what", title="Rejected today (bodies in the ledger)")
    for rejection in rejections:
        rows.add_row(iso(rejection.at), rejection.domain, rejection.code, rejection.where, rejection.what)
    return rows
