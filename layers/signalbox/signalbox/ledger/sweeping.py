"""Finding windows whose execution never started or died, and giving each another one."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.ledger.windows import OVERDUE_SECONDS, ExecutionState, Pointer, Window, WindowKey

LOOK_BACK = 100
"""Windows of one key; what is older is not looked at any more."""
RECOVERIES = ("", "-r1", "-r2", "-r3")


class Executions(Protocol):
    """The state machine's side."""

    def start(self, window: Window, suffix: str = "") -> None: ...

    def state(self, window: Window, suffix: str = "") -> ExecutionState: ...


class SweepStore(Protocol):
    """What sweeping asks of the ledger. Reads are strongly consistent."""

    def pointers(self, domain: str) -> list[tuple[WindowKey, Pointer]]:
        """The newest window of every key of the domain."""
        ...

    def unfinished(self, windows: Sequence[Window]) -> set[Window]:
        """Those that are neither settled nor given up."""
        ...

    def give_up(self, window: Window) -> bool:
        """Notes that nothing more is tried. Answers whether this call was the first to note it."""
        ...

    def note_swept(self, key: WindowKey, number: int) -> None:
        """Notes that nobody need look at a window up to this number again. Never goes back."""
        ...


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep came to: windows given a new execution, and windows that had all of theirs, each told
    once."""

    restarted: tuple[Window, ...] = ()
    given_up: tuple[Window, ...] = ()


class SweepWindows:
    """The backstop behind the intake: it only finds what a crash in an unlucky moment left behind.

    Args:
        ledger: windows.
        executions: starts and finds the windows' executions.
        tell: says that a window is given up; for the same one again, nothing more. False: not said yet, to be
            tried again.
        clock: seconds since 1970.
        open_seconds: how long a window gathers.
    """

    def __init__(
        self,
        ledger: SweepStore,
        executions: Executions,
        tell: Callable[[Window], bool],
        clock: Clock,
        *,
        open_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._executions = executions
        self._tell = tell
        self._clock = clock
        self._overdue = open_seconds + OVERDUE_SECONDS

    def sweep(self, domain: str) -> Sweep:
        """Looks at the windows of the domain that were not finished last time."""
        candidates = {key: self._candidates(key, at) for key, at in self._ledger.pointers(domain)}
        looked_at = [window for windows in candidates.values() for window in windows]
        unfinished = self._ledger.unfinished(looked_at) if looked_at else set[Window]()
        restarted, given_up = [], []
        for window in sorted(unfinished):
            done = self._recover(window)
            if done:
                restarted.append(window)
            elif done is None and self._give_up(window):
                given_up.append(window)
        for key, windows in candidates.items():
            self._note_swept(key, windows, unfinished.difference(given_up))
        return Sweep(restarted=tuple(restarted), given_up=tuple(given_up))

    def _candidates(self, key: WindowKey, pointer: Pointer) -> list[Window]:
        """The newest is left to its leader for a while."""
        young = self._clock() - pointer.opened_at <= self._overdue
        numbers = range(max(pointer.swept, pointer.number - LOOK_BACK) + 1, pointer.number + (not young))
        return [Window(key.domain, key.account, key.region, number) for number in numbers]

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

    def _give_up(self, window: Window) -> bool:
        """Tells first: a crash in between tells again rather than never."""
        return self._tell(window) and self._ledger.give_up(window)

    def _note_swept(self, key: WindowKey, windows: Sequence[Window], unfinished: Collection[Window]) -> None:
        numbers = [window.number for window in windows if window in unfinished]
        if windows and (not numbers or min(numbers) > windows[0].number):
            self._ledger.note_swept(key, min(numbers) - 1 if numbers else windows[-1].number)
