"""The intake: every message accounted for, every object's workflow run once, and again where it failed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.clock import iso
from signalbox.documents.admission import BUSY_SECONDS
from signalbox.documents.entries import Entry, entry_key, entry_of, record_of
from signalbox.documents.intake import (
    CHANGE_ATTEMPTS,
    START_SECONDS,
    Admission,
    AdmitEvents,
)
from signalbox.documents.models import Document, Outcome, document_id
from signalbox.documents.objects import padded
from signalbox.documents.routes import parse_routes
from signalbox.errors import (
    AccessDeniedError,
    ExecutionFailedError,
    InvariantError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from signalbox.intake import (
    FIRST_LOOK_SECONDS,
    FIRST_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    Message,
    Retries,
)
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Record, Rejection
from tests.fake_queue import FakeQueue
from tests.stepping import CrashedError, Fate, Scheduler, Stepped
from tests.unit.documents.doubles import NOON, MovableClock
from tests.unit.documents.s3_events import (
    BUCKET,
    KEY,
    KEYS,
    SCOPE,
    FakeWorkflow,
    called,
    called_for_many,
    created,
    deleted,
    fails,
    found,
)

ROUTES = parse_routes(
    json.dumps(
        [
            {"name": "skipped", "bucket": BUCKET, "key": "tmp/*", "pipeline": "ignore"},
            {"name": "all", "bucket": BUCKET, "pipeline": "index", "options": {"entities": True}},
        ]
    )
)
MAXIMUM_RECEIVES = 5


class Stack:
    """The intake between its queue, its ledger and its workflow. A workflow settles what it does."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.clock = MovableClock()
        self.ledger = ledger or MemoryLedger()
        self.queue = FakeQueue(self.clock, maximum_receives=MAXIMUM_RECEIVES)
        self.workflow = FakeWorkflow(self.settles)
        self.intake = AdmitEvents(
            self.ledger,
            lambda: ROUTES,
            self.workflow,
            self.queue,
            SCOPE,
            self.clock,
            Retries(MAXIMUM_RECEIVES, lambda: 1.0),
        )

    def settles(self, document: Document, outcome: Outcome = Outcome.INDEXED) -> Outcome:
        settle(self.ledger, document)
        return outcome

    def send(self, *events: dict[str, Any] | str) -> None:
        self.queue.send(*(event if isinstance(event, str) else json.dumps(event) for event in events))

    def batch(self) -> Admission:
        """One invocation. What it does not return is gone."""
        messages = self.queue.receive()
        admission = self.intake.admit(messages)
        self.queue.delete({message.id for message in messages} - set(admission.returned))
        return admission

    def take(self, *events: dict[str, Any] | str) -> Admission:
        self.send(*events)
        return self.batch()

    def entry(self, key: str = KEY) -> Entry:
        return entry_of(self.ledger.records([entry_key(BUCKET, key)])[entry_key(BUCKET, key)])

    @property
    def documents(self) -> list[Document]:
        return [Document(**content["document"]) for _, content in self.workflow.asked]


def settle(ledger: MemoryLedger, document: Document) -> None:
    """As the workflow's last step."""
    key = entry_key(document.bucket, document.key)
    while True:
        record = ledger.records([key])[key]
        entry = entry_of(record)
        told = max(entry.told, document.generation)
        done = {**record.body, "settled": max(entry.settled, document.generation), "told": told}
        if not ledger.put_records([Record(key, done, record.version)]):
            return


@pytest.fixture
def stack() -> Stack:
    return Stack()


def test_an_object_is_admitted_and_worked_on(stack: Stack) -> None:
    stack.clock.now += 7
    admission = stack.take(created())
    assert admission == Admission(admitted=1, outcomes={Outcome.INDEXED: 1}, oldest=7.0)
    [(name, content)] = stack.workflow.asked
    generation = int(stack.clock.now * 1_000)
    assert name == f"{document_id(BUCKET, KEY)[:16]}-{generation}"
    assert content["document"] == {
        "bucket": BUCKET,
        "key": KEY,
        "generation": generation,
        "cause": "created",
        "occurred_at": NOON,
        "last_try": False,
        "alone": True,
    }
    assert content["options"]["route"] == "all"
    assert content["options"]["entities"] is True
    assert stack.queue.changes == []


def test_a_name_of_an_execution_fits() -> None:
    document = Document(bucket=BUCKET, key=KEY, generation=10**15, cause="created", occurred_at=0.0)
    assert len(document.execution) <= 80  # StartSyncExecution, Step Functions API Reference


@pytest.mark.parametrize("event", [created, deleted, found, lambda key: called(key=key)])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_any_key_arrives_as_it_is(stack: Stack, key: str, event: Callable[[str], dict[str, Any]]) -> None:
    assert stack.take(event(key)).admitted == 1
    assert [document.key for document in stack.documents] == [key]


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_ends_the_message(stack: Stack, outcome: Outcome) -> None:
    stack.workflow.work = lambda document: stack.settles(document, outcome)
    admission = stack.take(created())
    assert (admission.outcomes, admission.returned) == ({outcome: 1}, ())
    assert stack.queue.next_at is None


def test_what_comes_again_is_an_echo(stack: Stack) -> None:
    stack.take(created())
    admission = stack.take(created(), called(), created("other", sequencer="62"))
    assert (admission.admitted, admission.echoed) == (1, {"duplicate": 2})
    stale = stack.take(created(sequencer="60"))
    assert (stale.echoed, stale.returned) == ({"stale": 1}, ())
    assert [document.key for document in stack.documents] == [KEY, "other"]


def test_a_twin_leaves_its_sequencer(stack: Stack) -> None:
    stack.take(called())
    assert stack.take(created(sequencer="62")).echoed == {"duplicate": 1}
    assert stack.entry().sequencer == padded("62")
    assert stack.take(created(sequencer="61", request="R0")).echoed == {"stale": 1}
    assert len(stack.documents) == 1


def test_events_of_one_object_are_merged(stack: Stack) -> None:
    events = [
        created(sequencer="61", request="R1"),
        called(request="R1"),
        deleted(sequencer="62", request="R2"),
    ]
    admission = stack.take(*events)
    assert (admission.admitted, admission.echoed) == (1, {"merged": 2})
    assert [document.cause for document in stack.documents] == ["deleted"]


def test_what_no_route_takes_is_ignored(stack: Stack) -> None:
    elsewhere = created() | {"detail": created()["detail"] | {"bucket": {"name": "another-bucket"}}}
    admission = stack.take(created("tmp/a"), created("tmp/b"), elsewhere)
    assert (admission.ignored, admission.admitted, admission.returned) == (3, 0, ())
    assert stack.ledger.records([entry_key(BUCKET, "tmp/a")]) == {}


def test_bad_input_is_recorded_and_the_rest_goes_on(stack: Stack) -> None:
    foreign = created() | {"account": "999999999999"}
    admission = stack.take("no json", foreign, called_for_many(), created(), called(errorCode="AccessDenied"))
    assert [rejection.code for rejection in admission.rejections] == ["foreign-account", "keys-not-named"]
    kept: list[Rejection] = stack.ledger.rejections("documents", iso(NOON)[:10])
    assert sorted(kept, key=lambda rejection: rejection.id) == list(admission.rejections)
    assert (admission.admitted, admission.echoed["failed-call"]) == (1, 1)
    assert admission.returned == ("m1",)


def test_what_can_not_be_read_ends_in_the_dead_letter_queue(stack: Stack) -> None:
    stack.send("no json")
    run_to_rest(stack)
    assert stack.queue.dead == ["no json"]


def test_one_message_may_tell_of_many_objects(stack: Stack) -> None:
    arns = [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{BUCKET}/{key}"} for key in "abc"]
    failing = {"b"}

    def work(document: Document) -> Outcome:
        return fails(document) if document.key in failing else stack.settles(document)

    stack.workflow.work = work
    first = stack.take(called_for_many(resources=arns))
    assert (first.admitted, first.outcomes, first.returned) == (3, {Outcome.INDEXED: 2}, ("m1",))
    failing.clear()
    stack.clock.now += FIRST_WAIT_SECONDS
    second = stack.batch()
    assert (second.admitted, second.echoed, second.returned) == (1, {"duplicate": 2}, ())


# What fails


def test_a_failure_comes_again_and_is_tried_at_once(stack: Stack) -> None:
    stack.workflow.work = fails
    failed = stack.take(created())
    assert (failed.admitted, failed.outcomes, failed.waits) == (1, {}, {"m1": 10})
    assert f"s3://{BUCKET}/{KEY}" in failed.errors[0]
    assert stack.queue.changes == [{"m1-1": 10}]
    stack.clock.now += 10
    stack.workflow.work = stack.settles
    again = stack.batch()
    assert (again.admitted, again.returned) == (1, ())
    first, second = stack.documents
    assert second.generation > first.generation
    assert not second.alone


def test_waits_grow_until_the_last_try(stack: Stack) -> None:
    stack.workflow.work = fails
    stack.send(created())
    waits: list[int] = []
    while (at := stack.queue.next_at) is not None:
        stack.clock.now = at
        waits += stack.batch().waits.values()
    assert waits == [10, 20, 40, 80, 160]
    assert [document.last_try for document in stack.documents] == [False, False, False, False, True]
    assert stack.queue.dead == [json.dumps(created())]


def test_it_is_no_last_try_while_another_message_has_more(stack: Stack) -> None:
    messages = [
        Message("old", json.dumps(created()), MAXIMUM_RECEIVES, "r1"),
        Message("new", json.dumps(called()), 1, "r2"),
    ]
    stack.intake.admit(messages)
    assert [document.last_try for document in stack.documents] == [False]


@given(busy=st.floats(1, BUSY_SECONDS))
def test_a_message_does_not_go_to_the_dead_letter_queue_for_waiting(busy: float) -> None:
    retries, waited = Retries(5, lambda: 0.0), 0.0
    for receives in range(1, 5):
        look = retries.look(Message("m", "", receives), busy - waited)
        assert 0 <= look <= busy - waited
        waited += look
    assert waited == pytest.approx(busy)


@given(receives=st.integers(1, 1_000), jitter=st.floats(0, 1))
def test_a_wait_is_bounded(receives: int, jitter: float) -> None:
    wait = Retries(5, lambda: jitter).wait(Message("m", "", receives))
    assert FIRST_WAIT_SECONDS / 2 <= wait <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize(
    "error", [ThrottledError("rate"), ExecutionFailedError("TIMED_OUT"), AccessDeniedError("no permission")]
)
def test_what_is_known_to_be_over_is_released(stack: Stack, error: SignalboxError) -> None:
    def work(_: Document) -> Outcome:
        raise error

    stack.workflow.work = work
    assert stack.take(created()).waits == {"m1": 10}
    entry = stack.entry()
    assert (entry.busy_until, entry.reason) == (0.0, "try-failed")
    assert str(error) in entry.detail


def test_what_an_execution_has_said_itself_of_its_failure_stays(stack: Stack) -> None:
    """And costs no second write."""

    def work(document: Document) -> Outcome:
        key = entry_key(BUCKET, KEY)
        record = stack.ledger.records([key])[key]
        said = {**record.body, "reason": "try-failed", "detail": "the step's own words", "busy_until": 0.0}
        assert not stack.ledger.put_records([Record(key, said, record.version)])
        return fails(document)

    stack.workflow.work = work
    stack.take(created())
    assert stack.entry().detail == "the step's own words"
    assert stack.ledger.records([entry_key(BUCKET, KEY)])[entry_key(BUCKET, KEY)].version == 2


def test_an_answer_that_is_lost_keeps_the_object_busy(stack: Stack) -> None:
    def work(_: Document) -> Outcome:
        raise UnavailableError("ReadTimeoutError")

    stack.workflow.work = work
    lost = stack.take(created())
    assert lost.waits == {"m1": int(BUSY_SECONDS)}
    assert stack.entry().busy_until == NOON + BUSY_SECONDS
    stack.clock.now += 100
    assert stack.take(called()).waits == {"m2": FIRST_LOOK_SECONDS}
    stack.workflow.work = stack.settles
    run_to_rest(stack)
    assert len(stack.documents) == 2
    assert stack.entry().is_done


def test_a_crash_keeps_the_object_busy(stack: Stack) -> None:
    def work(_: Document) -> Outcome:
        raise CrashedError

    stack.workflow.work = work
    with pytest.raises(CrashedError):
        stack.take(created())
    stack.workflow.work = stack.settles
    run_to_rest(stack)
    assert stack.clock.now >= NOON + BUSY_SECONDS
    assert [document.alone for document in stack.documents] == [True, False]


def test_an_answer_of_no_outcome_fails_loudly(stack: Stack) -> None:
    stack.workflow.run = lambda name, content: {"Payload": {"outcome": "DONE"}}  # type: ignore[method-assign] # bad output
    with pytest.raises(InvariantError, match="answered"):
        stack.take(created())


def test_nothing_is_begun_that_could_not_end_in_time(stack: Stack) -> None:
    def work(document: Document) -> Outcome:
        stack.clock.now += START_SECONDS + 1
        return stack.settles(document)

    stack.workflow.work = work
    first = stack.take(created("a"), created("b"))
    assert (first.admitted, first.returned) == (1, ("m2",))
    assert stack.entry("b").busy_until == 0.0
    stack.clock.now += FIRST_WAIT_SECONDS
    assert stack.batch().admitted == 1


def test_routes_that_can_not_be_read_lose_nothing(stack: Stack) -> None:
    def routes() -> Any:
        raise SignalboxError("the routes make no sense: mend them")

    intake = AdmitEvents(
        stack.ledger, routes, stack.workflow, stack.queue, SCOPE, stack.clock, Retries(5, lambda: 0.0)
    )
    stack.send(created(), created("b"))
    admission = intake.admit(stack.queue.receive())
    assert admission.waits == {"m1": 5, "m2": 5}
    assert admission.errors == ("the routes make no sense: mend them",)
    assert stack.workflow.asked == []


def test_a_queue_that_does_not_listen_loses_nothing(stack: Stack) -> None:
    stack.workflow.work = fails
    stack.queue.failing = [ThrottledError("ChangeMessageVisibilityBatch: slow down")]
    admission = stack.take(created())
    assert admission.returned == ("m1",)
    assert "slow down" in admission.errors[-1]
    assert stack.queue.next_at == NOON + stack.queue.visibility


class FailingLedger(MemoryLedger):
    """One operation fails so many times, with no effect."""

    def __init__(self, operation: str, times: int) -> None:
        super().__init__()
        self._operation = operation
        self.left = times

    def _fail(self, operation: str) -> None:
        if operation == self._operation and self.left:
            self.left -= 1
            raise UnavailableError(f"{operation}: no answer")

    def records(self, keys: Any) -> dict[str, Record]:
        self._fail("records")
        return super().records(keys)

    def put_records(self, records: Any) -> set[str]:
        self._fail("put_records")
        return super().put_records(records)

    def reject(self, rejection: Rejection) -> None:
        self._fail("reject")
        super().reject(rejection)


@pytest.mark.parametrize("operation", ["records", "put_records", "reject"])
def test_a_ledger_that_fails_loses_nothing(operation: str) -> None:
    stack = Stack(FailingLedger(operation, 1))
    admission = stack.take(created(), called_for_many())
    assert len(admission.returned) == 1
    run_to_rest(stack)
    assert stack.entry().is_done
    assert len(stack.ledger.rejections("documents", iso(stack.clock.now)[:10])) == 1


def test_a_ledger_that_fails_after_the_workflow_only_costs_time(stack: Stack) -> None:
    ledger = FailingLedger("records", 0)
    stack = Stack(ledger)

    def work(document: Document) -> Outcome:
        ledger.left = 1
        return fails(document)

    stack.workflow.work = work
    assert stack.take(created()).waits == {"m1": 10}
    stack.clock.now += 10
    assert stack.batch().waits == {"m1": 4 * FIRST_LOOK_SECONDS}


class ContestedLedger(MemoryLedger):
    """Somebody else changes each entry just before it is written, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def put_records(self, records: Any) -> set[str]:
        if self.left:
            self.left -= 1
            for record in records:
                entry = Entry(bucket=BUCKET, key=KEY, generation=entry_of(record).generation + 1)
                super().put_records([record_of(entry, record.version)])
        return super().put_records(records)


def test_a_race_is_decided_by_reading_again() -> None:
    stack = Stack(ContestedLedger(CHANGE_ATTEMPTS - 1))
    assert stack.take(created()).admitted == 1
    assert stack.entry().generation == int(NOON * 1_000) + 2 * (CHANGE_ATTEMPTS - 1)


def test_who_loses_every_race_tries_later() -> None:
    stack = Stack(ContestedLedger(CHANGE_ATTEMPTS))
    admission = stack.take(created())
    assert (admission.admitted, admission.returned) == (0, ("m1",))
    assert "changed under every attempt" in admission.errors[0]


def run_to_rest(stack: Stack) -> None:
    """Until the queue is empty."""
    while (at := stack.queue.next_at) is not None:
        stack.clock.now = max(stack.clock.now, at)
        stack.batch()


# Several intakes at once


class Race:
    """Intakes over one ledger, each with a queue of its own, whose every operation on it is a step."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.store = MemoryLedger()
        self.ledger: Any = Stepped(self.store, frozenset({"records", "put_records"}))
        self.generations: dict[str, list[int]] = {"a": [], "b": []}

    def work(self, document: Document) -> Outcome:
        self.generations[document.key].append(document.generation)
        settle(self.store, document)
        return Outcome.INDEXED

    def intake(self, number: int) -> Callable[[], None]:
        """Takes the next change of both objects in, until its queue is empty. A crash begins it anew."""
        queue = FakeQueue(self.clock, maximum_receives=1_000)
        for key in self.generations:
            queue.send(json.dumps(created(key, sequencer=f"{number:02x}", request=f"R{number}")))
        retries = Retries(1_000, lambda: 1.0)
        workflow = FakeWorkflow(self.work)
        intake = AdmitEvents(self.ledger, lambda: ROUTES, workflow, queue, SCOPE, self.clock, retries)

        def run() -> None:
            while (at := queue.next_at) is not None:
                self.clock.now = max(self.clock.now, at)
                messages = queue.receive()
                admission = intake.admit(messages)
                queue.delete({message.id for message in messages} - set(admission.returned))

        return run


@settings(deadline=None)
@given(st.data())
def test_intakes_that_race_and_crash_leave_each_object_done(data: st.DataObject) -> None:
    crashes = iter(range(3))

    def fate() -> Fate:
        drawn: Fate = data.draw(st.sampled_from(["go", "go", "go", "crash-before", "crash-after"]))
        return drawn if drawn == "go" or next(crashes, None) is not None else "go"

    race = Race()
    scheduler = Scheduler(lambda count: data.draw(st.integers(0, count - 1)), fate)
    changes = data.draw(st.integers(2, 3))
    for number in range(changes):
        scheduler.add(f"intake {number}", race.intake(number))
    scheduler.run()
    for key, generations in race.generations.items():
        entry = entry_of(race.store.records([entry_key(BUCKET, key)])[entry_key(BUCKET, key)])
        assert len(generations) == len(set(generations)), "two executions had one generation"
        assert max(generations) == entry.generation
        assert entry.is_done
        assert entry.sequencer == padded(f"{changes - 1:02x}")
