"""How a try ends: whom it concerns is told once, builds that nobody needs are stopped."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from signalbox.errors import (
    AccessDeniedError,
    InvariantError,
    NotFoundError,
    ThrottledError,
    UnavailableError,
)
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.aws_owners import BrokenOwnersError
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.outcomes import Outcome
from signalbox.packages.owners import Owners
from signalbox.packages.releases import State
from signalbox.packages.settlement import Settled, SettleRelease
from tests.unit.packages.settlements import (
    ENTRIES,
    KEY,
    NOON,
    OWNERS,
    PLACE,
    FakeBus,
    FakeTopic,
    StoppedBuilds,
    ended,
    outcome,
    task_of,
)


@dataclass
class World:
    """Everything that settling touches."""

    name: str
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    builds: StoppedBuilds = field(default_factory=StoppedBuilds)
    topic: FakeTopic = field(default_factory=FakeTopic)
    bus: FakeBus = field(default_factory=FakeBus)
    owners: Owners | Exception = OWNERS

    def __post_init__(self) -> None:
        self.put(ENTRIES[self.name])

    @property
    def releases(self) -> Releases:
        return Releases(self.ledger)

    @property
    def entry(self) -> Entry:
        return self.releases.known(KEY)

    def put(self, entry: Entry) -> None:
        self.releases.change(KEY, lambda _: entry)

    def settle(self, task: Task | None = None) -> Settled:
        use_case = SettleRelease(
            self.ledger, self._owners, self.builds, self.topic, self.bus, lambda: NOON, PLACE
        )
        return use_case.settle(task or ended(self.name))

    def _owners(self) -> Owners:
        if isinstance(self.owners, Exception):
            raise self.owners
        return self.owners


@pytest.mark.parametrize("name", ENTRIES)
class TestOnce:
    def test_each_end_is_told_and_recorded(self, name: str) -> None:
        world = World(name)
        settled = world.settle()
        assert settled.outcome is outcome(name)
        assert (settled.counts, settled.told) == (True, len(world.topic.published))
        assert ("team-ui", settled.outcome) in world.topic.told
        assert len(world.bus.events) == 1
        assert (world.entry.settled, world.entry.outcome) == (
            world.entry.release.execution,
            settled.outcome,
        )

    def test_the_same_again_tells_nobody(self, name: str) -> None:
        world = World(name)
        first = world.settle()
        heard = list(world.topic.told), list(world.bus.events), list(world.builds.stopped)
        again = world.settle()
        assert (again.outcome, again.reason, again.detail) == (first.outcome, first.reason, first.detail)
        assert (again.counts, again.told) == (False, 0)
        assert (world.topic.told, world.bus.events, world.builds.stopped) == heard

    @pytest.mark.parametrize("silent", ["topic", "bus"])
    def test_whom_it_could_not_tell_it_tells_the_next_time(self, name: str, silent: str) -> None:
        world = World(name)
        getattr(world, silent).failing.append(UnavailableError("no answer"))
        with pytest.raises(UnavailableError):
            world.settle()
        assert world.entry.settled == ""
        settled = world.settle()
        assert settled.counts
        assert ("team-ui", settled.outcome) in world.topic.told
        assert len(world.bus.events) == 1

    def test_a_try_that_is_past_is_nobodys_business(self, name: str) -> None:
        world = World(name)
        release = msgspec.structs.replace(world.entry.release, round=2)
        world.put(msgspec.structs.replace(world.entry, release=release))
        before = world.entry
        assert world.settle().outcome is Outcome.OUTDATED
        assert (world.topic.told, world.bus.events, world.builds.stopped) == ([], [], [])
        assert world.entry == before


def test_an_execution_that_is_redriven_and_ends_otherwise_is_news() -> None:
    world = World("stuck")
    world.settle()
    world.put(msgspec.structs.replace(world.entry, release=ENTRIES["planned"].release))
    assert world.settle(task_of(ENTRIES["planned"])).counts
    assert world.topic.told == [("team-ui", "stuck"), ("team-ui", "planned")]


def test_why_a_try_could_not_go_on_is_known_until_another_ends() -> None:
    world = World("stuck")
    world.settle()
    assert world.entry.stuck == "PlanRelease: BrokenPolicyError: expected int - at `$.rebuild`"
    world.put(msgspec.structs.replace(world.entry, release=ENTRIES["planned"].release))
    world.settle(task_of(ENTRIES["planned"]))
    assert world.entry.stuck == ""


def test_another_try_is_told_anew() -> None:
    world = World("denied")
    world.settle()
    again = msgspec.structs.replace(world.entry.release, tries=1)
    world.put(msgspec.structs.replace(world.entry, release=again))
    assert world.settle(task_of(world.entry)).counts
    assert world.entry.settled == again.execution


def test_who_settles_late_does_not_write_over_the_next_try() -> None:
    """Another try is asked for while this one is told."""
    world = World("denied")
    publish = world.topic.publish

    def meanwhile(*args: Any) -> str:
        release = msgspec.structs.replace(world.entry.release, tries=1, state=State.WAITING, reason=None)
        world.put(msgspec.structs.replace(world.entry, release=release))
        return publish(*args)

    world.topic.publish = meanwhile  # type: ignore[method-assign,assignment] # for this one test
    assert world.settle().counts
    assert (world.entry.release.tries, world.entry.settled) == (1, "")


class TestBuilds:
    def test_those_of_a_release_that_is_over_are_stopped(self) -> None:
        world = World("superseded")
        assert world.settle().stopped == 2
        assert world.builds.stopped == ["rebuild-forms:0001", "rebuild-shop:0001"]

    @pytest.mark.parametrize("error", [AccessDeniedError("StopBuild: no"), NotFoundError("StopBuild: no")])
    def test_one_that_cant_be_stopped_keeps_nobody_from_being_told(self, error: Exception) -> None:
        world = World("superseded", builds=StoppedBuilds(**{"rebuild-forms:0001": error}))
        settled = world.settle()
        assert (settled.stopped, settled.counts) == (1, True)
        assert settled.unstopped == (f"rebuild-forms:0001: {error.code}: StopBuild: no",)  # type: ignore[attr-defined] # ours
        assert settled.is_harmful

    def test_where_codebuild_does_not_answer_it_is_tried_again(self) -> None:
        world = World("withdrawn", builds=StoppedBuilds(**{"rebuild-shop:0001": ThrottledError("later")}))
        with pytest.raises(ThrottledError):
            world.settle()
        assert world.topic.told == []
        world.builds.refused.clear()
        assert world.settle().stopped == 1

    @pytest.mark.parametrize("name", ["build-failed", "promoted", "planned"])
    def test_others_run_on(self, name: str) -> None:
        world = World(name)
        world.settle()
        assert world.builds.stopped == []


class TestOwners:
    def test_a_declaration_that_makes_no_sense_keeps_nobody_from_being_told(self) -> None:
        world = World("stuck", owners=BrokenOwnersError("the owner team-ui: expected `array`"))
        world.settle()
        [(_, message, attributes, _)] = world.topic.published
        assert attributes["owner"] == "nobody"
        assert "The owners can't be read: broken-owners: the owner team-ui: expected `array`" in message

    def test_where_they_are_not_answered_it_is_tried_again(self) -> None:
        world = World("promoted", owners=UnavailableError("no answer"))
        with pytest.raises(UnavailableError):
            world.settle()
        assert (world.topic.told, world.entry.settled) == ([], "")


def test_how_long_a_promotion_took() -> None:
    assert World("promoted").settle().seconds == 90
    assert World("planned").settle().seconds is None


def test_a_release_that_is_not_at_its_end_is_not_settled() -> None:
    world = World("stuck")
    with pytest.raises(InvariantError, match="inspected"):
        world.settle(task_of(ENTRIES["stuck"]))
    assert world.topic.told == []
