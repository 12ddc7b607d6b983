"""Taking events in: a batch at a time, parsed strictly, merged early, each accounted for."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import ConflictError, RejectedError, TransientError
from signalbox.eventbridge import Scope, check_scope, parse_envelope
from signalbox.intake import Message, rejection_of
from signalbox.ledger.deferrals import Deferral, DeferralStore
from signalbox.ledger.records import Record, RecordStore, Rejection, RejectionStore
from signalbox.ledger.windows import Window, WindowKey, Windows
from signalbox.spot.episodes import Episode, end, episode_key, merge, withdraw
from signalbox.spot.events import parse_event
from signalbox.spot.notices import End, News, Notice, Severity, Withdrawal

DOMAIN = "spot"
CHANGE_ATTEMPTS = 5


class Joined(msgspec.Struct, frozen=True):
    """What of a batch went into one window: the notices, and the messages that brought them."""

    window: Window
    notices: tuple[Notice, ...]
    messages: tuple[str, ...]


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes:
        joined: the windows that notices went into, and which notices.
        admitted: notices that went into a window.
        deferred: notices that are due later.
        closed: instances that have ended, or whose notice was withdrawn, and that had an episode.
        echoes: news that said nothing new, or nothing that concerns us.
        rejections: bad input, recorded.
        returned: ids of the messages that must come again, or go to the dead-letter queue.
        errors: why they must, for the log.
        oldest: the age in seconds of the oldest notice admitted.
    """

    joined: tuple[Joined, ...] = ()
    admitted: int = 0
    deferred: int = 0
    closed: int = 0
    echoes: int = 0
    rejections: tuple[Rejection, ...] = ()
    returned: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    oldest: float = 0.0


class Ledger(RecordStore, RejectionStore, DeferralStore, Protocol):
    """What the intake asks of the ledger, beside the windows."""


class _Item(NamedTuple):
    """One piece of news, the message that brought it, and the key of its episode."""

    message: str
    news: News
    key: str


class AdmitEvents:
    """The intake of the Spot domain.

    Args:
        windows: where notices are gathered.
        ledger: the episodes known so far, deferrals, rejections.
        scope: whose events are taken.
        clock: seconds since 1970.
        scheduled_lead: seconds before its start at which a scheduled event is acted on.
    """

    def __init__(
        self, windows: Windows, ledger: Ledger, scope: Scope, clock: Clock, *, scheduled_lead: float
    ) -> None:
        self._windows = windows
        self._ledger = ledger
        self._scope = scope
        self._clock = clock
        self._scheduled_lead = scheduled_lead

    def admit(self, messages: Sequence[Message]) -> Admission:
        """Takes a batch in. One bad message never holds up the rest."""
        items: list[_Item] = []
        rejections: list[Rejection] = []
        returned: dict[str, str] = {}
        nothing = 0
        for message in messages:
            try:
                found = self._parse(message)
            except RejectedError as error:
                if error.code == "unreadable":
                    returned[message.id] = str(error)  # its place is the dead-letter queue
                else:
                    rejections.append(rejection_of(DOMAIN, message, error, self._clock()))
            else:
                items += found
                nothing += not found
        kept = [rejection for rejection in rejections if self._keep(rejection, returned)]
        episodes = self._episodes(items, returned)
        items = [item for item in items if item.message not in returned]
        later = [item for item in items if self._is_due_later(item)]
        closed = self._close(items, episodes, returned)
        notices = [item for item in items if isinstance(item.news, Notice) and item not in later]
        news = _sift(notices, episodes)
        joined = self._join(news, returned)
        admitted = [notice for each in joined for notice in each.notices]
        deferred = self._defer(later, returned)
        return Admission(
            joined=tuple(joined),
            admitted=len(admitted),
            deferred=deferred,
            closed=closed,
            echoes=nothing + len(items) - len(later) - len(news) - closed,
            rejections=tuple(kept),
            returned=tuple(returned),
            errors=tuple(dict.fromkeys(returned.values())),
            oldest=max((self._clock() - notice.noticed_at for notice in admitted), default=0.0),
        )

    def _parse(self, message: Message) -> list[_Item]:
        envelope = parse_envelope(message.body)
        check_scope(envelope, self._scope, self._clock())
        return [
            _Item(message.id, self._dated(news), episode_key(news.account, news.region, news.instance))
            for news in parse_event(envelope)
        ]

    def _dated(self, news: News) -> News:
        """A scheduled notice is due a while before its start."""
        if not isinstance(news, Notice) or news.severity is not Severity.SCHEDULED or news.deadline is None:
            return news
        return msgspec.structs.replace(news, due_at=news.deadline - self._scheduled_lead)

    def _is_due_later(self, item: _Item) -> bool:
        return isinstance(item.news, Notice) and item.news.due_at > self._clock()

    def _keep(self, rejection: Rejection, returned: dict[str, str]) -> bool:
        try:
            self._ledger.reject(rejection)
        except TransientError as error:
            returned[rejection.id] = str(error)
            return False
        return True

    def _episodes(self, items: Sequence[_Item], returned: dict[str, str]) -> dict[str, Record]:
        keys = [item.key for item in items]
        try:
            return self._ledger.records(keys) if keys else {}
        except TransientError as error:
            returned.update({item.message: str(error) for item in items})
            return {}

    def _close(self, items: Sequence[_Item], episodes: dict[str, Record], returned: dict[str, str]) -> int:
        """Notes ends and withdrawals in the episodes that there are."""
        closed = 0
        for item in items:
            if isinstance(item.news, Notice):
                continue
            try:
                closed += self._change(item.key, item.news, episodes.get(item.key))
            except (TransientError, ConflictError) as error:
                returned[item.message] = str(error)
        return closed

    def _change(self, key: str, news: End | Withdrawal, record: Record | None) -> bool:
        if isinstance(news, Withdrawal):
            self._ledger.drop_deferral(DOMAIN, deferral_id(key, news.cause))
        for _ in range(CHANGE_ATTEMPTS):
            if record is None:
                return False
            episode = msgspec.convert(record.body, Episode)
            changed = end(episode, news) if isinstance(news, End) else withdraw(episode, news)
            if changed is episode:
                return False
            if not self._ledger.put_records([Record(key, msgspec.to_builtins(changed), record.version)]):
                return True
            record = self._ledger.records([key]).get(key)
        raise ConflictError(f"{key}: the episode changed under every attempt to close it")

    def _join(self, news: Sequence[_Item], returned: dict[str, str]) -> list[Joined]:
        by_key: dict[WindowKey, list[_Item]] = defaultdict(list)
        for item in news:
            by_key[_window_key(item.news)].append(item)
        joined: list[Joined] = []
        for key, members in by_key.items():
            try:
                window = self._windows.join(key, [msgspec.to_builtins(item.news) for item in members])
            except (TransientError, ConflictError) as error:
                returned.update({item.message: str(error) for item in members})
            else:
                notices = tuple(item.news for item in members if isinstance(item.news, Notice))
                joined.append(Joined(window, notices, tuple(item.message for item in members)))
        return joined

    def _defer(self, later: Iterable[_Item], returned: dict[str, str]) -> int:
        deferred = 0
        for item in later:
            if isinstance(item.news, Notice):
                try:
                    self._ledger.defer(_deferral(item.key, item.news))
                    deferred += 1
                except TransientError as error:
                    returned[item.message] = str(error)
        return deferred


def deferral_id(key: str, cause: str) -> str:
    """One deferral for each instance and cause: a change of plan replaces it."""
    return f"{key}#{cause}"


def _deferral(key: str, notice: Notice) -> Deferral:
    return Deferral(
        key=_window_key(notice),
        id=deferral_id(key, notice.cause),
        due_at=notice.due_at,
        entry=msgspec.to_builtins(notice),
    )


def _window_key(news: News) -> WindowKey:
    return WindowKey(DOMAIN, news.account, news.region)


def _sift(notices: Sequence[_Item], episodes: dict[str, Record]) -> list[_Item]:
    """Those that say something new: to what the ledger knows, and within the batch."""
    known = {key: msgspec.convert(record.body, Episode) for key, record in episodes.items()}
    news = []
    for item in notices:
        if isinstance(item.news, Notice):
            before = known.get(item.key)
            after = merge(before, item.news, window=0)
            if after is not before:
                news.append(item)
                known[item.key] = after
    return news
