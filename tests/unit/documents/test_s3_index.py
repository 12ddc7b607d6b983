"""The index in S3: what replaces what, whatever order it is written in."""

import gzip
import json
from itertools import permutations

import pytest

from signalbox.documents.s3_index import SHARDS, S3Index, file_key, shard_of, shard_prefix
from signalbox.errors import ConflictError, ThrottledError, UnavailableError
from tests.unit.documents.doubles import FakeObjects
from tests.unit.documents.index_files import WORK, document, rows, said


@pytest.fixture
def objects() -> FakeObjects:
    objects = FakeObjects()
    objects.create_bucket(WORK)
    return objects


def test_rows_are_one_file_that_appears_as_a_whole(objects: FakeObjects) -> None:
    of = document()

    assert S3Index(objects, WORK).replace(of, rows(of, "one", "two")) == 2

    [key] = objects.keys(WORK)
    assert key == f"index/documents/shard={shard_of(of.id):02}/{of.id}-000000000000001.json.gz"
    lines = gzip.decompress(objects.get(WORK, key).body).splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["one", "two"]


def test_it_costs_one_write_and_one_listing(objects: FakeObjects) -> None:
    S3Index(objects, WORK).replace(document(), rows(document(), "one"))

    assert [operation for operation, *_ in objects.calls] == ["put", "list"]


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
def test_the_highest_generation_counts_in_any_order(objects: FakeObjects, order: tuple[int, ...]) -> None:
    index = S3Index(objects, WORK)
    for generation in order:
        of = document(generation=generation)
        index.replace(of, rows(of, f"text {generation}"))

    assert said(objects) == {document().id: (3, ["text 3"])}


def test_who_comes_late_is_told(objects: FakeObjects) -> None:
    index = S3Index(objects, WORK)
    newer, older = document(generation=20), document(generation=3)
    index.replace(newer, rows(newer, "new"))

    assert index.replace(older, rows(older, "old")) is None
    assert index.replace(older, ()) is None
    assert said(objects) == {newer.id: (20, ["new"])}


def test_nothing_of_a_document_covers_what_was_there_and_what_comes_late(objects: FakeObjects) -> None:
    index = S3Index(objects, WORK)
    first, late, gone = (document(generation=generation) for generation in (1, 2, 3))
    index.replace(first, rows(first, "text"))

    assert index.replace(gone, ()) == 0
    assert index.replace(late, rows(late, "late")) is None
    assert said(objects) == {}


def test_other_documents_are_left_alone(objects: FakeObjects) -> None:
    index = S3Index(objects, WORK)
    a, b = document("a", 5), document("b", 1)
    index.replace(a, rows(a, "a"))

    assert index.replace(b, rows(b, "b")) == 1
    assert index.replace(document("b", 2), ()) == 0
    assert said(objects) == {a.id: (5, ["a"])}


def test_the_same_again_changes_nothing(objects: FakeObjects) -> None:
    index, of = S3Index(objects, WORK), document()
    index.replace(of, rows(of, "one"))
    before = objects.get(WORK, file_key(of.id, 1)).etag

    assert index.replace(of, rows(of, "one")) == 1
    assert objects.get(WORK, file_key(of.id, 1)).etag == before


def test_a_write_that_another_one_of_the_same_got_in_the_way_of_is_tried_again(objects: FakeObjects) -> None:
    objects.fail("put", ConflictError("ConditionalRequestConflict"))

    assert S3Index(objects, WORK).replace(document(), rows(document(), "one")) == 1
    assert said(objects) == {document().id: (1, ["one"])}


def test_it_gives_up_where_that_goes_on(objects: FakeObjects) -> None:
    objects.fail("put", *[ConflictError("ConditionalRequestConflict")] * 3)

    with pytest.raises(UnavailableError, match=r"s3://uploads/a\.txt"):
        S3Index(objects, WORK).replace(document(), rows(document(), "one"))


def test_an_error_of_s3_is_not_swallowed(objects: FakeObjects) -> None:
    objects.fail("put", ThrottledError("SlowDown"))

    with pytest.raises(ThrottledError):
        S3Index(objects, WORK).replace(document(), rows(document(), "one"))


def test_documents_are_spread_over_the_shards() -> None:
    shards = {shard_of(document(str(number)).id) for number in range(2_000)}

    assert shards == set(range(SHARDS))
    assert shard_prefix(7) == "index/documents/shard=07/"
