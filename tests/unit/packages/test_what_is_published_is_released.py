"""The property of the intake: whatever is published, added to, withdrawn and published again, and however
late, twice or out of order CodeArtifact tells of it, in the end each version that is there has one release of
what it is now, whose execution was begun; what a newer one takes the place of has made way; and the index
says what a look at everything would.

Two intakes run as they are. Every operation on the ledger, on CodeArtifact, on Step Functions and on the
queue is a step that the test orders, and either may die before or after any of them.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.intake import Retries
from signalbox.packages.admission import overtaken
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Dependency
from signalbox.packages.entries import Releases
from signalbox.packages.findings import Level
from signalbox.packages.intake import AdmitEvents
from signalbox.packages.releases import Judged, Planned, State
from signalbox.packages.repositories import Status
from signalbox.packages.versions import newest, supersedes
from tests.stepping import Fate, Scheduler, Stepped
from tests.unit.packages.fake_codeartifact import TEAM, version_of
from tests.unit.packages.intake_stack import FakeExecutions, Stack

VERSIONS = [
    version_of(key)
    for key in (
        "npm/acme/ui/1.4.2",
        "npm/acme/ui/1.4.3",
        "npm/acme/ui/2.0.0",
        "pypi//acme-core/1.0.0",
        "generic/acme/installer/a",
        "generic/acme/installer/b",
    )
]
PACKAGES = {each.package.key: each.package for each in VERSIONS}
DOINGS = st.lists(
    st.tuples(
        st.sampled_from(VERSIONS),
        st.sampled_from(["publish", "publish", "publish", "add", "unlist", "delete", "retain"]),
    ),
    min_size=1,
    max_size=8,
)
IDLE = 0.9
FATES: tuple[Fate, ...] = (*("go",) * 30, "crash-before", "crash-after")


class People:
    """They publish and withdraw; their events are held back, doubled and mixed."""

    def __init__(self, stack: Stack, doings: list[tuple[PackageVersion, str]], random: Random) -> None:
        self._stack = stack
        self._doings = doings
        self._random = random
        self._held: list[dict[str, Any]] = []
        self._known = 0
        self.done = False

    def act(self) -> None:
        """One thing after the other, most of the time nothing; in the end nothing is held back."""
        if self._random.random() < IDLE:
            return
        if self._doings:
            self._stack.clock.now += 1
            version, doing = self._doings.pop(0)
            self._do(version, doing)
            news = self._stack.codeartifact.events[self._known :]
            self._known += len(news)
            for event in news:
                self._held += [event] * self._random.choice((1, 1, 2))
        self._random.shuffle(self._held)
        letting_go = self._random.randint(0, len(self._held)) if self._doings else len(self._held)
        own = [each for each in self._held[:letting_go] if each["detail"]["repositoryName"] == TEAM]
        self._held = self._held[letting_go:]
        self._stack.send(*own)
        self.done = not self._doings

    def _do(self, version: PackageVersion, doing: str) -> None:
        codeartifact = self._stack.codeartifact
        there = version.key in codeartifact.held[TEAM].get(version.package.key, {})
        match doing:
            case "publish" | "add":
                needed = [Dependency("npm//react", f"^{self._random.randint(1, 5)}")]
                content = f"{self._random.random()}" if doing == "add" else ""
                codeartifact.publish(version, content=content, dependencies=needed)
            case "unlist" if there:
                codeartifact.set_status(version, Status.UNLISTED)
            case "delete" if there:
                codeartifact.delete(version)
            case "retain" if not there:
                codeartifact.publish(version, repository="shared")
                codeartifact.retain(version, "shared")


class World:
    """The stack, over stores whose operations are steps."""

    def __init__(
        self, doings: list[tuple[PackageVersion, str]], random: Random, fates: Iterator[Fate]
    ) -> None:
        self.stack = Stack(acts=random.random() < 0.5)
        self.stack.queue = replace(self.stack.queue, maximum_receives=10_000)
        self.people: Any = Stepped(People(self.stack, list(doings), random))
        self.queue: Any = Stepped(self.stack.queue)
        self.random = random
        self.scheduler = Scheduler(random.randrange, lambda: next(fates, "go"))

    def run(self) -> None:
        self.scheduler.add("people", self._publish)
        for number in range(2):
            self.scheduler.add(f"intake {number}", self._take_in)
        self.scheduler.run(most=20_000)

    def _publish(self) -> None:
        while not self.people.done:
            self.people.act()

    def _take_in(self) -> None:
        intake = self._intake()
        while not (self.people.done and self.stack.queue.next_at is None):
            messages = self.queue.receive(self.random.randint(1, 5))
            if messages:
                admission = intake.admit(messages)
                self.queue.delete({message.id for message in messages} - set(admission.waits))
            elif (at := self.stack.queue.next_at) is not None:
                self.stack.clock.now = max(self.stack.clock.now, at)

    def _intake(self) -> AdmitEvents:
        ledger: Any = Stepped(self.stack.ledger)
        repositories: Any = Stepped(self.stack.codeartifact)
        executions: Any = Stepped(Executions(self.stack))
        return AdmitEvents(
            ledger,
            repositories,
            executions,
            self.stack.tokens,
            self.queue,
            self.stack.rules,
            self.stack.clock,
            Retries(10_000, lambda: 0.0),
        )


class Executions(FakeExecutions):
    """Each goes on at once, some way."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._stack = stack

    def start(self, name: str, content: dict[str, Any]) -> None:
        begun = self._stack.executions.begun
        if name in begun:
            return
        begun[name] = content
        releases, round_ = Releases(self._stack.ledger), content["round"]
        for event in (Judged(round_, Level.ALLOW), Planned(round_, (), Level.ALLOW)):
            if len(begun) % 3:
                releases.advance(content["release"], event)


def check_releases(stack: Stack) -> None:
    releases = Releases(stack.ledger)
    for version in VERSIONS:
        entry = releases.read(version.key)
        begun = [each for each in stack.executions.begun.values() if each["release"] == version.key]
        found = stack.codeartifact.describe(TEAM, version)
        if found is None or found.status is not Status.PUBLISHED or not found.is_own(TEAM):
            assert entry is None or entry.release.state in {State.STOPPED, State.SUPERSEDED}
            continue
        assert entry is not None
        versions = stack.codeartifact.versions(TEAM, version.package, own=True)
        if overtaken(version.package, versions, {version.key: version.version}):
            assert entry.release.state is State.SUPERSEDED
        if entry.release.state is State.SUPERSEDED:
            by = PackageVersion.parse_key(entry.release.by)
            assert supersedes(version.package, by.version, version.version)
            continue
        assert entry.release.revision == found.revision
        assert stack.executions.begun[entry.release.execution]["round"] == entry.release.round
        assert len(begun) == len({each["round"] for each in begun})


def check_index(stack: Stack) -> None:
    index = stack.index.read()
    for key, package in PACKAGES.items():
        versions = stack.codeartifact.versions(TEAM, package, own=True)
        expected = newest(package, versions).version
        entry = index.entries.get(key)
        assert (entry.version if entry else None) == expected
        if entry and expected:
            declared = stack.codeartifact.dependencies(TEAM, PackageVersion(package, expected))
            assert entry.dependencies == declared.dependencies


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOINGS, st.integers(0, 2**32))
def test_in_the_end_every_version_is_released_as_it_is(
    doings: list[tuple[PackageVersion, str]], seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    world = World(doings, random, (random.choice(FATES) for _ in itertools.count()))
    world.run()
    assert world.stack.queue.dead == []
    check_releases(world.stack)
    check_index(world.stack)


@pytest.mark.parametrize("fate", ["crash-before", "crash-after"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_crash_at_any_one_operation_loses_nothing(fate: Fate, count: int) -> None:
    """A version, or one that takes the place of another, and a crash at each step of it."""
    doings = [(each, "publish") for each in VERSIONS[:count]]
    step, steps = 0, 1
    while step < steps:
        world = World(doings, Random(7), itertools.chain(["go"] * step, [fate]))  # noqa: S311 - no secret
        world.run()
        check_releases(world.stack)
        check_index(world.stack)
        step, steps = step + 1, world.scheduler.steps
    assert steps > 20
