"""`python -m operations`: what a person does to a deployed stack, from the command line."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError

from operations import (
    backfill_command,
    jobs_command,
    notifications_command,
    owners_command,
    policy_command,
    releases_command,
    routes_command,
    search_command,
    upload_command,
)
from operations.announcing import announce
from operations.declaring import DeclarationError
from operations.probing import probe
from operations.removing import remove
from operations.replay import DOMAINS, MOST, QUEUES, REDRIVEN, Request, replay
from operations.showing import UNITS
from operations.stacks import Stack, StackError
from operations.upload_command import FilesError
from signalbox.aws.clients import client
from signalbox.clock import from_iso
from signalbox.errors import AccessDeniedError, RejectedError, SignalboxError
from signalbox.packages.coordinates import Package, PackageVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ABOUT = """\
Works on a deployed stack, with the credentials and the Region of your shell, or on the embedded AWS."""
REPLAY = """\
Shows what lies in a dead-letter queue: how old each message is, why it is there, what replaying it would come
to. With --execute it is done:

  rule    events that EventBridge could not put into their queue. Each is sent there, as EventBridge
          would have, and deleted only after SQS confirmed it. Run it again after an interruption: what is
          sent twice is dropped by the ledger.
  intake  messages that the intake could not take in five tries, Packages' in eight. SQS moves them all back
          by itself; this follows it.
  builds  the same of the ends of builds, of Packages.
  sweep   runs of Spot's sweeper that failed. There is nothing to replay, since the next minute's run does the
          same: they are thrown away, and the alarm ends.
  compact the same of the runs that merge the files of the documents' index.
  job     the same of jobs that never began, and of alerts about jobs.

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
ROUTES = """\
The routes say which objects are documents, and what is done with them. They are JSON in a parameter of
Systems Manager; docs/documents.md has the form."""
CHECK_ROUTES = """\
Reads a file of routes, and shows for each an object that it gets. Overlaps are fine: the first route that
matches an object has it. One whose objects are all taken by earlier ones is a mistake: exits with 1. Needs no
AWS."""
SHOW_ROUTES = "Shows the routes that the stack goes by, as check does."
PUT_ROUTES = """\
Checks a file of routes and shows what differs from those that the stack goes by. With --yes the stack goes by
the file, within a minute. Objects that are there are not looked at again by that: backfill does it."""
NOTIFICATIONS = """\
Shows for each bucket whether it sends its events to EventBridge, what else it notifies, and what it lacks for
its objects to be indexed; enable turns EventBridge on, disable turns it off again where enable turned it on.

Nothing is changed without --yes. What a bucket notifies besides stays as it is: the configuration is read,
merged, written and read again. With --prefix, run it again when buckets were added. Exits with 1 where a
bucket is not as it was asked for; the others are done all the same."""
BACKFILL = """\
Has the stack take in what is in a bucket already: counts it, and with --yes sends an event for each object to
the intake queue. It is also the way to do again what failed or lies in quarantine, and to rebuild the index.
It may be repeated and interrupted: what the index has of an object is replaced.

Objects that were deleted while nobody listened it can't see."""
JOB = """\
Runs a job of the stack and follows it to its end: exits with 0 if it succeeded. Without a name it lists the
jobs: CodeBuild projects whose name begins with the stack's and -job-. A job that is under way already is
followed, not started again. An interruption ends the following, not the job."""
RELEASES = """\
Releases of packages: a version that was published, the dependents that are rebuilt with it, its promotion.
KEY is format/namespace/name/version, as npm/acme/ui/1.0.0 or pypi//requests/2.32.0; docs/packages.md has the
rest."""
LIST_RELEASES = """\
Shows the newest releases, with what they wait for. It asks Step Functions for the newest executions, which
that keeps for 90 days: a release whose first execution has not begun is not among them."""
SHOW_RELEASE = """\
Shows how far a release is: its waves with each build, what the policy says, why it stands, whom it concerns;
with --plan also what was decided of each dependent, and why."""
RETRY_RELEASE = """\
Has a release that stands try again, from where it stopped: builds that failed are built again, what was
refused by the policy is judged and planned anew. Without --yes it says what that would come to."""
APPROVE_RELEASE = """\
Has a dry run built and promoted. Without --yes it says what that would come to."""
WHO = """\
Shows whose newest version depends on a package directly, by the index of dependents. PACKAGE is
format/namespace/name, as npm/acme/ui. Nothing is changed."""
POLICY = """\
What a release may be: licences, denied packages, how dependencies are pinned, what semantic versioning
promises, which dependents are rebuilt. It is JSON in a parameter of Systems Manager; docs/packages.md has the
form. default prints the one that holds where none is declared. put shows what differs, and with --yes
releases are judged by the file within a minute."""
OWNERS = """\
Who owns which packages, which CodeBuild project builds them, and where to reach the owner: JSON in one
parameter of Systems Manager an owner; docs/packages.md has the form. put shows what differs, and with --yes
releases are planned, and owners told, by the file within a minute."""
PERMISSIONS = """\
A replay needs cloudformation:DescribeStacks and DescribeStackResource; sqs:GetQueueAttributes,
ReceiveMessage, DeleteMessage and ChangeMessageVisibility on the dead-letter queues, sqs:SendMessage on the
intake queue; for the intake's, sqs:StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask.
Announcing needs cloudwatch:PutMetricData.
Routes need cloudformation:DescribeStacks, ssm:GetParameter and, to be put, ssm:PutParameter. Notifications
need s3:GetBucketNotification and PutBucketNotification on each bucket, s3:ListAllMyBuckets for --prefix,
s3:ListBucket to learn a bucket's Region, dynamodb:BatchGetItem and PutItem on the ledger's table. A backfill
needs s3:ListBucket, and sqs:SendMessage on the intake queue. A search needs athena:StartQueryExecution,
GetQueryExecution, GetQueryResults and StopQueryExecution on the workgroup, glue:GetDatabase, GetTable and
GetPartitions, s3:GetObject, PutObject, ListBucket and GetBucketLocation on the work bucket. For table, queue
and bucket also kms:Decrypt and kms:GenerateDataKey of the stack's key. Releases need
cloudformation:DescribeStacks, dynamodb:BatchGetItem on the ledger's table, ssm:GetParametersByPath on the
owners; a list also states:ListExecutions and DescribeExecution, another try states:DescribeExecution, and
sqs:SendMessage on the Packages intake queue; policy and owners ssm:GetParameter and PutParameter. A job needs
codebuild:StartBuild, ListBuildsForProject and BatchGetBuilds on its project, logs:GetLogEvents on its log
group; the list, codebuild:ListProjects."""


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
        return _run(options)
    except BrokenPipeError:  # whoever reads has seen enough, as `head`; at exit nothing is left to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, StackError, DeclarationError, FilesError) as error:
        print(error, file=sys.stderr)
        return 2
    except (SignalboxError, BotoCoreError) as error:
        print(" ".join((f"{options.command} failed: {error}", *_advice(error))), file=sys.stderr)
        if isinstance(error, AccessDeniedError):
            print(PERMISSIONS, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted; what was not done is as it was", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    status = int(options.run(options, _place(options)))
    sys.stdout.flush()  # not at exit, where nobody could say what became of it
    return status


def _advice(error: Exception) -> Iterator[str]:
    if isinstance(error, NoRegionError):
        yield "Set AWS_REGION, or AWS_PROFILE to a profile that has one."
    if isinstance(error, NoCredentialsError):
        yield "Log in first, or set AWS_PROFILE."
    if isinstance(error, NoRegionError | NoCredentialsError):
        yield "The stack of `make up` is STAGE=local."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operations", description=ABOUT)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = _command(commands, "replay", "show, and with --execute replay, a dead-letter queue", REPLAY)
    command.add_argument("--queue", choices=QUEUES, default="rule", help="which one (default: rule)")
    command.add_argument("--domain", choices=DOMAINS, default="spot", help="whose (default: spot)")
    command.add_argument("--execute", action="store_true", help="do it; without this nothing is changed")
    command.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help=f"no more (default: {MOST:,}; not of intake, builds)",
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
    command = _command(commands, "job", "run a job of the stack, or list them", JOB)
    command.add_argument("name", nargs="?", default="", metavar="NAME")
    command.add_argument("--no-wait", action="store_true", help="start it, and don't wait for its end")
    command.set_defaults(run=_job)
    _documents(commands)
    _packages(commands)
    return parser


def _documents(commands: Any) -> None:
    """The commands of the Documents domain."""
    routes = _bare_command(commands, "routes", "which objects are indexed, and how", ROUTES)
    actions = routes.add_subparsers(dest="action", required=True, metavar="ACTION")
    command = _bare_command(actions, "check", "check a file of routes", CHECK_ROUTES)
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(run=_check_routes, stack="", local=False)
    command = _command(actions, "show", "show those that hold", SHOW_ROUTES)
    command.set_defaults(run=_show_routes)
    command = _command(actions, "put", "have the stack go by a file of routes", PUT_ROUTES)
    command.add_argument("file", type=Path, metavar="FILE")
    _add_yes(command)
    command.set_defaults(run=_put_routes)

    command = _command(commands, "notifications", "turn EventBridge on for existing buckets", NOTIFICATIONS)
    command.add_argument("action", choices=["show", "enable", "disable"])
    command.add_argument("buckets", nargs="*", metavar="BUCKET")
    command.add_argument("--prefix", default="", help="also all whose name begins so, in the stack's Region")
    command.add_argument("--force", action="store_true", help="disable also what this did not enable")
    _add_yes(command)
    command.set_defaults(run=_notifications)

    command = _command(commands, "backfill", "have the stack take in what a bucket holds", BACKFILL)
    command.add_argument("place", type=_s3_url, metavar="s3://BUCKET/PREFIX", help="all keys that begin so")
    command.add_argument(
        "--since",
        type=_since,
        default=0.0,
        metavar="TIME",
        help="only objects written since: 2h, 3d, or a time",
    )
    command.add_argument("--limit", type=_positive, metavar="N", help="no more than N objects (default: all)")
    command.add_argument("--after", default="", metavar="KEY", help="only keys behind this one: to go on")
    command.add_argument(
        "--rate", type=_positive, default=0, metavar="N", help="no more than N a second (default: no limit)"
    )
    _add_yes(command)
    command.set_defaults(run=_backfill)

    command = _command(commands, "search", "find documents by what they say", search_command.SEARCH)
    search_command.add_arguments(command)
    command.set_defaults(run=_search)

    command = _bare_command(commands, "upload", "upload files as documents", upload_command.UPLOAD)
    upload_command.add_arguments(command)
    command.set_defaults(run=_upload)


def _packages(commands: Any) -> None:
    """The commands of the Packages domain."""
    releases = _bare_command(commands, "releases", "releases of packages, and what they go by", RELEASES)
    actions = releases.add_subparsers(dest="action", required=True, metavar="ACTION")
    command = _command(actions, "list", "show the newest", LIST_RELEASES)
    command.add_argument("--open", action="store_true", help="only those of which something may yet come")
    command.add_argument(
        "--limit", type=_positive, default=20, metavar="N", help="no more than N (default: 20)"
    )
    command.set_defaults(run=_list_releases)
    command = _command(actions, "show", "show one", SHOW_RELEASE)
    command.add_argument("key", type=_version_key, metavar="KEY")
    command.add_argument("--plan", action="store_true", help="also what was decided of each dependent")
    command.set_defaults(run=_show_release)
    for name, purpose, about, acts in (
        ("retry", "try again what did not go well", RETRY_RELEASE, False),
        ("approve", "have a dry run built and promoted", APPROVE_RELEASE, True),
    ):
        command = _command(actions, name, purpose, about)
        command.add_argument("key", type=_version_key, metavar="KEY")
        _add_yes(command)
        command.set_defaults(run=_try_release, acts=acts)
    command = _command(actions, "who", "show who depends on a package", WHO)
    command.add_argument("package", type=_package_key, metavar="PACKAGE")
    command.set_defaults(run=_who)
    _policy(_bare_command(actions, "policy", "what a release may be", POLICY))
    _owners(_bare_command(actions, "owners", "whose packages are whose", OWNERS))


def _policy(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="what", required=True, metavar="ACTION")
    command = _bare_command(actions, "default", "print the policy that holds without one", POLICY)
    command.set_defaults(run=lambda *_: policy_command.default(), stack="", local=False)
    command = _bare_command(actions, "check", "check a file of a policy", POLICY)
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(run=lambda options, _: policy_command.check(options.file), stack="", local=False)
    command = _command(actions, "show", "show the one that holds", POLICY)
    command.set_defaults(run=lambda _, place: policy_command.show(_stack(place), place.clients("ssm")))
    command = _command(actions, "put", "have the stack go by a file of a policy", POLICY)
    command.add_argument("file", type=Path, metavar="FILE")
    _add_yes(command)
    command.set_defaults(run=_put_policy)


def _owners(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="what", required=True, metavar="ACTION")
    command = _bare_command(actions, "check", "check a file of an owner", OWNERS)
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(run=lambda options, _: owners_command.check(options.file), stack="", local=False)
    command = _command(actions, "list", "show all of them", OWNERS)
    command.set_defaults(run=lambda _, place: owners_command.list_owners(_stack(place), place.clients("ssm")))
    command = _command(actions, "put", "name an owner, or name it otherwise", OWNERS)
    command.add_argument("owner", metavar="OWNER")
    command.add_argument("file", type=Path, metavar="FILE")
    _add_yes(command)
    command.set_defaults(run=_put_owner)


def _add_yes(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="do it; without this nothing is changed")


def _bare_command(commands: Any, name: str, purpose: str, description: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=purpose, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return command


def _command(commands: Any, name: str, purpose: str, description: str) -> argparse.ArgumentParser:
    command = _bare_command(commands, name, purpose, description)
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", metavar="NAME", help="with the credentials and Region of your shell")
    where.add_argument("--local", action="store_true", help="the embedded AWS that `make up` left running")
    return command


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number: write 1 or more")
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


def _version_key(text: str) -> str:
    """As in ``npm/acme/ui/1.0.0``."""
    try:
        return PackageVersion.parse_key(text).key
    except RejectedError as error:
        raise argparse.ArgumentTypeError(error.what) from error


def _package_key(text: str) -> str:
    """As in ``npm/acme/ui``."""
    try:
        return Package.parse_key(text).key
    except RejectedError as error:
        raise argparse.ArgumentTypeError(error.what) from error


def _s3_url(text: str) -> tuple[str, str]:
    """Bucket and prefix."""
    if match := re.fullmatch(r"s3://([a-z0-9.-]{3,63})(?:/(.*))?", text, re.DOTALL):
        return match[1], match[2] or ""
    raise argparse.ArgumentTypeError(f"{text!r} is no place: write s3://BUCKET or s3://BUCKET/PREFIX")


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


def _job(options: argparse.Namespace, place: Place) -> int:
    request = jobs_command.Request(options.name, wait=not options.no_wait)
    return jobs_command.jobs(request, place.stack, place.clients)


def _replay(options: argparse.Namespace, place: Place) -> int:
    if options.queue not in DOMAINS[options.domain]:
        there = ", ".join(DOMAINS[options.domain])
        raise UsageError(f"The domain {options.domain} has the queues {there} only.")
    if options.queue in REDRIVEN and options.limit:
        raise UsageError(f"SQS moves a queue as a whole: leave --limit out with --queue {options.queue}.")
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


def _stack(place: Place) -> Stack:
    return Stack.find(place.clients("cloudformation"), place.stack)


def _search(options: argparse.Namespace, place: Place) -> int:
    query = search_command.query_of(options)
    if search_command.is_empty(query):
        raise UsageError("What shall be found? Give words, or a filter: see --help.")
    return search_command.search(query, _stack(place), place.clients, as_json=options.json)


def _check_routes(options: argparse.Namespace, _: Place) -> int:
    return routes_command.check(options.file)


def _show_routes(_: argparse.Namespace, place: Place) -> int:
    return routes_command.show(_stack(place), place.clients("ssm"))


def _put_routes(options: argparse.Namespace, place: Place) -> int:
    return routes_command.put(options.file, _stack(place), place.clients("ssm"), execute=options.yes)


def _notifications(options: argparse.Namespace, place: Place) -> int:
    if not options.buckets and not options.prefix:
        raise UsageError("Say which buckets: their names, or how their names begin with --prefix.")
    if options.force and options.action != "disable":
        raise UsageError("--force is only for disable.")
    request = notifications_command.Request(
        action=options.action,
        buckets=options.buckets,
        prefix=options.prefix,
        execute=options.yes,
        force=options.force,
    )
    return notifications_command.notifications(request, _stack(place), place.clients)


def _backfill(options: argparse.Namespace, place: Place) -> int:
    bucket, prefix = options.place
    request = backfill_command.Request(
        bucket=bucket,
        prefix=prefix,
        after=options.after,
        since=options.since,
        most=options.limit or sys.maxsize,
        rate=options.rate,
        execute=options.yes,
    )
    return backfill_command.backfill(request, _stack(place), place.clients)


def _deployed(place: Place) -> releases_command.Deployed:
    return releases_command.Deployed(_stack(place), place.clients)


def _list_releases(options: argparse.Namespace, place: Place) -> int:
    return releases_command.list_releases(_deployed(place), options.limit, open_only=options.open)


def _show_release(options: argparse.Namespace, place: Place) -> int:
    return releases_command.show(_deployed(place), options.key, plan=options.plan)


def _try_release(options: argparse.Namespace, place: Place) -> int:
    return releases_command.try_again(_deployed(place), options.key, acts=options.acts, execute=options.yes)


def _who(options: argparse.Namespace, place: Place) -> int:
    return releases_command.who(_deployed(place), options.package)


def _put_policy(options: argparse.Namespace, place: Place) -> int:
    return policy_command.put(options.file, _stack(place), place.clients("ssm"), execute=options.yes)


def _put_owner(options: argparse.Namespace, place: Place) -> int:
    ssm = place.clients("ssm")
    return owners_command.put(options.owner, options.file, _stack(place), ssm, execute=options.yes)


def _upload(options: argparse.Namespace, place: Place) -> int:
    if options.url:
        target = upload_command.at(options.url)
    elif options.local:
        target = upload_command.local(_stack(place), place.clients("cloudformation").meta.endpoint_url)
    else:
        target = upload_command.deployed(_stack(place))
    return upload_command.run(options.files, target, options.jobs, options.part_size, resume=options.resume)
