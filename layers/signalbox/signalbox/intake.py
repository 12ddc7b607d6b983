"""What the intakes of the domains share: the messages of a queue, when they come again, and bad input."""

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any, NamedTuple, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import RejectedError, SignalboxError
from signalbox.eventbridge import Envelope, Scope, check_scope, parse_envelope
from signalbox.ledger.records import Rejection, RejectionStore

KEPT_CHARACTERS = 8_000
FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 300.0
FIRST_LOOK_SECONDS = 5.0


class Message(msgspec.Struct, frozen=True):
    """One SQS message.

    Attributes:
        receives: how often it was received, this time included.
        receipt: what names this receiving of it to SQS.
    """

    id: str
    body: str
    receives: int = 1
    receipt: str = ""

    @property
    def first(self) -> bool:
        """Whether it comes for the first time."""
        return self.receives == 1


class Queue(Protocol):
    """Where the messages come from."""

    def change_visibility(self, seconds: Mapping[str, int]) -> None:
        """Has messages come again after so many seconds from now, by their receipts."""
        ...


class Retries(NamedTuple):
    """How often a message comes, and how soon again.

    Attributes:
        maximum: after so many receives it goes to the dead-letter queue.
        jitter: answers a number from 0 to 1, another each time.
    """

    maximum: int
    jitter: Callable[[], float]

    def are_used_up(self, message: Message) -> bool:
        return message.receives >= self.maximum

    def wait(self, message: Message) -> float:
        """Seconds: the more, the more often it has come."""
        longest = min(FIRST_WAIT_SECONDS * 2.0 ** (message.receives - 1), LONGEST_WAIT_SECONDS)
        return longest * (1 + self.jitter()) / 2

    def look(self, message: Message, busy: float) -> float:
        """Seconds until it is looked again at something that somebody works on, for ``busy`` more at most.

        Most are done long before: soon at first. In the end as late as it may take, so that the message does
        not go to the dead-letter queue for waiting.
        """
        if message.receives >= self.maximum - 1:
            return busy
        return min(busy, FIRST_LOOK_SECONDS * 4.0 ** (message.receives - 1))


def messages_of(event: dict[str, Any]) -> list[Message]:
    """The messages of an invocation by an event source mapping ("Using Lambda with Amazon SQS")."""
    return [
        Message(
            record["messageId"],
            record["body"],
            int(record["attributes"]["ApproximateReceiveCount"]),
            record["receiptHandle"],
        )
        for record in event["Records"]
    ]


def rejection_of(domain: str, message: Message, error: RejectedError, now: float) -> Rejection:
    """A message that was refused, as the ledger keeps it."""
    return Rejection(
        domain=domain,
        id=message.id,
        code=error.code,
        where=error.where,
        what=error.what,
        body=message.body[:KEPT_CHARACTERS],
        at=now,
    )


class Batch:
    """A batch of messages, and what becomes of each: one that is neither refused nor sent back is done.

    Args:
        domain: as in the ledger.
        ledger: where bad input is kept.
        scope: whose events are taken.
        clock: seconds since 1970.

    Attributes:
        rejections: bad input, recorded.
        returned: the ids of the messages that come again because of an error.
        errors: what went wrong, for the log.
    """

    def __init__(
        self,
        domain: str,
        ledger: RejectionStore,
        queue: Queue,
        scope: Scope,
        clock: Clock,
        retries: Retries,
    ) -> None:
        self._domain = domain
        self._ledger = ledger
        self._queue = queue
        self._scope = scope
        self._clock = clock
        self._retries = retries
        self._waits: dict[Message, float] = {}
        self.rejections: list[Rejection] = []
        self.returned: list[str] = []
        self.errors: list[str] = []

    def read[T](self, message: Message, parse: Callable[[Envelope], T]) -> T | None:
        """What a message says; None where that makes no sense, or is none of this stack's business."""
        try:
            envelope = parse_envelope(message.body)
            check_scope(envelope, self._scope, self._clock())
            return parse(envelope)
        except RejectedError as error:
            if error.code == "unreadable":
                self.retry([message], str(error))  # its place is the dead-letter queue
            else:
                self.reject(message, error)
            return None

    def reject(self, message: Message, error: RejectedError) -> None:
        """It is bad input, and is kept."""
        rejection = rejection_of(self._domain, message, error, self._clock())
        try:
            self._ledger.reject(rejection)
        except SignalboxError as failure:
            self.retry([message], str(failure))
        else:
            self.rejections.append(rejection)

    def retry(self, messages: Iterable[Message], error: str, after: float = 0.0) -> None:
        """They come again, as after a failure, and not before so many seconds have passed."""
        self.errors.append(error)
        for message in messages:
            self.returned.append(message.id)
            self.wait(message, after + self._retries.wait(message))

    def wait(self, message: Message, seconds: float) -> None:
        """It comes again after so long, or sooner where something else that it told of asks for it."""
        self._waits[message] = min(seconds, self._waits.get(message, seconds))

    @property
    def waits(self) -> dict[str, int]:
        """The messages that come again, by their ids, and after how many seconds."""
        return {message.id: _whole(seconds) for message, seconds in self._waits.items()}

    def send_back(self) -> None:
        """Has the queue send those again that have to come again."""
        if not self._waits:
            return
        try:
            self._queue.change_visibility(
                {message.receipt: _whole(seconds) for message, seconds in self._waits.items()}
            )
        except SignalboxError as error:
            self.errors.append(str(error))  # then they come again when the queue says so


def _whole(seconds: float) -> int:
    return max(ceil(seconds), 0)
