"""10,000 objects uploaded at once: as many are worked on as may be, the rest wait, and nothing is dropped.

The intake, the ledger's rules and the settling are real; queue, executions and index are stand-ins on a clock
of their own. Intakes and executions overlap, meet the same objects, are throttled, fail and die. What the
intake does not finish the queue hands out again.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from signalbox.clock import iso
from signalbox.documents.entries import DOMAIN, TRIES_USED_UP, Entry, entry_key, entry_of
from signalbox.documents.intake import EXECUTIONS_AT_ONCE, AdmitEvents
from signalbox.documents.models import Document, Found, Loaded, Outcome, Task, Verdict
from signalbox.documents.routes import parse_routes
from signalbox.documents.settlement import SettleDocument
from signalbox.errors import ExecutionFailedError, ThrottledError, UnavailableError
from signalbox.failures import Failure
from signalbox.intake import Message, Retries
from signalbox.ledger.memory import MemoryLedger
from tests.fake_queue import FakeQueue
from tests.simulated_time import SimulatedTime
from tests.stepping import CrashedError
from tests.unit.documents.doubles import NOON, FakeBus, FakeObjects, FakeTopic
from tests.unit.documents.s3_events import (
    BUCKET,
    SCOPE,
    called,
    called_for_many,
    created,
    deleted,
)

OBJECTS = 10_000
CONCURRENCY = 10
"""Batches at once, of so many messages: as the template has it."""
BATCH = 5
VISIBILITY_SECONDS = 360.0
MAXIMUM_RECEIVES = 5
POLL_SECONDS = 20.0
EXECUTION_SECONDS = (1.0, 20.0)
LATENCY_SECONDS = 0.01
STRUCK = 0.02
"""How likely whatever may go wrong does so, each time."""
STRIKES = 2
"""So often at most anything happens to an object or a message: the queue's tries are enough for them."""
ROUTES = parse_routes(
    json.dumps(
        [
            {"name": "skipped", "bucket": BUCKET, "key": "tmp/*", "pipeline": "ignore"},
            {"name": "all", "bucket": BUCKET, "pipeline": "index"},
        ]
    )
)
GONE, SEALED = "", "sealed"


class Change(NamedTuple):
    """What somebody does to objects, or what is told of it, so many seconds after noon."""

    at: float
    contents: Mapping[str, str] = {}
    """By key: `GONE`, or a version. One that begins with `SEALED` is encrypted."""
    bodies: Sequence[str] = ()


class Estate:
    """The objects as they are, and what becomes of them: who works on them, and what the index says.

    Attributes:
        strikes: how often something went wrong, by object.
        at_once: executions that an intake waits for. Those of one that has died go on beside them.
    """

    def __init__(self, random: Random, story: "Story") -> None:
        self.random = random
        self.story = story
        self.time = SimulatedTime(NOON)
        self.ledger = MemoryLedger()
        self.queue = FakeQueue(self.time, visibility=VISIBILITY_SECONDS, maximum_receives=MAXIMUM_RECEIVES)
        self.contents: dict[str, str] = {}
        self.is_told = False
        self.index: dict[str, tuple[int, str]] = {}
        self.strikes = Counter[str]()
        self.executions = Counter[str]()
        self.at_once = 0
        self.most_at_once = 0
        objects = FakeObjects(self.time)
        objects.create_bucket(BUCKET)
        objects.create_bucket("work")
        self.settling = SettleDocument(
            self.ledger, objects, FakeTopic(), FakeBus(), self.time, bucket="work", quarantine_bytes=0
        )

    def is_struck(self, batch: Sequence[Message], keys: Collection[str]) -> bool:
        """Whether something goes wrong now, in this batch, for these objects."""
        struck = (
            self.random.random() < STRUCK
            and all(message.receives <= STRIKES for message in batch)
            and all(self.strikes[key] < STRIKES and key not in self.story.hopeless for key in keys)
        )
        if struck:
            self.strikes.update(keys)
        return struck

    def somebody(self) -> None:
        for change in self.story.changes:
            if (wait := NOON + change.at - self.time()) > 0:
                self.time.wait(wait)
            self.contents |= change.contents
            self.queue.send(*change.bodies)
        self.is_told = True

    def poll(self) -> None:
        """One of the event source mapping's pollers, for one execution environment after the other."""
        environment = Environment(self)
        while (at := self.queue.next_at) is not None or not self.is_told:
            if at is None or at > self.time():
                self.time.wait(POLL_SECONDS)
                continue
            try:
                environment.invoke()
            except CrashedError:
                environment.die()
                environment = Environment(self)

    def execute(self, task: Task, *, fails: bool) -> Outcome | None:
        """From what the object is to what the index says of it. None where it fails."""
        document = task.document
        self.executions[document.key] += 1
        self.time.wait(self.random.uniform(*EXECUTION_SECONDS))
        content = self.contents[document.key]
        self.time.wait(self.random.uniform(*EXECUTION_SECONDS))
        if fails or document.key in self.story.hopeless:
            failure = Failure(step="ConvertObject", error="UnavailableError")
            self.settling.settle(msgspec.structs.replace(task, failure=failure))
            return None
        found, verdict = inspected(content)
        loaded = self._load(document, content, verdict)
        settled = self.settling.settle(
            msgspec.structs.replace(task, object=found, verdict=verdict, loaded=loaded)
        )
        return settled.outcome

    def _load(self, document: Document, content: str, verdict: Verdict | None) -> Loaded:
        if self.index.get(document.key, (0, ""))[0] > document.generation:
            return Loaded(outcome=Outcome.SUPERSEDED)
        self.index[document.key] = document.generation, GONE if verdict else content
        return Loaded(outcome=verdict.outcome if verdict else Outcome.INDEXED, rows=1)

    def entry(self, key: str) -> Entry:
        return entry_of(self.ledger.records([entry_key(BUCKET, key)])[entry_key(BUCKET, key)])


@dataclass
class Environment:
    """Where the intake runs, one batch after the other, until it dies. Its executions go on by themselves.

    Attributes:
        batch: what it was given last.
    """

    estate: Estate
    running: int = 0
    dead: bool = False
    batch: Sequence[Message] = ()

    def __post_init__(self) -> None:
        estate = self.estate
        self._intake = AdmitEvents(
            self,
            lambda: ROUTES,
            self,
            estate.queue,
            SCOPE,
            estate.time,
            Retries(MAXIMUM_RECEIVES, estate.random.random),
            self.side_by_side,
        )

    def invoke(self) -> None:
        queue = self.estate.queue
        self.batch = queue.receive(BATCH)
        if self._is_struck():
            queue.failing.append(ThrottledError("ChangeMessageVisibilityBatch"))
        admission = self._intake.admit(self.batch)
        queue.failing.clear()
        queue.delete({message.id for message in self.batch} - set(admission.returned))

    def die(self) -> None:
        self.dead = True
        self.estate.at_once -= self.running

    def _is_struck(self, *keys: str) -> bool:
        """Whether something goes wrong now for these objects, or for all that the batch tells of."""
        told = self.estate.story.keys_of
        all_keys = {key for message in self.batch for key in told.get(message.body, ())}
        return self.estate.is_struck(self.batch, keys or all_keys)

    # The ledger, a network away

    def records(self, keys: Any) -> Any:
        return self._ask(lambda: self.estate.ledger.records(keys))

    def put_records(self, records: Any) -> Any:
        return self._ask(lambda: self.estate.ledger.put_records(records))

    def reject(self, rejection: Any) -> None:
        self._ask(lambda: self.estate.ledger.reject(rejection))

    def rejections(self, domain: str, day: str) -> Any:
        raise NotImplementedError("the intake reads none")

    def _ask[A](self, operation: Callable[[], A]) -> A:
        self.estate.time.wait(LATENCY_SECONDS)
        if self._is_struck():
            raise self.estate.random.choice([CrashedError, ThrottledError, UnavailableError])("before")
        answer = operation()
        if self._is_struck():
            raise self.estate.random.choice([CrashedError, UnavailableError])("after")
        return answer

    # The workflow

    def run(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        task = msgspec.convert(content, Task)
        key = task.document.key
        if self._is_struck(key):
            raise ThrottledError("StartSyncExecution")
        is_lost = self._is_struck(key)
        self._count(1)
        outcome = self.estate.execute(task, fails=self._is_struck(key))
        self._count(-1)
        if is_lost:
            raise UnavailableError("the answer got lost")
        if outcome is None:
            raise ExecutionFailedError(name)
        return {"outcome": outcome}

    def _count(self, one: int) -> None:
        self.running += one
        if not self.dead:
            self.estate.at_once += one
            self.estate.most_at_once = max(self.estate.most_at_once, self.estate.at_once)

    def side_by_side[A, B](self, work: Callable[[A], B], items: Iterable[A], /) -> list[B]:
        """As `signalbox.side_by_side.SideBySide`. The environment may die over it."""
        waiting, ends = deque(enumerate(items)), dict[int, B]()

        def go_on() -> None:
            while waiting:
                number, item = waiting.popleft()
                ends[number] = work(item)

        threads = [go_on] * min(len(waiting), EXECUTIONS_AT_ONCE)
        if threads and self._is_struck():
            for thread in threads:
                self.estate.time.begin(thread)
            self.estate.time.wait(EXECUTION_SECONDS[0])
            waiting.clear()
            raise CrashedError
        self.estate.time.wait_for_all(threads)
        return [ends[number] for number in sorted(ends)]


def inspected(content: str) -> tuple[Found | None, Verdict | None]:
    if content == GONE:
        return None, Verdict(outcome=Outcome.DELETED, reason="deleted", detail="")
    found = Found(version=content, etag=content, size=1, media_type="application/pdf", modified_at=NOON)
    sealed = Verdict(outcome=Outcome.ENCRYPTED, reason="password-needed", detail="")
    return found, sealed if content.startswith(SEALED) else None


class Story:
    """Uploads at once, and later whatever else people do, told as S3 and CloudTrail tell it.

    Attributes:
        hopeless: keys whose every execution fails.
        keys_of: which objects a message tells of.
        newest: what S3 told of each object last.
    """

    def __init__(self, random: Random, objects: int) -> None:
        self._random = random
        self._numbers = count(1)
        few = objects // 400
        self.keys = [f"in/{number:05}.pdf" for number in range(objects)]
        self.hopeless = frozenset(random.sample(self.keys, few))
        self.unreadable = [f"no json {number}" for number in range(few)]
        self.ignored = [json.dumps(created(f"tmp/{number}")) for number in range(few)]
        self.foreign = [json.dumps(created(f"{n}") | {"account": "999999999999"}) for n in range(few)]
        self.keys_of: dict[str, Sequence[str]] = {}
        self.newest: dict[str, str] = {}
        self.changes = sorted(self._changes(few), key=lambda change: change.at)

    def _changes(self, few: int) -> Iterator[Change]:
        yield Change(0.0, bodies=[*self.unreadable, *self.ignored, *self.foreign])
        others = [key for key in self.keys if key not in self.hopeless]
        made = [(0.0, [key], self._content()) for key in self.keys]
        made += [
            (self._later(), [key], self._content(gone=0.3))
            for key in self._random.choices(self.keys, k=len(self.keys) // 10)
        ]
        made += [
            (self._later(), self._random.sample(others, 2 * EXECUTIONS_AT_ONCE), GONE) for _ in range(few)
        ]
        for at, keys, content in sorted(made):
            yield Change(at, dict.fromkeys(keys, content))
            for body in self._told(keys, content):
                yield Change(at + ceil(self._random.expovariate(1 / 20)), bodies=[body])

    def _later(self) -> float:
        return float(self._random.randint(1, 1_500))

    def _content(self, gone: float = 0.0) -> str:
        drawn = self._random.random()
        return GONE if drawn < gone else f"{SEALED if drawn > 0.97 else 'open'} {next(self._numbers)}"

    def _told(self, keys: Sequence[str], content: str) -> list[str]:
        """S3's event, here and there twice, and CloudTrail's besides; of a sweep CloudTrail's alone."""
        number = next(self._numbers)
        request = f"R{number}"
        if len(keys) > 1:
            arns = [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{BUCKET}/{key}"} for key in keys]
            bodies = [json.dumps(called_for_many(resources=arns, requestID=request))]
        else:
            [key] = keys
            native = deleted if content == GONE else created
            bodies = [json.dumps(native(key, sequencer=f"{number:016x}", request=request))]
            self.newest[key] = bodies[0]
            drawn = self._random.random()
            name = "DeleteObject" if content == GONE else "PutObject"
            bodies += bodies if drawn < 0.1 else []
            bodies += [json.dumps(called(name, key, request=request))] if drawn > 0.9 else []
        self.keys_of |= dict.fromkeys(bodies, keys)
        return bodies


@pytest.fixture(scope="module")
def estate() -> Estate:
    """Everything has come to its end."""
    random = Random(7)  # noqa: S311 - the same each time
    estate = Estate(random, Story(random, OBJECTS))
    estate.time.begin(estate.somebody)
    for _ in range(CONCURRENCY):
        estate.time.begin(estate.poll)
    estate.time.run()
    return estate


def test_each_object_is_settled_as_it_is(estate: Estate) -> None:
    for key in set(estate.story.keys) - estate.story.hopeless:
        found, verdict = inspected(estate.contents[key])
        entry = estate.entry(key)
        assert entry.is_done
        assert entry.settled == entry.generation
        assert entry.outcome is (verdict.outcome if verdict else Outcome.INDEXED)
        assert entry.version == (found.version if found else "")


def test_the_index_says_what_the_objects_say(estate: Estate) -> None:
    assert {key: content for key, (_, content) in estate.index.items() if content} == {
        key: content
        for key, content in estate.contents.items()
        if content.startswith("open") and key not in estate.story.hopeless
    }


def test_what_can_not_be_done_is_in_the_dead_letter_queue_and_nothing_else(estate: Estate) -> None:
    story, dead = estate.story, set(estate.queue.dead)
    assert dead >= set(story.unreadable) | {story.newest[key] for key in story.hopeless}
    for body in dead - set(story.unreadable):
        assert set(story.keys_of[body]) <= story.hopeless
    used_up = {key for key in story.keys if estate.entry(key).reason == TRIES_USED_UP}
    assert used_up == story.hopeless
    kept = estate.ledger.rejections(DOMAIN, iso(NOON)[:10])
    assert sorted(rejection.body for rejection in kept) == sorted(story.foreign)


def test_as_many_are_worked_on_as_may_be_and_no_more(estate: Estate) -> None:
    most = CONCURRENCY * EXECUTIONS_AT_ONCE
    assert 0.9 * most < estate.most_at_once <= most


def test_nothing_is_done_again_but_where_something_went_wrong(estate: Estate) -> None:
    assert estate.strikes.total() > OBJECTS / 10, "too little goes wrong for this to show anything"
    changes = Counter(key for change in estate.story.changes for key in change.contents)
    for key in set(estate.story.keys) - estate.story.hopeless:
        assert estate.executions[key] <= changes[key] + estate.strikes[key]
