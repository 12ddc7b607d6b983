"""SQS in memory, held to the same suite as the real adapter (`adapters/test_queues.py`)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from signalbox.clock import Clock
from signalbox.errors import RefusedError
from signalbox.intake import Message


@dataclass
class FakeQueue:
    """SQS, on a clock that moves. However many messages wait, each operation takes as long.

    Attributes:
        visibility: seconds for which a message stays away that was received.
        maximum_receives: then it is dead.
        dead: the bodies in the dead-letter queue.
    """

    clock: Clock
    visibility: float = 400.0
    maximum_receives: int = 5
    failing: list[Exception] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    changes: list[dict[str, int]] = field(default_factory=list)
    _kept: dict[str, Message] = field(default_factory=dict)
    _places: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By message: when it can be received, and the number of that place in the line."""
    _line: list[tuple[tuple[float, int], str]] = field(default_factory=list)
    """A heap. A place that a message no longer has is passed over."""
    _ids: Iterator[int] = field(default_factory=lambda: count(1))
    _numbers: Iterator[int] = field(default_factory=count)

    def send(self, *bodies: str) -> None:
        for body in bodies:
            id_ = f"m{next(self._ids)}"
            self._kept[id_] = Message(id_, body, 0)
            self._place(id_, self.clock())

    def receive(self, most: int = 10) -> list[Message]:
        batch: list[Message] = []
        while len(batch) < most and (at := self.next_at) is not None and at <= self.clock():
            id_ = self._line[0][1]
            message = self._kept[id_]
            if message.receives == self.maximum_receives:
                self.dead.append(message.body)
                self.delete([id_])
                continue
            received = Message(id_, message.body, message.receives + 1, f"{id_}-{message.receives + 1}")
            self._kept[id_] = received
            self._place(id_, self.clock() + self.visibility)
            batch.append(received)
        return batch

    def delete(self, ids: Iterable[str]) -> None:
        """One that is gone already is passed over (DeleteMessage, Amazon SQS API Reference)."""
        for id_ in ids:
            self._kept.pop(id_, None)
            self._places.pop(id_, None)

    def change_visibility(self, seconds: Mapping[str, int]) -> None:
        self.changes.append(dict(seconds))
        if self.failing:
            raise self.failing.pop(0)
        for receipt, wait in seconds.items():
            message = self._kept.get(receipt.rpartition("-")[0])
            if message is None or message.receipt != receipt:
                raise RefusedError(f"ReceiptHandleIsInvalid: {receipt}")
            self._place(message.id, self.clock() + wait)

    @property
    def next_at(self) -> float | None:
        """When the next message can be received; None where there is none."""
        while self._line and self._places.get(self._line[0][1]) != self._line[0][0]:
            heappop(self._line)
        return self._line[0][0][0] if self._line else None

    def _place(self, id_: str, at: float) -> None:
        self._places[id_] = at, next(self._numbers)
        heappush(self._line, (self._places[id_], id_))
