"""Merging the index's files: whatever happens meanwhile, a query says what was loaded last, and once."""

import gzip
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signalbox.documents import compaction
from signalbox.documents.compaction import (
    MERGED_AFTER_SECONDS,
    READING_SECONDS,
    CompactIndex,
    Compaction,
)
from signalbox.documents.models import Document
from signalbox.documents.s3_index import SHARDS, S3Index, shard_of, shard_prefix
from signalbox.errors import NotFoundError, UnavailableError
from tests.stepping import Actor, Fate, Stepped
from tests.unit.documents.doubles import FakeObjects, MovableClock
from tests.unit.documents.index_files import WORK, Reader, document, rows, said

KEYS = [key for key in map(str, range(1_000)) if shard_of(document(key).id) == 7][:3]
QUERY_SECONDS = 1_800.0
EXECUTION_SECONDS = 300.0
RUN_SECONDS = 900.0
DAY = 86_400.0

type State = tuple[int, list[str] | None]


class Scene:
    """An index in S3, and a clock."""

    def __init__(self, few: int = 2) -> None:
        self.clock = MovableClock()
        self.objects = FakeObjects(self.clock)
        self.objects.create_bucket(WORK)
        self.index = S3Index(self.objects, WORK)
        ids = count()
        self.compact = CompactIndex(self.objects, WORK, self.clock, lambda: f"id{next(ids)}", few=few)

    def load(self, of: Document, *texts: str) -> None:
        self.index.replace(of, rows(of, *texts))

    def run(self) -> Compaction:
        run = Compaction()
        self.compact.compact_shard(7, run)
        return run

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    @property
    def listed(self) -> set[str]:
        return {prefix for operation, _, prefix in self.objects.calls if operation == "list"}

    @property
    def files(self) -> list[str]:
        return [key.rpartition("/")[2] for key in self.objects.keys(WORK, shard_prefix(7))]


def generation(scene: Scene) -> int:
    return int(scene.clock() * 1000)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def three(scene: Scene) -> None:
    for number, key in enumerate(KEYS):
        scene.load(document(key, generation(scene) + number), key)


def test_many_files_become_one_and_go_when_nobody_reads_them_any_more(scene: Scene) -> None:
    three(scene)
    before = said(scene.objects)
    single = set(scene.files)

    run = scene.run()
    assert (run.merged, run.written, run.deleted) == (3, 1, 0)
    [merged] = set(scene.files) - single
    assert merged.startswith("merged-")
    assert said(scene.objects) == before

    scene.later(READING_SECONDS - 1)
    assert scene.run() == Compaction()
    assert single < set(scene.files)

    scene.later(1)
    assert scene.run().deleted == 3
    assert scene.files == [merged]
    assert scene.objects.keys(WORK, "index/merges/") == []
    assert said(scene.objects) == before


def test_few_files_are_left_alone_until_they_are_old(scene: Scene) -> None:
    scene.load(document(KEYS[0], generation(scene)), "text")

    scene.later(MERGED_AFTER_SECONDS)
    assert scene.run().merged == 0
    scene.later(1)
    assert scene.run().merged == 1


def test_a_merged_file_alone_is_not_merged_again(scene: Scene) -> None:
    three(scene)
    scene.run()
    scene.later(READING_SECONDS)
    scene.run()
    scene.later(10 * 86_400)

    assert scene.run() == Compaction()


def test_an_older_generation_does_not_go_into_a_merged_file(scene: Scene) -> None:
    three(scene)
    newer = document(KEYS[0], generation(scene) + 100)
    scene.load(newer, "newer")
    scene.run()
    scene.later(READING_SECONDS)
    scene.run()

    [merged] = scene.objects.keys(WORK, shard_prefix(7))
    lines = gzip.decompress(scene.objects.get(WORK, merged).body).splitlines()
    assert sorted(json.loads(line)["text"] for line in lines) == sorted(["newer", *KEYS[1:]])


def test_what_was_deleted_is_forgotten_once_nothing_older_is_left(scene: Scene) -> None:
    three(scene)
    scene.run()
    scene.load(document(KEYS[0], generation(scene) + 100))
    for _ in range(4):  # merged with what it covers; that is deleted; merged alone, so forgotten; deleted
        scene.later(DAY)
        scene.load(document(KEYS[1], generation(scene)), "again")
        scene.run()
        scene.later(READING_SECONDS)
        scene.run()

    body = b"".join(gzip.decompress(scene.objects.get(WORK, key).body) for key in scene.objects.keys(WORK))
    assert document(KEYS[0]).id not in body.decode()
    assert set(said(scene.objects)) == {document(key).id for key in KEYS[1:]}


def test_a_slow_query_that_listed_merged_files_first_misses_nothing(scene: Scene) -> None:
    three(scene)
    before = said(scene.objects)
    query = Reader(scene.objects, merged_first=True)
    scene.run()
    scene.later(QUERY_SECONDS)
    scene.run()

    assert query.said() == before


def test_a_straggler_does_not_bring_back_what_was_deleted(scene: Scene) -> None:
    straggler = document(KEYS[0], generation(scene))
    scene.load(document(KEYS[0], generation(scene) + 1))
    scene.load(document(KEYS[1], generation(scene)), "other")
    scene.load(document(KEYS[2], generation(scene)), "other")
    scene.run()
    scene.later(EXECUTION_SECONDS)

    assert scene.index.replace(straggler, rows(straggler, "late")) is None
    assert straggler.id not in said(scene.objects)


@pytest.mark.parametrize("merges_before", [0, 1])
def test_what_was_deleted_long_ago_does_not_come_back_while_files_go_one_by_one(
    scene: Scene, merges_before: int
) -> None:
    three(scene)
    for _ in range(merges_before):
        scene.run()
        scene.later(READING_SECONDS)
        scene.run()
    scene.load(document(KEYS[0], generation(scene) + 100))
    expected = {document(key).id for key in KEYS[1:]}
    for seconds in (DAY, READING_SECONDS, DAY, READING_SECONDS):
        scene.later(seconds)
        run = Run("slow", scene)
        run.start()
        while not run.finished:
            run.step("go")
            assert set(said(scene.objects)) == expected
        scene.load(document(KEYS[1], generation(scene)), "again")


def test_a_large_shard_is_written_in_parts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "PART_BYTES", 1)
    three(scene)
    before = said(scene.objects)

    assert scene.run().written == 3
    assert said(scene.objects) == before


def test_a_shard_that_is_too_large_is_left_alone_and_named(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MAXIMUM_SHARD_BYTES", 10)
    three(scene)

    assert scene.run().too_large == (7,)
    assert len(scene.files) == 3


def test_a_run_looks_at_every_shard_while_there_is_time(scene: Scene) -> None:
    assert scene.compact.compact(lambda: True).left == 0
    assert {shard_prefix(shard) for shard in range(SHARDS)} < scene.listed

    scene.objects.calls.clear()
    times = iter([True, True, False])
    assert scene.compact.compact(lambda: next(times)).left == SHARDS - 2
    first = scene.listed
    scene.later(3_600)
    scene.objects.calls.clear()
    times = iter([True, True, False])
    scene.compact.compact(lambda: next(times))
    assert first.isdisjoint(scene.listed)


def test_an_idle_shard_costs_two_listings(scene: Scene) -> None:
    three(scene)
    scene.run()
    scene.later(READING_SECONDS)
    scene.run()
    scene.objects.calls.clear()

    scene.run()
    assert [operation for operation, *_ in scene.objects.calls] == ["list", "list"]


def test_an_error_is_not_swallowed(scene: Scene) -> None:
    three(scene)
    before = said(scene.objects)
    scene.objects.fail("get", UnavailableError("InternalError"))

    with pytest.raises(UnavailableError):
        scene.run()
    assert said(scene.objects) == before


class Query:
    """A query that takes its time, and what it may say. It fails where a file goes that it has listed, and is
    asked again."""

    def __init__(self, machine: "Merging", *, merged_first: bool) -> None:
        self._machine = machine
        self._merged_first = merged_first
        self.begin()

    def begin(self) -> None:
        self.began = self._machine.scene.clock()
        self.allowed: dict[str, list[State]] = {key: [self._machine.newest[key]] for key in KEYS}
        self.reader = Reader(self._machine.scene.objects, merged_first=self._merged_first)

    def step(self) -> None:
        try:
            self.reader.step()
        except NotFoundError:
            assert self._machine.deletes > 0
            self.begin()

    def loaded(self, key: str, state: State) -> None:
        if state[0] > self.allowed[key][0][0]:
            self.allowed[key].append(state)

    def check(self) -> None:
        try:
            found = self.reader.said()
        except NotFoundError:
            assert self._machine.deletes > 0
            return
        for key in KEYS:
            said_of_it = found.get(document(key).id)
            if said_of_it is None:
                assert any(texts is None for _, texts in self.allowed[key]), f"{key} is missing"
            else:
                assert said_of_it in self.allowed[key]


class OneByOne:
    """S3, whose DeleteObjects is not done at once."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def delete(self, bucket: str, *keys: str) -> None:
        for key in keys:
            self._objects.delete(bucket, key)


class Run(Actor):
    """A run of the function, which dies for good when its time is up."""

    def __init__(self, name: str, scene: Scene) -> None:
        self.began = scene.clock()
        self.killed = False
        stepped: Any = OneByOne(Stepped(scene.objects))
        ids = count()
        use_case = CompactIndex(stepped, WORK, scene.clock, lambda: f"{name}{next(ids)}", few=1)
        super().__init__(name, lambda: None if self.killed else use_case.compact_shard(7, Compaction()))

    def kill(self) -> None:
        self.killed = True
        while not self.finished:
            self.step("crash-before")


class Merging(RuleBasedStateMachine):
    """Loads, deletes, stragglers, two runs of the compaction at once that crash, and queries that are slow.

    Nothing takes longer than AWS lets it: an execution, a query, a run of the function.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.newest: dict[str, State] = dict.fromkeys(KEYS, (0, None))
        self.admitted: list[tuple[float, Document]] = []
        self.queries: list[Query] = []
        self.runs: dict[int, Run] = {}
        self.highest = 0
        self.numbers = count()

    @initialize()
    def begin(self) -> None:
        """Two are there; of the third nobody has heard."""
        for key in KEYS[:2]:
            self.highest = max(self.highest + 1, generation(self.scene))
            self.scene.load(document(key, self.highest), key)
            self.newest[key] = (self.highest, [key])

    @rule(key=st.sampled_from(KEYS))
    def admit(self, key: str) -> None:
        self.highest = max(self.highest + 1, generation(self.scene))
        self.admitted.append((self.scene.clock(), document(key, self.highest)))

    @precondition(lambda self: self.admitted)
    @rule(data=st.data(), batches=st.integers(0, 2))
    def load(self, data: st.DataObject, batches: int) -> None:
        """In any order; with no batch it is a delete."""
        _, of = self.admitted.pop(data.draw(st.integers(0, len(self.admitted) - 1)))
        texts = [f"{of.generation}-{number}" for number in range(batches)]
        superseded = self.scene.index.replace(of, rows(of, *texts)) is None
        assert superseded == (self.newest[of.key][0] > of.generation)
        state: State = (of.generation, texts or None)
        if not superseded:
            self.newest[of.key] = state
            for query in self.queries:
                query.loaded(of.key, state)

    @rule(
        which=st.integers(0, 1),
        steps=st.integers(1, 16),
        fate=st.sampled_from(["go", "go", "go", "crash-before", "crash-after"]),
    )
    def work(self, which: int, steps: int, fate: Fate) -> None:
        """One of two runs goes on. One that crashes begins anew, as a retry does; one that is done, too."""
        run = self.runs.get(which)
        if run is None:
            run = self.runs[which] = Run(f"run{next(self.numbers)}", self.scene)
            run.start()
        for number in range(steps):
            if not run.finished:
                run.step(fate if number == steps - 1 else "go")
        assert run.error is None, run.error
        if run.finished:
            del self.runs[which]

    @property
    def deletes(self) -> int:
        """How often files were deleted."""
        return sum(operation == "delete" for operation, *_ in self.scene.objects.calls)

    @precondition(lambda self: len(self.queries) < 3)
    @rule(merged_first=st.booleans())
    def begin_query(self, merged_first: bool) -> None:  # noqa: FBT001 - hypothesis names its arguments
        self.queries.append(Query(self, merged_first=merged_first))

    @precondition(lambda self: self.queries)
    @rule(data=st.data(), steps=st.integers(1, 3))
    def read(self, data: st.DataObject, steps: int) -> None:
        query = self.queries[data.draw(st.integers(0, len(self.queries) - 1))]
        for _ in range(steps):
            query.step()

    @precondition(lambda self: self.queries)
    @rule(data=st.data())
    def end_query(self, data: st.DataObject) -> None:
        self.queries.pop(data.draw(st.integers(0, len(self.queries) - 1))).check()

    @rule(seconds=st.sampled_from([1.0, 200.0, 1_700.0, READING_SECONDS, DAY]))
    def wait(self, seconds: float) -> None:
        self.scene.later(seconds)
        now = self.scene.clock()
        self._end(lambda began, allowed: now - began > allowed)

    def _end(self, over: Callable[[float, float], bool]) -> None:
        self.admitted = [each for each in self.admitted if not over(each[0], EXECUTION_SECONDS)]
        self.queries = [query for query in self.queries if not over(query.began, QUERY_SECONDS)]
        for which, run in list(self.runs.items()):
            if over(run.began, RUN_SECONDS):
                run.kill()
                del self.runs[which]

    @invariant()
    def a_query_at_this_moment_says_what_was_loaded_last(self) -> None:
        expected = {document(key).id: state for key, state in self.newest.items() if state[1] is not None}
        assert said(self.scene.objects) == expected

    def teardown(self) -> None:
        self._end(lambda _began, _allowed: True)


Merging.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMerging = Merging.TestCase
