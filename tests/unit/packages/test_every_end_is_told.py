"""Settling dies before and after any of its steps, and is begun anew, also beside itself: the end that stands
is told to everybody whom it concerns, and without a crash once.

Every operation on the ledger, on CodeBuild, on the topic and on the bus is a step that the test orders.
"""

from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.alerts import alerts_of
from signalbox.packages.entries import Releases
from signalbox.packages.settlement import SettleRelease
from tests.stepping import Fate, Scheduler, Stepped
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
    settlement,
)


class System:
    """One release at its end, and executions of the step that settles it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ledger = MemoryLedger()
        self.topic, self.bus, self.builds = FakeTopic(), FakeBus(), StoppedBuilds()
        Releases(self.ledger).change(KEY, lambda _: ENTRIES[name])
        ledger, topic, bus, builds = (
            Stepped(each) for each in (self.ledger, self.topic, self.bus, self.builds)
        )
        self._use_case = SettleRelease(ledger, lambda: OWNERS, builds, topic, bus, lambda: NOON, PLACE)

    def settle(self) -> None:
        self._use_case.settle(ended(self.name))

    @property
    def expected(self) -> set[tuple[str, str]]:
        alerts = alerts_of(settlement(self.name), OWNERS, PLACE)
        return {(alert.attributes["owner"], alert.attributes["outcome"]) for alert in alerts}

    def check(self) -> None:
        """Everybody was told, of this end and no other; the ledger has it; what was needless is stopped."""
        assert set(self.topic.told) == self.expected
        assert self.bus.events
        assert set(self.builds.stopped) == set(settlement(self.name).needless)
        entry = Releases(self.ledger).known(KEY)
        assert (entry.settled, entry.outcome) == (
            ENTRIES[self.name].release.execution,
            settlement(self.name).outcome,
        )


CRASHES: tuple[Fate, ...] = ("crash-before", "crash-after")
names = st.sampled_from(sorted(ENTRIES))


def run(system: System, actors: int, choose: Callable[[int], int], fate: Callable[[int], Fate]) -> None:
    scheduler = Scheduler(choose, lambda: fate(scheduler.steps))
    for number in range(actors):
        scheduler.add(f"execution-{number}", system.settle)
    scheduler.run()


@settings(max_examples=30, deadline=None)
@given(name=names, times=st.integers(1, 3))
def test_without_a_crash_everybody_is_told_once(name: str, times: int) -> None:
    system = System(name)
    for _ in range(times):
        run(system, 1, lambda _: 0, lambda _: "go")
    system.check()
    assert Counter(system.topic.told) == Counter(system.expected)
    assert len(system.bus.events) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    name=names,
    actors=st.integers(1, 2),
    crashes=st.dictionaries(st.integers(0, 15), st.sampled_from(CRASHES), max_size=3),
)
def test_whatever_crashes_everybody_is_told(
    data: st.DataObject, name: str, actors: int, crashes: dict[int, Fate]
) -> None:
    system = System(name)
    run(
        system,
        actors,
        lambda alive: data.draw(st.integers(0, alive - 1)),
        lambda step: crashes.get(step, "go"),
    )
    system.check()
    most = actors + len(crashes)
    assert max(Counter(system.topic.told).values()) <= most
