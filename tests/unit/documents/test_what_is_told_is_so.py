"""One object changes while executions inspect it, load it and settle it, side by side; some fail. In the end
the index, the ledger and the event of the highest generation all say what the object says.

Admitting, inspecting, the fence of the index and settling are the program's own; only the index is a fake.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.documents.admission import Admit, Drop, Later, decide, release
from signalbox.documents.entries import Entry, entry_key, entry_of, record_of
from signalbox.documents.inspection import InspectObject
from signalbox.documents.loading import LoadDocument, Row
from signalbox.documents.models import Document, Labels, Outcome, Task
from signalbox.documents.objects import ObjectEvent, padded
from signalbox.documents.settlement import SettleDocument
from signalbox.errors import UnavailableError
from signalbox.failures import Failure
from signalbox.ledger.memory import MemoryLedger
from tests.unit.documents.doubles import (
    BUCKET,
    KEY,
    WORK_BUCKET,
    FakeBus,
    FakeObjects,
    FakeTopic,
    MovableClock,
    options,
)

ROW = entry_key(BUCKET, KEY)
IMAGE = b"\x89PNG\r\n\x1a\n"
CONTENTS = {"nothing": None, "A": IMAGE + b"A", "B": IMAGE + b"B", "empty": b""}
"""What the object may come to be, again and again. Images need no converter."""
SHOWN = {
    "nothing": (Outcome.DELETED, "Document Removed v1"),
    "A": (Outcome.INDEXED, "Document Indexed v1"),
    "B": (Outcome.INDEXED, "Document Indexed v1"),
    "empty": (Outcome.NO_TEXT, "Document Quarantined v1"),
}


class FencedIndex:
    """Has the versions of the rows that it was given last, by the highest generation."""

    def __init__(self) -> None:
        self.generation = 0
        self.versions: list[str] = []

    def replace(self, document: Document, rows: Any) -> int | None:
        if document.generation < self.generation:
            return None
        self.generation = document.generation
        self.versions = [row.version for row in list[Row](rows)]
        return len(self.versions)


@dataclass
class Execution:
    """What it knows so far: the workflow's own data."""

    task: Task
    events: Sequence[ObjectEvent]
    step: int = 0


@dataclass
class World:
    versioned: bool
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    index: FencedIndex = field(default_factory=FencedIndex)
    topic: FakeTopic = field(default_factory=FakeTopic)
    bus: FakeBus = field(default_factory=FakeBus)
    clock: MovableClock = field(default_factory=MovableClock)
    content: str = "nothing"
    changes: int = 0
    queue: list[tuple[float, ObjectEvent]] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = FakeObjects(self.clock)
        self.s3.create_bucket(BUCKET, versioned=self.versioned)
        self.s3.create_bucket(WORK_BUCKET)
        self.inspecting = InspectObject(self.ledger, self.s3)
        self.loading = LoadDocument(self.s3, WORK_BUCKET, self.index, self.clock)
        self.settling = SettleDocument(
            self.ledger,
            self.s3,
            self.topic,
            self.bus,
            self.clock,
            bucket=WORK_BUCKET,
            quarantine_bytes=1_000,
        )

    @property
    def entry(self) -> Entry | None:
        record = self.ledger.records([ROW]).get(ROW)
        return entry_of(record) if record else None

    @property
    def _known(self) -> Entry:
        assert self.entry
        return self.entry

    def _write(self, entry: Entry | None) -> None:
        record = self.ledger.records([ROW]).get(ROW)
        if entry is not None:
            assert not self.ledger.put_records([record_of(entry, record.version if record else 0)])

    def change(self, content: str, copies: int) -> None:
        body = CONTENTS[content]
        if body is None:
            self.s3.delete(BUCKET, KEY)
        else:
            self.s3.put(BUCKET, KEY, body)
        self.content = content
        self.changes += 1
        event = ObjectEvent(
            bucket=BUCKET,
            key=KEY,
            cause="deleted" if body is None else "created",
            way="native",
            occurred_at=self.clock(),
            account="123456789012",
            region="us-east-1",
            sequencer=padded(f"{self.changes:08x}"),
            request_id=f"R{self.changes}",
        )
        self.queue += [(self.clock(), event)] * copies

    def deliver(self, number: int) -> None:
        _, event = self.queue.pop(number)
        match decide(self.entry, [event], self.clock()):
            case Admit(entry, document):
                self._write(entry)
                task = Task(document=document, options=options(labels=True))
                self.executions.append(Execution(task, [event]))
            case Drop(_, entry):
                self._write(entry)
            case Later(seconds):
                self.queue.append((self.clock() + seconds, event))

    def work(self, execution: Execution) -> None:
        """The next step of the workflow."""
        task = execution.task
        if execution.step == 0:
            found = self.inspecting.inspect(task)
            labels = Labels() if found.next == "labels" else None
            changes: dict[str, Any] = {"object": found.object, "verdict": found.verdict, "labels": labels}
        elif execution.step == 1:
            changes = {"loaded": self.loading.load(task)}
        else:
            self.settling.settle(task)
            self.executions.remove(execution)
            return
        execution.task = msgspec.structs.replace(task, **changes)
        execution.step += 1

    def fail(self, execution: Execution) -> None:
        """The step does not get through. Of settling, telling may be what failed, or noting that."""
        if execution.step == 2:
            self.bus.failing.append(UnavailableError("PutEvents: InternalFailure"))
            with suppress(UnavailableError):
                self.settling.settle(execution.task)
            self.bus.failing.clear()
        document = execution.task.document
        failure = Failure(step="LoadDocument", error="UnavailableError")
        self.settling.settle(Task(document=document, options=options(), failure=failure))
        self._write(release(self._known, document.generation, "it failed"))
        self.executions.remove(execution)
        self.queue += [(self.clock(), event) for event in execution.events]

    def come_to_rest(self) -> None:
        for _ in range(1_000):
            if self.executions:
                self.work(self.executions[0])
            elif self.queue:
                at, _ = first = min(self.queue, key=lambda each: each[0])
                self.clock.now = max(self.clock.now, at)
                self.deliver(self.queue.index(first))
            else:
                return
        raise AssertionError("there is no end to it")


@settings(max_examples=250, deadline=None)
@given(data=st.data(), versioned=st.booleans())
def test_in_the_end_everything_says_what_the_object_says(data: st.DataObject, *, versioned: bool) -> None:
    world = World(versioned)
    for _ in range(data.draw(st.integers(1, 30), label="steps")):
        do = ["change"]
        do += ["deliver", "deliver"] * bool(world.queue)
        do += ["work", "work", "work", "fail"] * bool(world.executions)
        world.clock.now += 0.25
        match data.draw(st.sampled_from(do), label="what happens"):
            case "change":
                content = data.draw(st.sampled_from(sorted(CONTENTS)), label="content")
                world.change(content, data.draw(st.integers(1, 2), label="copies"))
            case "deliver":
                world.deliver(data.draw(st.integers(0, len(world.queue) - 1), label="message"))
            case "work":
                world.work(data.draw(st.sampled_from(world.executions)))
            case "fail":
                world.fail(data.draw(st.sampled_from(world.executions)))
    world.come_to_rest()
    if world.entry is not None:
        check(world)


def test_what_is_indexed_already_is_written_again_while_somebody_has_read_something_else() -> None:
    world = World(versioned=False)
    world.change("A", copies=1)
    world.come_to_rest()
    for content in "BA":
        world.change(content, copies=1)
        world.deliver(0)
        world.work(world.executions[-1])
    slow, other = world.executions
    for execution in (other, other, slow, slow):
        world.work(execution)
    assert world.executions == []
    check(world)


def check(world: World) -> None:
    entry, (outcome, told) = world.entry, SHOWN[world.content]
    assert entry is not None
    head = world.s3.head(BUCKET, KEY) if CONTENTS[world.content] is not None else None
    version = (head.version_id or head.etag) if head else ""
    assert (entry.outcome, entry.version, entry.is_done) == (outcome, version, True)
    assert world.index.versions == ([version] if outcome is Outcome.INDEXED else [])
    last = max(world.bus.events, key=lambda event: event["detail"]["generation"])
    assert (last["detail-type"], last["detail"].get("object_version", "")) == (told, version)
