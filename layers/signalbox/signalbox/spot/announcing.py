"""Telling what no window's own execution tells: that a window is lost, or what a late look has found."""

from collections.abc import Callable, Sequence
from typing import Protocol

from signalbox.clock import Clock
from signalbox.ledger.actions import Action, Worker
from signalbox.ledger.windows import Window
from signalbox.spot.alerts import given_up_alert

ANNOUNCING_SECONDS = 20.0
"""The longest that one announcement is tried; the next sweep goes on."""
SWEEP_PLAN = "sweep"
"""Stands for the plan where a window may have none."""


class Store(Protocol):
    def add_actions(self, window: Window, actions: Sequence[Action]) -> None:
        """Adds actions; one that exists already stays as it is."""
        ...


class Announcer:
    """Adds messages to a window's actions and publishes them: as actions they are claimed, so the same
    message is told once.

    Args:
        store: the ledger.
        worker: publishes alerts and domain events.
        clock: seconds since 1970.
        new_owner: makes the name under which one announcement is claimed.
    """

    def __init__(self, store: Store, worker: Worker, clock: Clock, new_owner: Callable[[], str]) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._new_owner = new_owner

    def announce(self, window: Window, plan: str, messages: Sequence[Action]) -> bool:
        """False: some of it is still to be told, by another worker or another time."""
        self._store.add_actions(window, messages)
        until = self._clock() + ANNOUNCING_SECONDS
        progress = self._worker.work(window, plan, self._new_owner(), until)
        return not progress.unfinished and progress.next_due is None

    def given_up(self, window: Window) -> bool:
        """One alert for a window that is given up. False: still to be told."""
        alert = given_up_alert(SWEEP_PLAN, window, self._clock())
        return self.announce(window, SWEEP_PLAN, [alert])
