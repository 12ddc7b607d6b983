"""What the intakes of the domains share: the messages of a queue, when they come again, and bad input."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from signalbox.errors import RejectedError
from signalbox.ledger.records import Rejection

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
