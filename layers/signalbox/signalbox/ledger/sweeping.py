"""Finding windows whose execution never started or died, and giving each another one."""

from typing import Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.ledger.records import PlanStore
from signalbox.ledger.windows import OVERDUE_SECONDS, ExecutionState, Pointer, Window, WindowStore

LOOK_BACK = 20
RECOVERIES = ("", "-r1", "-r2", "-r3")


class Executions(Protocol):
    """The state machine's side."""

    def start(self, window: Window, suffix: str = "") -> None: ...

    def state(self, window: Window, suffix: str = "") -> ExecutionState: ...


class Ledger(WindowStore, PlanStore, Protocol):
    """What sweeping asks of the ledger."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep came to: windows given a new execution, and windows that had all of theirs."""

    restarted: tuple[Window, ...] = ()
    given_up: tuple[Window, ...] = ()


class SweepWindows:
    """The backstop behind the intake: it only finds what a crash in an unlucky moment left behind."""

    def __init__(self, ledger: Ledger, executions: Executions, clock: Clock, *, open_seconds: float) -> None:
        self._ledger = ledger
        self._executions = executions
        self._clock = clock
        self._overdue = open_seconds + OVERDUE_SECONDS

    def sweep(self, domain: str) -> Sweep:
        """Looks at the newest windows of every key of the domain."""
        restarted, given_up = [], []
        for key, pointer in self._ledger.pointers(domain):
            for number in range(max(1, pointer.number - LOOK_BACK + 1), pointer.number + 1):
                window = Window(key.domain, key.account, key.region, number)
                if not self._is_due(window, pointer):
                    continue
                done = self._recover(window)
                if done is None:
                    given_up.append(window)
                elif done:
                    restarted.append(window)
        return Sweep(restarted=tuple(restarted), given_up=tuple(given_up))

    def _is_due(self, window: Window, pointer: Pointer) -> bool:
        if window.number == pointer.number and self._clock() - pointer.opened_at <= self._overdue:
            return False
        plan = self._ledger.plan(window)
        return plan is None or plan.settled is None

    def _recover(self, window: Window) -> bool | None:
        """True: started one. False: one is at it. None: every one that was allowed has failed."""
        for suffix in RECOVERIES:
            state = self._executions.state(window, suffix)
            if state == "absent":
                self._executions.start(window, suffix)
                return True
            if state in ("running", "succeeded"):
                return False
        return None
