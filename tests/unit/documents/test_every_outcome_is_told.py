"""Executions of one object interleave, die before and after any step, and are begun anew: an older outcome
never takes the place of a newer one, the one that stands is told, and without a crash each is told once.

Every operation on the ledger, on S3, on the topic and on the bus is a step that the test orders.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.documents.entries import Entry, entry_key, entry_of, next_generation, record_of
from signalbox.documents.models import QUARANTINED, Loaded, Outcome, Task, Verdict
from signalbox.documents.settlement import SettleDocument
from signalbox.failures import Failure
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Record
from tests.stepping import Fate, Scheduler, Stepped
from tests.unit.documents.doubles import (
    BUCKET,
    KEY,
    NOON,
    WORK_BUCKET,
    FakeBus,
    FakeObjects,
    FakeTopic,
    document,
    found,
    options,
    text_of,
)

ROW = entry_key(BUCKET, KEY)
TOLD = {
    Outcome.INDEXED: "Document Indexed v1",
    Outcome.DELETED: "Document Removed v1",
    Outcome.CORRUPT: "Document Quarantined v1",
    Outcome.FAILED: "Document Quarantined v1",
}


class Written(MemoryLedger):
    """Remembers every state of the object's entry."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def put_records(self, records: Sequence[Record]) -> set[str]:
        refused = super().put_records(records)
        if not refused:
            self.entries.append(entry_of(records[0]))
        return refused


class System:
    """One object, and what its executions come to, each after an admission of its own."""

    def __init__(self) -> None:
        self.ledger = Written()
        self.topic, self.bus = FakeTopic(), FakeBus()
        self.s3 = FakeObjects()
        self.s3.create_bucket(BUCKET)
        self.s3.create_bucket(WORK_BUCKET)
        self.s3.put(BUCKET, KEY, b"text")
        self._first: Callable[[], None] | None = None
        self.etag = self.s3.head(BUCKET, KEY).etag
        self.stepped: Any = Stepped(self.ledger)
        s3, topic, bus = (Stepped(each) for each in (self.s3, self.topic, self.bus))
        self._use_case = SettleDocument(
            self.stepped, s3, topic, bus, lambda: NOON, bucket=WORK_BUCKET, quarantine_bytes=1_000
        )

    def execution(self, outcome: Outcome) -> Callable[[], None]:
        """An actor: admitted once it got so far, it settles, however often it is begun anew."""
        generations: list[int] = []

        def run() -> None:
            self._admit(generations)
            self._use_case.settle(self._task(outcome, generations[0]))

        self._first = self._first or run
        return run

    def execution_again(self) -> Callable[[], None]:
        """The first execution a second time, at once."""
        assert self._first
        return self._first

    def _admit(self, generations: list[int]) -> None:
        while not generations:
            record = self.stepped.records([ROW]).get(ROW)
            entry = entry_of(record) if record else None
            generation = next_generation(entry, NOON)
            base = entry or Entry(bucket=BUCKET, key=KEY)
            admitted = {name: getattr(base, name) for name in base.__struct_fields__}
            admitted |= {"generation": generation, "busy_until": NOON + 330}
            if not self.stepped.put_records([record_of(Entry(**admitted), record.version if record else 0)]):
                generations.append(generation)

    def _task(self, outcome: Outcome, generation: int) -> Task:
        of = document(generation=generation, last_try=outcome is Outcome.FAILED)
        fields: dict[str, Any] = {"document": of, "options": options()}
        if outcome is Outcome.FAILED:
            return Task(**fields, failure=Failure(step="LoadDocument", error="UnavailableError"))
        fields["object"] = found(version_id="", etag=self.etag, size=4)
        fields["loaded"] = Loaded(outcome=outcome)
        if outcome is Outcome.INDEXED:
            return Task(**fields, text=text_of(of))
        return Task(**fields, verdict=Verdict(outcome=outcome, reason="some-reason", detail="Why."))

    @property
    def settled(self) -> dict[int, Outcome]:
        """Generation → the outcome that the ledger has had of it."""
        return {e.settled: e.outcome for e in self.ledger.entries if e.settled and e.outcome}

    @property
    def events(self) -> Counter[tuple[int, str]]:
        return Counter((e["detail"]["generation"], e["detail-type"]) for e in self.bus.events)


def check_order(system: System) -> None:
    """Nothing older ever takes the place of something newer."""
    entries = system.ledger.entries
    assert [e.settled for e in entries] == sorted(e.settled for e in entries)
    assert [e.told for e in entries] == sorted(e.told for e in entries)
    assert all(e.busy_until for e in entries if e.told < e.generation), "somebody else may begin too soon"


def check_told(system: System) -> None:
    """The outcome that stands was told, whatever crashed; what never stood was not."""
    last, told = system.ledger.entries[-1], system.events
    assert {generation for generation, _ in told} <= set(system.settled)
    if last.outcome in TOLD:
        assert told[last.settled, TOLD[last.outcome]] >= 1
    if last.settled == last.generation:
        assert (last.told, last.busy_until) == (last.generation, 0.0)


def check_told_once(system: System) -> None:
    """Each outcome that ever stood was told once, to everybody whom it concerns."""
    settled = system.settled
    assert system.events == Counter((g, TOLD[outcome]) for g, outcome in settled.items() if outcome in TOLD)
    alerts = Counter(attributes["outcome"] for _, _, attributes in system.topic.published)
    assert alerts == Counter(outcome for outcome in settled.values() if outcome in QUARANTINED)


executions = st.lists(st.sampled_from([*TOLD, Outcome.SUPERSEDED]), min_size=1, max_size=3)
CRASHES: tuple[Fate, ...] = ("crash-before", "crash-after")
SLOW = [HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(data=st.data(), outcomes=executions)
def test_without_a_crash_each_outcome_is_told_once(data: st.DataObject, outcomes: list[Outcome]) -> None:
    system = System()
    scheduler = Scheduler(lambda alive: data.draw(st.integers(0, alive - 1)), lambda: "go")
    for number, outcome in enumerate(outcomes):
        scheduler.add(f"execution-{number}", system.execution(outcome))
    scheduler.run()
    check_order(system)
    check_told(system)
    check_told_once(system)


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(
    data=st.data(),
    outcomes=executions,
    crashes=st.dictionaries(st.integers(0, 40), st.sampled_from(CRASHES), max_size=3),
    zombie=st.booleans(),
)
def test_whatever_crashes_the_outcome_that_stands_is_told(
    data: st.DataObject, outcomes: list[Outcome], crashes: dict[int, Fate], *, zombie: bool
) -> None:
    system = System()
    scheduler = Scheduler(
        lambda alive: data.draw(st.integers(0, alive - 1)), lambda: crashes.get(scheduler.steps, "go")
    )
    for number, outcome in enumerate(outcomes):
        scheduler.add(f"execution-{number}", system.execution(outcome))
    if zombie:  # a function that timed out and works on, beside the one that took its place
        scheduler.add("zombie", system.execution_again())
    scheduler.run()
    check_order(system)
    check_told(system)
