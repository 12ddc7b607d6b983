"""The index in S3 as Athena reads it: the program's own files, the template's table, the real SQL.

ministack runs the SQL on DuckDB, which guesses the columns' types: it can't say an index whose only text is a
time. That Trino takes the SQL, too, only an account shows: docs/documents.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.embedded import EmbeddedAws
from signalbox.documents.aws_athena import AthenaSearch
from signalbox.documents.aws_objects import Objects
from signalbox.documents.compaction import CompactIndex, Compaction
from signalbox.documents.loading import Mention, Row, names_of
from signalbox.documents.models import Document, Label
from signalbox.documents.s3_index import S3Index, shard_of
from signalbox.documents.searching import Query, words_of
from signalbox.errors import RefusedError, UnavailableError
from tests.template.sources import resources
from tests.unit.documents.index_files import WORK, document, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.embedded

DATABASE = "documents_test"
WORKGROUP = "documents-test"


class Place:
    """An index in S3 that nobody else has, and a search in it."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.athena = aws.client("athena")
        self.objects = Objects(aws.client("s3"))
        self.index = S3Index(self.objects, WORK)
        self.search = AthenaSearch(self.athena, DATABASE, WORKGROUP)

    def load(self, of: Document, *texts: str, **changes: Any) -> None:
        made = [Row(**{**_fields(row), **changes}) for row in rows(of, *texts)]
        self.index.replace(of, made)

    def found(self, typed: str = "", **asked: Any) -> list[tuple[str, int, str]]:
        matches = self.search.find(Query(words=words_of(typed), **asked)).matches
        return [(match.key, match.batch, match.snippet) for match in matches]

    @property
    def asked(self) -> int:
        """How many queries so far."""
        return len(self.athena.list_query_executions(WorkGroup=WORKGROUP)["QueryExecutionIds"])


def _fields(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    state: Path = tmp_path_factory.mktemp("embedded")
    with EmbeddedAws.start(state, estate=False, enforce_iam=False) as aws:
        glue, athena = aws.client("glue"), aws.client("athena")
        table: dict[str, Any] = resources("AWS::Glue::Table")["DocumentsTable"]["Properties"]["TableInput"]
        here = {
            "StorageDescriptor": table["StorageDescriptor"] | {"Location": f"s3://{WORK}/index/documents/"},
            "Parameters": {"classification": table["Parameters"]["classification"]},
        }
        glue.create_database(DatabaseInput={"Name": DATABASE})
        glue.create_table(DatabaseName=DATABASE, TableInput=table | here)
        athena.create_work_group(
            Name=WORKGROUP,
            Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{WORK}/queries/"}},
        )
        yield aws


@pytest.fixture
def place(aws: EmbeddedAws) -> Iterator[Place]:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=WORK)
    yield Place(aws)
    place = Objects(s3)
    place.delete(WORK, *[found.key for found in place.list(WORK, "")])
    s3.delete_bucket(Bucket=WORK)


def test_nothing_is_found_where_nothing_is(place: Place) -> None:
    assert place.found("anything") == []


def test_the_newest_generation_is_found_and_no_other(place: Place) -> None:
    place.load(document("a.txt", 1), "apples and pears")
    place.load(document("a.txt", 3), "only pears", "more pears and pears")
    place.load(document("a.txt", 2), "late apples")
    place.load(document("b.txt", 1), "apples")

    assert place.found("apples") == [("b.txt", 0, "apples")]
    assert place.found("PEARS") == [("a.txt", 1, "more pears and pears"), ("a.txt", 0, "only pears")]
    assert place.found("more pears") == [("a.txt", 1, "more pears and pears")]


def test_what_was_deleted_is_not_found(place: Place) -> None:
    place.load(document("a.txt", 1), "apples")
    place.load(document("a.txt", 2))

    assert place.found("apples") == []


@pytest.mark.parametrize(
    "text",
    [
        "o'neill said ''so''",
        'a "quoted" \\ back\\slash',
        "2024-01-01",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "12345",
        "true",
        "größe größe",
        "東京都に行く",
        "हिन्दी",
        "semi;colon -- comment /* more */ ${x} {} %s ?",
        "🦄 unicorn",
    ],
)
def test_any_text_comes_back_as_it_is(place: Place, text: str) -> None:
    place.load(document("a.txt", 1), text)

    assert place.found(text) == [("a.txt", 0, text)]


def test_a_word_of_sql_finds_no_more_than_itself(place: Place) -> None:
    place.load(document("a.txt", 1), "apples")

    assert place.found("x' OR 'a'='a") == []
    assert place.found(prefix="x' OR 'a'='a") == []
    assert place.found(entity="') OR true --") == []


def test_filters(place: Place) -> None:
    place.load(document("in/a.txt", 1), "apples")
    place.load(document("out/a.txt", 1), "apples")
    place.load(document("in/a.txt", 1, bucket="other"), "apples", media_type="application/pdf")
    named = (Mention(text="Ada Lovelace", type="PERSON", score=0.9),)
    place.load(document("ada.txt", 1), "her", entities=named, entity_names=names_of(["Ada Lovelace"]))
    cat = (Label(name="Cat", confidence=99.0),)
    place.load(document("cat.png", 1), "", labels=cat, label_names=names_of(["Cat"]), media_type="image/png")

    assert [key for key, *_ in place.found("apples", bucket="uploads")] == ["in/a.txt", "out/a.txt"]
    assert [key for key, *_ in place.found("apples", prefix="in/")] == ["in/a.txt", "in/a.txt"]
    assert [key for key, *_ in place.found(media_type="application/pdf")] == ["in/a.txt"]
    assert [key for key, *_ in place.found(entity="ADA LOVELACE")] == ["ada.txt"]
    assert place.found(entity="ada") == []
    assert [key for key, *_ in place.found("cat")] == ["cat.png"]
    assert [key for key, *_ in place.found(label="cat")] == ["cat.png"]
    assert len(place.found("apples", limit=2)) == 2


def test_a_filter_on_what_may_change_does_not_bring_back_what_is_superseded(place: Place) -> None:
    place.load(document("a.txt", 1), "apples", media_type="text/plain")
    place.load(document("a.txt", 2), "apples", media_type="text/html")

    assert place.found("apples", media_type="text/plain") == []


def test_merging_changes_nothing_of_what_is_found(place: Place) -> None:
    keys = [key for key in map(str, range(900)) if shard_of(document(key).id) == 7][:4]
    for key in keys:
        place.load(document(key, 1), f"apples {key}", "pears")
    place.load(document(keys[0], 2), "apples anew")
    place.load(document(keys[1], 2))
    before = place.found("apples")
    assert len(before) == 3
    now = [0.0]
    compact = CompactIndex(place.objects, WORK, lambda: now[0], lambda: "id", few=1)

    run = Compaction()
    now[0] = max(found.modified_at for found in place.objects.list(WORK, ""))
    compact.compact_shard(7, run)
    assert (run.merged, run.written) == (6, 1)
    assert place.found("apples") == before  # each is there twice

    now[0] += 86_400.0
    compact.compact_shard(7, run)
    assert run.deleted == 6
    assert place.found("apples") == before


def test_a_long_answer_comes_in_pages(place: Place) -> None:
    place.load(document("a.txt", 1), *[f"apples {number}" for number in range(1_000)])

    assert len(place.found("apples", limit=1_000)) == 1_000


def test_a_query_that_fails_is_asked_once_more_and_then_told(aws: EmbeddedAws, place: Place) -> None:
    place.load(document("a.txt", 1), "apples")
    before = place.asked
    broken = f"index/documents/shard={0:02}/broken.json.gz"
    place.objects.put(WORK, broken, b"no gzip")

    with pytest.raises((RefusedError, UnavailableError), match="failed"):
        place.found("apples")
    assert place.asked - before == 2


def test_a_workgroup_that_is_not_there_is_told(place: Place) -> None:
    search = AthenaSearch(place.athena, DATABASE, "no-such-workgroup")

    with pytest.raises(RefusedError, match="StartQueryExecution"):
        search.find(Query(words=("a",)))
