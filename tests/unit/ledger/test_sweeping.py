"""The backstop: windows without an execution."""

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
        for _ in range(windows):
            self.open(window().key)

    def open(self, key: WindowKey) -> None:
        assert self.ledger.open_next(key, self.ledger.pointer(key), NOON)

    def plan(self, number: int, *, settled: bool) -> None:
        self.ledger.commit_plan(window(number), Plan(id="p", planned_at=NOON, summary={}), [])
        if settled:
            self.ledger.settle_plan(window(number), {"outcomes": {}})

    def sweep(self) -> Sweep:
        return SweepWindows(self.ledger, self.executions, self.clock, open_seconds=OPEN_SECONDS).sweep("spot")


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


def test_all_keys_of_the_domain_are_swept_and_no_other() -> None:
    sweeping = Sweeping()
    sweeping.open(WindowKey("spot", ACCOUNT, "eu-west-1"))
    sweeping.open(WindowKey("documents", ACCOUNT, REGION))
    assert set(sweeping.sweep().restarted) == {window(), Window("spot", ACCOUNT, "eu-west-1", 1)}


def test_only_the_newest_windows_are_looked_at() -> None:
    sweeping = Sweeping(LOOK_BACK + 5)
    assert [found.number for found in sweeping.sweep().restarted] == list(range(6, LOOK_BACK + 6))
