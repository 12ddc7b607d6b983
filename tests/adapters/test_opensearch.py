"""OpenSearch's client against its wire protocol: what is sent, and what becomes of every answer.

Held to the same suite as the cluster in memory, which the property tests use. What the real service makes of
it only an account shows: docs/documents.md.
"""

import json
from collections.abc import Iterator

import pytest

from signalbox.documents.aws_opensearch import connect
from signalbox.documents.opensearch_index import (
    MAPPINGS,
    POINTERS,
    ROWS,
    Action,
    Cluster,
    Item,
    OpenSearchIndex,
)
from signalbox.documents.searching import Query
from signalbox.errors import (
    AccessDeniedError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from tests.adapters.opensearch_server import Faulty, Server, serving
from tests.unit.documents.index_files import document, rows
from tests.unit.documents.opensearch import FakeCluster

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving("es") as server:
        yield server


@pytest.fixture(params=["fake", "es", "aoss"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param == "fake":
        yield FakeCluster()
        return
    with serving(request.param) as server:
        yield connect(server.url, request.param, REGION)


def write(id_: str, generation: int, text: str | None = "text") -> Action:
    source = None if text is None else json.dumps({"text": text, "version": "v", "document": "d"}).encode()
    return Action(index=ROWS, id=id_, generation=generation, source=source)


def made(cluster: Cluster) -> Cluster:
    for index, fields in MAPPINGS.items():
        cluster.create(index, fields)
    return cluster


def statuses(cluster: Cluster, *actions: Action) -> list[int]:
    return [item.status for item in cluster.bulk(actions, found=True)]


def test_an_index_that_is_there_stays_as_it_is(cluster: Cluster) -> None:
    made(cluster)
    cluster.bulk([write("a", 1)])
    made(cluster)

    assert set(cluster.get(ROWS, ["a"])) == {"a"}


def test_what_is_written_is_there(cluster: Cluster) -> None:
    made(cluster)

    assert statuses(cluster, write("ü/ 🦄", 1, "größe"), write("b", 1)) == [201, 201]
    assert cluster.get(ROWS, ["ü/ 🦄", "nothing"]) == {
        "ü/ 🦄": {"text": "größe", "version": "v", "document": "d"}
    }


def test_an_older_write_is_refused_and_the_same_is_not(cluster: Cluster) -> None:
    made(cluster)

    assert statuses(cluster, write("a", 5), write("a", 4, "older"), write("a", 5, "same")) == [201, 409, 200]
    assert cluster.get(ROWS, ["a"])["a"]["text"] == "same"


def test_a_delete_is_fenced_too(cluster: Cluster) -> None:
    made(cluster)
    cluster.bulk([write("a", 5)])

    assert statuses(cluster, write("a", 4, None)) == [409]
    assert statuses(cluster, write("a", 5, None), write("a", 5, None), write("b", 1, None)) == [200, 404, 404]
    assert statuses(cluster, write("a", 4)) == [409]
    assert cluster.get(ROWS, ["a"]) == {}


def test_an_item_that_fails_says_why(cluster: Cluster) -> None:
    made(cluster)
    [conflict] = [item for item in cluster.bulk([write("a", 5), write("a", 4)]) if item.status == 409]

    assert conflict.kind == "version_conflict_engine_exception"


def test_an_index_that_is_missing_is_told(cluster: Cluster) -> None:
    with pytest.raises((NotFoundError, UnavailableError), match=r"no such index|index_not_found"):
        cluster.get(ROWS, ["a"])


def test_documents_are_replaced_deleted_and_found(cluster: Cluster) -> None:
    index = OpenSearchIndex(cluster)
    first, second, late = (document(generation=generation) for generation in (1, 5, 3))

    assert index.replace(first, rows(first, "apples", "more apples", version="v1")) == 2
    assert index.replace(second, rows(second, "only pears", version="v2")) == 1
    assert index.replace(late, rows(late, "late apples", version="v1")) is None
    assert index.find(Query(words=("apples",))).matches == ()
    [match] = index.find(Query(words=("pears",))).matches
    assert (match.key, match.version, match.snippet) == ("a.txt", "v2", "only pears")

    assert index.replace(document(generation=6), ()) == 0
    assert index.find(Query(words=("pears",))).matches == ()


def test_requests_are_few(server: Server) -> None:
    index = OpenSearchIndex(connect(server.url, "es", REGION))
    of = document()
    index.replace(of, rows(of, *["text"] * 300))

    assert [(method, path) for method, path, _ in server.requests] == [
        ("PUT", f"/{ROWS}"),
        ("PUT", f"/{POINTERS}"),
        ("POST", f"/{POINTERS}/_mget"),
        ("POST", "/_bulk"),
        ("POST", "/_bulk"),
        ("POST", f"/{ROWS}/_search"),
    ]
    assert [parameters for _, path, parameters in server.requests if path == "/_bulk"] == [
        {"refresh": "wait_for"},
        {},
    ]


def test_a_collection_is_not_asked_for_what_it_lacks() -> None:
    with serving("aoss") as server:
        index = OpenSearchIndex(connect(server.url, "aoss", REGION))
        index.replace(document(), rows(document(), "text"))

    assert all(not parameters for _, _, parameters in server.requests)
    assert {path.rpartition("/")[2] for _, path, _ in server.requests} == {
        ROWS,
        POINTERS,
        "_mget",
        "_bulk",
        "_search",
    }


def test_a_large_document_goes_in_several_requests(server: Server) -> None:
    index = OpenSearchIndex(connect(server.url, "es", REGION))
    of = document()

    assert index.replace(of, rows(of, *["x" * 5_000] * 1_000)) == 1_000
    assert sum(path == "/_bulk" for _, path, _ in server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Faulty(status=429), ThrottledError),
        (Faulty(status=500), UnavailableError),
        (Faulty(status=503), UnavailableError),
        (Faulty(status=401), AccessDeniedError),
        (Faulty(status=403, body={"message": "no permissions for [indices:data/write]"}), AccessDeniedError),
        (Faulty(status=400), RefusedError),
        (Faulty(status=413), RefusedError),
        (Faulty(truncated=True), UnavailableError),
    ],
)
@pytest.mark.parametrize("path", ["_bulk", "_mget", "_search", ROWS])
def test_no_error_is_swallowed(
    server: Server, path: str, fault: Faulty, expected: type[SignalboxError]
) -> None:
    server.faults[path] = [fault]
    index = OpenSearchIndex(connect(server.url, "es", REGION))

    with pytest.raises(expected, match="OpenSearch"):
        index.replace(document(), rows(document(), "text"))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item(status=429, kind="es_rejected_execution_exception", reason="queue is full"), ThrottledError),
        (Item(status=503, kind="unavailable_shards_exception", reason="no shard"), UnavailableError),
        (Item(status=400, kind="mapper_parsing_exception", reason="failed to parse"), RefusedError),
        (Item(status=400, kind="illegal_argument_exception", reason="no versions here"), RefusedError),
    ],
)
def test_one_batch_that_is_refused_fails_the_load(
    server: Server, item: Item, expected: type[SignalboxError]
) -> None:
    """Field failure 5: what OpenSearch answers with 200 may be refused all the same."""
    of = document()
    texts = rows(of, "one", "two", "three")
    server.cluster.broken[f"{ROWS}/{texts[1].id}"] = item
    index = OpenSearchIndex(connect(server.url, "es", REGION))

    with pytest.raises(expected, match=f"{item.kind}: {item.reason}"):
        index.replace(of, texts)
    assert index.find(Query(words=("one",))).matches == ()

    server.cluster.broken.clear()
    assert index.replace(of, texts) == 3
    assert len(index.find(Query(words=("one",))).matches) == 1


def test_shards_that_do_not_answer_are_told(server: Server) -> None:
    body = {"timed_out": False, "_shards": {"failed": 1}, "hits": {"hits": []}}
    server.faults["_search"] = [Faulty(body=body)]

    with pytest.raises(UnavailableError, match="shard"):
        OpenSearchIndex(connect(server.url, "es", REGION)).find(Query(words=("a",)))


def test_answers_that_are_too_few_are_no_success(server: Server) -> None:
    server.faults["_bulk"] = [Faulty(body={"errors": False, "items": []})]

    with pytest.raises(UnavailableError, match="0 answers to 1"):
        OpenSearchIndex(connect(server.url, "es", REGION)).replace(document(), rows(document(), "text"))


def test_nobody_there_is_worth_another_try() -> None:
    with serving("es") as server:
        url = server.url
    with pytest.raises(UnavailableError):
        connect(url, "es", REGION).get(ROWS, ["a"])
