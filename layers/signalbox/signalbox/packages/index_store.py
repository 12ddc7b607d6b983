"""The index of dependents in the ledger: a record a shard, all of them read in one call."""

import base64
from collections.abc import Mapping

from signalbox.errors import InvariantError, RejectedError, SignalboxError
from signalbox.ledger.changing import change_record
from signalbox.ledger.records import Record, RecordStore
from signalbox.packages.dependents import SHARDS, Entry, Index, Shard, shard_of
from signalbox.packages.entries import index_key


class IndexFullError(SignalboxError):
    """A shard is too large for one item: what was seen of its packages is not in the index."""

    code = "index-full"


class IndexStore:
    """The index of one CodeArtifact domain.

    Args:
        ledger: made with `signalbox.packages.entries.RETENTION_SECONDS`.
    """

    def __init__(self, ledger: RecordStore, domain: str) -> None:
        self._ledger = ledger
        self._domain = domain

    def read(self) -> Index:
        """All packages. One call of the ledger, whatever their number.

        Raises:
            InvariantError: a shard is of another form. A rebuild mends it.
            SignalboxError: the ledger did not answer, or refused.
        """
        records = self._ledger.records([index_key(self._domain, number) for number in range(SHARDS)])
        return Index.of(_shard(record) for record in records.values())

    def merge(self, package: str, seen: Entry) -> bool:
        """Says what was seen of a package; whether that was news (`signalbox.packages.dependents.merge`).

        Raises:
            IndexFullError: its shard is too large.
            SignalboxError: as of `read`, or others were first at every attempt.
        """
        number = shard_of(package)
        news = False

        def merged(known: Record | None) -> Record | None:
            nonlocal news
            shard = (_shard(known) if known else Shard()).merged(package, seen)
            news = shard is not None
            return self._record(number, shard) if shard else None

        change_record(self._ledger, index_key(self._domain, number), merged)
        return news

    def rebuild(self, number: int, seen: Mapping[str, Entry], began_at: float) -> None:
        """Has a shard be what a look at all packages saw of it (`Shard.rebuilt`), and lengthens its life.

        A shard that can't be read is made anew, of what was seen.

        Args:
            seen: the packages of this shard, and of no other.
            began_at: when the look began, in seconds since 1970.

        Raises:
            IndexFullError, SignalboxError: as of `merge`.
        """

        def rebuilt(known: Record | None) -> Record:
            return self._record(number, _readable(known).rebuilt(seen, began_at))

        change_record(self._ledger, index_key(self._domain, number), rebuilt)

    def _record(self, number: int, shard: Shard) -> Record:
        key = index_key(self._domain, number)
        try:
            packed = shard.pack()
        except RejectedError as error:
            raise IndexFullError(f"{error.code}: {key}: {error.what}") from error
        return Record(key, {"packed": base64.b64encode(packed).decode()})


def _shard(record: Record) -> Shard:
    return Shard.unpack(base64.b64decode(record.body["packed"]))


def _readable(record: Record | None) -> Shard:
    try:
        return _shard(record) if record else Shard()
    except InvariantError:
        return Shard()
