"""The property of the domain: whatever happens to an object, and however late, twice or out of order S3 and
CloudTrail tell of it, in the end the index says what the object says, and nothing else.

Intake, inspection, loading and settling run as they are, several at a time, and so does either index; only
the converter is a stand-in. Every operation on the ledger, on S3 and on OpenSearch is a step that the test
orders. Any process may die before or after any of them: the intake, whose messages come again while the
execution that it began goes on, and each step of an execution, which the workflow tries again.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.documents.entries import entry_key, entry_of
from signalbox.documents.inspection import InspectObject
from signalbox.documents.intake import AdmitEvents
from signalbox.documents.lines import write_lines
from signalbox.documents.loading import Index, LoadDocument
from signalbox.documents.models import Batch, Document, Outcome, Task, Text, Verdict
from signalbox.documents.opensearch_index import ROWS, OpenSearchIndex
from signalbox.documents.routes import Routes, default_routes
from signalbox.documents.s3_index import S3Index
from signalbox.documents.searching import Query
from signalbox.documents.settlement import SettleDocument
from signalbox.errors import ConflictError, ExecutionFailedError, NotFoundError, TransientError
from signalbox.failures import Failure
from signalbox.intake import Message, Retries
from signalbox.ledger.memory import MemoryLedger
from tests.stepping import Fate, Scheduler, Stepped
from tests.unit.documents.doubles import FakeBus, FakeObjects, FakeTopic, MovableClock
from tests.unit.documents.index_files import WORK, said
from tests.unit.documents.opensearch import FakeCluster
from tests.unit.documents.s3_events import BUCKET, SCOPE, called, created, deleted

KEYS = ("a.txt", "b.txt")
CONTENTS = {"A": b"apples", "B": b"bananas and\nberries", "empty": b""}
"""What an object may come to be, again and again. A line is a batch."""
ROUTES = default_routes(BUCKET)
STEP_TRIES = 4
CRASHING = 0.1
STEPS = ("inspect", "convert", "load", "settle")
"""An execution: what a step hands on is in the workflow's hands, and lives as long as that does."""


class Searched(Protocol):
    """An index, and what a search that nobody disturbs says of each document: its texts in order."""

    index: Index

    def said(self) -> dict[str, list[str]]: ...


class InS3:
    def __init__(self, objects: FakeObjects) -> None:
        stepped: Any = Stepped(objects)
        self.index = S3Index(stepped, WORK)
        self._objects = objects

    def said(self) -> dict[str, list[str]]:
        return {id_: texts for id_, (_, texts) in said(self._objects).items()}


class InOpenSearch:
    def __init__(self, _: FakeObjects) -> None:
        self._cluster = FakeCluster()
        stepped: Any = Stepped(self._cluster)
        self.index = OpenSearchIndex(stepped)

    def said(self) -> dict[str, list[str]]:
        if ROWS not in self._cluster.indices:
            return {}
        texts: dict[str, dict[int, str]] = {}
        for match in OpenSearchIndex(self._cluster).find(Query(limit=1_000)).matches:
            id_ = Document(bucket=match.bucket, key=match.key, generation=0, cause="found", occurred_at=0).id
            assert match.batch not in texts.setdefault(id_, {}), "one batch counts twice"
            texts[id_][match.batch] = match.snippet
        return {id_: [batches[number] for number in sorted(batches)] for id_, batches in texts.items()}


@dataclass
class Execution:
    """One execution of the workflow, and how it ended."""

    content: dict[str, Any]
    step: int = 0
    tries: int = 0
    known: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    outcome: Outcome | None = None
    ended: bool = False

    def task(self) -> Task:
        return msgspec.convert(
            self.content | self.known | {"failure": self.failure}, Task, from_attributes=True
        )


class System:
    """The stack, over stores whose operations are steps."""

    def __init__(self, make_index: Callable[[FakeObjects], Searched], *, versioned: bool) -> None:
        self.clock = MovableClock()
        self.objects = FakeObjects(self.clock)
        self.objects.create_bucket(BUCKET, versioned=versioned)
        self.objects.create_bucket(WORK)
        self.searched = make_index(self.objects)
        self.ledger = MemoryLedger()
        s3: Any = Stepped(self.objects)
        ledger: Any = Stepped(self.ledger)
        self.s3 = s3
        self.executions: list[Execution] = []
        self.start: Callable[[Execution], None] = self.execute
        self.before_load: Callable[[Task], None] = lambda _: None
        self.queue = NoQueue()
        self.intake = AdmitEvents(
            ledger, self.routes, self, self.queue, SCOPE, self.clock, Retries(1_000, lambda: 0.0)
        )
        self.inspecting = InspectObject(ledger, s3)
        self.loading = LoadDocument(s3, WORK, self.searched.index, self.clock)
        self.settling = SettleDocument(
            ledger, s3, FakeTopic(), FakeBus(), self.clock, bucket=WORK, quarantine_bytes=1_000
        )
        self.changes = 0

    def routes(self) -> Routes:
        return ROUTES

    # Somebody's objects

    def change(self, key: str, content: str, ways: Sequence[str]) -> list[Message]:
        """One call of S3, and what tells of it."""
        self.clock.now += 0.01
        self.changes += 1
        number = self.changes
        body = CONTENTS.get(content)
        if body is None:
            self.objects.delete(BUCKET, key)
        else:
            self.objects.put(BUCKET, key, body)
        native, name = (deleted, "DeleteObject") if body is None else (created, "PutObject")
        told = {
            "native": native(key, sequencer=f"{number:016x}", request=f"R{number}"),
            "cloudtrail": called(name, key, request=f"R{number}"),
        }
        return [
            Message(f"m{number}-{copy}", msgspec.json.encode(told[way]).decode(), 1, f"r{number}-{copy}")
            for copy, way in enumerate(ways)
        ]

    def deliver(self, message: Message) -> None:
        """As SQS does: what is returned comes again, when it is time."""
        while True:
            admission = self.intake.admit([message])
            assert not admission.rejections
            if not admission.waits:
                return
            self.clock.now += admission.waits[message.id]

    # The workflow

    def run(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """Starts an execution and waits for it: whoever waits may die."""
        execution = Execution(content)
        self.executions.append(execution)
        self.start(execution)
        looks: Any = Stepped(Looks())
        while not execution.ended:
            looks.wait()
        if execution.outcome is None:
            raise ExecutionFailedError(f"{name}: {execution.failure}")
        return {"outcome": execution.outcome}

    def execute(self, execution: Execution) -> None:
        """Begun anew after a crash, it goes on with the step that it was at."""
        while not execution.ended:
            execution.tries += 1
            if execution.failure is None and execution.tries > STEP_TRIES:
                self._fail(execution, "States.Timeout")
            try:
                self._do(execution)
            except TransientError as error:
                if execution.failure is None and execution.tries >= STEP_TRIES:
                    self._fail(execution, type(error).__name__)

    def zombie(self, task: Task) -> Callable[[], None]:
        """An attempt at loading that nobody waits for. When it dies, nobody begins it anew."""
        lives = iter([True])

        def load() -> None:
            if next(lives, False):
                with suppress(TransientError):
                    self.loading.load(task)

        return load

    def _fail(self, execution: Execution, error: str) -> None:
        execution.failure = Failure(step=STEPS[execution.step], error=error)

    def _do(self, execution: Execution) -> None:
        task = execution.task()
        if execution.failure is not None:
            if execution.tries < 2 * STEP_TRIES:  # then the workflow gives up on telling, too
                self.settling.settle(task)
            execution.ended = True
            return
        step = STEPS[execution.step]
        if step == "inspect":
            found = self.inspecting.inspect(task)
            execution.known |= {"object": found.object, "verdict": found.verdict}
            execution.step = STEPS.index("load" if found.verdict else "convert")
        elif step == "convert":
            execution.known |= self._convert(task)
            execution.step += 1
        elif step == "load":
            self.before_load(task)
            execution.known["loaded"] = self.loading.load(task)
            execution.step += 1
        else:
            execution.outcome = self.settling.settle(task).outcome
            execution.ended = True
        execution.tries = 0

    def _convert(self, task: Task) -> dict[str, Any]:
        """A stand-in for the converter, by its rules."""
        document, found = task.document, task.found
        try:
            content = self.s3.get(BUCKET, document.key, version_id=found.version_id, if_match=found.etag)
        except NotFoundError:
            return {"verdict": Verdict(outcome=Outcome.DELETED, reason="gone-before-read", detail="Gone.")}
        except ConflictError:
            return {"verdict": Verdict(outcome=Outcome.SUPERSEDED, reason="changed", detail="Changed.")}
        lines = content.body.decode().splitlines()
        key = f"text/{document.id}/{document.generation}.jsonl.gz"
        self.s3.put(WORK, key, write_lines(Batch(batch=n, text=text) for n, text in enumerate(lines)))
        text = Text(key=key, batches=len(lines), characters=0, media_type="text/plain")
        return {"text": text, "verdict": None}

    # What must hold

    def expected(self) -> dict[str, list[str]]:
        by_key = {key: self.objects.get(BUCKET, key).body for key in self.objects.keys(BUCKET)}
        return {
            Document(bucket=BUCKET, key=key, generation=0, cause="found", occurred_at=0).id: lines
            for key, body in by_key.items()
            if (lines := body.decode().splitlines())
        }


class Looks:
    """Waiting for an execution is a step that does nothing."""

    def wait(self) -> None:
        pass


class NoQueue:
    """The messages come again by `System.deliver`."""

    def change_visibility(self, seconds: Any) -> None:
        pass


type Change = tuple[str, str, list[str], int]
"""A key, what it comes to be, the ways in which that is told, and how much happens before."""

changes = st.tuples(
    st.sampled_from((KEYS[0], KEYS[0], KEYS[0], KEYS[1])),
    st.sampled_from(["A", "A", "B", "B", "empty", "nothing"]),
    st.sampled_from([["native"], ["native", "native"], ["native", "cloudtrail"], ["cloudtrail"]]),
    st.sampled_from([1, 1, 5, 40]),
)


class Fates:
    """What happens next: drawn from a seed, since these are hundreds of choices."""

    def __init__(self, chance: Random, crashes: int) -> None:
        self._chance = chance
        self._crashes = crashes

    def fate(self) -> Fate:
        if self._crashes == 0 or self._chance.random() > CRASHING:
            return "go"
        self._crashes -= 1
        return self._chance.choice(("crash-before", "crash-after"))

    def choose(self, among: int) -> int:
        return self._chance.randrange(among)


def simulate(system: System, fates: Fates, made: Sequence[Change], twice: Collection[int]) -> None:
    """Args:
    made: what changes, in order.
    twice: which of the loads have a first attempt that the workflow took for dead, and that goes on.
    """
    scheduler = Scheduler(fates.choose, fates.fate)
    waiting, loads = list(made), count()
    pauses: Any = Stepped(Looks())

    def start(execution: Execution) -> None:
        scheduler.add(f"execution-{len(system.executions)}", lambda: system.execute(execution))

    def load_twice(task: Task) -> None:
        if next(loads) in twice:
            scheduler.add("zombie", system.zombie(task))

    def change_all() -> None:
        while waiting:
            key, content, ways, before = waiting[0]
            for _ in range(before):
                pauses.wait()
            waiting.pop(0)
            for message in system.change(key, content, ways):
                scheduler.add(message.id, lambda message=message: system.deliver(message))  # type: ignore[misc]  # binds now

    system.start, system.before_load = start, load_twice
    scheduler.add("somebody", change_all)
    scheduler.run(20_000)


def check(system: System) -> None:
    assert system.searched.said() == system.expected()
    for key in KEYS:
        record = system.ledger.records([entry_key(BUCKET, key)]).get(entry_key(BUCKET, key))
        if record is not None:
            assert entry_of(record).is_done


@pytest.mark.parametrize("make_index", [InS3, InOpenSearch])
@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    chance=st.randoms(use_true_random=True),
    made=st.lists(changes, min_size=2, max_size=6),
    crashes=st.integers(0, 5),
    twice=st.frozensets(st.integers(0, 6), max_size=3),
    versioned=st.booleans(),
)
def test_in_the_end_the_index_says_what_the_objects_say(
    make_index: Callable[[FakeObjects], Searched],
    chance: Random,
    made: list[Change],
    crashes: int,
    twice: frozenset[int],
    *,
    versioned: bool,
) -> None:
    system = System(make_index, versioned=versioned)
    simulate(system, Fates(chance, crashes), made, twice)
    check(system)
