"""The backstop: windows without an execution."""

from collections.abc import Sequence

import pytest

from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan
from signalbox.ledger.sweeping import LOOK_BACK, RECOVERIES, Sweep, SweepWindows
from signalbox.ledger.windows import OVERDUE_SECONDS, ExecutionState, Window, WindowKey
from tests.unit.spot.doubles import ACCOUNT, NOON, REGION, FakeExecutions, MovableClock, window

OPEN_SECONDS = 2.0
OVERDUE = OPEN_SECONDS + OVERDUE_SECONDS + 1


class Sweeping:
    """Windows of one key, the newest opened at noon."""

    def __init__(self, windows: int = 1) -> None:
        self.clock = MovableClock(NOON + OVERDUE)
        self.ledger = MemoryLedger()
        self.executions = FakeExecutions()
        self.told: list[Window] = []
        self.is_told = True
        for _ in range(windows):
            self.open(window().key)

    def open(self, key: WindowKey) -> None:
        assert self.ledger.open_next(key, self.ledger.pointer(key), NOON)

    def plan(self, number: int, *, settled: bool) -> None:
        self.ledger.commit_plan(window(number), Plan(id="p", planned_at=NOON, summary={}), [])
        if settled:
            self.ledger.settle_plan(window(number), {"outcomes": {}})

    def tell(self, lost: Window) -> bool:
        self.told.append(lost)
        return self.is_told

    def sweep(self) -> Sweep:
        sweeper = SweepWindows(self.ledger, self.executions, self.tell, self.clock, open_seconds=OPEN_SECONDS)
        return sweeper.sweep("spot")

    def fail(self, number: int = 1) -> None:
        """Every execution that the window may have."""
        for suffix in RECOVERIES:
            self.executions.states[window(number).execution_name + suffix] = "failed"

    def swept(self) -> int:
        pointer = self.ledger.pointer(window().key)
        assert pointer is not None
        return pointer.swept


def test_a_ledger_without_windows_needs_nothing() -> None:
    assert Sweeping(0).sweep() == Sweep()


def test_a_window_whose_execution_never_started_gets_it() -> None:
    sweeping = Sweeping()
    assert sweeping.sweep() == Sweep(restarted=(window(),))
    assert sweeping.executions.starts == {window().execution_name: 1}
    assert sweeping.sweep() == Sweep()


def test_a_young_window_is_left_to_its_leader() -> None:
    sweeping = Sweeping()
    sweeping.clock.now = NOON + OPEN_SECONDS + OVERDUE_SECONDS
    assert sweeping.sweep() == Sweep()


def test_an_older_window_is_due_however_young_the_newest_is() -> None:
    sweeping = Sweeping(2)
    sweeping.clock.now = NOON
    assert sweeping.sweep().restarted == (window(1),)


@pytest.mark.parametrize("state", ["running", "succeeded"])
def test_one_that_is_at_it_is_left_alone(state: ExecutionState) -> None:
    sweeping = Sweeping()
    sweeping.executions.states[window().execution_name] = state
    assert sweeping.sweep() == Sweep()


def test_a_settled_window_is_done_with() -> None:
    sweeping = Sweeping()
    sweeping.plan(1, settled=True)
    assert sweeping.sweep() == Sweep()


def test_a_window_that_was_planned_and_never_settled_is_not() -> None:
    sweeping = Sweeping()
    sweeping.plan(1, settled=False)
    sweeping.executions.states[window().execution_name] = "failed"
    assert sweeping.sweep().restarted == (window(),)


def test_executions_that_fail_are_replaced_so_often_and_then_given_up() -> None:
    sweeping = Sweeping()
    for suffix in RECOVERIES:
        assert sweeping.sweep().restarted == (window(),)
        name = window().execution_name + suffix
        assert sweeping.executions.starts[name] == 1
        assert sweeping.sweep() == Sweep()
        sweeping.executions.states[name] = "failed"
    assert sweeping.sweep() == Sweep(given_up=(window(),))
    assert len(sweeping.executions.starts) == len(RECOVERIES)


def test_a_window_is_given_up_once_and_never_looked_at_again() -> None:
    sweeping = Sweeping(2)
    sweeping.fail(1)
    sweeping.executions.states[window(2).execution_name] = "running"
    assert sweeping.sweep().given_up == (window(1),)
    sweeping.executions.states.clear()  # its executions would be started again, if anybody asked
    assert sweeping.sweep() == Sweep(restarted=(window(2),))
    assert sweeping.told == [window(1)]


def test_a_window_that_could_not_be_told_of_is_not_given_up_yet() -> None:
    sweeping = Sweeping()
    sweeping.fail()
    sweeping.is_told = False
    assert sweeping.sweep() == Sweep()
    assert sweeping.swept() == 0
    sweeping.is_told = True
    assert sweeping.sweep().given_up == (window(),)


def test_who_is_second_to_give_a_window_up_does_not_count_it_again() -> None:
    sweeping = Sweeping()
    sweeping.fail()

    def tell(lost: Window) -> bool:
        return sweeping.ledger.give_up(lost)  # another sweep is as far, and faster

    sweeper = SweepWindows(
        sweeping.ledger, sweeping.executions, tell, sweeping.clock, open_seconds=OPEN_SECONDS
    )
    assert sweeper.sweep("spot") == Sweep()
    assert sweeping.sweep() == Sweep()


def test_what_is_finished_is_not_read_again() -> None:
    sweeping = Sweeping(3)
    for number in (1, 3):
        sweeping.plan(number, settled=True)
    sweeping.executions.states[window(2).execution_name] = "running"
    sweeping.sweep()
    assert sweeping.swept() == 1  # the second is still at it
    sweeping.plan(2, settled=True)
    sweeping.sweep()
    assert sweeping.swept() == 3
    asked: list[list[Window]] = []
    unfinished = sweeping.ledger.unfinished

    def note(windows: Sequence[Window]) -> set[Window]:
        asked.append([*windows])
        return unfinished(windows)

    sweeping.ledger.unfinished = note  # type: ignore[method-assign]  # for what follows
    assert sweeping.sweep() == Sweep()
    assert asked == []
    sweeping.open(window().key)
    sweeping.clock.now = NOON + OVERDUE
    sweeping.sweep()
    assert asked == [[window(4)]]


def test_a_new_window_does_not_bring_back_those_before() -> None:
    sweeping = Sweeping(2)
    for number in (1, 2):
        sweeping.plan(number, settled=True)
    sweeping.sweep()
    sweeping.open(window().key)
    assert sweeping.swept() == 2


def test_all_keys_of_the_domain_are_swept_and_no_other() -> None:
    sweeping = Sweeping()
    sweeping.open(WindowKey("spot", ACCOUNT, "eu-west-1"))
    sweeping.open(WindowKey("documents", ACCOUNT, REGION))
    assert set(sweeping.sweep().restarted) == {window(), Window("spot", ACCOUNT, "eu-west-1", 1)}


def test_only_the_newest_windows_are_looked_at() -> None:
    sweeping = Sweeping(LOOK_BACK + 5)
    assert [found.number for found in sweeping.sweep().restarted] == list(range(6, LOOK_BACK + 6))
