"""The index in S3: files of rows that Athena reads, none of which is ever written twice.

| key | what |
|---|---|
| ``index/documents/shard=<nn>/<document>-<generation>.json.gz`` | what one execution loaded of one document |
| ``index/documents/shard=<nn>/merged-<time>-<id>-<part>.json.gz`` | many documents (`documents.compaction`) |
| ``index/merges/shard=<nn>/<time>-<id>.json`` | what a merge has made superfluous |

Every line is a `Row` as JSON. A document without anything to say has one row that is ``deleted``.

The rule by which the files are read: **of each document the rows of its highest generation count**, each
batch once; if they are ``deleted``, there are none. So nobody has to be kept from writing: who comes late
writes what nobody reads. A file appears as a whole or not at all (S3's PutObject is atomic, and what it
wrote is in every listing that begins later: S3 User Guide, "Amazon S3 data consistency model"), hence so do
a document's rows.
"""

from collections.abc import Iterable, Iterator

from signalbox.documents.lines import write_lines
from signalbox.documents.loading import Row
from signalbox.documents.models import Document
from signalbox.documents.storage import ObjectStore
from signalbox.errors import ConflictError, UnavailableError

FILES = "index/documents/"
SHARDS = 64
"""Folders. Documents are spread evenly; each folder is merged by itself. Athena lists them all."""
MERGED = "merged-"
GENERATION_DIGITS = 15  # milliseconds since 1970, for the next 30,000 years
WRITE_ATTEMPTS = 3


def shard_of(document: str) -> int:
    """By a document's id, which is a hash in hexadecimal."""
    return int(document[:8], 16) % SHARDS


def shard_prefix(shard: int) -> str:
    return f"{FILES}shard={shard:02}/"


def file_key(document: str, generation: int) -> str:
    """One file for each generation of a document. Their names sort as (document, generation) does."""
    return f"{_file_prefix(document)}{generation:0{GENERATION_DIGITS}}.json.gz"


def _file_prefix(document: str) -> str:
    return f"{shard_prefix(shard_of(document))}{document}-"


class S3Index:
    """The index (`signalbox.documents.loading.Index`): one file written and one listing a document.

    Args:
        bucket: the work bucket.
    """

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self._objects = objects
        self._bucket = bucket

    def replace(self, document: Document, rows: Iterable[Row]) -> int | None:
        body, count = _packed(document, rows)
        key = file_key(document.id, document.generation)
        for _ in range(WRITE_ATTEMPTS):
            written = self._write(key, body)
            # Only a look after the write can tell: who writes later looks later, and sees this file.
            there = [found.key for found in self._objects.list(self._bucket, _file_prefix(document.id))]
            if max(there, default="") > key:
                return None
            if written or key in there:
                return count
        raise UnavailableError(f"{document.shown}: somebody else went on writing {key}, and it is not there")

    def _write(self, key: str, body: bytes) -> bool:
        """False where this very file is there, or somebody else is writing it: the same rows."""
        try:
            self._objects.put(self._bucket, key, body, if_none_match=True)
        except ConflictError:
            return False
        return True


def _packed(document: Document, rows: Iterable[Row]) -> tuple[bytes, int]:
    """The file, compressed as rows come, and how many there are."""
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row
        if count == 0:
            yield _nothing(document)

    return write_lines(counted()), count


def _nothing(document: Document) -> Row:
    return Row(
        document=document.id,
        generation=document.generation,
        deleted=True,
        bucket=document.bucket,
        key=document.key,
    )
