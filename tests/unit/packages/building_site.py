"""A release that is planned, and all that builds its waves."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from signalbox.errors import BuildsHeldBackError
from signalbox.eventbridge import Scope
from signalbox.intake import Message, Retries
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.building import BuildWave, Driven, Place, Waves
from signalbox.packages.ends import AdmitBuilds, Ends
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.findings import Level
from signalbox.packages.releases import Event, Judged, Planned, Published, Release, Retried, advance, begin
from tests.unit.packages.fake_codeartifact import ACCOUNT, NOON, REGION, TEAM
from tests.unit.packages.fake_codebuild import FakeCodeBuild, FakeTokens

VERSION = "npm/acme/ui/1.1.0"
SCOPE = Scope(frozenset({(ACCOUNT, REGION)}), 14 * 86_400.0)
RECEIVES = 8


def package(name: str) -> str:
    return f"npm/acme/{name}"


def project(name: str) -> str:
    return f"rebuild-{name}"


def planned(waves: Sequence[Sequence[str]], version: str = VERSION) -> Entry:
    """A release of which these are to be built, each by a project of its own."""
    release = begin(version, Published("r1", 1), acts=True)
    keys = tuple(tuple(package(name) for name in wave) for wave in waves)
    for event in (Judged(1, Level.ALLOW), Planned(1, keys, Level.ALLOW)):
        release = advance(release, event)
    return Entry(
        release=release,
        version=version.rpartition("/")[2],
        repository=TEAM,
        projects={package(name): project(name) for wave in waves for name in wave},
    )


class FakeQueue:
    """When which message comes again."""

    def __init__(self) -> None:
        self.waits: dict[str, int] = {}
        self.failing: list[Exception] = []

    def change_visibility(self, seconds: Mapping[str, int]) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.waits |= seconds


class Site:
    """One release in the ledger, its builds, and the two functions that see to them.

    Args:
        seen: makes of the ledger, of CodeBuild and of the tokens what the functions see of them.
    """

    def __init__(
        self, *waves: Sequence[str], at_most: int = 20, seen: Any = lambda each: each, version: str = VERSION
    ) -> None:
        self.now = NOON
        self.version = version
        self.ledger = MemoryLedger()
        self.releases = Releases(self.ledger)
        names = [name for wave in waves for name in wave]
        self.codebuild = FakeCodeBuild(*map(project, names), clock=self.clock)
        self.tokens = FakeTokens()
        self.queue = FakeQueue()
        ledger, tokens = seen(self.ledger), seen(self.tokens)
        known = Waves(ledger, seen(self.codebuild), self.clock, Place("acme", ACCOUNT), at_most)
        self.step = BuildWave(known, tokens, self.clock)
        retries = Retries(RECEIVES, lambda: 0.0)
        self.builds = AdmitBuilds(ledger, known, tokens, self.queue, SCOPE, self.clock, retries)
        self._tokens = count(1)
        self._messages = count(1)
        self.add(planned(waves, version))

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def add(self, entry: Entry) -> None:
        self.releases.change(entry.release.version, lambda _: entry)

    @property
    def entry(self) -> Entry:
        return self.releases.known(self.version)

    @property
    def release(self) -> Release:
        return self.entry.release

    def tell(self, event: Event) -> None:
        self.releases.advance(self.version, event)

    # What Step Functions does

    def task(self) -> Task:
        """The next try of the step, with a token of its own."""
        release = self.release
        token = f"token-{next(self._tokens)}"
        self.tokens.waiting.add(token)
        return Task(release=self.version, round=release.round, tries=release.tries, token=token)

    def build(self, task: Task | None = None) -> Driven:
        return self.step.build(task or self.task())

    def build_until_held(self) -> str:
        """The step, which fails for now; answers why."""
        try:
            self.build()
        except BuildsHeldBackError as error:
            return str(error)
        raise AssertionError("nothing held it back")

    # What SQS does

    def message(self, body: str, receives: int = 1) -> Message:
        number = next(self._messages)
        return Message(f"m{number}", body, receives, f"receipt-{number}")

    def admit(self, *bodies: str, receives: int = 1) -> Ends:
        return self.admit_messages([self.message(body, receives) for body in bodies])

    def admit_messages(self, messages: Sequence[Message]) -> Ends:
        return self.builds.admit(messages)

    # What CodeBuild and people do

    def running(self) -> dict[str, str]:
        """The names of what is built now, and the builds' ids."""
        return {build.project.removeprefix("rebuild-"): build.id for build in self.codebuild.running()}

    def end(self, *names: str, status: str = "SUCCEEDED", said: str = "") -> list[str]:
        """Ends these builds, or all; answers their events."""
        running = self.running()
        return [self.codebuild.end(running[name], status, said) for name in names or running]

    def retry(self) -> None:
        self.tell(Retried(self.release.round, self.release.tries))

    def change(self, **fields: Any) -> None:
        self.releases.change(
            self.version, lambda known: msgspec.structs.replace(known, **fields) if known else None
        )
