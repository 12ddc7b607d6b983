"""What the intakes of the domains share: the messages of a queue, and bad input that is kept."""

from typing import Any

import msgspec

from signalbox.errors import RejectedError
from signalbox.ledger.records import Rejection

KEPT_CHARACTERS = 8_000


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
