"""A window from verified to settled: every episode gets its outcome, and whoever must know is told."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import ConflictError, InvariantError
from signalbox.ledger.actions import ActionStore
from signalbox.ledger.deferrals import DeferralStore
from signalbox.ledger.records import PlanStore, Record, RecordStore
from signalbox.ledger.windows import Window
from signalbox.spot.alerts import Settlement, settlement_messages
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.late_look import late_look
from signalbox.spot.planning import Decision
from signalbox.spot.settlement import OUTCOMES, settle

ATTEMPTS = 5
HARM = ("handled", "late", "failed")


class Ledger(ActionStore, RecordStore, PlanStore, DeferralStore, Protocol):
    """What settling asks of the ledger."""


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """What a window came to.

    Attributes:
        outcomes: how many instances had each.
        alerts: how many messages are to go out.
        settlements: the details; none where it was settled already.
        first: this is what settled it. False: another attempt had done so.
    """

    outcomes: dict[str, int]
    alerts: int
    settlements: tuple[Settlement, ...] = ()
    first: bool = True


class SettleWindow:
    """Settles a window. Settling it again changes nothing.

    Args:
        ledger: plans, actions, episodes and deferrals.
        clock: seconds since 1970.
        late_look: seconds after the last deadline at which to look what still runs.
    """

    def __init__(self, ledger: Ledger, clock: Clock, *, late_look: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._late_look = late_look

    def settle(self, window: Window, errors: Sequence[dict[str, Any]]) -> Closing:
        """Judges every instance of the window's plan.

        Args:
            window: a planned window.
            errors: the branches of the state machine that failed, for the record.

        Raises:
            InvariantError: the window has no plan.
        """
        plan = self._ledger.plan(window)
        if plan is None:
            raise InvariantError(f"{window} is to be settled but was never planned")
        if plan.settled is not None:
            return Closing(outcomes=plan.settled["outcomes"], alerts=plan.settled["alerts"], first=False)
        decisions = [msgspec.convert(decision, Decision) for decision in plan.decisions]
        actions = self._ledger.actions(window, plan.id)
        settlements = settle(decisions, actions)
        messages = settlement_messages(plan.id, window, settlements, self._clock())
        self._write_episodes(window, settlements)
        self._ledger.add_actions(window, messages)
        deferral = late_look(window, plan.id, actions, self._late_look)
        if deferral is not None:
            self._ledger.defer(deferral)
        return self._note(window, settlements, len(messages), errors)

    def _note(
        self, window: Window, settlements: Sequence[Settlement], alerts: int, errors: Sequence[dict[str, Any]]
    ) -> Closing:
        """Last of all: a window that is settled has everything else."""
        counts = Counter(settlement.outcome for settlement in settlements)
        outcomes = {outcome: counts[outcome] for outcome in OUTCOMES}
        settled = {
            "outcomes": outcomes,
            "alerts": alerts,
            "errors": list(errors),
            "settled_at": self._clock(),
        }
        first = self._ledger.settle_plan(window, settled)
        return Closing(outcomes=outcomes, alerts=alerts, settlements=tuple(settlements), first=first)

    def _write_episodes(self, window: Window, settlements: Sequence[Settlement]) -> None:
        by_key = {episode_key(window.account, window.region, s.instance): s for s in settlements}
        remaining = set(by_key)
        for _ in range(ATTEMPTS):
            changed = []
            for key, record in self._ledger.records(sorted(remaining)).items():
                episode = msgspec.convert(record.body, Episode)
                if _is_to_settle(episode, window):
                    settled = _settled(episode, by_key[key])
                    changed.append(Record(key, msgspec.to_builtins(settled), record.version))
            remaining = self._ledger.put_records(changed)
            if not remaining:
                return
        raise ConflictError(f"{window}: {len(remaining)} episodes changed under every attempt to settle them")


def _is_to_settle(episode: Episode, window: Window) -> bool:
    """Who planned something settles; where nobody did, the window that took the episode on last."""
    planners = set(episode.planned.values())
    return window.number in planners or (not planners and episode.window == window.number)


def _settled(episode: Episode, settlement: Settlement) -> Episode:
    """The worse outcome stands where two windows acted on the same instance."""
    timings = dict(settlement.seconds_to)
    if settlement.seconds_left is not None:
        timings["seconds_left"] = settlement.seconds_left
    outcomes = [outcome for outcome in (episode.outcome, settlement.outcome) if outcome in HARM]
    return msgspec.structs.replace(
        episode,
        status="settled",
        outcome=max(outcomes, key=HARM.index, default=settlement.outcome),
        timings={**episode.timings, **timings},
    )
