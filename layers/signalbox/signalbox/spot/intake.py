"""Taking events in: a batch at a time, parsed strictly, merged early, each accounted for."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from signalbox.clock import Clock
from signalbox.errors import ConflictError, RejectedError, TransientError
from signalbox.eventbridge import Scope, check_scope, parse_envelope
from signalbox.ledger.records import RecordStore, Rejection, RejectionStore
from signalbox.ledger.windows import WindowKey, Windows
from signalbox.spot.episodes import Episode, episode_key, merge
from signalbox.spot.notices import Notice, parse_notice

DOMAIN = "spot"
KEPT_CHARACTERS = 8_000


class Message(msgspec.Struct, frozen=True):
    """One SQS message: its id, its body, and whether it comes for the first time."""

    id: str
    body: str
    first: bool = True


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes:
        admitted: notices that went into a window.
        echoes: events that said nothing new.
        rejections: bad input, recorded.
        returned: ids of the messages that must come again, or go to the dead-letter queue.
        errors: why they must, for the log.
        oldest: the age in seconds of the oldest notice admitted.
    """

    admitted: int = 0
    echoes: int = 0
    rejections: tuple[Rejection, ...] = ()
    returned: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    oldest: float = 0.0


class AdmitEvents:
    """The intake of the Spot domain.

    Args:
        windows: where notices are gathered.
        records: the episodes known so far.
        rejections: where bad input is kept.
        scope: whose events are taken.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        windows: Windows,
        records: RecordStore,
        rejections: RejectionStore,
        scope: Scope,
        clock: Clock,
    ) -> None:
        self._windows = windows
        self._records = records
        self._rejections = rejections
        self._scope = scope
        self._clock = clock

    def admit(self, messages: Sequence[Message]) -> Admission:
        """Takes a batch in. One bad message never holds up the rest."""
        notices: list[tuple[Message, Notice]] = []
        rejections: list[Rejection] = []
        returned: dict[str, str] = {}
        for message in messages:
            try:
                notices.append((message, self._parse(message)))
            except RejectedError as error:
                if error.code == "unreadable":
                    returned[message.id] = str(error)  # its place is the dead-letter queue
                    continue
                rejections.append(self._rejection(message, error))
        kept = [rejection for rejection in rejections if self._keep(rejection, returned)]
        news, echoes = self._sift(notices, returned)
        admitted = self._join(news, returned)
        return Admission(
            admitted=len(admitted),
            echoes=echoes,
            rejections=tuple(kept),
            returned=tuple(returned),
            errors=tuple(dict.fromkeys(returned.values())),
            oldest=max((self._clock() - notice.noticed_at for notice in admitted), default=0.0),
        )

    def _parse(self, message: Message) -> Notice:
        envelope = parse_envelope(message.body)
        check_scope(envelope, self._scope, self._clock())
        return parse_notice(envelope)

    def _rejection(self, message: Message, error: RejectedError) -> Rejection:
        return Rejection(
            domain=DOMAIN,
            id=message.id,
            code=error.code,
            where=error.where,
            what=error.what,
            body=message.body[:KEPT_CHARACTERS],
            at=self._clock(),
        )

    def _keep(self, rejection: Rejection, returned: dict[str, str]) -> bool:
        try:
            self._rejections.reject(rejection)
        except TransientError as error:
            returned[rejection.id] = str(error)
            return False
        return True

    def _sift(
        self, notices: Sequence[tuple[Message, Notice]], returned: dict[str, str]
    ) -> tuple[list[tuple[Message, Notice]], int]:
        """Those that say something new: to what the ledger knows, and within the batch."""
        try:
            episodes = self._episodes(notice for _, notice in notices)
        except TransientError as error:
            returned.update({message.id: str(error) for message, _ in notices})
            return [], 0
        news = []
        for message, notice in notices:
            key = episode_key(notice.account, notice.region, notice.instance)
            known = episodes.get(key)
            merged = merge(known, notice, window=0)
            if merged is not known:
                news.append((message, notice))
                episodes[key] = merged
        return news, len(notices) - len(news)

    def _episodes(self, notices: Iterable[Notice]) -> dict[str, Episode]:
        keys = [episode_key(notice.account, notice.region, notice.instance) for notice in notices]
        found = self._records.records(keys) if keys else {}
        return {key: msgspec.convert(record.body, Episode) for key, record in found.items()}

    def _join(self, news: Sequence[tuple[Message, Notice]], returned: dict[str, str]) -> list[Notice]:
        by_key: dict[WindowKey, list[tuple[Message, Notice]]] = defaultdict(list)
        for message, notice in news:
            by_key[WindowKey(DOMAIN, notice.account, notice.region)].append((message, notice))
        admitted: list[Notice] = []
        for key, members in by_key.items():
            try:
                self._windows.join(key, [msgspec.to_builtins(notice) for _, notice in members])
            except (TransientError, ConflictError) as error:
                returned.update({message.id: str(error) for message, _ in members})
            else:
                admitted.extend(notice for _, notice in members)
        return admitted
