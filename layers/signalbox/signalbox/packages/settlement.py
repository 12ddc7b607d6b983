"""Settles the account of one try: builds that nobody needs are stopped, whom it concerns is told.

In this order: builds, alerts, event, ledger. Whoever dies on the way is begun anew and does all of it again;
once the ledger has it, nobody is told twice. So each outcome of a try is told at least once.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import RefusedError, SignalboxError, TransientError
from signalbox.ledger.records import RecordStore
from signalbox.packages.advice import Place
from signalbox.packages.alerts import Alert, alerts_of
from signalbox.packages.announcing import EVENT_SOURCE, event_of
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.outcomes import Outcome, Settlement, settlement_of
from signalbox.packages.owners import Owners

CHAT = "https"
"""The protocol by which the chat integration subscribes to a topic."""


class Topic(Protocol):
    """The alert topic."""

    def publish(
        self, subject: str, message: str, attributes: dict[str, str], others: Mapping[str, str]
    ) -> str:
        """Publishes a message and answers its id.

        Args:
            others: protocol → what its subscribers get in place of the message.
        """
        ...


class Bus(Protocol):
    """The event bus."""

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str: ...


class Builds(Protocol):
    """The builds of dependents."""

    def stop(self, build: str) -> None:
        """Stops one, by its id. One that has ended already is as it should be.

        Raises:
            RefusedError: not allowed, or there is no such build.
        """
        ...


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What settling came to.

    Attributes:
        told: how many messages were sent now.
        counts: whether it was told for the first time, as far as the ledger knows.
        stopped: how many builds were stopped now.
        unstopped: why builds were not, where they should have been.
        seconds: between the newest event and now, where it was told as PROMOTED.
    """

    outcome: Outcome
    reason: str = ""
    detail: str = ""
    told: int = 0
    counts: bool = False
    stopped: int = 0
    unstopped: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def is_harmful(self) -> bool:
        """Whether somebody should look at it."""
        return self.outcome in {Outcome.FAILED, Outcome.STUCK} or bool(self.unstopped)


class SettleRelease:
    """The use case of packages_settle_release.

    Args:
        ledger: made with `signalbox.packages.entries.RETENTION_SECONDS`.
        owners: those that hold now.
    """

    def __init__(
        self,
        ledger: RecordStore,
        owners: Callable[[], Owners],
        builds: Builds,
        topic: Topic,
        bus: Bus,
        clock: Clock,
        place: Place,
    ) -> None:
        self._releases = Releases(ledger)
        self._owners = owners
        self._builds = builds
        self._topic = topic
        self._bus = bus
        self._clock = clock
        self._place = place

    def settle(self, task: Task) -> Settled:
        """Settles it. The same again tells only what was not told.

        Raises:
            TransientError: worth trying again.
            InvariantError: the ledger has no such release, or it is not to be settled yet.
        """
        settlement = settlement_of(self._releases.known(task.release), task, self._clock())
        if settlement.outcome is Outcome.OUTDATED or _is_told(settlement):
            return _settled(settlement)
        stopped, unstopped = self._stop(settlement.needless)
        told = self._tell(settlement)
        self._record(settlement)
        return _settled(settlement, told=told, counts=True, stopped=stopped, unstopped=unstopped)

    def _stop(self, builds: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        """How many were stopped; and why others were not, which is no reason to tell nobody."""
        refused = []
        for build in builds:
            try:
                self._builds.stop(build)
            except RefusedError as error:
                refused.append(f"{build}: {error.code}: {error}")
        return len(builds) - len(refused), tuple(refused)

    def _tell(self, settlement: Settlement) -> int:
        owners, trouble = self._known_owners()
        alerts = alerts_of(settlement, owners, self._place, trouble)
        for alert in alerts:
            self._publish(alert)
        if event := event_of(settlement, owners, self._place.shared):
            self._bus.put(EVENT_SOURCE, event.detail_type, event.detail)
        return len(alerts)

    def _known_owners(self) -> tuple[Owners, str]:
        """Nobody's, and why, where the owners can't be read: that must not keep all from being told."""
        try:
            return self._owners(), ""
        except TransientError:
            raise
        except SignalboxError as error:
            return Owners(), f"{error.code}: {error}"

    def _publish(self, alert: Alert) -> None:
        self._topic.publish(alert.subject, alert.message, alert.attributes, {CHAT: alert.chat})

    def _record(self, settlement: Settlement) -> None:
        release = settlement.entry.release

        def settled(known: Entry | None) -> Entry | None:
            if known is None or known.release.execution != release.execution:
                return known  # another try has it by now, and will be told of
            stuck = settlement.detail if settlement.outcome is Outcome.STUCK else ""
            return msgspec.structs.replace(
                known, settled=release.execution, outcome=settlement.outcome, stuck=stuck
            )

        self._releases.change(release.version, settled)


def _is_told(settlement: Settlement) -> bool:
    """An execution that is redriven ends again, and perhaps otherwise: that is news."""
    entry = settlement.entry
    return (entry.settled, entry.outcome) == (entry.release.execution, settlement.outcome)


def _settled(settlement: Settlement, **done: Any) -> Settled:
    promoted = settlement.outcome is Outcome.PROMOTED
    return Settled(
        outcome=settlement.outcome,
        reason=settlement.reason,
        detail=settlement.detail,
        seconds=settlement.settled_at - settlement.entry.published_at if promoted else None,
        **done,
    )
