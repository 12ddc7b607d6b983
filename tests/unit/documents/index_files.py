"""Reads the index in S3 as a query does: it lists the files first, then reads them one after the other."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from signalbox.documents.loading import Row
from signalbox.documents.models import Document, batch_id
from signalbox.documents.storage import ObjectStore

WORK = "work"


def document(key: str = "a.txt", generation: int = 1, bucket: str = "uploads") -> Document:
    return Document(bucket=bucket, key=key, generation=generation, cause="created", occurred_at=0.0)


def rows(of: Document, *texts: str, version: str = "v1") -> list[Row]:
    return [
        Row(
            document=of.id,
            generation=of.generation,
            batch=number,
            id=batch_id(of.bucket, of.key, version, number),
            bucket=of.bucket,
            key=of.key,
            version=version,
            text=text,
            media_type="text/plain",
        )
        for number, text in enumerate(texts)
    ]


class Reader:
    """One query. What it says is `said`, once it has read all that it listed.

    Args:
        merged_first: it lists merged files and others at different times, in this order.
    """

    def __init__(self, objects: ObjectStore, *, merged_first: bool = False) -> None:
        self._objects = objects
        self._to_list = [merged_first, not merged_first]
        self._unread: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self.step()

    def step(self) -> bool:
        """Lists a little more, or reads the next file. False where it is done.

        Raises:
            NotFoundError: what was listed has been deleted since: the query fails.
        """
        if self._to_list:
            merged = self._to_list.pop(0)
            listed = [found.key for found in self._objects.list(WORK, "index/documents/")]
            self._unread += [key for key in listed if ("/merged-" in key) == merged]
            return True
        if not self._unread:
            return False
        content = self._objects.get(WORK, self._unread.pop())
        self._rows += [json.loads(line) for line in gzip.decompress(content.body).splitlines()]
        return True

    def said(self) -> dict[str, tuple[int, list[str]]]:
        """Of each document that there is anything of: its generation, and its texts in order."""
        while self.step():
            pass
        return {name: found for name, found in self._newest() if found[1] is not None}  # type: ignore[misc]  # it is not

    def _newest(self) -> Iterator[tuple[str, tuple[int, list[str] | None]]]:
        by_document: dict[str, dict[int, dict[int, dict[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
        for row in self._rows:
            copies = by_document[row["document"]][row["generation"]]
            assert copies.setdefault(row["batch"], row) == row, "two rows of one batch differ"
        for name, generations in by_document.items():
            newest = max(generations)
            batches = generations[newest]
            deleted = any(row["deleted"] for row in batches.values())
            texts = None if deleted else [batches[number]["text"] for number in sorted(batches)]
            yield name, (newest, texts)


def said(objects: ObjectStore) -> dict[str, tuple[int, list[str]]]:
    """What a query says that nobody disturbs."""
    return Reader(objects).said()
