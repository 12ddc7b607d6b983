"""The command `releases`: which there are, how far one is, another try of it, who depends on a package."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from rich.markup import escape

from local.display import table, terminal
from local.progress import Steps
from operations.queues import Queue
from operations.releases import Place, asking, is_open, objection_to, prospect
from operations.showing import duration
from operations.stacks import StackError
from signalbox.aws.calls import call, code_of
from signalbox.clock import iso
from signalbox.errors import NotFoundError, RefusedError
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.advice import command
from signalbox.packages.aws_owners import BrokenOwnersError, read_owners
from signalbox.packages.entries import RETENTION_SECONDS, Releases
from signalbox.packages.index_store import IndexStore
from signalbox.packages.outcomes import Outcome, is_trouble, shown_state, told_of, why_it_stands
from signalbox.packages.owners import Owners
from signalbox.packages.preparation import read_decisions
from signalbox.packages.releases import Reason, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_stepfunctions import SFNClient

    from operations.stacks import Stack
    from signalbox.packages.entries import Entry
    from signalbox.packages.owners import Owner
    from signalbox.packages.planning import Decision

MACHINE, QUEUE, TABLE = "PackagesStateMachineArn", "PackagesIntakeQueueUrl", "LedgerTableName"
POLICY, OWNERS = "PackagesPolicyParameter", "PackagesOwnersPath"
"""Outputs of the stack."""
LOOKED_AT = 500
"""Executions, the newest first."""
NOTHING_CHANGED = "Nothing was changed. To do it, say the same again with --yes."


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack's releases."""

    stack: Stack
    clients: Callable[[str], Any]

    @property
    def ledger(self) -> DynamoLedger:
        return DynamoLedger(
            self.clients("dynamodb"), self.stack.output(TABLE), time.time, retention=RETENTION_SECONDS
        )

    @property
    def releases(self) -> Releases:
        return Releases(self.ledger)

    @property
    def owners(self) -> Owners:
        """Nobody's where a declaration makes no sense: that is said, and the rest can be shown."""
        try:
            return read_owners(self.clients("ssm"), self.stack.output(OWNERS))
        except BrokenOwnersError as error:
            print(f"The owners can't be read: {error}", file=sys.stderr)
            return Owners()

    def command(self, *arguments: str) -> str:
        """What to type next."""
        return command(self.stack.name, *arguments)

    @property
    def machine(self) -> str:
        return self.stack.output(MACHINE)

    def known(self, version: str) -> Entry:
        """Raises StackError where there is no such release."""
        entry = self.releases.read(version)
        if entry is None:
            raise StackError(
                f"There is no release of {version}. One begins once a version is Published in a repository "
                f"that PackagesSourceRepositories names. Which there are: {self.command('list')}"
            )
        return entry


def list_releases(deployed: Deployed, most: int, *, open_only: bool) -> int:
    """Shows the newest, as their executions were begun."""
    rows = table("release", "state", "try", "waves", "builds", "told", "published")
    count = 0
    with Steps() as step:
        step("Looking for the newest executions")
        for entry in islice(_newest(deployed, open_only=open_only), most):
            rows.add_row(*_row(entry), style="red" if is_trouble(entry) else None)
            count += 1
    if not count:
        print(
            f"None among the newest {LOOKED_AT} executions of the last 90 days. "
            "A version that still waits to be quiet has none yet: show KEY knows it."
        )
        return 0
    terminal().print(rows)
    return 0


def _newest(deployed: Deployed, *, open_only: bool) -> Iterator[Entry]:
    releases = deployed.releases
    for version in _versions(deployed.clients("stepfunctions"), deployed.machine):
        entry = releases.read(version)
        if entry is not None and (is_open(entry) or not open_only):
            yield entry


def _versions(states: SFNClient, machine: str) -> Iterator[str]:
    """Each release once. The names of its executions begin alike, so that one of them is looked at."""
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=machine, PaginationConfig={"MaxItems": LOOKED_AT}
    )
    seen = set[str]()
    listed = iter(pages)
    while page := call(next, listed, None):  # each is a call of its own
        for execution in page["executions"]:
            release = execution["name"].partition("-")[0]
            if release not in seen:
                seen.add(release)
                answer = call(states.describe_execution, executionArn=execution["executionArn"])
                yield msgspec.json.decode(answer["input"])["release"]


def _row(entry: Entry) -> tuple[str, ...]:
    release = entry.release
    done = sum(build.progress == "succeeded" for build in release.builds.values())
    waves = f"{release.wave + 1} of {len(release.waves)}" if release.waves else "-"
    return (
        escape(release.version),
        escape(shown_state(entry)),
        f"{release.round}.{release.tries + 1}",
        waves,
        f"{done} of {len(release.builds)}" if release.builds else "-",
        told_of(entry) or "-",
        f"{duration(time.time() - entry.published_at)} ago" if entry.published_at else "-",
    )


def show(deployed: Deployed, version: str, *, plan: bool) -> int:
    """Shows one release; with ``plan`` what was decided of each dependent, too."""
    entry = deployed.known(version)
    owners = deployed.owners
    print("\n".join(_facts(entry, owners)))
    if entry.release.waves:
        terminal().print(_waves(entry, owners))
    if entry.objections:
        terminal().print(_objections(entry))
    if plan:
        decisions = read_decisions(deployed.ledger, entry)
        terminal().print(_decisions(decisions) if decisions else _without_decisions(entry))
    if comes := _next(deployed, entry):
        print(comes)
    return 0


def _facts(entry: Entry, owners: Owners) -> Iterator[str]:
    release = entry.release
    yield f"{entry.package_version.shown} ({release.version}): {shown_state(entry)}"
    yield f"Round {release.round}, try {release.tries + 1}, revision {release.revision or '-'}"
    published = iso(entry.published_at) if entry.published_at else "-"
    yield f"Published in {entry.repository}, newest event {published}"
    yield f"Owner: {_shown_owner(owners.of(entry.package_version.package.key))}"
    if why := why_it_stands(entry):
        yield f"Why it stands: {why}"
    yield f"Told of this try: {told_of(entry) or 'nothing yet'}"
    if entry.waiting:
        yield f"An execution waits for wave {entry.waiting.wave + 1}"


def _next(deployed: Deployed, entry: Entry) -> str:
    """What may be asked for, once its newest try has ended; "" where nothing may."""
    version = entry.release.version
    if told_of(entry) == Outcome.PLANNED:
        return f"To have it built and promoted: {deployed.command('approve', version)}"
    if is_trouble(entry) and prospect(entry, acts=False):
        return f"To try again once that is mended: {deployed.command('retry', version)}"
    return ""


def _waves(entry: Entry, owners: Owners) -> object:
    rows = table("package", "wave", "build", "attempt", "project", "id", "owner", "why", title="Waves")
    for number, wave in enumerate(entry.release.waves, 1):
        for package in wave:
            build = entry.release.builds[package]
            owner = owners.of(package)
            rows.add_row(
                escape(package),
                str(number),
                build.progress,
                str(build.attempt),
                escape(entry.projects.get(package, "-")),
                escape(build.id) or "-",
                owner.name if owner else "nobody",
                escape(entry.troubles.get(package, "")) or "-",
                style="red" if build.progress in {"failed", "stopped"} else None,
            )
    return rows


def _objections(entry: Entry) -> object:
    rows = table("code", "level", "what", title="What the policy says")
    for each in entry.objections:
        rows.add_row(each.code, each.level, escape(each.text), style="red" if each.level == "deny" else None)
    return rows


def _decisions(decisions: tuple[Decision, ...]) -> object:
    rows = table("package", "version", "wave", "after", "why", title="Dependents that were looked at")
    for each in decisions:
        rows.add_row(
            escape(each.package),
            escape(each.version),
            "-" if each.wave is None else str(each.wave + 1),
            escape(", ".join(each.after)) or "-",
            escape("; ".join(reason.text for reason in each.reasons)),
        )
    return rows


def _without_decisions(entry: Entry) -> str:
    release = entry.release
    if release.state in {State.WAITING, State.INSPECTED}:
        return "It is not planned yet."
    if release.state is State.SUPERSEDED or release.reason in {Reason.POLICY, Reason.WITHDRAWN}:
        return "It was not planned: that was decided before."
    return "Nothing depends on it."


def _shown_owner(owner: Owner | None) -> str:
    if owner is None:
        return "nobody"
    return owner.name + (f", {owner.declared.contact}" if owner.declared.contact else "")


def try_again(deployed: Deployed, version: str, *, acts: bool, execute: bool) -> int:
    """Says what another try would do, and asks for it; 1 where there is nothing to be tried."""
    entry = deployed.known(version)
    print(f"{entry.package_version.shown}: {shown_state(entry)}.")
    comes = prospect(entry, acts=acts)
    if not comes:
        print(objection_to(entry, acts=acts))
        return 1
    if _is_running(deployed, entry):
        print("Its execution is under way: there is nothing to try again before that has ended.")
        return 1
    print(comes)
    if not execute:
        print(NOTHING_CHANGED)
        return 0
    queue = Queue(deployed.clients("sqs"), deployed.stack.output(QUEUE))
    asked = asking(entry.release, _place(deployed.machine), time.time(), str(uuid4()), acts=acts)
    if asked.id not in queue.send([asked]):
        print("SQS did not take the message. Run it again.")
        return 1
    print(f"Asked for. Follow it: {deployed.command('show', version)}")
    return 0


def _is_running(deployed: Deployed, entry: Entry) -> bool:
    arn = deployed.machine.replace(":stateMachine:", ":execution:", 1)
    states = deployed.clients("stepfunctions")
    try:
        answer = call(states.describe_execution, executionArn=f"{arn}:{entry.release.execution}")
    except NotFoundError:
        return False
    except RefusedError as error:
        if code_of(error) == "ExecutionDoesNotExist":
            return False
        raise
    return bool(answer["status"] == "RUNNING")


def _place(machine: str) -> Place:
    """``arn:aws:states:<region>:<account>:stateMachine:<name>``."""
    _, _, _, region, account, *_ = machine.split(":")
    return Place(account, region)


def who(deployed: Deployed, package: str) -> int:
    """Shows whose newest version depends on a package, by the index."""
    domain = deployed.stack.parameters.get("PackagesDomain", "")
    if not domain:
        raise StackError(f"Stack {deployed.stack.name} has no CodeArtifact domain: set PackagesDomain.")
    index = IndexStore(deployed.ledger, domain).read()
    owners = deployed.owners
    known = index.entries.get(package)
    print(
        f"{package}: {known.version or 'no version'} is the newest."
        if known
        else f"{package}: the index has not seen it."
    )
    rows = table("dependent", "version", "requires", "kind", "owner")
    edges = index.dependents(package)
    for edge in edges:
        owner = owners.of(edge.dependent)
        version = index.entries[edge.dependent].version
        rows.add_row(
            escape(edge.dependent),
            escape(version or "-"),
            escape(edge.requirement) or "any",
            edge.kind,
            owner.name if owner else "nobody",
        )
    if edges:
        terminal().print(rows)
    print(f"{len(edges)} of {len(index.entries):,} packages depend on it directly.")
    return 0
