"""The index in OpenSearch: which batches count, and what becomes of those that do not."""

from collections.abc import Iterator, Sequence

import pytest

from signalbox.documents.loading import Row
from signalbox.documents.models import Label
from signalbox.documents.opensearch_index import (
    POINTERS,
    ROWS,
    Action,
    Item,
    OpenSearchIndex,
    Pointer,
    body_of,
    error_of,
)
from signalbox.documents.searching import Query
from signalbox.errors import RefusedError, ThrottledError, UnavailableError
from tests.unit.documents.index_files import document, rows
from tests.unit.documents.opensearch import FakeCluster


class DiedError(Exception):
    """The process is gone."""


class Dying(FakeCluster):
    """A cluster whose client dies after so many bulk requests; shares what it holds."""

    def __init__(self, of: FakeCluster, after: int) -> None:
        super().__init__()
        self.indices = of.indices
        self._left = after

    def bulk(self, actions: Sequence[Action], *, found: bool = False) -> list[Item]:
        if self._left == 0:
            raise DiedError
        self._left -= 1
        return super().bulk(actions, found=found)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def load(cluster: FakeCluster, generation: int, version: str, *texts: str) -> int | None:
    of = document(generation=generation)
    return OpenSearchIndex(cluster).replace(of, rows(of, *texts, version=version))


def said(cluster: FakeCluster) -> list[str]:
    return sorted(match.snippet for match in OpenSearchIndex(cluster).find(Query()).matches)


def test_a_new_version_replaces_the_old_ones_batches(cluster: FakeCluster) -> None:
    assert load(cluster, 1, "v1", "one", "two") == 2
    assert load(cluster, 2, "v2", "three") == 1

    assert said(cluster) == cluster.texts == ["three"]


def test_a_delete_takes_them_out(cluster: FakeCluster) -> None:
    load(cluster, 1, "v1", "one")

    assert load(cluster, 2, "") == 0
    assert said(cluster) == cluster.texts == []
    assert load(cluster, 1, "v1", "one") is None
    assert said(cluster) == []


def test_a_version_that_comes_back_counts_again(cluster: FakeCluster) -> None:
    for generation, version in enumerate(["v1", "v2", "v1"], start=1):
        load(cluster, generation, version, f"text of {version}")

    assert said(cluster) == cluster.texts == ["text of v1"]


def test_the_same_version_in_fewer_batches_has_no_more_than_these(cluster: FakeCluster) -> None:
    load(cluster, 1, "v1", "one", "two", "three")
    load(cluster, 2, "v1", "one and two")

    assert said(cluster) == cluster.texts == ["one and two"]


def test_a_load_that_dies_before_its_pointer_changes_nothing(cluster: FakeCluster) -> None:
    load(cluster, 1, "v1", "old")
    with pytest.raises(DiedError):
        load(Dying(cluster, 1), 2, "v2", "new")

    assert cluster.texts == ["new", "old"]
    assert said(cluster) == ["old"]


def test_what_it_left_is_taken_out_by_the_next(cluster: FakeCluster) -> None:
    load(cluster, 1, "v1", "old")
    with pytest.raises(DiedError):
        load(Dying(cluster, 1), 2, "v2", "new")
    load(cluster, 3, "v3", "newest")

    assert said(cluster) == cluster.texts == ["newest"]


@pytest.mark.parametrize("generation", [2, 3])
def test_a_load_that_dies_after_its_pointer_counts_and_is_tidied_up_after(
    cluster: FakeCluster, generation: int
) -> None:
    load(cluster, 1, "v1", "old")
    with pytest.raises(DiedError):
        load(Dying(cluster, 2), 2, "v2", "new")
    assert (said(cluster), cluster.texts) == (["new"], ["new", "old"])

    assert load(cluster, generation, "v2", "new") == 1
    assert said(cluster) == cluster.texts == ["new"]


def test_who_is_overtaken_between_his_rows_and_his_pointer_takes_them_out(cluster: FakeCluster) -> None:
    of = document(generation=1)

    def overtaken() -> Iterator[Row]:
        yield from rows(of, "slow", version="v1")
        load(cluster, 2, "v2", "quick")

    assert OpenSearchIndex(cluster).replace(of, overtaken()) is None
    assert said(cluster) == cluster.texts == ["quick"]


def test_who_is_overtaken_by_the_same_version_leaves_it(cluster: FakeCluster) -> None:
    of = document(generation=1)

    def overtaken() -> Iterator[Row]:
        yield from rows(of, "text", version="v1")
        load(cluster, 2, "v1", "text")

    assert OpenSearchIndex(cluster).replace(of, overtaken()) is None
    assert said(cluster) == cluster.texts == ["text"]


def test_a_straggler_that_dies_leaves_nothing_that_counts(cluster: FakeCluster) -> None:
    """It looked at the pointer before anybody was there, and writes when everybody else is done."""
    of = document(generation=1)

    def late() -> Iterator[Row]:
        load(cluster, 2, "v2", "newer")
        yield from rows(of, "late", "later", version="v1")

    with pytest.raises(DiedError):
        OpenSearchIndex(Dying(cluster, 1)).replace(of, late())
    assert cluster.texts == ["late", "later", "newer"]
    assert said(cluster) == ["newer"]


def test_a_search_goes_on_where_what_it_found_does_not_count(cluster: FakeCluster) -> None:
    for number in range(60):
        of = document(f"a{number:02}", generation=2)
        OpenSearchIndex(cluster).replace(of, rows(of, "apples apples", version="v2"))
        kept = cluster.indices[POINTERS][of.id]
        cluster.indices[POINTERS][of.id] = kept._replace(source={"generation": 3, "version": "", "rows": 0})
    of = document("b")
    OpenSearchIndex(cluster).replace(of, rows(of, "apples"))

    matches = OpenSearchIndex(cluster).find(Query(words=("apples",), limit=1)).matches
    assert [match.key for match in matches] == ["b"]


def test_a_match_says_what_there_is_of_it(cluster: FakeCluster) -> None:
    of = document("cat.png")
    row = Row(
        document=of.id,
        generation=1,
        id="x",
        bucket="uploads",
        key="cat.png",
        version="v1",
        media_type="image/png",
        labels=(Label(name="Cat", confidence=99.0),),
        label_names="\ncat\n",
    )
    OpenSearchIndex(cluster).replace(of, [row])

    [match] = OpenSearchIndex(cluster).find(Query(label=" CAT ")).matches
    assert (match.key, match.labels, match.media_type) == ("cat.png", ("cat",), "image/png")


def test_what_is_asked_is_in_the_body() -> None:
    asked = Query(words=("a", "b"), bucket="b", prefix="in/", entity=" Ada  L ", media_type="text/plain")
    query = body_of(asked)["query"]["bool"]

    assert query["must"] == [
        {"multi_match": {"query": "a b", "fields": ["text", "label_names.words"], "operator": "and"}}
    ]
    assert query["filter"] == [
        {"term": {"bucket": "b"}},
        {"term": {"entity_names": "ada l"}},
        {"term": {"media_type": "text/plain"}},
        {"prefix": {"key": "in/"}},
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, ThrottledError), (500, UnavailableError), (503, UnavailableError), (400, RefusedError)],
)
def test_errors_have_their_kind(status: int, kind: type[Exception]) -> None:
    assert type(error_of(status, "what")) is kind


@pytest.mark.parametrize("path", [ROWS, POINTERS])
def test_a_write_that_is_refused_is_an_error(cluster: FakeCluster, path: str) -> None:
    of = document()
    id_ = of.id if path == POINTERS else rows(of, "one")[0].id
    cluster.broken[f"{path}/{id_}"] = Item(status=429, kind="es_rejected_execution_exception")

    with pytest.raises(ThrottledError, match=id_):
        OpenSearchIndex(cluster).replace(of, rows(of, "one"))


def test_a_pointer_counts_its_own_batches() -> None:
    pointer = Pointer(generation=1, version="v", rows=2)

    assert [pointer.counts({"version": "v", "batch": number}) for number in range(3)] == [True, True, False]
    assert not pointer.counts({"version": "w", "batch": 0})
    assert not Pointer(generation=1).counts({"version": "", "batch": 0})
