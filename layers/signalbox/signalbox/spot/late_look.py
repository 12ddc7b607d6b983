"""A late look at what has left its group: does it run on, though EC2 should have taken it long ago?

EC2 interrupts on a best-effort basis and may not do so at all; outside its group such an instance serves
nobody, is replaced by nobody, and is billed. It is reported. Ending it is left to a person.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import ConflictError, SignalboxError
from signalbox.ledger.actions import Action, ActionStore, Status
from signalbox.ledger.deferrals import Deferral, DeferralStore
from signalbox.ledger.records import RecordStore
from signalbox.ledger.windows import Window, WindowKey
from signalbox.spot.alerts import Survivor, running_messages
from signalbox.spot.announcing import Announcer
from signalbox.spot.episodes import Episode, episode_key

LATE_LOOK = "late-look"
LEAVING = ("detach", "terminate", "complete")
"""Kinds of action by which an instance leaves its group."""
MAY_HAVE_LEFT: frozenset[Status] = frozenset({"running", "succeeded", "failed"})
"""An action can fail after it had its effect; the estate tells."""
LOOKS_A_RUN = 20
"""Windows of one account and Region; the others' turn comes a minute later."""
PATIENCE_SECONDS = 86_400.0
"""A look that fails is tried again every minute, and dropped after this long."""
ATTEMPTS = 5


class Look(msgspec.Struct, frozen=True):
    """Whose instances are to be looked for: those of a window's plan."""

    window: Window
    plan: str


class Estate(Protocol):
    """One account's instances in one Region, in bulk."""

    def running(self, instances: Collection[str]) -> set[str]:
        """Those of the instances that run."""
        ...

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Instance → (group, lifecycle state), of those that are in a group."""
        ...


class Ledger(ActionStore, RecordStore, DeferralStore, Protocol):
    """What looking late asks of the ledger."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one window, for the first time."""

    window: Window
    survivors: tuple[Survivor, ...]


def late_look(window: Window, plan: str, actions: Iterable[Action], delay: float) -> Deferral | None:
    """The look that is due ``delay`` seconds after the last deadline; None where nothing left its group."""
    deadlines = [a.deadline for a in actions if a.kind in LEAVING and a.status in MAY_HAVE_LEFT]
    if not deadlines:
        return None
    return Deferral(
        key=window.key,
        id=f"{LATE_LOOK}#{window}",
        due_at=max(deadlines) + delay,
        entry=msgspec.to_builtins(Look(window, plan)),
        kind=LATE_LOOK,
    )


class LookLate:
    """Takes up the looks that have become due.

    Args:
        ledger: actions, episodes and deferrals.
        estate_of: what runs in the account and Region of a window.
        announcer: tells what is found.
        clock: seconds since 1970.
        on_failure: told of each account and Region that could not be looked at, and why.
    """

    def __init__(
        self,
        ledger: Ledger,
        estate_of: Callable[[Window], Estate],
        announcer: Announcer,
        clock: Clock,
        on_failure: Callable[[WindowKey, SignalboxError], None],
    ) -> None:
        self._ledger = ledger
        self._estate_of = estate_of
        self._announcer = announcer
        self._clock = clock
        self._on_failure = on_failure

    def look(self, deferrals: Iterable[Deferral]) -> list[Found]:
        """What is found running in no group, told and noted in its episode.

        The calls to EC2 and Auto Scaling grow with what no event has closed, not with the windows. An
        account that can't be looked at holds up no other.
        """
        by_key: dict[WindowKey, list[Deferral]] = defaultdict(list)
        for deferral in deferrals:
            if deferral.kind == LATE_LOOK:
                by_key[deferral.key].append(deferral)
        found: list[Found] = []
        for key, looks in by_key.items():
            try:
                found += self._look(key, looks[:LOOKS_A_RUN])
            except SignalboxError as error:
                self._on_failure(key, error)
                self._drop(deferral for deferral in looks if self._is_hopeless(deferral))
        return found

    def _is_hopeless(self, deferral: Deferral) -> bool:
        return self._clock() - deferral.due_at > PATIENCE_SECONDS

    def _drop(self, deferrals: Iterable[Deferral]) -> None:
        for deferral in deferrals:
            self._ledger.drop_deferral(deferral.key.domain, deferral.id)

    def _look(self, key: WindowKey, deferrals: Sequence[Deferral]) -> list[Found]:
        looks = {deferral.id: msgspec.convert(deferral.entry, Look) for deferral in deferrals}
        open_ = {id_: self._not_closed(look) for id_, look in looks.items()}
        instances = {survivor.instance for left in open_.values() for survivor in left}
        lost = self._running_in_no_group(next(iter(looks.values())).window, instances)
        found = []
        for id_, look in looks.items():
            survivors = tuple(each for each in open_[id_] if each.instance in lost)
            if self._report(look, survivors):
                self._ledger.drop_deferral(key.domain, id_)
                found += [Found(window=look.window, survivors=survivors)] if survivors else []
        return found

    def _not_closed(self, look: Look) -> list[Survivor]:
        """What may have left its group for this window, and of which no end is known."""
        window = look.window
        left = {
            episode_key(window.account, window.region, instance): (instance, action)
            for kind in LEAVING
            for action in self._ledger.actions(window, look.plan, kind)
            for instance in action.subjects
            if action.outcome_of(instance)[0] in MAY_HAVE_LEFT
        }
        open_ = []
        for key, record in self._ledger.records(sorted(left)).items():
            instance, action = left[key]
            episode = msgspec.convert(record.body, Episode)
            if _is_open(episode, action.kind, window):
                open_.append(
                    Survivor(
                        instance=instance,
                        group=action.group,
                        left_by=action.kind,
                        left_at=action.finished_at or action.started_at,
                        deadline=action.deadline,
                    )
                )
        return open_

    def _running_in_no_group(self, window: Window, instances: Collection[str]) -> set[str]:
        """What is in a group again, or still, is that group's to look after."""
        if not instances:
            return set()
        estate = self._estate_of(window)
        running = estate.running(instances)
        members = estate.member_states(sorted(running)) if running else {}
        return running - members.keys()

    def _report(self, look: Look, survivors: Sequence[Survivor]) -> bool:
        """False: not told yet. Noted last: a crash in between tells nothing twice, and comes to it again."""
        if not survivors:
            return True
        messages = running_messages(look.plan, look.window, survivors, self._clock())
        if not self._announcer.announce(look.window, look.plan, messages):
            return False
        self._note(look.window, survivors)
        return True

    def _note(self, window: Window, survivors: Sequence[Survivor]) -> None:
        now = self._clock()
        remaining = {episode_key(window.account, window.region, each.instance) for each in survivors}
        for _ in range(ATTEMPTS):
            remaining = self._ledger.put_records(
                [
                    msgspec.structs.replace(record, body={**record.body, "found_running_at": now})
                    for record in self._ledger.records(sorted(remaining)).values()
                ]
            )
            if not remaining:
                return
        raise ConflictError(f"{window}: {len(remaining)} episodes changed under every attempt to note a look")


def _is_open(episode: Episode, kind: str, window: Window) -> bool:
    """Nobody knows its end, it was not reported, and it is not the beginning of another interruption."""
    ours = episode.planned.get(kind) == window.number
    return ours and not episode.ended and not episode.found_running_at
