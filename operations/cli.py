"""`python -m operations`: what a person does to a deployed stack, from the command line."""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from operations.announcing import announce
from operations.probing import probe
from operations.removing import remove
from operations.replay import DOMAINS, MOST, QUEUES, Request, replay
from operations.showing import UNITS
from operations.stacks import StackError
from signalbox.aws.clients import client
from signalbox.clock import from_iso
from signalbox.errors import AccessDeniedError, SignalboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ABOUT = """\
Works on a deployed stack, with the credentials and the Region of your shell, or on the embedded AWS."""
REPLAY = """\
Shows what lies in a dead-letter queue: how old each message is, why it is there, what replaying it would come
to. With --execute it is done:

  rule    events that EventBridge could not put into the intake queue. Each is sent there, as EventBridge
          would have, and deleted only after SQS confirmed it. Run it again after an interruption: what is
          sent twice is dropped by the ledger.
  intake  messages that the intake could not take in five tries. SQS moves them all back by itself; this
          follows it.
  sweep   runs of the sweeper that failed. There is nothing to replay, since the next minute's run does the
          same: they are thrown away, and the alarm ends.

Mend the cause first (docs/runbook.md). An event older than the stack's SpotMaximumEventAgeSeconds leads to no
action any more: replaying it records it as stale."""
ANNOUNCE = """\
Says that a deployment of the stack is under way. For the next 15 minutes its composite alarms page nobody;
alarms that tell of a loss still do. `make deploy` does this by itself. Say it again if it takes longer."""
PROBE = """\
Asks every function of a stack whether it could work, as a deployment asks its new versions: its libraries
are there, its settings make sense, the ledger answers. Nothing is changed. Exits with 0 only if all could."""
REMOVE = """\
Deletes a preview stack, then what it leaves behind: its table, its queues, and its key, which AWS keeps for
seven days. A stack without the tag stage=preview is left alone."""
PERMISSIONS = """\
A replay needs cloudformation:DescribeStacks and DescribeStackResource; sqs:GetQueueAttributes,
ReceiveMessage, DeleteMessage and ChangeMessageVisibility on the dead-letter queues, sqs:SendMessage on the
intake queue; for the intake's, sqs:StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask.
Announcing needs cloudwatch:PutMetricData."""


class UsageError(ValueError):
    """A command that can't be done as asked; says what to do instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works: the stack's name, and clients for its account and Region."""

    stack: str
    clients: Callable[[str], Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, _place(options)))
    except (UsageError, StackError) as error:
        print(error, file=sys.stderr)
        return 2
    except (SignalboxError, BotoCoreError) as error:
        print(f"{options.command} failed: {error}", file=sys.stderr)
        if isinstance(error, AccessDeniedError):
            print(PERMISSIONS, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted; what was not replayed is where it was", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations", description=ABOUT)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = _command(commands, "replay", "show, and with --execute replay, a dead-letter queue", REPLAY)
    command.add_argument("--queue", choices=QUEUES, default="rule", help="which one (default: rule)")
    command.add_argument("--domain", choices=DOMAINS, default="spot", help="whose (default: spot)")
    command.add_argument("--execute", action="store_true", help="do it; without this nothing is changed")
    command.add_argument(
        "--limit", type=_positive, metavar="N", help=f"no more than N (default: {MOST:,}; not for intake)"
    )
    command.add_argument(
        "--since",
        type=_since,
        metavar="TIME",
        help="leave older events where they are: 2h, 30m, 3d or 2026-01-31T12:00:00Z (only for rule)",
    )
    command.set_defaults(run=_replay)
    command = _command(commands, "announce", "have a deployment page nobody for 15 minutes", ANNOUNCE)
    command.set_defaults(run=_announce)
    command = _command(commands, "probe", "ask every function whether it could work", PROBE)
    command.set_defaults(run=_probe)
    command = _command(commands, "remove", "delete a preview stack and all it leaves behind", REMOVE)
    command.set_defaults(run=_remove)
    return parser


def _command(commands: Any, name: str, purpose: str, description: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=purpose, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", metavar="NAME", help="with the credentials and Region of your shell")
    where.add_argument("--local", action="store_true", help="the embedded AWS that `make up` left running")
    return command


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages: write 1 or more")
    return int(text)


def _since(text: str) -> float:
    if match := re.fullmatch(r"(\d+)([smhd])", text):
        return time.time() - int(match[1]) * UNITS[match[2]]
    try:
        return from_iso(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2h, 30m, 3d or 2026-01-31T12:00:00Z"
        ) from error


def _place(options: argparse.Namespace) -> Place:
    if not options.local:
        return Place(options.stack, client)
    # Only here: nothing else of this package knows the embedded AWS.
    from local.deployment import STACK  # noqa: PLC0415 - see above
    from local.embedded import EmbeddedAws  # noqa: PLC0415 - see above
    from local.settings import LocalSettings  # noqa: PLC0415 - see above

    aws = EmbeddedAws.attach(LocalSettings.from_env().state)
    if aws is None:
        raise UsageError("The embedded AWS is not running. Start it with `make up`.")
    return Place(STACK, aws.client)


def _announce(_: argparse.Namespace, place: Place) -> int:
    announce(place.clients("cloudwatch"), place.stack)
    print(f"Announced: for 15 minutes the composite alarms of {place.stack} page nobody.")
    return 0


def _probe(_: argparse.Namespace, place: Place) -> int:
    return 0 if probe(place.clients("cloudformation"), place.clients("lambda"), place.stack) else 1


def _remove(_: argparse.Namespace, place: Place) -> int:
    remove(place.clients, place.stack)
    return 0


def _replay(options: argparse.Namespace, place: Place) -> int:
    if options.queue not in DOMAINS[options.domain]:
        there = " and ".join(DOMAINS[options.domain])
        raise UsageError(f"The domain {options.domain} has the queues {there} only.")
    if options.queue == "intake" and options.limit:
        raise UsageError("SQS moves a queue as a whole: leave --limit out with --queue intake.")
    if options.queue != "rule" and options.since:
        raise UsageError("--since is only for --queue rule.")
    request = Request(
        domain=options.domain,
        queue=options.queue,
        execute=options.execute,
        most=options.limit or MOST,
        since=options.since or 0.0,
    )
    return replay(request, place.stack, place.clients("cloudformation"), place.clients("sqs"))
