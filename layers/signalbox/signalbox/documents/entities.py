"""Who and what is named in a document's text: what is asked about, in how few calls, and what is kept.

A document costs one call for its language and one for every `PIECES_A_CALL` pieces of its text, never more:
pieces that come back with an error are asked about again only where the last call has room.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched, islice
from typing import Protocol

import msgspec

from signalbox.documents.analysis import note_of
from signalbox.documents.batching import split_by_bytes
from signalbox.documents.lines import read_lines, write_lines
from signalbox.documents.models import Batch, Document, Entities, Entity, Task, Text
from signalbox.documents.storage import ObjectStore
from signalbox.errors import InvariantError, RefusedError, UnavailableError
from signalbox.spreading import Spread, in_order

PIECE_BYTES = 5_000
"""Of UTF-8, a text of BatchDetectEntities ("Guidelines and quotas", Amazon Comprehend Developer Guide)."""
PIECES_A_CALL = 25
"""BatchDetectEntities, Amazon Comprehend API Reference."""
MAXIMUM_PIECES = 2_500
"""What 100 calls take: 12 MB of text, some thousands of pages. Later text is not asked about, and noted."""
CALLS_AT_ONCE = 4
"""BatchDetectEntities has 10 calls a second by default, for all documents at once."""
SAMPLES = 5
SAMPLE_BYTES = 200
"""From each of so many places of a text, to tell its language by. Comprehend takes 100 KB, but bills each 100
characters, and needs no more to be certain."""
MINIMUM_SCORE = 0.5
MAXIMUM_ENTITIES = 20_000
"""Of one document; the most certain are kept."""
UNDETERMINED = "und"
"""A language that nobody could tell (RFC 5646)."""


class Mention(msgspec.Struct, frozen=True):
    """An entity as a detector found it."""

    text: str
    type: str
    score: float


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """What one call came to.

    Attributes:
        mentions: by the position of the text among those asked about.
        failed: the positions of those that came back with an error.
    """

    mentions: Mapping[int, Sequence[Mention]] = {}
    failed: Sequence[int] = ()


class EntityDetector(Protocol):
    """Finds entities in texts.

    Every method raises:
        ThrottledError, UnavailableError: worth trying again.
        RefusedError: refused for good.
    """

    @property
    def languages(self) -> frozenset[str]:
        """The codes of the languages whose texts it takes."""
        ...

    def language(self, sample: str) -> str:
        """The code of the language that most of it is in, "" where that can't be told. At most 100 KB."""
        ...

    def detect(self, texts: Sequence[str], language: str) -> Detected:
        """At most `PIECES_A_CALL` texts of at most `PIECE_BYTES` each, none of them blank, in one call."""
        ...


class Piece(msgspec.Struct, frozen=True):
    """A part of a batch that fits into one text of a call."""

    batch: int
    text: str


def pieces_of(batches: Iterable[Batch]) -> Iterator[Piece]:
    """Each batch in parts of at most `PIECE_BYTES`. What is blank has nothing to find, and is left out."""
    for batch in batches:
        for text in split_by_bytes(batch.text, PIECE_BYTES):
            if not text.isspace():
                yield Piece(batch.batch, text)


def sample_of(pieces: Sequence[Piece]) -> str:
    """Some of the text from places all over it: a title page may be in another language than the rest."""
    chosen = pieces[:: max(1, len(pieces) // SAMPLES)][:SAMPLES]
    return "\n".join(next(iter(split_by_bytes(piece.text, SAMPLE_BYTES))) for piece in chosen)


def most_certain(found: Iterable[tuple[int, Mention]]) -> list[Entity]:
    """Each entity once a batch, by its highest score; `MAXIMUM_ENTITIES` at most; by batch, type and text."""
    best: dict[tuple[int, str, str], float] = {}
    for batch, mention in found:
        name = " ".join(mention.text.split())
        if name and mention.score >= MINIMUM_SCORE:
            which = (batch, mention.type, name)
            best[which] = max(mention.score, best.get(which, 0.0))
    kept = sorted(best.items(), key=lambda each: (-each[1], each[0]))[:MAXIMUM_ENTITIES]
    return [
        Entity(batch=batch, text=name, type=kind, score=score) for (batch, kind, name), score in sorted(kept)
    ]


def entities_key(document: Document) -> str:
    """Where a document's entities are in the work bucket."""
    return f"entities/{document.id}/{document.generation}.jsonl.gz"


class DetectEntities:
    """Has a detector look through the text of one document, and keeps what it found in the work bucket."""

    def __init__(
        self, objects: ObjectStore, bucket: str, detector: EntityDetector, spread: Spread = in_order
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._detector = detector
        self._spread = spread

    def detect(self, task: Task) -> Entities:
        """What it came to.

        Raises:
            InvariantError: the task has no text.
            TransientError: worth trying again; what was found is found anew.
        """
        if task.text is None:
            raise InvariantError(
                f"{task.document.shown}: entities are looked for in a text, and there is none"
            )
        pieces = self._pieces(task.text)
        asking = _Asking(self._detector, self._spread)
        try:
            found = asking.look_through(pieces[:MAXIMUM_PIECES])
        except RefusedError as error:
            return Entities(calls=asking.calls, note=note_of(error))
        entities = most_certain(found.mentions)
        return Entities(
            key=self._keep(task.document, entities) if entities else "",
            language=found.language,
            found=len(entities),
            calls=asking.calls,
            note=found.note or _incomplete(found.missing, cut=len(pieces) > MAXIMUM_PIECES),
        )

    def _pieces(self, text: Text) -> list[Piece]:
        """One more than will be asked about, where there are more."""
        packed = self._objects.get(self._bucket, text.key).body
        return list(islice(pieces_of(read_lines(packed, Batch)), MAXIMUM_PIECES + 1))

    def _keep(self, document: Document, entities: list[Entity]) -> str:
        key = entities_key(document)
        self._objects.put(self._bucket, key, write_lines(entities), content_type="application/gzip")
        return key


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What looking through a whole text came to; ``missing`` pieces failed."""

    language: str = ""
    mentions: Sequence[tuple[int, Mention]] = ()
    missing: int = 0
    note: str = ""


class _Asking:
    """What is asked of a detector for one document, and how often."""

    def __init__(self, detector: EntityDetector, spread: Spread) -> None:
        self._detector = detector
        self._spread = spread
        self._asked: list[int] = []  # several threads may append at once

    @property
    def calls(self) -> int:
        return len(self._asked)

    def look_through(self, pieces: Sequence[Piece]) -> _Found:
        if not pieces:
            return _Found()
        self._asked.append(1)
        language = self._detector.language(sample_of(pieces)) or UNDETERMINED
        if language not in self._detector.languages:
            return _Found(language=language, note=f"language-not-supported:{language}")
        *full, last = batched(pieces, PIECES_A_CALL, strict=False)
        answers = list(self._spread(lambda texts: self._ask(texts, language), full))
        failed = [piece for _, pieces_failed in answers for piece in pieces_failed]
        room = PIECES_A_CALL - len(last)
        answers.append(self._ask((*last, *failed[:room]), language))
        missing = len(failed[room:]) + len(answers[-1][1])
        if missing == len(pieces):
            raise UnavailableError(f"every one of {missing} parts of the text came back with an error")
        mentions = [mention for found, _ in answers for mention in found]
        return _Found(language=language, mentions=mentions, missing=missing)

    def _ask(self, pieces: Sequence[Piece], language: str) -> tuple[list[tuple[int, Mention]], list[Piece]]:
        """What is named in them, by batch; and those that failed."""
        self._asked.append(len(pieces))
        answer = self._detector.detect([piece.text for piece in pieces], language)
        mentions = [
            (pieces[position].batch, mention)
            for position, found in answer.mentions.items()
            for mention in found
        ]
        return mentions, [pieces[position] for position in answer.failed]


def _incomplete(missing: int, *, cut: bool) -> str:
    if cut:
        return (
            f"incomplete: only the first {MAXIMUM_PIECES * PIECE_BYTES // 10**6} MB of the text were analysed"
        )
    return f"incomplete: {missing} parts of the text came back with an error" if missing else ""
