"""A whole Packages domain in memory: its functions as they are, and all that they talk to.

Several of each are at work at once. Every call of the ledger, of CodeArtifact, of CodeBuild, of Step
Functions and of the queues is a step that the test orders, and whoever makes it may die before or after it.
Messages come late and twice, events of builds may never come. Time passes where nobody has anything to do.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, count
from random import Random
from typing import Any

import msgspec

from signalbox.errors import BuildsHeldBackError, TransientError
from signalbox.failures import Failure
from signalbox.intake import Message, Retries
from signalbox.packages.building import BuildWave, Place, Waves
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Dependency
from signalbox.packages.dependents import Entry as Indexed
from signalbox.packages.ends import AdmitBuilds, Ends
from signalbox.packages.entries import Entry, Releases, Step, Task, answer
from signalbox.packages.index_store import IndexStore
from signalbox.packages.inspection import InspectVersion
from signalbox.packages.intake import Admission, AdmitEvents
from signalbox.packages.owners import Declaration, Owner, Owners
from signalbox.packages.policy import Policy
from signalbox.packages.preparation import PlanRelease
from signalbox.packages.promotion import PromoteVersion
from signalbox.packages.releases import Reason
from signalbox.packages.repositories import Copied, Status
from signalbox.packages.settlement import SettleRelease
from tests.fake_queue import FakeQueue
from tests.stepping import CrashedError, Fate, Scheduler, Stepped
from tests.unit.packages.fake_codeartifact import (
    ACCOUNT,
    DOMAIN,
    NOON,
    SHARED,
    TEAM,
    FakeCodeArtifact,
    version_of,
)
from tests.unit.packages.fake_codebuild import FakeBuild, FakeCodeBuild, FakeTokens
from tests.unit.packages.intake_stack import SCOPE, Stack, requested
from tests.unit.packages.settlements import PLACE, FakeBus, FakeTopic

VERSIONS = [version_of(f"npm/acme/core/{number}") for number in ("1.0.0", "1.0.1", "2.0.0")]
FIRST = ["left", "middle", "right"]
DEPENDENTS = {**{name: ["core"] for name in FIRST}, "top": FIRST}
"""All of them of major version 1: nothing is rebuilt for version 2."""
AT_MOST = 2
EVER = 10_000
"""Receives: here no message is given up."""
HOUR = 3_600.0
QUEUE = frozenset({"receive", "delete", "change_visibility"})
TRIES = {TransientError: (6, 30.0), BuildsHeldBackError: (25, 300.0)}
"""Of the state machine: how often it does a step again, and how long it waits for that, as a rule."""


class Execution:
    """One execution of ``packages_release``."""

    def __init__(self, content: dict[str, Any], now: float) -> None:
        self.release: str = content["release"]
        self.round: int = content["round"]
        self.tries: int = content["tries"]
        self.next = Step(content["next"])
        self.due_at = now
        self.token = ""
        self.failures = 0
        self.failure: Failure | None = None
        self.is_busy = False
        self.is_over = False

    def task(self, token: str = "") -> Task:
        return Task(
            release=self.release, round=self.round, tries=self.tries, token=token, failure=self.failure
        )


class WatchedCodeArtifact(FakeCodeArtifact):
    """Tells of each copy that was made."""

    copied: Callable[[PackageVersion, str], None]

    def copy(
        self, version: PackageVersion, revision: str, source: str, destination: str
    ) -> tuple[Copied, str]:
        came_to = super().copy(version, revision, source, destination)
        if came_to[0] is Copied.COPIED:
            self.copied(version, revision)
        return came_to


class World:
    """The domain, and people who publish.

    Args:
        doings: what people do, in this order, each with a version.
        fates: of the steps, one after the other.
        workers: how many of each function are at work at once.
        idle: how often people, and builds, let others go first.

    Attributes:
        pauses: the steps, by number, in which nothing was done.
    """

    def __init__(
        self,
        doings: list[tuple[PackageVersion, str]],
        random: Random,
        fates: Iterator[Fate],
        workers: int = 2,
        idle: float = 0.9,
    ) -> None:
        self.random = random
        self.workers = workers
        self.pauses: set[int] = set()
        self._idle = idle
        waits = accumulate(random.choice((1.0, 30.0, 90.0, 300.0)) for _ in doings)
        self.doings = [(NOON + wait, *doing) for wait, doing in zip(waits, doings, strict=True)]
        self.stack = Stack(acts=True)
        self.clock = self.stack.clock
        self.codeartifact = WatchedCodeArtifact(TEAM, SHARED, clock=self.clock)
        self.codeartifact.copied = self._check_copy
        self.codebuild = FakeCodeBuild(*(f"rebuild-{name}" for name in DEPENDENTS), clock=self.clock)
        self.codebuild.meanwhile = self._check_start
        self.tokens = FakeTokens()
        self.releases = Releases(self.stack.ledger)
        self.topic, self.bus = FakeTopic(), FakeBus()
        self.intake_queue, self.builds_queue = (
            FakeQueue(self.clock, maximum_receives=EVER) for _ in range(2)
        )
        self.executions: dict[str, Execution] = {}
        self.copies: Counter[str] = Counter()
        self._tokens = count(1)
        self._known_events = 0
        self._held: list[dict[str, Any]] = []
        self._at_work = 0
        self._requests: set[tuple[str, int, int]] = set()
        self._make_index()
        self._make_functions()
        self.scheduler = Scheduler(random.randrange, lambda: next(fates, "go"))

    def _make_index(self) -> None:
        for name, needed in DEPENDENTS.items():
            dependencies = tuple(Dependency(f"npm/acme/{each}", "^1.0.0") for each in needed)
            entry = Indexed("1.0.0", 1, self.clock.now - HOUR, dependencies, TEAM)
            self.stack.index.merge(f"npm/acme/{name}", entry)

    def _make_functions(self) -> None:
        ledger: Any = Stepped(self.stack.ledger, frozenset({"records", "put_records"}))
        codeartifact: Any = Stepped(
            self.codeartifact, frozenset({"describe", "versions", "dependencies", "known", "copy"})
        )
        codebuild: Any = Stepped(self.codebuild, frozenset({"start", "look", "find", "stop"}))
        tokens: Any = Stepped(self.tokens)
        intake_queue, builds_queue = (Stepped(each, QUEUE) for each in (self.intake_queue, self.builds_queue))
        workflow: Any = Stepped(self, frozenset({"start"}))
        retries = Retries(EVER, lambda: 0.0)
        owners = Owners([Owner("team", Declaration(packages=("npm/acme/*",), project="rebuild-{name}"))])
        waves = Waves(ledger, codebuild, self.clock, Place(DOMAIN, ACCOUNT), AT_MOST)
        self._intake = AdmitEvents(
            ledger,
            codeartifact,
            workflow,
            tokens,
            intake_queue,
            self.stack.rules,
            self.clock,
            retries,
        )
        self._builds = AdmitBuilds(ledger, waves, tokens, builds_queue, SCOPE, self.clock, retries)
        self._inspect = InspectVersion(ledger, codeartifact, Policy, SHARED)
        self._plan = PlanRelease(ledger, IndexStore(ledger, DOMAIN), Policy, lambda: owners)
        self._build = BuildWave(waves, tokens, self.clock)
        self._promote = PromoteVersion(ledger, codeartifact, SHARED, self.clock)
        self._settle = SettleRelease(
            ledger, lambda: owners, codebuild, Stepped(self.topic), Stepped(self.bus), self.clock, PLACE
        )

    # What must hold at every moment

    def _check_start(self, id_: str) -> None:
        build = self.codebuild.builds[id_]
        told = build.environment
        same = [each for each in self.codebuild.builds.values() if _attempt(each) == _attempt(build)]
        assert len(same) == 1, f"started twice: {_attempt(build)}"
        if told["SIGNALBOX_PACKAGE"] == "npm/acme/top":
            green = self._green(told["SIGNALBOX_RELEASE"], told["SIGNALBOX_ROUND"])
            assert {f"npm/acme/{name}" for name in FIRST} <= green, "a wave began before the last was green"
        running = [each for each in self.codebuild.running() if _round(each) == _round(build)]
        assert len(running) <= AT_MOST

    def _green(self, release: str, round_: str) -> set[str]:
        return {
            build.environment["SIGNALBOX_PACKAGE"]
            for build in self.codebuild.builds.values()
            if build.status == "SUCCEEDED" and _round(build) == (release, round_)
        }

    def _check_copy(self, version: PackageVersion, revision: str) -> None:
        self.copies[version.key] += 1
        assert self.copies[version.key] == 1, f"promoted twice: {version.key}"
        release = self.releases.known(version.key).release
        assert release.revision == revision
        assert release.builds.keys() <= self._green(version.key, str(release.round)), (
            "promoted, and not green"
        )
        affected = {f"npm/acme/{name}" for name in DEPENDENTS}
        assert release.builds.keys() == (set() if version.version.startswith("2") else affected)

    # Who is at work

    def run(self) -> None:
        self.scheduler.add("people", self._repeat(self._people))
        self.scheduler.add("builds", self._repeat(self._codebuild))
        for number in range(self.workers):
            self.scheduler.add(f"intake {number}", self._repeat(self._take_in))
            self.scheduler.add(f"ends {number}", self._repeat(self._take_ends_in))
            self.scheduler.add(f"states {number}", self._repeat(self._go_on))
        self.scheduler.run(most=40_000)

    def _repeat(self, act: Callable[[], bool]) -> Callable[[], None]:
        """Has it act until all is done. Where it has nothing to do, time may pass."""
        pause: Any = Stepped(self, frozenset({"pause"}))

        def repeat() -> None:
            while not self.is_done:
                if not act():
                    pause.pause()
                    self._pass_time()

        return repeat

    def pause(self) -> None:
        """Others have their turn."""
        self.pauses.add(self.scheduler.steps)

    @property
    def is_done(self) -> bool:
        return self._next_at() is None

    def _next_at(self) -> float | None:
        """When something is to be done; None where all is."""
        moments = [self.intake_queue.next_at, self.builds_queue.next_at]
        moments += [self._due_at(each) for each in self.executions.values() if not each.is_over]
        moments += [self.doings[0][0]] if self.doings else []
        if self._held or self.codebuild.running() or self._to_be_retried():
            moments.append(self.clock.now)
        return min((at for at in moments if at is not None), default=None)

    def _pass_time(self) -> None:
        at = self._next_at()
        if self._at_work == 0 and at is not None:
            self.clock.now = max(self.clock.now, at)

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    # People

    def _people(self) -> bool:
        """They publish and withdraw; their events are doubled, mixed, and held back for a while. What they
        are told has failed they repair, and ask for another try."""
        if self.random.random() < self._idle:
            return False
        due = bool(self.doings) and self.doings[0][0] <= self.clock.now
        if due:
            _, version, doing = self.doings.pop(0)
            self._do(version, doing)
        return self._let_go_of_events() or self._ask_again() or due

    def _let_go_of_events(self) -> bool:
        for event in self.codeartifact.events[self._known_events :]:
            if event["detail"]["repositoryName"] == TEAM:  # as the rule has it
                self._held += [event] * self.random.choice((1, 1, 2))
        self._known_events = len(self.codeartifact.events)
        self.random.shuffle(self._held)
        many = self.random.randint(0, len(self._held)) if self.doings else len(self._held)
        self._send(*self._held[:many])
        self._held = self._held[many:]
        return many > 0

    def _ask_again(self) -> bool:
        wanted = self._to_be_retried()
        for entry in wanted:
            release = entry.release
            self._requests.add((release.version, release.round, release.tries))
            self._send(requested(entry.package_version, release.round, release.tries))
        return bool(wanted)

    def _send(self, *events: dict[str, Any]) -> None:
        self.intake_queue.send(*(msgspec.json.encode(event).decode() for event in events))

    def _do(self, version: PackageVersion, doing: str) -> None:
        there = self.codeartifact.held[TEAM].get(version.package.key, {}).get(version.key)
        match doing:
            case "publish":
                self.codeartifact.publish(version)
            case "change":
                self.codeartifact.publish(version, content=str(self.random.random()))
            case "withdraw" if there:
                self.codeartifact.set_status(version, Status.UNLISTED)

    def _to_be_retried(self) -> list[Entry]:
        known = [entry for version in VERSIONS if (entry := self.releases.read(version.key))]
        return [entry for entry in known if self._is_to_be_retried(entry)]

    def _is_to_be_retried(self, entry: Entry) -> bool:
        release = entry.release
        told = entry.settled == release.execution
        found = self.codeartifact.held[TEAM][entry.package_version.package.key][release.version].description
        if release.reason is Reason.REFUSED and found.status is not Status.PUBLISHED:
            return False
        repaired = release.reason in {Reason.BUILD_FAILED, Reason.BUILD_STOPPED, Reason.REFUSED}
        asked = (release.version, release.round, release.tries) in self._requests
        return told and (repaired or entry.outcome == "stuck") and not asked

    # CodeBuild

    def _codebuild(self) -> bool:
        """Ends a build; its event comes once, twice, or never."""
        running = self.codebuild.running()
        if not running or self.random.random() < self._idle:
            return False
        build = self.random.choice(running)
        self.clock.now += self.random.choice((5.0, 60.0, 200.0))
        first = build.environment["SIGNALBOX_ATTEMPT"] == "1"
        bad = first and self.random.random() < 0.15
        event = self.codebuild.end(
            build.id, self.random.choice(("FAILED", "STOPPED")) if bad else "SUCCEEDED"
        )
        self.builds_queue.send(*[event] * self.random.choice((0, 1, 1, 1, 2)))
        return True

    # The functions behind queues

    def _take_in(self) -> bool:
        return self._take(self.intake_queue, 5, self._intake.admit)

    def _take_ends_in(self) -> bool:
        return self._take(self.builds_queue, 10, self._builds.admit)

    def _take(
        self, queue: FakeQueue, most: int, admit: Callable[[Sequence[Message]], Admission | Ends]
    ) -> bool:
        """A batch, if there is one. What does not come again is gone."""
        if queue.next_at is None or queue.next_at > self.clock.now:
            return False
        seen: Any = Stepped(queue, QUEUE)
        messages = seen.receive(self.random.randint(1, most))
        with self._working():
            waits = admit(messages).waits
        seen.delete({message.id for message in messages} - set(waits))
        return True

    # Step Functions

    def start(self, name: str, content: dict[str, Any]) -> None:
        """StartExecution: once for each name."""
        self.executions.setdefault(name, Execution(content, self.clock.now))

    def _due_at(self, execution: Execution) -> float:
        return self.clock.now if execution.token in self.tokens.answered else execution.due_at

    def _go_on(self) -> bool:
        """Does the next step of an execution."""
        due = [
            each
            for each in self.executions.values()
            if not (each.is_over or each.is_busy) and self._due_at(each) <= self.clock.now
        ]
        if not due:
            return False
        execution = self.random.choice(due)
        if output := self.tokens.answered.get(execution.token):
            self._next(execution, output)
            return True
        execution.is_busy = True
        try:
            with self._working():
                self._step(execution)
        except TransientError as error:
            self._fails(execution, error)
        except CrashedError as error:
            self._fails(execution, error)
            raise
        finally:
            execution.is_busy = False
        return True

    def _step(self, execution: Execution) -> None:
        match execution.next:
            case Step.INSPECT:
                entry = self._inspect.inspect(execution.task()).entry
            case Step.PLAN:
                entry = self._plan.prepare(execution.task()).entry
            case Step.PROMOTE:
                entry = self._promote.promote(execution.task()).entry
            case Step.BUILD:
                self._wait_for(execution)
                return
            case Step.SETTLE:
                self._settle.settle(execution.task())
                execution.is_over = True
                return
        self._next(execution, answer(entry, execution.round, execution.tries))

    def _wait_for(self, execution: Execution) -> None:
        """The waiting ends after an hour; then the step is done again, with another token."""
        self.tokens.waiting.discard(execution.token)
        execution.token = f"token-{next(self._tokens)}"
        self.tokens.waiting.add(execution.token)
        execution.due_at = self.clock.now + HOUR
        self._build.build(execution.task(execution.token))
        execution.failures = 0

    def _next(self, execution: Execution, output: dict[str, Any]) -> None:
        execution.next, execution.token = Step(output["next"]), ""
        execution.due_at, execution.failures = self.clock.now, 0

    def _fails(self, execution: Execution, error: BaseException) -> None:
        """A step is tried again, or not: of a function that died Step Functions knows nothing."""
        self.tokens.waiting.discard(execution.token)
        held = isinstance(error, BuildsHeldBackError)
        most, wait = TRIES[BuildsHeldBackError if held else TransientError]
        execution.failures += 1
        execution.due_at = self.clock.now + self.random.random() * wait
        for_good = execution.failures > most or (
            isinstance(error, CrashedError) and self.random.random() < 0.5
        )
        if for_good and execution.next is not Step.SETTLE:
            execution.failure = Failure(step=execution.next, error=type(error).__name__, cause=str(error))
            execution.next, execution.token, execution.failures = Step.SETTLE, "", 0


def _attempt(build: FakeBuild) -> tuple[str, ...]:
    told = build.environment
    return (*_round(build), told["SIGNALBOX_PACKAGE"], told["SIGNALBOX_ATTEMPT"])


def _round(build: FakeBuild) -> tuple[str, str]:
    return build.environment["SIGNALBOX_RELEASE"], build.environment["SIGNALBOX_ROUND"]
