"""`python -m local`: the embedded AWS from the command line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from local import events, fleet, running, teams
from local.deployment import outputs
from local.embedded import PARTS, EmbeddedAws
from local.events import EventError
from local.exits import exit_code
from local.progress import Steps
from local.pruning import TemplateError
from local.settings import LocalSettings
from local.workshop import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.pruning import LeftOut

# Each has a `main(arguments) -> int` of its own, and is only imported when called.
OWN_MODULES = {
    "demo": "each domain from beginning to end, and checked",
    "dashboards": "pictures of the stack's dashboards, from a run of its own",
    "status": "what happened, from the ledger",
    "trace": "where the time of a window went, from the traces",
}
ABOUT = """\
The embedded AWS: ministack (the spine, at SIGNALBOX_SPINE_PORT, default 4566), moto behind a guard (the
estate, at SIGNALBOX_ESTATE_PORT, default 4567) and CodeArtifact (at SIGNALBOX_CODEARTIFACT_PORT, default
4568). All listen on 127.0.0.1 only. State and logs are in .local/ (SIGNALBOX_STATE). local/README.md has
the rest."""


class UsageError(ValueError):
    """A command that can't be done as asked; says what to do instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in OWN_MODULES:
        return int(importlib.import_module(f"local.{given[0]}").main(given[1:]))
    options = _parser().parse_args(given)
    return exit_code(
        options.command,
        lambda: int(options.run(options, LocalSettings.from_env())),
        wrong=(UsageError, EventError),
        failures=(TemplateError,),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up", help="start everything, deploy the stack, make the fleet, leave it running"
    )
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, before those of samconfig.toml: PackagesMode=observe",
    )
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="stop what `up` left running")
    down.add_argument(
        "--all", action="store_true", help="also what any other command of this checkout left running"
    )
    down.set_defaults(run=_down)
    send = commands.add_parser(
        "send",
        help="deliver an event file to the bus, whatever its source, as AWS would",
        description=events.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    send.add_argument("file", type=Path, help="an event, or a list of events, as JSON")
    send.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what {{KEY}} stands for, or a new text for a member: detail.instance-action=stop",
    )
    send.add_argument(
        "--age", type=int, default=0, metavar="SECONDS", help="date {{now}}, or `time`, this much earlier"
    )
    send.add_argument("--count", type=int, default=1, help="send the file this many times (default: 1)")
    send.set_defaults(run=_send)
    env = commands.add_parser("env", help="print what a shell needs to talk to the running copy, for eval")
    env.set_defaults(run=_env)
    for name, purpose in OWN_MODULES.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _up(options: argparse.Namespace, settings: LocalSettings) -> int:
    overrides = _assignments(options.set)
    with Steps() as report:
        run = running.up(settings, report, overrides)
    print_left_out(run.deployment.left_out)
    stack = "deployed" if run.deployment.changed else "already up to date"
    print(f"The embedded AWS is {'up' if run.started else 'already up'}; the stack is {stack}.")
    aws = run.aws
    for part, url in zip(PARTS, (aws.spine_url, aws.estate_url, aws.codeartifact_url), strict=True):
        print(f"  {part:<12} {url}")
    for group, instances in run.fleet.instances.items():
        print(f"  {group:<12} {len(instances)} Spot instances in service")
    print(f"  {DOMAIN:<12} {len(teams.STOCK)} packages of {len(teams.OWNERS)} teams in CodeArtifact")
    print(f"  environment in {_shown(settings.env_file)}   logs in {_shown(settings.state / 'logs')}")
    print("Next: make send EVENT=events/spot/interruption_warning.json, make status, make down; of packages,")
    print("docs/packages.md, Five minutes.")
    return 0


def print_left_out(left_out: Sequence[LeftOut]) -> None:
    """Says what of the template isn't in the embedded stack, and why: a line for each kind."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for part in left_out:
        names[part.kind, part.reason].append(part.name)
    for (kind, reason), found in names.items():
        what = f"{found[0]} ({kind})" if len(found) == 1 else f"{len(found)} of {kind}"
        print(f"Not in the embedded stack: {what}: {reason}")


def _down(options: argparse.Namespace, settings: LocalSettings) -> int:
    stopped = running.down(settings, every=options.all)
    for state in stopped:
        print(f"Stopped the embedded AWS of {_shown(state)}.")
    if not stopped:
        print("Nothing is running.")
    return 0


def _send(options: argparse.Namespace, settings: LocalSettings) -> int:
    aws = _running(settings)
    batch = prepare(
        options.file,
        _assignments(options.set),
        age=options.age,
        count=options.count,
        aws=aws,
        now=datetime.now(UTC),
    )
    delivered = aws.deliver(batch)
    for event, result in zip(batch, delivered, strict=True):
        rules = ", ".join(result["rules"]) or "no rule"
        print(f"{event.get('detail-type')} {event.get('id')} {event.get('time')} -> {rules}")
    unmatched = sum(not result["rules"] for result in delivered)
    if unmatched:
        raise UsageError(
            f"{unmatched} of {len(batch)} matched no rule of the default bus: nothing will happen to them. "
            "The rules ask for the embedded account and Region, and for a source and detail-type they know; "
            "of CodeArtifact's, also for the stack's domain and source repositories."
        )
    return 0


def prepare(
    path: Path, assignments: dict[str, str], *, age: int, count: int, aws: EmbeddedAws, now: datetime
) -> list[dict[str, object]]:
    """The events of a file, `count` times over, filled in. Raises EventError."""
    placed, given = events.place(events.read(path), assignments)
    moment = now - timedelta(seconds=age)
    if age:
        placed = [
            event if "{{" in str(event.get("time", "")) else {**event, "time": events.timestamp(moment)}
            for event in placed
        ]
    values = events.Values(
        moment, _fleet_instances(aws), given, bucket=lambda: outputs(aws)["DocumentsBucketName"]
    )
    return events.fill(placed * count, values)


def _fleet_instances(aws: EmbeddedAws) -> Iterator[str]:
    for instances in fleet.members(aws).values():
        yield from instances


def _env(_: argparse.Namespace, settings: LocalSettings) -> int:
    _running(settings)
    for line in settings.env_file.read_text().splitlines():
        print(f"export {line}")
    return 0


def _running(settings: LocalSettings) -> EmbeddedAws:
    aws = EmbeddedAws.attach(settings.state)
    if aws is None:
        raise UsageError("The embedded AWS is not running. Start it with `make up`.")
    return aws


def _assignments(texts: Sequence[str]) -> dict[str, str]:
    wrong = [text for text in texts if not text.partition("=")[1]]
    if wrong:
        raise UsageError(f"--set {wrong[0]}: write KEY=VALUE.")
    return dict(text.split("=", 1) for text in texts)


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
