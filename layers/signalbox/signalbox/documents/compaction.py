"""Merges the index's files, so that a query opens few of them, and drops what nobody reads any more.

A shard (`signalbox.documents.s3_index`) is merged as a whole: of each document the rows of its highest
generation go from all files that there are into new ones. Then a record lists the old files; they are
deleted `READING_SECONDS` later.

Why a query, whatever is merged, loaded, deleted or crashes meanwhile, says of each document what was loaded
of it last when the query began, or later, and says it once:

1. No file is written twice or changed, and no name is used again.
2. A file is deleted only if files written before its record have, of each document in it, rows of that
   generation or a higher one (*cover* it). Covering goes on through merges: what covers was written later
   than what is covered, so there is no circle, and the last in the chain is there.
3. A file outlives its cover's beginning by more than the longest query. So a query that lists the shard, in
   whatever order and however slowly, is told of the file, or of what covers it, or of both.
4. Rows that are there twice are the same rows: the query takes each batch of the highest generation once.
5. That there is nothing of a document is a row, too, and covers what was there before. It is dropped when no
   file of the shard has anything else of the document. The file that says so still stays `READING_SECONDS`:
   by then whoever loads something older (300 s) or merges something older (900 s) has ended.

A query that has listed a file just before it is deleted, and reads it after that, fails: S3 has no such
object. It has to be asked again. Two merges of a shard at once are harmless: both cover the same files. A
crash leaves files that the next merge takes up.
"""

import gzip
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import batched, groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from signalbox.clock import Clock
from signalbox.documents.s3_index import MERGED, SHARDS, shard_prefix
from signalbox.documents.storage import Listed, ObjectStore
from signalbox.errors import NotFoundError

RECORDS = "index/merges/"
READING_SECONDS = 45 * 60.0
"""Longer than a query takes: 30 minutes ("Service Quotas", Athena User Guide)."""
MERGED_AFTER_SECONDS = 6 * 3_600.0
"""However few there are: until then the text of what was deleted still lies in a file."""
FEW = 64
"""So many files of one document each are left alone until they are old."""
PART_BYTES = 64 * 2**20
"""A compressed file is read by one of Athena's workers: rather several than one large one."""
MAXIMUM_SHARD_BYTES = 2**30
SHARD_SECONDS = 300.0
"""What it takes at most to merge so many, compressed, with one core."""
READ_AT_ONCE = 16

_JSON = msgspec.json.Encoder()


class _Head(msgspec.Struct, frozen=True):
    """What a merge looks at in a row."""

    document: str
    generation: int
    deleted: bool


_HEAD = msgspec.json.Decoder(_Head)


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """The record: what was merged, and into what."""

    superfluous: tuple[str, ...]
    written: tuple[str, ...]


_MERGE = msgspec.json.Decoder(Merge)


class Compaction(msgspec.Struct, kw_only=True):
    """What a run came to.

    Attributes:
        merged: files that were.
        written: files that hold them now.
        deleted: files that earlier runs had merged.
        too_large: shards that were left alone: OpenSearch suits that many documents better.
        left: shards that were not looked at, since the time was up.
    """

    merged: int = 0
    written: int = 0
    deleted: int = 0
    too_large: tuple[int, ...] = ()
    left: int = 0


class _Group(msgspec.Struct, frozen=True):
    """The rows of one document and generation, from one file; ``lines`` as they are."""

    document: str
    generation: int
    deleted: bool
    lines: tuple[bytes, ...]

    @property
    def order(self) -> tuple[str, int]:
        return self.document, self.generation


class CompactIndex:
    """The use case.

    Args:
        bucket: the work bucket.
        new_id: makes a name that nobody else makes.
    """

    def __init__(
        self, objects: ObjectStore, bucket: str, clock: Clock, new_id: Callable[[], str], *, few: int = FEW
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._clock = clock
        self._new_id = new_id
        self._few = few

    def compact(self, has_time: Callable[[], bool]) -> Compaction:
        """One run over all shards, while there is time for another. Each hour's run begins with another.

        Raises:
            TransientError: the next run goes on.
        """
        run = Compaction()
        first = int(self._clock() // 3_600) * 37  # has no factor in common with their number
        for number in range(SHARDS):
            if not has_time():
                run.left = SHARDS - number
                break
            self.compact_shard((first + number) % SHARDS, run)
        return run

    def compact_shard(self, shard: int, run: Compaction) -> None:
        """Deletes what an earlier merge made superfluous; merges, unless such a thing is still being read."""
        if self._delete_superfluous(shard, run):
            return
        files = list(self._objects.list(self._bucket, shard_prefix(shard)))
        if not self._worthwhile(files):
            return
        if sum(found.size for found in files) > MAXIMUM_SHARD_BYTES:
            run.too_large += (shard,)
            return
        self._merge(shard, files, run)

    def _delete_superfluous(self, shard: int, run: Compaction) -> bool:
        """True where there are files that somebody may still be reading."""
        waiting = False
        for record in list(self._objects.list(self._bucket, _records(shard))):
            if record.modified_at + READING_SECONDS > self._clock():
                waiting = True
                continue
            merge = self._record(record.key)
            self._objects.delete(self._bucket, *merge.superfluous)
            self._objects.delete(self._bucket, record.key)
            run.deleted += len(merge.superfluous)
        return waiting

    def _record(self, key: str) -> Merge:
        try:
            return _MERGE.decode(self._objects.get(self._bucket, key).body)
        except NotFoundError:
            return Merge(superfluous=(), written=())  # another run was at it, and is done

    def _worthwhile(self, files: Sequence[Listed]) -> bool:
        single = [found for found in files if not _is_merged(found.key)]
        oldest = min((found.modified_at for found in single), default=self._clock())
        return len(single) > self._few or self._clock() - oldest > MERGED_AFTER_SECONDS

    def _merge(self, shard: int, files: Sequence[Listed], run: Compaction) -> None:
        name = f"{int(self._clock() * 1000):015}-{self._new_id()}"
        merged = [found.key for found in files if _is_merged(found.key)]
        single = [found.key for found in files if not _is_merged(found.key)]
        with TemporaryDirectory() as folder, ThreadPoolExecutor(READ_AT_ONCE) as pool:
            sources = [_groups(self._rows_of(key, Path(folder) / str(n))) for n, key in enumerate(merged)]
            sources.append(self._single(single, pool))
            groups = _newest(heapq.merge(*sources, key=attrgetter("order")))
            written = tuple(self._write(shard, name, groups, Path(folder)))
        record = Merge(superfluous=tuple(found.key for found in files), written=written)
        self._objects.put(self._bucket, f"{_records(shard)}{name}.json", _JSON.encode(record))
        run.merged += len(files)
        run.written += len(written)

    def _rows_of(self, key: str, path: Path) -> Iterator[bytes]:
        self._objects.download(self._bucket, key, path)
        with gzip.open(path) as lines:
            yield from lines

    def _single(self, keys: Sequence[str], pool: ThreadPoolExecutor) -> Iterator[_Group]:
        """In the order of their names, a few read ahead."""
        for some in batched(keys, READ_AT_ONCE, strict=False):
            for body in pool.map(lambda key: self._objects.get(self._bucket, key).body, some):
                with gzip.open(BytesIO(body)) as lines:
                    yield from _groups(lines)

    def _write(self, shard: int, name: str, groups: Iterator[_Group], folder: Path) -> Iterator[str]:
        """In parts of about `PART_BYTES`; a document is never divided."""
        for part in range(10_000):
            if (group := next(groups, None)) is None:
                return
            path = folder / "part"
            with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as lines:
                lines.writelines(group.lines)
                while file.tell() < PART_BYTES and (group := next(groups, None)) is not None:
                    lines.writelines(group.lines)
            key = f"{shard_prefix(shard)}{MERGED}{name}-{part:04}.json.gz"
            self._objects.put(self._bucket, key, path)
            yield key


def _records(shard: int) -> str:
    return f"{RECORDS}shard={shard:02}/"


def _is_merged(key: str) -> bool:
    return key.rpartition("/")[2].startswith(MERGED)


def _groups(lines: Iterable[bytes]) -> Iterator[_Group]:
    """A file's rows, those of one document and generation together; they lie so."""
    rows = ((_HEAD.decode(line), line) for line in lines)
    for head, group in groupby(rows, key=lambda row: row[0]):
        yield _Group(head.document, head.generation, head.deleted, tuple(line for _, line in group))


def _newest(groups: Iterable[_Group]) -> Iterator[_Group]:
    """Of each document the group of its highest generation, unless that says that there is nothing, alone."""
    for _, several in groupby(groups, key=attrgetter("document")):
        newest, alone = _last(several)
        if not (newest.deleted and alone):
            yield newest


def _last(groups: Iterator[_Group]) -> tuple[_Group, bool]:
    """The last of them, and whether all are of its generation. Holds one at a time."""
    newest = next(groups)
    lowest = newest.generation
    for group in groups:
        newest = group
    return newest, newest.generation == lowest
