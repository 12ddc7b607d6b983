"""The index in OpenSearch: a document of OpenSearch for each batch, and a pointer to those that count.

| index | id | what |
|---|---|---|
| ``documents`` | `models.batch_id`: of bucket, key, version and batch | a `Row` |
| ``documents-pointers`` | `models.document_id` | which version counts, and how many batches it has |

Every write says its generation as an external version, so that OpenSearch itself refuses what is older than
what it has ("external_gte": Index document, OpenSearch documentation). A load

1. looks at the pointer, and ends where that is of a higher generation;
2. writes its batches: nobody sees them yet. One that is refused is there already: the same batch of the same
   version, by somebody later;
3. writes the pointer. Where that is refused, somebody later has the document: it takes its batches out again;
4. takes out the batches that the pointer named before. If it dies here, the next load of the document does.

The rule by which it is read: **a batch counts if it is of the version that its document's pointer names**,
and within its count. So a document's batches begin to count together, and what a load leaves that dies after
its second step is never said; the next load of the document takes it out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Protocol

import msgspec

from signalbox.documents.loading import Row
from signalbox.documents.models import Document, batch_id
from signalbox.documents.searching import Found, Match, Query, snippet
from signalbox.errors import RefusedError, SignalboxError, ThrottledError, UnavailableError

ROWS = "documents"
POINTERS = "documents-pointers"
BULK_BYTES = 4 * 2**20
"""The smallest instances take 10 MiB a request ("Network limits", Amazon OpenSearch Service)."""
DELETED_AT_ONCE = 500
STRAYS_AT_ONCE = 1_000
PAGES = 5
"""How often a search asks for more, where what it found does not count."""

_TEXT = {"type": "text"}
_WORD = {"type": "keyword"}
_NUMBER = {"type": "long"}
_UNSEARCHED = {"type": "object", "enabled": False}
MAPPINGS: Mapping[str, Mapping[str, Any]] = {
    ROWS: {
        "document": _WORD,
        "generation": _NUMBER,
        "batch": {"type": "integer"},
        "bucket": _WORD,
        "key": _WORD,
        "version": _WORD,
        "page": {"type": "integer"},
        "text": _TEXT,
        "language": _WORD,
        "media_type": _WORD,
        "entities": _UNSEARCHED,
        "entity_names": {"type": "keyword", "ignore_above": 1_000},
        "labels": _UNSEARCHED,
        "label_names": {"type": "keyword", "fields": {"words": _TEXT}},
        "size": _NUMBER,
        "modified_at": {"type": "double"},
        "indexed_at": {"type": "double"},
        "route": _WORD,
    },
    POINTERS: {"generation": _NUMBER, "version": _WORD, "rows": {"type": "integer"}, "before": _UNSEARCHED},
}
"""The fields of each index: what is not listed is kept, and not searched."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One write. ``source`` is None of a delete."""

    index: str
    id: str
    generation: int
    source: bytes | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: an HTTP status, and the error."""

    status: int
    kind: str = ""
    reason: str = ""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A row that a search found; ``source`` has the fields that were asked for."""

    id: str
    score: float
    source: Mapping[str, Any]


class Cluster(Protocol):
    """OpenSearch. Every method raises SignalboxError where it does not answer as it should."""

    def create(self, index: str, fields: Mapping[str, Any]) -> None:
        """The index, unless it is there."""
        ...

    def bulk(self, actions: Sequence[Action], *, found: bool = False) -> list[Item]:
        """Writes, in this order; answers for each.

        Args:
            found: answer once a search finds what was written. A serverless collection can't be asked to:
                there it takes some seconds more.
        """
        ...

    def get(self, index: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Those that there are, as they are at this moment."""
        ...

    def search(self, index: str, body: Mapping[str, Any]) -> list[Hit]: ...


class Part(msgspec.Struct, frozen=True):
    """The batches of one version."""

    version: str
    rows: int


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which batches of a document count.

    Attributes:
        version: "" where there is nothing of it.
        before: what counted before, and may still be there.
    """

    generation: int
    version: str = ""
    rows: int = 0
    before: Part | None = None

    def counts(self, source: Mapping[str, Any]) -> bool:
        """Whether a row does."""
        return bool(source["version"] == self.version and source["batch"] < self.rows)


class OpenSearchIndex:
    """The index (`signalbox.documents.loading.Index`), and the search in it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._is_made = False

    def replace(self, document: Document, rows: Iterable[Row]) -> int | None:
        self._make()
        generation = document.generation
        before = self._pointers([document.id]).get(document.id)
        if before is not None:
            if before.generation > generation:
                return None
            self._take_out_replaced(document, before)
            if before.generation == generation:
                return before.rows
        version, ids = self._write(rows)
        replaced = Part(before.version, before.rows) if before else None
        pointer = Pointer(generation=generation, version=version, rows=len(ids), before=replaced)
        if self._point(document.id, pointer):
            self._take_out_replaced(document, pointer)
            self._take_out_strays(document, pointer)
            return len(ids)
        if self._pointers([document.id])[document.id].version != version:
            self._delete(ids, generation)
        return None

    def find(self, query: Query) -> Found:
        """As `signalbox.documents.searching.Search`; here words are what OpenSearch's analyser makes of a
        text, and the score is its own."""
        matches: list[Match] = []
        size = max(query.limit, 50)
        for page in range(PAGES):
            hits = self._cluster.search(ROWS, {**body_of(query), "size": size, "from": page * size})
            matches += [_match(hit, query) for hit in self._counting(hits)]
            if len(matches) >= query.limit or len(hits) < size:
                break
        return Found(matches=tuple(matches[: query.limit]))

    def _make(self) -> None:
        if not self._is_made:
            for index, fields in MAPPINGS.items():
                self._cluster.create(index, fields)
            self._is_made = True

    def _pointers(self, documents: Sequence[str]) -> dict[str, Pointer]:
        found = self._cluster.get(POINTERS, documents) if documents else {}
        return {id_: msgspec.convert(source, Pointer) for id_, source in found.items()}

    def _point(self, document: str, pointer: Pointer) -> bool:
        """False where somebody later has done so."""
        source = msgspec.json.encode(pointer)
        action = Action(index=POINTERS, id=document, generation=pointer.generation, source=source)
        return not self._conflicts([action], self._cluster.bulk([action]))

    def _write(self, rows: Iterable[Row]) -> tuple[str, list[str]]:
        """Their version, and their ids."""
        version, ids = "", []
        waiting: list[Action] = []
        size = 0
        for row in rows:
            source = msgspec.json.encode(_fields(row))
            if waiting and size + len(source) > BULK_BYTES:
                self._conflicts(waiting, self._cluster.bulk(waiting, found=True))
                waiting, size = [], 0
            waiting.append(Action(index=ROWS, id=row.id, generation=row.generation, source=source))
            version, size = row.version, size + len(source)
            ids.append(row.id)
        if waiting:
            self._conflicts(waiting, self._cluster.bulk(waiting, found=True))
        return version, ids

    def _take_out_replaced(self, document: Document, pointer: Pointer) -> None:
        """What counted before the pointer did."""
        if pointer.before is not None:
            gone = _batches(document, pointer.before) - _batches(document, pointer)
            self._delete(sorted(gone), pointer.generation)

    def _take_out_strays(self, document: Document, pointer: Pointer) -> None:
        """What older loads left that died, as far as a search finds it."""
        older = {"range": {"generation": {"lt": pointer.generation}}}
        query = {"bool": {"filter": [{"term": {"document": document.id}}, older]}}
        hits = self._cluster.search(ROWS, {"query": query, "size": STRAYS_AT_ONCE, "_source": False})
        self._delete(sorted({hit.id for hit in hits} - _batches(document, pointer)), pointer.generation)

    def _delete(self, ids: Iterable[str], generation: int) -> None:
        """Those that there are, and that nobody later has written."""
        for some in batched(ids, DELETED_AT_ONCE, strict=False):
            actions = [Action(index=ROWS, id=id_, generation=generation) for id_ in some]
            self._conflicts(actions, self._cluster.bulk(actions))

    def _conflicts(self, actions: Sequence[Action], items: Sequence[Item]) -> int:
        """How many were refused, since somebody later was there.

        Raises:
            SignalboxError: any other was not done.
        """
        for action, item in zip(actions, items, strict=True):
            absent = item.status == 404 and action.source is None
            if item.status >= 300 and item.status != 409 and not absent:
                raise error_of(item.status, f"{action.index}/{action.id}: {item.kind}: {item.reason}")
        return sum(item.status == 409 for item in items)

    def _counting(self, hits: Sequence[Hit]) -> Iterator[Hit]:
        pointers = self._pointers(sorted({hit.source["document"] for hit in hits}))
        for hit in hits:
            pointer = pointers.get(hit.source["document"])
            if pointer is not None and pointer.counts(hit.source):
                yield hit


def _batches(document: Document, part: Part | Pointer) -> set[str]:
    """The ids of a version's batches."""
    return {batch_id(document.bucket, document.key, part.version, number) for number in range(part.rows)}


def error_of(status: int, what: str) -> SignalboxError:
    """The kind of an HTTP status that is an error."""
    if status == 429:
        return ThrottledError(f"OpenSearch: {what}")
    if status >= 500:
        return UnavailableError(f"OpenSearch: {status}: {what}")
    return RefusedError(f"OpenSearch: {status}: {what}")


def body_of(query: Query) -> dict[str, Any]:
    """A search's body, without how many."""
    words = {"query": " ".join(query.words), "fields": ["text", "label_names.words"], "operator": "and"}
    terms = {
        "bucket": query.bucket,
        "entity_names": _one(query.entity),
        "label_names": _one(query.label),
        "media_type": query.media_type,
    }
    filters: list[dict[str, Any]] = [{"term": {name: value}} for name, value in terms.items() if value]
    if query.prefix:
        filters.append({"prefix": {"key": query.prefix}})
    must: list[dict[str, Any]] = [{"multi_match": words}] if query.words else []
    return {
        "query": {"bool": {"must": must, "filter": filters}},
        "sort": ["_score", "bucket", "key", "batch"],
        "_source": {"excludes": ["entities", "labels"]},
    }


def _one(name: str) -> str:
    return " ".join(name.lower().split())


def _fields(row: Row) -> dict[str, Any]:
    """Names as lists: OpenSearch finds each."""
    fields: dict[str, Any] = msgspec.to_builtins(row)
    del fields["deleted"], fields["id"]
    for name in ("entity_names", "label_names"):
        fields[name] = [each for each in fields[name].split("\n") if each]
    return fields


def _match(hit: Hit, query: Query) -> Match:
    source = hit.source
    return Match(
        bucket=source["bucket"],
        key=source["key"],
        version=source["version"],
        batch=source["batch"],
        page=source["page"],
        media_type=source["media_type"],
        score=hit.score,
        snippet=snippet(source["text"], query.words),
        labels=tuple(source["label_names"]),
    )
