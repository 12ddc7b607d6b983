"""Workers interleave, die before and after any step and lose answers: a version is copied at most once a
claim, and only the revision that was built.

Each operation on the ledger and on CodeArtifact is a step that the test orders. Who has to come again does so
later, by a clock that is everybody's: so claims run out under those who hold them, too.
"""

from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.errors import ThrottledError, TransientError, UnavailableError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.entries import Entry, Releases, release_key
from signalbox.packages.promotion import PromoteVersion
from signalbox.packages.releases import Published, State
from signalbox.packages.repositories import Copied
from tests.stepping import Fate, Scheduler, Stepped
from tests.unit.packages.fake_codeartifact import NOON, SHARED, FakeCodeArtifact
from tests.unit.packages.releases_under_way import TASK, UI, under_way

LATER = 10.0
"""Seconds after which somebody comes again: a claim is out after five of these."""

type Answer = Literal["good", "throttled", "lost"]


class Unreliable(FakeCodeArtifact):
    """Refuses a copy for now, or makes it and loses the answer; keeps what was copied."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__()
        self.answers = answers
        self.copied: list[tuple[str, Copied]] = []

    def copy(
        self, version: PackageVersion, revision: str, source: str, destination: str
    ) -> tuple[Copied, str]:
        answer = self.answers.pop(0) if self.answers else "good"
        if answer == "throttled":
            raise ThrottledError("CopyPackageVersions: ThrottlingException")
        came_to = super().copy(version, revision, source, destination)
        self.copied.append((revision, came_to[0]))
        if answer == "lost":
            raise UnavailableError("CopyPackageVersions: ReadTimeoutError")
        return came_to


class WatchedLedger(MemoryLedger):
    """Keeps until when each claim to promote holds."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: set[float] = set()

    def put_records(self, records: Any) -> set[str]:
        refused = super().put_records(records)
        for record in records:
            if record.key == release_key(UI.key) and record.key not in refused:
                self.claims |= {record.body["release"]["lease_until"]} - {0.0}
        return refused


class System:
    """One release that is ready."""

    def __init__(self, answers: list[Answer]) -> None:
        self.now = NOON
        self.ledger = WatchedLedger()
        self.codeartifact = Unreliable(answers)
        self.built = self.codeartifact.publish(UI).revision
        under_way(self.ledger, State.READY, self.built)
        self.ledger.claims.clear()
        ledger: Any = Stepped(self.ledger)
        codeartifact: Any = Stepped(self.codeartifact, frozenset({"describe", "copy"}))
        self._use_case = PromoteVersion(ledger, codeartifact, SHARED, lambda: self.now)

    def work(self) -> None:
        """As the state machine does it: tries again what is transient."""
        while True:
            try:
                self._use_case.promote(TASK)
            except TransientError:
                self.now += LATER
            else:
                return

    def publish_anew(self) -> None:
        """A further file of the version, and its event."""
        revision = self.codeartifact.publish(UI, content="more").revision
        Releases(Stepped(self.ledger)).advance(UI.key, Published(revision, 2))

    @property
    def entry(self) -> Entry:
        return Releases(self.ledger).known(UI.key)

    @property
    def promoted(self) -> str:
        there = self.codeartifact.describe(SHARED, UI)
        return there.revision if there else ""


FATES = st.lists(st.sampled_from(["go", "go", "go", "crash-before", "crash-after"]), max_size=40)
ANSWERS = st.lists(st.sampled_from(["good", "throttled", "lost"]), max_size=6)
TURNS = st.lists(st.integers(0, 2), max_size=80)


def run(system: System, turns: list[int], fates: list[Fate], *also: Any) -> None:
    scheduler = Scheduler(
        lambda most: (turns.pop(0) if turns else 0) % most, lambda: fates.pop(0) if fates else "go"
    )
    for name, each in zip("abcd", [system.work, system.work, *also], strict=False):
        scheduler.add(name, each)
    scheduler.run()


@settings(max_examples=200)
@given(TURNS, FATES, ANSWERS)
def test_a_version_is_promoted_once(turns: list[int], fates: list[Fate], answers: list[Answer]) -> None:
    system = System(answers)
    run(system, turns, fates)
    assert system.entry.release.state is State.PROMOTED
    assert system.promoted == system.built
    copied = [came_to for _, came_to in system.codeartifact.copied]
    assert copied.count(Copied.COPIED) == 1
    assert len(copied) <= len(system.ledger.claims)


@settings(max_examples=200)
@given(TURNS, FATES, ANSWERS)
def test_what_was_not_built_is_never_promoted(
    turns: list[int], fates: list[Fate], answers: list[Answer]
) -> None:
    system = System(answers)
    run(system, turns, fates, system.publish_anew)
    assert {revision for revision, _ in system.codeartifact.copied} <= {system.built}
    assert system.promoted in {"", system.built}
    release = system.entry.release
    if release.state is State.PROMOTED:
        assert system.promoted == system.built
    else:
        assert (release.state, release.round) == (State.WAITING, 2)
        assert release.revision != system.built
