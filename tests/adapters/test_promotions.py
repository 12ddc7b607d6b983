"""Promotions by the real adapter, by CodeArtifact's rules: limits, permissions, and what is there already."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Iterator

import pytest
import yaml

from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from signalbox.errors import TransientError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.findings import Level
from signalbox.packages.promotion import LEASE_SECONDS, PromoteVersion, Promotion
from signalbox.packages.releases import Judged, Planned, Published, Reason, State, advance, begin
from signalbox.packages.repositories import Copied
from tests.template.sources import ROOT

MACHINE = ROOT / "statemachines" / "packages_release.asl.yaml"
ACCOUNT, STRANGER = "123456789012", "444455556666"
TEAM, SHARED = "team", "shared"


class Stack:
    """A CodeArtifact whose clock the test moves, the releases of what is published there, the use case."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0
        self.ledger = MemoryLedger()
        self.codeartifact: EmbeddedCodeArtifact

    def publish(self, name: str, content: str = "", repository: str = TEAM) -> str:
        asset = {"name": f"{content or name}.tgz", "content": content}
        [published] = self.codeartifact.seed(
            {"format": "npm", "package": name, "version": "1.0.0", "assets": [asset]}, repository=repository
        )
        return published["revision"]

    def begin(self, name: str) -> Task:
        """Its release, ready to be promoted."""
        revision = self.publish(name)
        release = begin(f"npm//{name}/1.0.0", Published(revision, 1), acts=True)
        for event in (Judged(1, Level.ALLOW), Planned(1, (), Level.ALLOW)):
            release = advance(release, event)
        entry = Entry(release=release, version="1.0.0", repository=TEAM)
        Releases(self.ledger).change(release.version, lambda _: entry)
        return Task(release=release.version, round=1)

    def promote(self, task: Task, access_key: str = ACCOUNT) -> Promotion:
        client = self.codeartifact.client(access_key)
        repositories = CodeArtifactRepositories(client, "acme", ACCOUNT)
        return PromoteVersion(self.ledger, repositories, SHARED, lambda: self.now).promote(task)

    def calls(self, kind: str = "calls") -> dict[str, int]:
        counts: dict[str, int] = self.codeartifact.ask("GET", "calls").json()[kind]
        return {name.removeprefix("codeartifact:"): count for name, count in counts.items()}


@pytest.fixture
def stack() -> Iterator[Stack]:
    made = Stack()
    with embedded_codeartifact(CodeArtifact(clock=lambda: made.now)) as codeartifact:
        made.codeartifact = codeartifact
        codeartifact.seed({"format": "npm", "package": "x", "version": "1.0.0"}, repository=SHARED)
        yield made


def test_a_version_is_copied_and_looked_at(stack: Stack) -> None:
    promotion = stack.promote(stack.begin("ui"))
    assert promotion.outcome is Copied.COPIED
    assert promotion.entry.release.state is State.PROMOTED
    assert stack.calls() == {"CopyPackageVersions": 1, "DescribePackageVersion": 2}


def test_one_that_is_there_already_is_the_same_or_it_differs(stack: Stack) -> None:
    same, other = stack.begin("same"), stack.begin("other")
    stack.publish("same", repository=SHARED)
    stack.publish("other", "by hand", repository=SHARED)
    assert stack.promote(same).outcome is Copied.IDENTICAL
    promotion = stack.promote(other)
    assert (promotion.outcome, promotion.entry.release.reason) == (Copied.DIFFERS, Reason.REFUSED)
    assert promotion.detail.startswith("ALREADY_EXISTS")


def test_another_revision_is_never_copied(stack: Stack) -> None:
    task = stack.begin("ui")
    anew = stack.publish("ui", "more")
    promotion = stack.promote(task)
    assert (promotion.entry.release.round, promotion.entry.release.revision) == (2, anew)
    assert "CopyPackageVersions" not in stack.calls()


def test_a_permission_that_is_missing_is_told(stack: Stack) -> None:
    """Another account may read where the version was published, and copies into what is not its own."""
    task = stack.begin("ui")
    allowed = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{STRANGER}:root"},
        "Action": ["codeartifact:DescribePackageVersion", "codeartifact:ReadFromRepository"],
        "Resource": "*",
    }
    stack.codeartifact.client().put_repository_permissions_policy(
        domain="acme",
        repository=TEAM,
        policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    promotion = stack.promote(task, access_key=STRANGER)
    assert promotion.outcome is Copied.REFUSED
    assert promotion.entry.release.reason is Reason.REFUSED
    assert "AccessDeniedException" in promotion.detail


def retry() -> dict[str, float]:
    """How the state machine tries again."""
    state = yaml.safe_load(MACHINE.read_text())["States"]["PromoteVersion"]
    [found] = state["Retry"]
    assert {"ThrottledError", "UnavailableError"} <= set(found["ErrorEquals"])
    return dict(found)


def test_twenty_promotions_at_once_all_succeed_within_the_limit(stack: Stack) -> None:
    """5 CopyPackageVersions a second ("Quotas in AWS CodeArtifact"). Who is throttled comes again as the
    state machine has it, with full jitter; each has a turn before any claim is out."""
    tasks = [stack.begin(f"package-{number}") for number in range(20)]
    policy, chance = retry(), random.Random(7)  # noqa: S311 - the same jitter each time
    began = stack.now
    waiting = [(began, number, 0) for number in range(len(tasks))]
    heapq.heapify(waiting)
    ended: list[float] = []
    while waiting:
        stack.now, number, tries = heapq.heappop(waiting)
        try:
            promotion = stack.promote(tasks[number])
        except TransientError:
            assert tries < policy["MaxAttempts"]
            delay = min(policy["IntervalSeconds"] * policy["BackoffRate"] ** tries, policy["MaxDelaySeconds"])
            heapq.heappush(waiting, (stack.now + chance.uniform(0, delay), number, tries + 1))
        else:
            assert promotion.outcome is Copied.COPIED
            ended.append(stack.now - began)
    throttled = stack.calls("throttled")["CopyPackageVersions"]
    assert throttled > 0
    assert stack.calls()["CopyPackageVersions"] == len(tasks) + throttled
    assert len(ended) == len(tasks)
    assert 3.0 - 1e-6 <= max(ended) < LEASE_SECONDS
    entries = [Releases(stack.ledger).known(task.release) for task in tasks]
    assert all(each.release.state is State.PROMOTED for each in entries)
