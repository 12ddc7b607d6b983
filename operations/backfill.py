"""Has the stack take in what lies in a bucket already: an event for each object, into the intake queue.

Ports only: no AWS here. The intake treats such an event as S3's own, and does once what it is told twice; so
a backfill may be repeated, interrupted, and run beside live uploads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from signalbox.clock import iso
from signalbox.errors import ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from signalbox.clock import Clock
    from signalbox.documents.routes import Routes

SOURCE = "signalbox.documents"
DETAIL_TYPE = "Object Found"
BATCH_ENTRIES = 10  # SendMessageBatch, Amazon SQS API Reference
PAUSES = (1, 2, 4, 8, 16)
"""Seconds after which an entry is sent again that SQS did not take."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose objects the events tell of."""

    bucket: str
    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Sending:
    """An event on its way."""

    id: str
    body: str


@dataclass(slots=True)
class Tally:
    """What was seen so far.

    Attributes:
        routes: how many objects each route gets.
        left_alone: those that no route has, or one with the pipeline ignore.
        older: than --since.
        sent: how many events SQS has confirmed.
        last: all keys up to here are done with: the place to go on from.
    """

    routes: Counter[str] = field(default_factory=Counter)
    size: int = 0
    left_alone: int = 0
    older: int = 0
    sent: int = 0
    last: str = ""

    @property
    def found(self) -> int:
        """How many are to be taken in."""
        return self.routes.total()

    @property
    def seen(self) -> int:
        return self.found + self.left_alone + self.older


@dataclass(frozen=True, slots=True)
class Terms:
    """Which objects are wanted: those of a route, not older than `since`, `most` at the most."""

    bucket: str
    routes: Routes
    since: float
    most: int


def event(place: Place, key: str, now: float) -> dict[str, Any]:
    """Says that an object lies there, as EventBridge would say that one was created."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": DETAIL_TYPE,
        "source": SOURCE,
        "account": place.account,
        "time": iso(now),
        "region": place.region,
        "resources": [],
        "detail": {"bucket": {"name": place.bucket}, "object": {"key": key}},
    }


def wanted(pages: Iterable[Sequence[ObjectTypeDef]], terms: Terms, tally: Tally) -> Iterator[str]:
    """The keys of the objects that are to be taken in, in order; counts all objects."""
    for page in pages:
        for each in page:
            if tally.found == terms.most:
                return
            if each["LastModified"].timestamp() < terms.since:
                tally.older += 1
            elif (options := terms.routes.match(terms.bucket, each["Key"])) is None:
                tally.left_alone += 1
            else:
                tally.routes[options.route] += 1
                tally.size += each["Size"]
                yield each["Key"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends events, no more than `rate` a second (0: as fast as may be).

    Attributes:
        send: takes ten at the most; answers the ids of those that were taken.
    """

    place: Place
    send: Callable[[Sequence[Sending]], Collection[str]]
    rate: float
    clock: Clock
    sleep: Callable[[float], None]

    def go_through(self, keys: Iterable[str], tally: Tally, report: Callable[[], None]) -> None:
        """Sends one for each key.

        Raises:
            ThrottledError: SQS did not take some of them for half a minute.
        """
        began = self.clock()
        for batch in batched(keys, BATCH_ENTRIES, strict=False):
            self._send([self._sending(key) for key in batch])
            tally.sent += len(batch)
            tally.last = batch[-1]
            report()
            if self.rate:
                self._rest(began + tally.sent / self.rate)

    def _sending(self, key: str) -> Sending:
        made = event(self.place, key, self.clock())
        return Sending(made["id"], msgspec.json.encode(made).decode())

    def _send(self, batch: Sequence[Sending]) -> None:
        left = self._left(batch)
        for seconds in PAUSES:
            if not left:
                return
            self.sleep(seconds)
            left = self._left(left)
        if left:
            raise ThrottledError(f"SQS did not take {len(left)} events in {len(PAUSES) + 1} tries")

    def _left(self, batch: Sequence[Sending]) -> list[Sending]:
        """Those that SQS did not take."""
        taken = self.send(batch)
        return [each for each in batch if each.id not in taken]

    def _rest(self, until: float) -> None:
        if (seconds := until - self.clock()) > 0:
            self.sleep(seconds)
