"""Loading: what rows a document comes to, and what a verdict does to the index."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from signalbox.documents.lines import write_lines
from signalbox.documents.loading import LoadDocument, Mention, Row, names_of
from signalbox.documents.models import (
    Batch,
    Document,
    Entities,
    Entity,
    Found,
    Label,
    Labels,
    Options,
    Outcome,
    Task,
    Text,
    Verdict,
    batch_id,
)
from signalbox.documents.s3_index import S3Index
from signalbox.errors import InvariantError, UnavailableError
from tests.unit.documents.doubles import NOON, FakeObjects
from tests.unit.documents.index_files import WORK, document, rows, said

FOUND = Found(version="v7", etag="e", size=12, media_type="application/zip", modified_at=5.0)
TEXT = Text(key="text/x/1.jsonl.gz", batches=2, characters=6, media_type="application/pdf")
ENTITIES = Entities(key="entities/x/1.jsonl.gz", language="en", found=2)


class KeptRows:
    """An index that remembers what it was given, and answers as it is told."""

    def __init__(self, answer: int | None = 1) -> None:
        self.answer = answer
        self.given: list[Row] | None = None

    def replace(self, document: Document, rows: Iterable[Row]) -> int | None:
        self.given = list(rows)
        return self.answer


@pytest.fixture
def objects() -> FakeObjects:
    objects = FakeObjects()
    objects.create_bucket(WORK)
    batches = [Batch(batch=0, text="Ada", page=1), Batch(batch=1, text="Bob", page=3)]
    objects.put(WORK, TEXT.key, write_lines(batches))
    entities = [
        Entity(batch=1, text="Bob", type="PERSON", score=0.9),
        Entity(batch=0, text="Ada\nLovelace", type="PERSON", score=0.8),
        Entity(batch=0, text="ada lovelace", type="OTHER", score=0.5),
    ]
    objects.put(WORK, ENTITIES.key, write_lines(entities))
    return objects


def task(**changes: Any) -> Task:
    given: dict[str, Any] = {"object": FOUND, "text": TEXT} | changes
    return Task(document=document("a b.pdf", 9), options=Options(route="all"), **given)


def load(objects: FakeObjects, index: KeptRows, asked: Task) -> tuple[Outcome, int]:
    loaded = LoadDocument(objects, WORK, index, lambda: NOON).load(asked)
    return loaded.outcome, loaded.rows


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(outcome=outcome, reason="some-reason", detail="Some.")


def test_each_batch_is_a_row(objects: FakeObjects) -> None:
    index = KeptRows(2)

    assert load(objects, index, task()) == (Outcome.INDEXED, 2)

    of = document("a b.pdf", 9)
    assert index.given == [
        Row(
            document=of.id,
            generation=9,
            batch=number,
            id=batch_id("uploads", "a b.pdf", "v7", number),
            bucket="uploads",
            key="a b.pdf",
            version="v7",
            page=page,
            text=text,
            media_type="application/pdf",
            size=12,
            modified_at=5.0,
            indexed_at=NOON,
            route="all",
        )
        for number, page, text in ((0, 1, "Ada"), (1, 3, "Bob"))
    ]


def test_entities_go_with_their_batch(objects: FakeObjects) -> None:
    index = KeptRows()
    load(objects, index, task(entities=ENTITIES))

    assert index.given is not None
    first, second = index.given
    assert first.entities == (
        Mention(text="Ada\nLovelace", type="PERSON", score=0.8),
        Mention(text="ada lovelace", type="OTHER", score=0.5),
    )
    assert first.entity_names == "\nada lovelace\n"
    assert (first.language, second.language) == ("en", "en")
    assert second.entity_names == "\nbob\n"


def test_an_image_is_one_row_with_its_labels(objects: FakeObjects) -> None:
    index = KeptRows()
    labels = (Label(name="Cat", confidence=99.0), Label(name="House Cat", confidence=90.0))
    load(objects, index, task(text=None, labels=Labels(labels=labels)))

    assert index.given is not None
    [row] = index.given
    assert (row.text, row.labels, row.label_names) == ("", labels, "\ncat\nhouse cat\n")
    assert row.media_type == FOUND.media_type


def test_an_image_without_labels_is_there_all_the_same(objects: FakeObjects) -> None:
    index = KeptRows()

    assert load(objects, index, task(text=None, labels=Labels(note="refused"))) == (Outcome.INDEXED, 1)
    assert index.given is not None
    assert index.given[0].label_names == ""


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.INDEXED, Outcome.SUPERSEDED}))
def test_a_verdict_empties_the_index(objects: FakeObjects, outcome: Outcome) -> None:
    index = KeptRows(0)

    assert load(objects, index, task(text=None, verdict=verdict(outcome))) == (outcome, 0)
    assert index.given == []


def test_a_verdict_counts_more_than_a_text(objects: FakeObjects) -> None:
    index = KeptRows(0)
    load(objects, index, task(verdict=verdict(Outcome.TIMED_OUT)))

    assert index.given == []


@pytest.mark.parametrize("outcome", [Outcome.INDEXED, Outcome.SUPERSEDED])
def test_what_is_indexed_already_or_somebody_elses_is_left_alone(
    objects: FakeObjects, outcome: Outcome
) -> None:
    index = KeptRows()

    assert load(objects, index, task(text=None, verdict=verdict(outcome))) == (outcome, 0)
    assert index.given is None


@pytest.mark.parametrize("asked", [task(), task(verdict=verdict(Outcome.DELETED))])
def test_who_comes_late_is_superseded(objects: FakeObjects, asked: Task) -> None:
    assert load(objects, KeptRows(None), asked) == (Outcome.SUPERSEDED, 0)


def test_a_task_without_anything_is_a_bug(objects: FakeObjects) -> None:
    with pytest.raises(InvariantError, match=r"s3://uploads/a b\.pdf"):
        load(objects, KeptRows(), task(text=None))


def test_a_text_that_cannot_be_read_is_tried_again(objects: FakeObjects) -> None:
    objects.fail("get", UnavailableError("InternalError"))

    with pytest.raises(UnavailableError):
        load(objects, KeptRows(), task())


def test_what_the_index_in_s3_said_stays_when_the_text_cannot_be_read(objects: FakeObjects) -> None:
    """Rows are read as they are written: half a document is never said."""
    earlier = document("a b.pdf", 8)
    S3Index(objects, WORK).replace(earlier, rows(earlier, "as it was"))
    whole = objects.get(WORK, TEXT.key).body
    objects.put(WORK, TEXT.key, whole[: len(whole) // 2])

    with pytest.raises(EOFError):
        LoadDocument(objects, WORK, S3Index(objects, WORK), lambda: NOON).load(task())
    assert said(objects) == {earlier.id: (8, ["as it was"])}


def test_a_thousand_pages_do_not_lie_in_memory(objects: FakeObjects) -> None:
    text = "".join(chr(0x4E00 + number % 20_000) for number in range(5_000))
    batches = (
        Batch(batch=number, text=text[number:] + text[:number], page=number) for number in range(1_000)
    )
    objects.put(WORK, TEXT.key, write_lines(batches))
    index = S3Index(objects, WORK)
    tracemalloc.start()
    try:
        loaded = LoadDocument(objects, WORK, index, lambda: NOON).load(task())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    [key] = objects.keys(WORK, "index/")
    written = objects.get(WORK, key).body
    unpacked = len(gzip.decompress(written))
    assert loaded.rows == 1_000
    assert json.loads(gzip.decompress(written).splitlines()[999])["page"] == 999
    assert peak < unpacked / 3


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["", "  "], ""),
        (["Ada", "ADA", "Bob"], "\nada\nbob\n"),
        (["Ada \n Lovelace"], "\nada lovelace\n"),
        (["Ünal"], "\nünal\n"),
    ],
)
def test_a_whole_name_is_found_between_line_breaks(names: list[str], expected: str) -> None:
    assert names_of(names) == expected


def test_a_row_says_all_that_there_is_of_it() -> None:
    """Athena's table has these columns: a row that lacks one reads as null."""
    row = rows(document(), "text")[0]
    assert set(msgspec.to_builtins(row)) == {field.name for field in msgspec.structs.fields(Row)}
