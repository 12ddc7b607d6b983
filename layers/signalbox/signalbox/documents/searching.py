"""Searching: what is asked, what is answered, and how Athena is asked in SQL.

A row is a batch of text, or an image with its labels. It is found by words that it holds, all of them, in
lower case and anywhere: ``invoice`` finds ``invoices`` too, and any script can be searched without a word
boundary. The score is how often.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol
from unicodedata import category

import msgspec

SNIPPET_CHARACTERS = 240
MOST_WORDS = 16
MOST_MATCHES = 1_000
COLUMNS = ("bucket", "key", "version", "batch", "page", "media_type", "score", "text", "label_names")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. A filter "" lets everything through.

    Attributes:
        words: in lower case; none where filters are enough.
        prefix: of keys.
        entity: what is named, as a whole: ``ada lovelace``. ``label`` likewise what an image shows.
        media_type: as in ``application/pdf``.
    """

    words: tuple[str, ...] = ()
    bucket: str = ""
    prefix: str = ""
    entity: str = ""
    label: str = ""
    media_type: str = ""
    limit: int = 20


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was found.

    Attributes:
        page: 0 where the format has no pages.
        score: greater is better, among the matches of one search.
        snippet: the text around the first word.
        labels: of an image.
    """

    bucket: str
    key: str
    version: str
    batch: int
    page: int
    media_type: str
    score: float
    snippet: str
    labels: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The matches, best first; ``scanned_bytes`` is what Athena bills."""

    matches: tuple[Match, ...]
    scanned_bytes: int = 0


class Search(Protocol):
    """An index that can be asked."""

    def find(self, query: Query) -> Found:
        """Raises SignalboxError where the index does not answer."""
        ...


def words_of(text: str) -> tuple[str, ...]:
    """The distinct words of what somebody typed, without punctuation around them; at most `MOST_WORDS`."""
    words = (_bare(part).lower() for part in text.split())
    return tuple(dict.fromkeys(filter(None, words)))[:MOST_WORDS]


def _bare(part: str) -> str:
    """Without the punctuation and symbols at its ends, of whatever script."""
    kept = [at for at, character in enumerate(part) if category(character)[0] not in "PS"]
    return part[kept[0] : kept[-1] + 1] if kept else ""


def statement(query: Query, table: str = "documents") -> str:
    """The query for Athena engine 3. What ministack's engine does not know is left out: it runs there, too.

    What a batch holds is found out row by row; which of the rows count, over all of the document's. A text
    that is no match goes no further than its own row.
    """
    matching = " AND ".join(_conditions(query))
    filters = " AND ".join(_pruning(query))
    return f"""\
SELECT {", ".join(COLUMNS)}
FROM (
  SELECT *,
    max(generation) OVER (PARTITION BY document) AS newest,
    row_number() OVER (PARTITION BY document, generation, batch ORDER BY generation) AS copy
  FROM (
    SELECT document, generation, batch, bucket, key, version, page, media_type, label_names,
      {_score(query.words)} AS score,
      CASE WHEN {matching} THEN text END AS text
    FROM (
      SELECT *, concat(lower(text), label_names) AS words
      FROM (
        SELECT
          {_plain()}
        FROM {table}{filters and f" WHERE {filters}"}
      )
    )
  )
)
WHERE generation = newest AND copy = 1 AND text IS NOT NULL
ORDER BY score DESC, bucket, key, batch
LIMIT {min(max(query.limit, 1), MOST_MATCHES)}"""  # noqa: S608 - whatever somebody typed is a `literal`


_TEXTS = ("document", "bucket", "key", "version", "media_type", "text", "entity_names", "label_names")


def _plain() -> str:
    """The columns in use, as the types they have: an engine that guesses may take a text for a date."""
    texts = [f"CAST({name} AS varchar) AS {name}" for name in _TEXTS]
    return ",\n          ".join([*texts, "generation, batch, page, deleted"])


def _pruning(query: Query) -> list[str]:
    """What is the same for every row of a document, also for one that says that it was deleted."""
    conditions = [f"CAST(bucket AS varchar) = {literal(query.bucket)}"] if query.bucket else []
    if query.prefix:
        conditions.append(f"strpos(CAST(key AS varchar), {literal(query.prefix)}) = 1")
    return conditions


def _conditions(query: Query) -> list[str]:
    conditions = ["NOT deleted"]
    conditions += [f"strpos(words, {literal(word)}) > 0" for word in query.words]
    if query.entity:
        conditions.append(f"strpos(entity_names, {_name(query.entity)}) > 0")
    if query.label:
        conditions.append(f"strpos(label_names, {_name(query.label)}) > 0")
    if query.media_type:
        conditions.append(f"media_type = {literal(query.media_type)}")
    return conditions


def _score(words: Sequence[str]) -> str:
    """How often the words are there."""
    counts = [f"(length(words) - length(replace(words, {literal(w)}, ''))) / {len(w)}" for w in words]
    return " + ".join(counts) or "1"


def _name(name: str) -> str:
    """As `signalbox.documents.loading.names_of` has it."""
    return literal("\n" + " ".join(name.lower().split()) + "\n")


def literal(text: str) -> str:
    """A string in SQL, whatever is in it: in Trino nothing but the quote means anything else than itself
    ("Literals", Trino documentation)."""
    return "'" + text.replace("'", "''") + "'"


def match_of(row: dict[str, str], words: Sequence[str]) -> Match:
    """A row of Athena's answer."""
    return Match(
        bucket=row["bucket"],
        key=row["key"],
        version=row["version"],
        batch=int(row["batch"]),
        page=int(row["page"]),
        media_type=row["media_type"],
        score=float(row["score"]),
        snippet=snippet(row["text"], words),
        labels=tuple(filter(None, row["label_names"].split("\n"))),
    )


def snippet(text: str, words: Iterable[str], length: int = SNIPPET_CHARACTERS) -> str:
    """The text around the first of the words, in one line, with … where it goes on."""
    folded = text.lower()
    at = min((place for word in words if (place := folded.find(word)) >= 0), default=0)
    start, end = max(at - length // 3, 0), max(at - length // 3, 0) + length
    if start and (space := text.find(" ", start - 1, at)) >= 0:  # no half words, where there are spaces
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", at + 1, end + 1)) >= 0:
        end = space
    return ("…" if start else "") + " ".join(text[start:end].split()) + ("…" if end < len(text) else "")
