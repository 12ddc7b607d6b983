"""The bench of indexing: every document is uploaded, found once, and timed from the one to the other."""

import math
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

import pytest

from bench import indexing
from bench.indexing import KINDS, Indexed, Run, indexing_table, results
from local import library
from local.display import terminal
from signalbox.documents.searching import Found, Match
from signalbox.errors import SignalboxError


class Aws:
    """S3, and a search that finds the objects after having been asked so many times."""

    def __init__(self, asked_before: int = 0) -> None:
        self.put: dict[str, bytes] = {}
        self.now = 100.0
        self.naps: list[float] = []
        self.search_seconds = 0.25
        self.fail: Callable[[str], None] = lambda _: None
        self._left = asked_before

    def client(self, _: str) -> "Aws":
        return self

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - as boto3 has it
        assert Bucket == "bucket"
        self.fail(Key)
        self.put[Key] = Body

    def find(self, query: Any) -> Found:
        self.now += self.search_seconds
        self._left -= 1
        keys = [key for key in self.put if key.startswith(query.prefix)] if self._left < 0 else []
        return Found(matches=tuple(_match(key, batch) for key in keys for batch in range(2)))

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.naps.append(seconds)
            self.now += seconds


def _match(key: str, batch: int) -> Match:
    return Match(
        bucket="bucket", key=key, version="1", batch=batch, page=0, media_type="", score=1.0, snippet=""
    )


class Done(Future[None]):
    """Work that was done at once."""

    def __init__(self, work: Any, *arguments: Any) -> None:
        super().__init__()
        try:
            self.set_result(work(*arguments))
        except SignalboxError as error:
            self.set_exception(error)


class Pool:
    """Uploads before anybody searches."""

    def __init__(self, _: int) -> None:
        self.submit = Done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    def made(aws: Any) -> Run:
        monkeypatch.setattr(library, "AthenaSearch", lambda *_, **__: aws)
        monkeypatch.setattr(indexing, "ThreadPoolExecutor", Pool)
        monkeypatch.setattr("bench.indexing.time.monotonic", aws.monotonic)
        monkeypatch.setattr("bench.indexing.time.sleep", aws.sleep)
        names = {"DocumentsBucketName": "bucket", "DocumentsDatabaseName": "d", "DocumentsWorkGroupName": "w"}
        return Run(library.Library(aws, names), "folder")

    return made


def test_a_document_is_timed_from_its_upload_until_it_is_found(run: Callable[..., Run]) -> None:
    aws = Aws()
    indexed = run(aws).go(3, 2.0)
    assert sorted(indexed.seconds) == [0.25, 2.25, 4.25]  # uploaded at 104, 102 and 100, found at 104.25
    assert indexed.took == 4.25


def test_the_kinds_take_turns(run: Callable[..., Run]) -> None:
    aws = Aws()
    run(aws).go(len(KINDS) + 1, 0.0)
    assert [key.partition("-")[2] for key in aws.put] == [*KINDS, KINDS[0]]
    assert all(aws.put.values())


def test_it_asks_again_and_leaves_the_machine_half_of_the_time(run: Callable[..., Run]) -> None:
    aws = Aws(asked_before=2)
    assert run(aws).go(4, 0.0).seconds == [3 * 0.25 + 2 * indexing.POLL_SECONDS] * 4
    slow = Aws(asked_before=2)
    slow.search_seconds = 3.0
    run(slow).go(4, 0.0)
    assert slow.naps[:2] == [3.0, 3.0]


def test_it_does_not_ask_for_ever(run: Callable[..., Run]) -> None:
    indexed = run(Aws(asked_before=10**9)).go(4, 0.0)
    named = indexed.named()
    assert (named["found"], named["documents_per_second"]) == (0, 0.0)
    assert math.isnan(named["upload_to_search_p99_seconds"])
    assert indexed.took >= indexing.PATIENCE_SECONDS


def test_an_upload_that_fails_ends_it(run: Callable[..., Run]) -> None:
    aws = Aws()

    def fail(key: str) -> None:
        if "00001" in key:
            raise SignalboxError("no bucket")

    aws.fail = fail
    with pytest.raises(SignalboxError, match="no bucket"):
        run(aws).go(4, 0.0)
    assert aws.now < 110.0


STEADY = Indexed(4, 1.0, [1.0, 2.0, 3.0, 10.0], 8.0)
AT_ONCE = Indexed(4, 0.0, [5.0, 6.0, 7.0], 6.0)


def test_results_have_names() -> None:
    named = dict(results([STEADY, AT_ONCE]))
    assert named["indexing.steady.upload_to_search_p50_seconds"] == 2.0
    assert named["indexing.steady.upload_to_search_p99_seconds"] == 10.0
    assert named["indexing.steady.documents_per_second"] == 0.5
    assert named["indexing.at_once.documents"] == 4
    assert named["indexing.at_once.found"] == 3
    assert named["indexing.at_once.documents_per_second"] == 0.5  # of those that were found


def test_the_table_has_a_row_for_each_run() -> None:
    console = terminal()
    with console.capture() as shown:
        console.print(indexing_table([STEADY, AT_ONCE]))
    steady, at_once = [line.split() for line in shown.get().splitlines() if line.strip().startswith("4 ")]
    assert steady == ["4", "1", "a", "second", "4", "2.0", "10.0", "0.50"]
    assert at_once == ["4", "all", "at", "once", "3", "6.0", "7.0", "0.50"]
