"""The command `backfill`: counts what lies in a bucket, and has it taken in."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from local.display import table, terminal
from operations.backfill import Place, Sender, Tally, Terms, wanted
from operations.buckets import S3Buckets
from operations.hearing import Hearing
from operations.queues import Queue
from operations.routes_command import routes_of
from signalbox.aws.calls import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.stacks import Stack


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: which objects, behind which key, how many, how fast; done or only counted."""

    bucket: str
    prefix: str
    after: str
    since: float
    most: int
    rate: float
    execute: bool


def backfill(request: Request, stack: Stack, clients: Callable[[str], Any]) -> int:
    """Counts or does it; 0 also where nothing is there."""
    account = call(clients("sts").get_caller_identity)["Account"]
    routes = routes_of(stack, clients("ssm"))
    pages = S3Buckets(clients("s3"), account).objects(request.bucket, request.prefix, request.after)
    tally = Tally()
    found = wanted(pages, Terms(request.bucket, routes, request.since, request.most), tally)
    queue = Queue(clients("sqs"), stack.output("DocumentsIntakeQueueUrl"))
    sender = Sender(
        Place(request.bucket, account, stack.region), queue.send, request.rate, time.time, time.sleep
    )
    try:
        with _progress() as progress:
            task = progress.add_task("")

            def report() -> None:
                progress.update(task, description=f"{tally.seen:,} seen, {tally.sent:,} sent: {tally.last}")

            if request.execute:
                sender.go_through(found, tally, report)
            else:
                for _ in found:
                    report()
    finally:
        _tell(request, tally)
    _hint(request, Hearing.of(stack))
    return 0


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _tell(request: Request, tally: Tally) -> None:
    """Also where it was interrupted."""
    where = f"s3://{request.bucket}/{request.prefix}"
    rows = table("route", "objects", title=f"{escape(where)}: {tally.seen:,} looked at")
    for name, count in sorted(tally.routes.items()):
        rows.add_row(name, f"{count:,}")
    if tally.left_alone:
        rows.add_row("(none, or ignored)", f"{tally.left_alone:,}")
    if tally.older:
        rows.add_row("(older than --since)", f"{tally.older:,}")
    terminal().print(rows)
    if not request.execute:
        print(f"{tally.found:,} objects, {decimal(tally.size)}, would be taken in. To do it, add --yes.")
        return
    print(f"{tally.sent:,} events sent.")
    if tally.last:
        print(f"To go on behind the last one: --after {shlex.quote(tally.last)}")


def _hint(request: Request, hearing: Hearing) -> None:
    if not hearing.reason(request.bucket):
        print(
            f"The functions may read buckets of the stack's parameters alone: add {request.bucket} to "
            "DocumentsExistingBuckets, or each of its objects ends as FAILED: access-denied."
        )
