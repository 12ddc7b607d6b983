"""Has the index say what was found out of a document: a row for each batch of its text, or nothing.

What an index owes: it never says anything of a lower generation of a document once it has said something of
a higher one, and it says a document's rows all together or not at all.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.documents.lines import read_lines
from signalbox.documents.models import (
    Batch,
    Document,
    Entities,
    Entity,
    Label,
    Loaded,
    Outcome,
    Task,
    batch_id,
)
from signalbox.documents.storage import ObjectStore
from signalbox.errors import InvariantError

LEFT_ALONE = frozenset({Outcome.INDEXED, Outcome.SUPERSEDED})
"""Verdicts with which the index stays as it is: it says so already, or somebody later has it."""


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """An entity of one batch. ``type`` is Comprehend's."""

    text: str
    type: str
    score: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the index keeps of one batch of a document. An image has one row, with its labels and no text.

    Attributes:
        document: `signalbox.documents.models.document_id`.
        deleted: there is nothing of the document. Such a row stands alone; only the index in S3 writes it.
        id: `signalbox.documents.models.batch_id`.
        version: of the object: its version id, or its ETag.
        page: where the batch begins, from 1; 0 where the format has no pages.
        language: the text's, as in ``en``; "" where nobody asked.
        entity_names: what is named in it, as `names_of` has it; ``label_names`` likewise what is seen in it.
        modified_at: the object, in seconds since 1970; ``indexed_at``: the row.
        route: by which route's options.
    """

    document: str
    generation: int
    deleted: bool = False
    batch: int = 0
    id: str = ""
    bucket: str
    key: str
    version: str = ""
    page: int = 0
    text: str = ""
    language: str = ""
    media_type: str = ""
    entities: tuple[Mention, ...] = ()
    entity_names: str = ""
    labels: tuple[Label, ...] = ()
    label_names: str = ""
    size: int = 0
    modified_at: float = 0.0
    indexed_at: float = 0.0
    route: str = ""


class Index(Protocol):
    """Where documents can be searched."""

    def replace(self, document: Document, rows: Iterable[Row]) -> int | None:
        """Has the index say these rows of the document, and nothing else; no rows: nothing at all.

        Rows are taken one at a time. The same again, of the same generation, changes nothing.

        Returns:
            how many; None where the index has something of a higher generation, and goes on saying that.

        Raises:
            TransientError: worth trying again: nothing was promised, though some of it may be done.
            RefusedError: the index refused for good.
        """
        ...


class LoadDocument:
    """The use case.

    Args:
        objects: where ``bucket`` is, the work bucket.
        clock: for when a row was indexed.
    """

    def __init__(self, objects: ObjectStore, bucket: str, index: Index, clock: Clock) -> None:
        self._objects = objects
        self._bucket = bucket
        self._index = index
        self._clock = clock

    def load(self, task: Task) -> Loaded:
        """Replaces what the index says. A verdict that is none of `LEFT_ALONE` empties it.

        Raises:
            InvariantError: the workflow found out nothing about the object.
        """
        verdict = task.verdict
        if verdict is not None and verdict.outcome in LEFT_ALONE:
            return Loaded(outcome=verdict.outcome)
        rows = self._index.replace(task.document, () if verdict is not None else self._rows(task))
        if rows is None:
            return Loaded(outcome=Outcome.SUPERSEDED)
        return Loaded(outcome=Outcome.INDEXED if verdict is None else verdict.outcome, rows=rows)

    def _rows(self, task: Task) -> Iterator[Row]:
        if task.text is not None:
            return self._text_rows(task, task.text.key, task.text.media_type)
        if task.labels is not None:
            return iter([_image_row(task, task.labels.labels, self._clock())])
        raise InvariantError(f"{task.document.shown}: neither text, nor labels, nor a verdict")

    def _text_rows(self, task: Task, key: str, media_type: str) -> Iterator[Row]:
        """One at a time: only the entities, and the text as it is compressed, are held as a whole."""
        found = task.entities or Entities()
        mentions = self._mentions(found.key)
        now = self._clock()
        for batch in read_lines(self._objects.get(self._bucket, key).body, Batch):
            entities = tuple(mentions.get(batch.batch, ()))
            yield msgspec.structs.replace(
                _row(task, batch.batch, now),
                page=batch.page,
                text=batch.text,
                language=found.language,
                media_type=media_type,
                entities=entities,
                entity_names=names_of(each.text for each in entities),
            )

    def _mentions(self, key: str) -> dict[int, list[Mention]]:
        mentions: dict[int, list[Mention]] = defaultdict(list)
        for found in read_lines(self._objects.get(self._bucket, key).body, Entity) if key else ():
            mentions[found.batch].append(Mention(text=found.text, type=found.type, score=found.score))
        return mentions


def names_of(names: Iterable[str]) -> str:
    """Distinct names in lower case, a line each, with a line break also before the first: a whole name is
    found as ``\\nname\\n``. Any engine can do that."""
    distinct = sorted({" ".join(name.lower().split()) for name in names} - {""})
    return "".join(f"\n{name}" for name in distinct) + "\n" if distinct else ""


def _image_row(task: Task, labels: tuple[Label, ...], now: float) -> Row:
    return msgspec.structs.replace(
        _row(task, 0, now),
        media_type=task.found.media_type,
        labels=labels,
        label_names=names_of(label.name for label in labels),
    )


def _row(task: Task, batch: int, now: float) -> Row:
    document, found = task.document, task.found
    return Row(
        document=document.id,
        generation=document.generation,
        batch=batch,
        id=batch_id(document.bucket, document.key, found.version, batch),
        bucket=document.bucket,
        key=document.key,
        version=found.version,
        size=found.size,
        modified_at=found.modified_at,
        indexed_at=now,
        route=task.options.route,
    )
