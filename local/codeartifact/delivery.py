"""How events reach the bus: at once, or twice, out of order and late, the same way for the same seed."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import asdict, dataclass, fields
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

type Event = dict[str, Any]

# Reordered events wait for each other no longer than this.
HOLD_SECONDS = 1.0
EVENTS_KEPT = 20_000


class Bus(Protocol):
    """Where events go."""

    def put(self, event: Event) -> None:
        """On the default bus of the event's account and Region. Raises DeliveryError."""
        ...


class DeliveryError(RuntimeError):
    """The bus didn't take an event; says why."""


@dataclass(frozen=True, slots=True)
class DeliverySwitches:
    """`duplicated` is the share of events that come twice; `reordered` so many at a time change places.

    `delay_seconds` passes before each. `gaps` has sequence numbers skip some. `seed` decides which.
    """

    duplicated: float = 0.0
    reordered: int = 1
    delay_seconds: float = 0.0
    gaps: bool = True
    seed: int = 0

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Raises ValueError, naming the switch."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(document.keys() - known):
            raise ValueError(f"{unknown[0]!r} is no switch: they are {', '.join(sorted(known))}")
        switches = cls(**document)
        if not switches._sensible():
            raise ValueError(
                "duplicated is a share from 0 to 1, reordered a whole number from 1, delay_seconds a number "
                "from 0, gaps true or false, seed a whole number"
            )
        return switches

    def _sensible(self) -> bool:
        try:
            in_range = 0 <= self.duplicated <= 1 and self.reordered >= 1 and self.delay_seconds >= 0
        except TypeError:
            return False
        return in_range and [type(self.reordered), type(self.gaps), type(self.seed)] == [int, bool, int]

    def document(self) -> dict[str, Any]:
        return asdict(self)


class Deliveries:
    """Decides which event goes when. Seconds are the caller's clock."""

    def __init__(self, switches: DeliverySwitches) -> None:
        self.switches = switches
        self._random = Random(switches.seed)  # noqa: S311 - the same course for the same seed, nothing secret
        self._group: list[Event] = []
        self._since = 0.0
        self._waiting: list[tuple[float, int, Event]] = []
        self._counter = itertools.count()

    def offer(self, events: Iterable[Event], now: float) -> None:
        """Takes events in the order of their making."""
        for event in events:
            twice = self._random.random() < self.switches.duplicated
            for copy in [event, event] if twice else [event]:
                if not self._group:
                    self._since = now
                self._group.append(copy)
                if len(self._group) >= self.switches.reordered:
                    self._let_go(now)

    def due(self, now: float, *, everything: bool = False) -> list[Event]:
        """Those to deliver now, in their order; `everything` waits for nothing."""
        if self._group and (everything or now - self._since >= HOLD_SECONDS):
            self._let_go(now)
        found = []
        while self._waiting and (everything or self._waiting[0][0] <= now):
            found.append(heapq.heappop(self._waiting)[2])
        return found

    @property
    def held(self) -> int:
        """How many are still to come."""
        return len(self._group) + len(self._waiting)

    def _let_go(self, now: float) -> None:
        if self.switches.reordered > 1:
            self._random.shuffle(self._group)
        for event in self._group:
            heapq.heappush(self._waiting, (now + self.switches.delay_seconds, next(self._counter), event))
        self._group.clear()


class Courier:
    """Brings events to the bus, if there is one, and keeps the newest EVENTS_KEPT of those delivered."""

    def __init__(self, bus: Bus | None, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._clock = clock
        # One at a time, so that the order of the deliveries is the order of arrival.
        self._lock = Lock()
        self.restore()

    def restore(self) -> None:
        """Forgets all events, kept and still to come."""
        with self._lock:
            self._deliveries = Deliveries(DeliverySwitches())
            self._delivered: deque[Event] = deque(maxlen=EVENTS_KEPT)
            self._failures: deque[str] = deque(maxlen=100)

    def switch(self, switches: DeliverySwitches) -> None:
        """From now on; what is still to come is delivered first."""
        self.deliver(everything=True)
        with self._lock:
            self._deliveries = Deliveries(switches)

    @property
    def switches(self) -> DeliverySwitches:
        return self._deliveries.switches

    def take(self, events: Iterable[Event]) -> None:
        with self._lock:
            self._deliveries.offer(events, self._clock())

    def deliver(self, *, everything: bool = False) -> int:
        """Delivers what is due; how many that were."""
        with self._lock:
            due = self._deliveries.due(self._clock(), everything=everything)
            for event in due:
                self._put(event)
            return len(due)

    def document(self) -> dict[str, Any]:
        """What has been delivered, in that order, what failed, and how many are still to come."""
        with self._lock:
            return {
                "events": list(self._delivered),
                "failures": list(self._failures),
                "held": self._deliveries.held,
            }

    def _put(self, event: Event) -> None:
        self._delivered.append(event)
        if self._bus is None:
            return
        try:
            self._bus.put(event)
        except DeliveryError as error:
            self._failures.append(f"{event['id']}: {error}")
