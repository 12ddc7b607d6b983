"""What the ledger knows decides: no needed work is dropped, and little is done twice."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.documents.admission import BUSY_SECONDS, Admit, Decision, Drop, Later, decide, release
from signalbox.documents.entries import (
    DETAIL_CHARACTERS,
    KEPT_REQUESTS,
    TRIES_USED_UP,
    TRY_FAILED,
    Entry,
)
from signalbox.documents.models import Document, Outcome
from signalbox.documents.objects import ObjectEvent, padded
from tests.unit.documents.doubles import NOON
from tests.unit.documents.s3_events import BUCKET, KEY, object_event

GENERATION = int(NOON * 1_000) - 60_000
LOW, SAME, HIGH = padded("61"), padded("62"), padded("63")


def entry(**changes: Any) -> Entry:
    """Of an object that was admitted a minute ago, by S3's event R1, settled and told."""
    fields: dict[str, Any] = {
        "bucket": BUCKET,
        "key": KEY,
        "generation": GENERATION,
        "settled": GENERATION,
        "told": GENERATION,
        "sequencer": SAME,
        "requests": ("R1",),
        "busy_until": NOON - 60 + BUSY_SECONDS,
    }
    return Entry(**fields | changes)


def native(sequencer: str = SAME, request: str = "R1", **changes: Any) -> ObjectEvent:
    return object_event(sequencer=sequencer, request_id=request, **changes)


def call(request: str = "R1", **changes: Any) -> ObjectEvent:
    return object_event(way="cloudtrail", request_id=request, **changes)


FOUND = object_event(way="found", cause="found")
OPEN = {"settled": 0, "told": 0}
SETTLED, BUSY, FAILED, CRASHED = (
    entry(),
    entry(**OPEN),
    entry(**OPEN, busy_until=0.0),
    entry(**OPEN, busy_until=NOON - 1),
)
UNTOLD = entry(told=0, busy_until=0.0)
WHY = "execution x: TIMED_OUT"
GIVEN_UP = entry(outcome=Outcome.FAILED, reason=TRIES_USED_UP, busy_until=0.0)
CALLED = {"sequencer": LOW, "requests": (), "calls": ("R1",)}
"""Of an object that was admitted because CloudTrail told of it."""


@pytest.mark.parametrize(
    ("known", "event", "expected"),
    [
        (None, native(), "admit"),
        (None, call(), "admit"),
        (None, FOUND, "admit"),
        (None, object_event(), "admit"),
        (SETTLED, native(HIGH, "R2"), "admit"),
        (BUSY, native(HIGH, "R2"), "admit"),
        (SETTLED, native(), "duplicate"),
        (SETTLED, native(request="another"), "duplicate"),
        (BUSY, native(), "later"),
        (FAILED, native(), "admit"),
        (CRASHED, native(), "admit"),
        (SETTLED, native(LOW, "R0"), "stale"),
        (BUSY, native(LOW, "R0"), "stale"),
        (FAILED, native(LOW, "R0"), "stale"),
        (SETTLED, call(), "duplicate"),
        (BUSY, call(), "later"),
        (FAILED, call(), "admit"),
        (SETTLED, call("R2"), "admit"),
        (BUSY, call("R2"), "admit"),
        (SETTLED, FOUND, "admit"),
        (BUSY, FOUND, "admit"),
        (SETTLED, object_event(request_id="R1"), "duplicate"),
        (SETTLED, object_event(request_id="R2"), "admit"),
        (SETTLED, object_event(), "admit"),
        (entry(**CALLED), native(), "duplicate"),
        (entry(**CALLED, **OPEN), native(), "later"),
        (entry(**CALLED), native(request="R2"), "admit"),
        (entry(**CALLED), call(), "duplicate"),
        (SETTLED, native(HIGH, "R1"), "admit"),
        (UNTOLD, native(), "admit"),
        (GIVEN_UP, native(), "admit"),
    ],
    ids=[
        "first, by S3",
        "first, by CloudTrail",
        "first, found",
        "first, by an event with nothing to tell it by",
        "a later change",
        "a later change while somebody is at work",
        "the same event again",
        "the same sequencer is the same event",
        "the same event again while somebody is at work",
        "the same event again after a failure",
        "the same event again after a crash",
        "an earlier change",
        "an earlier change while somebody is at work",
        "an earlier change after the later one's failure: that one's message comes again",
        "CloudTrail tells of it too",
        "CloudTrail tells of it too while somebody is at work",
        "CloudTrail tells of it too after a failure",
        "CloudTrail tells of another request",
        "CloudTrail tells of another request while somebody is at work",
        "found again",
        "found again while somebody is at work",
        "no sequencer, but the request",
        "no sequencer, another request",
        "neither a sequencer nor a request",
        "S3 tells of it too",
        "S3 tells of it too while somebody is at work",
        "S3 tells of another one than CloudTrail",
        "CloudTrail tells of it again",
        "another version of the key in the same DeleteObjects",
        "the same event again when nobody was told",
        "the same event again, redriven",
    ],
)
def test_one_event(known: Entry | None, event: ObjectEvent, expected: str) -> None:
    decision = decide(known, [event], NOON)
    match decision:
        case Admit():
            assert expected == "admit"
        case Drop(reason):
            assert reason == expected
        case Later(seconds):
            assert expected == "later"
            assert seconds == BUSY_SECONDS - 60


def admitted(decision: Decision) -> Admit:
    assert isinstance(decision, Admit)
    return decision


def test_an_admission_takes_a_generation_and_the_time_it_may_need() -> None:
    first = admitted(decide(None, [native(cause="deleted")], NOON, last_try=True))
    assert first.entry == Entry(
        bucket=BUCKET,
        key=KEY,
        generation=int(NOON * 1_000),
        sequencer=SAME,
        requests=("R1",),
        busy_until=NOON + BUSY_SECONDS,
    )
    assert first.document == Document(
        bucket=BUCKET,
        key=KEY,
        generation=int(NOON * 1_000),
        cause="deleted",
        occurred_at=NOON,
        last_try=True,
        alone=True,
    )


def test_it_keeps_what_others_have_noted() -> None:
    before = entry(outcome=Outcome.INDEXED, rows=7, version="v1", route="all")
    after = admitted(decide(before, [native(HIGH, "R2")], NOON)).entry
    same = msgspec.structs.replace(
        before,
        generation=after.generation,
        sequencer=HIGH,
        requests=("R1", "R2"),
        busy_until=NOON + BUSY_SECONDS,
    )
    assert after == same


def test_who_is_alone() -> None:
    assert admitted(decide(SETTLED, [native(HIGH)], NOON)).document.alone
    assert not admitted(decide(BUSY, [native(HIGH)], NOON)).document.alone
    assert not admitted(decide(CRASHED, [native()], NOON)).document.alone
    assert not admitted(decide(FAILED, [native()], NOON)).document.alone


def test_a_generation_rises_also_where_the_clock_does_not() -> None:
    ahead = entry(generation=int(NOON * 1_000) + 5_000)
    assert admitted(decide(ahead, [native(HIGH)], NOON)).entry.generation == ahead.generation + 1


def test_a_twin_that_is_dropped_leaves_its_sequencer() -> None:
    known = entry(**CALLED)
    noted = decide(known, [native()], NOON)
    assert noted == Drop("duplicate", msgspec.structs.replace(known, sequencer=SAME))
    assert decide(entry(), [native()], NOON) == Drop("duplicate")


def test_the_newest_of_a_batch_speaks_for_all() -> None:
    events = [
        native(HIGH, "R3", cause="deleted", occurred_at=NOON - 1),
        native(SAME, "R2", occurred_at=NOON - 1),
        call("R3", cause="deleted", occurred_at=NOON - 1),
        native(LOW, "R1", occurred_at=NOON - 2),
    ]
    one = admitted(decide(None, events, NOON))
    assert (one.document.cause, one.document.occurred_at) == ("deleted", NOON - 1)
    assert one.entry.sequencer == HIGH
    assert one.entry.requests == ("R3", "R2", "R1")
    assert one.entry.calls == ("R3",)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([native(LOW), native()], Drop("duplicate")),
        ([native(LOW), native(LOW)], Drop("stale")),
        ([native(LOW), call()], Drop("duplicate")),
    ],
)
def test_what_a_batch_has_nothing_new_in(events: list[ObjectEvent], expected: Decision) -> None:
    assert decide(entry(), events, NOON) == expected


def test_requests_are_forgotten_in_time() -> None:
    known = entry(requests=tuple(f"R{number}" for number in range(KEPT_REQUESTS)))
    after = admitted(decide(known, [native(HIGH, "new")], NOON)).entry
    assert len(after.requests) == KEPT_REQUESTS
    assert (after.requests[0], after.requests[-1]) == ("R1", "new")


def test_a_failure_lets_the_next_try_begin_at_once() -> None:
    released = release(BUSY, GENERATION, WHY)
    assert released == msgspec.structs.replace(FAILED, reason=TRY_FAILED, detail=WHY)
    assert isinstance(decide(released, [native()], NOON), Admit)


def test_an_outcome_that_was_not_told_yet_stands() -> None:
    untold = msgspec.structs.replace(BUSY, settled=GENERATION, reason="damaged", detail="Cut off.")
    assert release(untold, GENERATION, WHY) == msgspec.structs.replace(untold, busy_until=0.0)


def test_a_reason_of_any_length_is_noted() -> None:
    released = release(BUSY, GENERATION, "x" * 100_000)
    assert released is not None
    assert len(released.detail) == DETAIL_CHARACTERS


@pytest.mark.parametrize("known", [SETTLED, FAILED, entry(generation=GENERATION + 1, busy_until=NOON + 1)])
def test_nobody_releases_what_is_anothers_or_settled_or_free(known: Entry) -> None:
    assert release(known, GENERATION, WHY) is None


# Whatever happens, in whichever order


@dataclass
class Execution:
    """Reads the object, loads the index, settles, tells: a step each. Only its time ends one for certain."""

    document: Document
    messages: list[ObjectEvent]
    ends_by: float
    step: int = 0
    read: str = ""
    held: bool = True
    """Whether an intake still waits for it, and so has its messages."""


@dataclass
class World:
    """One object of S3, the ledger's row of it, the index and the queue.

    The object has one of few contents, so that it may come to have one again. The index has a generation and
    a content, and is right when it says the same.
    """

    now: float = NOON
    content: str = "nothing"
    changes: int = 0
    request: int = 0
    entry: Entry | None = None
    index: tuple[int, str] = (0, "nothing")
    queue: list[tuple[float, ObjectEvent]] = field(default_factory=list)
    calls: list[ObjectEvent] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)
    seen_at_admission: int = 0

    def change(self, content: str, *, same_request: bool, copies: int, trailed: bool) -> None:
        """S3 tells of each change. CloudTrail tells of each when its request has ended."""
        if not (same_request and self.calls):
            self.end_request()
            self.request += 1
        self.changes += 1
        self.content = content
        event = native(padded(f"{self.changes:08x}"), f"R{self.request}", occurred_at=self.now)
        self.queue += [(self.now, event)] * copies
        if trailed:
            self.calls.append(call(f"R{self.request}", occurred_at=self.now))

    def end_request(self) -> None:
        self.queue += [(self.now, event) for event in self.calls]
        self.calls = []

    def visible(self) -> list[int]:
        return [number for number, (at, _) in enumerate(self.queue) if at <= self.now]

    def deliver(self, chosen: list[int]) -> None:
        events = [self.queue[number][1] for number in chosen]
        self.queue = [each for number, each in enumerate(self.queue) if number not in chosen]
        match decide(self.entry, events, self.now):
            case Admit(entry, document):
                self.entry = entry
                self.generations.append(document.generation)
                self.seen_at_admission = self.changes
                self.executions.append(Execution(document, events, self.now + BUSY_SECONDS))
            case Drop(_, entry):
                self.entry = entry or self.entry
            case Later(seconds):
                self.queue += [(self.now + seconds, event) for event in events]

    def work(self, execution: Execution) -> None:
        document = execution.document
        assert self.entry is not None
        if execution.step == 0:
            execution.read = self.content
        elif execution.step == 1:
            generation, content = self.index
            unchanged = document.alone and content == execution.read
            if generation <= document.generation and not unchanged:
                self.index = (document.generation, execution.read)
        elif execution.step == 2:
            settled = max(self.entry.settled, document.generation)
            self.entry = msgspec.structs.replace(self.entry, settled=settled)
        else:
            told = max(self.entry.told, document.generation)
            self.entry = msgspec.structs.replace(self.entry, told=told)
            self.executions.remove(execution)
        execution.step += 1

    def fail(self, execution: Execution) -> None:
        """Its intake hears of it."""
        assert self.entry is not None
        self.executions.remove(execution)
        if execution.held:
            self.entry = release(self.entry, execution.document.generation, WHY) or self.entry
            self.queue += [(self.now, event) for event in execution.messages]

    def lose(self, execution: Execution) -> None:
        """Its intake dies, or gets no answer. It may go on; its messages come again when it can't."""
        if execution.held:
            execution.held = False
            self.queue += [(execution.ends_by, event) for event in execution.messages]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for execution in [each for each in self.executions if each.ends_by <= self.now]:
            self.lose(execution)
            self.executions.remove(execution)

    def come_to_rest(self) -> None:
        """Nothing fails any more."""
        self.end_request()
        for _ in range(1_000):
            if visible := self.visible():
                self.deliver(visible[:1])
            elif self.executions:
                self.work(self.executions[0])
            elif self.queue:
                self.pass_time(min(at for at, _ in self.queue) - self.now)
            else:
                return
        raise AssertionError("there is no end to it")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_index_ends_as_the_last_change_left_the_object(data: st.DataObject) -> None:
    world = World()
    for _ in range(data.draw(st.integers(1, 30), label="steps")):
        do = ["change", "time"]
        do += ["deliver", "deliver"] * bool(world.visible())
        do += ["work", "work", "work", "fail", "lose"] * bool(world.executions)
        match data.draw(st.sampled_from(do), label="what happens"):
            case "change":
                world.change(
                    data.draw(st.sampled_from(["nothing", "A", "B"]), label="content"),
                    same_request=data.draw(st.booleans(), label="same request"),
                    copies=data.draw(st.integers(1, 2), label="copies"),
                    trailed=data.draw(st.booleans(), label="trailed"),
                )
            case "time":
                world.pass_time(data.draw(st.sampled_from([0.0, 1.0, 60.0, 400.0]), label="seconds"))
            case "deliver":
                chosen = st.lists(st.sampled_from(world.visible()), min_size=1, max_size=3, unique=True)
                world.deliver(data.draw(chosen, label="batch"))
            case "work":
                world.work(data.draw(st.sampled_from(world.executions)))
            case "fail":
                world.fail(data.draw(st.sampled_from(world.executions)))
            case "lose":
                world.lose(data.draw(st.sampled_from(world.executions)))
    world.come_to_rest()
    assert world.index[1] == world.content
    assert world.seen_at_admission == world.changes, "the last admission came before the last change"
    assert world.entry is None or world.entry.is_done
    assert world.generations == sorted(set(world.generations)), "a generation did not rise"


def test_nothing_lost_nothing_twice_when_nothing_goes_wrong() -> None:
    world = World()
    for content in "ABABC":
        world.change(content, same_request=False, copies=2, trailed=True)
        world.come_to_rest()
    assert len(world.generations) == 5
    assert world.index[1] == "C"


def test_what_is_indexed_already_is_written_again_while_somebody_has_read_something_else() -> None:
    world = World()
    for content in "AB":
        world.change(content, same_request=False, copies=1, trailed=False)
        if content == "A":
            world.come_to_rest()
    world.deliver(world.visible())
    [slow] = world.executions
    world.work(slow)
    world.change("A", same_request=False, copies=1, trailed=False)
    world.deliver(world.visible())
    while world.executions != [slow]:
        world.work(world.executions[-1])
    world.come_to_rest()
    assert world.index[1] == "A"
