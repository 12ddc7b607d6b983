"""Actions: what a plan wants done, each claimed before it is done and accounted for afterwards.

A claim is one conditional write with an owner and a lease. Every worker is an owner of its own, also two
of the same window or of the same execution: while one lives, no other does its action. A worker that dies
leaves its action ``running`` until the lease is out; whoever takes it over then is told so (``resumed``) and
looks at the estate before it acts: the effect may have happened already.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

from signalbox.clock import Clock, iso_precise
from signalbox.errors import NotBegunError, TransientError
from signalbox.ledger.windows import Window

type Status = Literal["pending", "running", "succeeded", "failed", "skipped"]

UNFINISHED: Final = "unfinished"
type End = Status | float | Literal["unfinished"]
"""What working on an action came to: how it ended, or when it is next due, or that there was no time."""
type Spread = Callable[[Callable[[Action], End], Iterable[Action]], Iterable[End]]
"""Does it for each, as `map` does one after the other and a pool of threads side by side."""

FINAL: frozenset[Status] = frozenset({"succeeded", "failed", "skipped"})
LEASE_SECONDS = 20.0
"""Short, since a dead worker's action waits that long: also what is due 30 s before a deadline is then still
in time. A worker that lives renews it before each try."""
RENEWAL_SECONDS = 14.0
"""A claim with less than this left is renewed. More than a try takes at what must not happen twice: a call
that hangs is given up after 12 s."""
FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 5.0
JITTER = random.SystemRandom()
"""The operating system's, so that copies of one snapshot (Lambda SnapStart) don't pause alike."""


class Deviation(msgspec.Struct, frozen=True):
    """How one subject fared where it fared otherwise than its action."""

    status: Status
    reason: str


class Verdict(msgspec.Struct, frozen=True):
    """What the estate shows of an action afterwards.

    Attributes:
        state: ``confirmed``, ``waiting`` or ``contradicted``.
        note: what is missing or wrong, for a person.
        subjects: the subjects of which it is true, each with its note, where it isn't true of all alike.
    """

    state: Literal["confirmed", "waiting", "contradicted"]
    note: str = ""
    subjects: dict[str, str] = {}


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One call, or one short sequence of calls, on behalf of up to a few dozen subjects.

    Attributes:
        id: unique in its window, ``<plan>#<kind>#<number>``.
        kind: ``detach``, ``deregister``, ``command``, ``alert``, ``event``.
        group: whom it is about: an Auto Scaling group's name, or "".
        target: what is called: a group's name, a target group's ARN, a document.
        subjects: instance ids.
        payload: what else the performer needs.
        due_at: not before this time; 0 for at once.
        deadline: worthless after this time.
        reference: what AWS answered: a command id, a message id.
        deviations: the subjects whose outcome differs from the action's.
        verdict: what the estate showed afterwards, where somebody looked.
    """

    id: str
    kind: str
    group: str
    target: str
    subjects: tuple[str, ...]
    payload: dict[str, Any] = {}
    due_at: float = 0.0
    deadline: float
    status: Status = "pending"
    reason: str = ""
    owner: str = ""
    lease_until: float = 0.0
    attempts: int = 0
    started_at: float = 0.0
    finished_at: float = 0.0
    reference: str = ""
    deviations: dict[str, Deviation] = {}
    verdict: Verdict | None = None

    @property
    def resumed(self) -> bool:
        """Somebody claimed it before: its effect may have happened."""
        return self.attempts > 1

    def outcome_of(self, subject: str) -> tuple[Status, str]:
        """The status and the reason for one subject."""
        deviation = self.deviations.get(subject)
        return (deviation.status, deviation.reason) if deviation else (self.status, self.reason)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What performing an action came to."""

    status: Status
    reason: str = ""
    reference: str = ""
    deviations: dict[str, Deviation] = {}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker reports to its state machine: how its actions have ended so far, and whether to come
    again."""

    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    unfinished: bool = False
    next_due: str | None = None


class ActionStore(Protocol):
    """What the workers ask of the ledger."""

    def actions(self, window: Window, plan: str, kind: str | None = None) -> list[Action]:
        """The plan's actions in order, of one kind or of all."""
        ...

    def claim(self, window: Window, action_id: str, owner: str, now: float, lease: float) -> Action | None:
        """Claims it for ``owner`` until ``now + lease``.

        None where it is final already, or another owner's lease still runs.
        """
        ...

    def finish(self, window: Window, action_id: str, owner: str, result: Result, now: float) -> bool:
        """Records the result; False, and nothing written, where the claim has passed to another owner."""
        ...

    def verify(self, window: Window, action_id: str, verdict: Verdict) -> None:
        """Records what the estate shows of a finished action."""
        ...


class Performer(Protocol):
    """Does what one kind of action says."""

    def perform(self, action: Action) -> Result:
        """Calls AWS.

        Raises:
            TransientError: worth trying again.
            RefusedError: it will never work.
        """
        ...


class Worker:
    """Works through the due actions of its kinds, each within its own time, none blocking another.

    Args:
        store: the ledger.
        performers: kind of action → who does it; in this order.
        clock: seconds since 1970.
        sleep: waits that many seconds between two tries.
        on_failure: told of each action that failed for good, with why and the error behind it, if any.
        spread: how the due actions are worked on, one after the other by default. Each has its own claim, so
            that a pool of threads does as well.
    """

    def __init__(
        self,
        store: ActionStore,
        performers: Mapping[str, Performer],
        clock: Clock,
        sleep: Callable[[float], None],
        on_failure: Callable[[Action, str, Exception | None], None],
        spread: Spread = map,
    ) -> None:
        self._store = store
        self._performers = performers
        self._clock = clock
        self._sleep = sleep
        self._on_failure = on_failure
        self._spread = spread

    def work(self, window: Window, plan: str, owner: str, until: float) -> Progress:
        """Performs what is due. ``until`` is when this worker must hand back (seconds since 1970)."""
        actions = [a for kind in self._performers for a in self._store.actions(window, plan, kind)]
        ends = list(self._spread(lambda action: self._end(window, action, owner, until), actions))
        later = [end for end in ends if not isinstance(end, str)]
        counts = {status: ends.count(status) for status in FINAL}
        return Progress(
            **counts,
            unfinished=UNFINISHED in ends,
            next_due=iso_precise(min(later)) if later else None,
        )

    def _end(self, window: Window, action: Action, owner: str, until: float) -> End:
        now = self._clock()
        if action.status in FINAL:
            return action.status
        if action.due_at > now:
            return action.due_at
        if now >= until:
            return UNFINISHED
        result = self._claim_and_perform(window, action, owner, until)
        return max(action.lease_until, now + 1.0) if result is None else result.status

    def _claim_and_perform(self, window: Window, action: Action, owner: str, until: float) -> Result | None:
        claimed = self._store.claim(window, action.id, owner, self._clock(), LEASE_SECONDS)
        if claimed is None:
            return None
        outcome = self._perform(window, claimed, until)
        if outcome is None:
            return None
        result, error = outcome
        if result.status == "failed":
            self._on_failure(claimed, result.reason, error)
        self._store.finish(window, action.id, owner, result, self._clock())
        return result

    def _perform(
        self, window: Window, action: Action, until: float
    ) -> tuple[Result, Exception | None] | None:
        """Tries until the time is up: the action's own deadline, or the worker's. None: the claim is lost."""
        give_up_at = min(until, action.deadline) if action.deadline > self._clock() else until
        backoff = FIRST_BACKOFF_SECONDS
        while held := self._held(window, action):
            try:
                return self._performers[action.kind].perform(held), None
            except TransientError as error:
                pause = JITTER.uniform(0, backoff)
                if self._clock() + pause >= give_up_at:
                    return _failed(error)
                tried = 0 if isinstance(error, NotBegunError) else 1
            except Exception as error:  # refused for good or a bug: it must not hold up the other actions
                return _failed(error)
            self._sleep(pause)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            action = msgspec.structs.replace(held, attempts=held.attempts + tried)
        return None

    def _held(self, window: Window, action: Action) -> Action | None:
        """The action with enough of its lease left for a try; None where it has passed to another owner.

        Asked before the first try too: the claim's own answer may have been slow.
        """
        while action.lease_until - (now := self._clock()) <= RENEWAL_SECONDS:
            renewed = self._store.claim(window, action.id, action.owner, now, LEASE_SECONDS)
            if renewed is None:
                return None
            action = msgspec.structs.replace(action, lease_until=renewed.lease_until)
        return action


def _failed(error: Exception) -> tuple[Result, Exception]:
    code = getattr(error, "code", type(error).__name__)
    return Result(status="failed", reason=f"{code}: {error}"), error
