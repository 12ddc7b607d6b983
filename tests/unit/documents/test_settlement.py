"""How an execution ends: what the ledger says then, what is kept, who is told."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from signalbox.documents.entries import Entry, entry_key, entry_of, record_of
from signalbox.documents.models import (
    QUARANTINED,
    Document,
    Entities,
    Found,
    Loaded,
    Outcome,
    Task,
    Verdict,
)
from signalbox.documents.settlement import Settled, SettleDocument
from signalbox.errors import InvariantError, RefusedError, ThrottledError, UnavailableError
from signalbox.failures import Failure
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Record
from tests.unit.documents.doubles import (
    BUCKET,
    GENERATION,
    KEY,
    NOON,
    WORK_BUCKET,
    FakeBus,
    FakeObjects,
    FakeTopic,
    MovableClock,
    document,
    found,
    options,
    text_of,
)

LARGEST_COPY = 100
BODY = b"%PDF-1.7 with a password"
FAILURE = Failure(step="LoadDocument", error="UnavailableError", cause='{"errorMessage": "S3: 503"}')
LAST = document(last_try=True)


@dataclass
class World:
    """Everything that settling touches. An object, and one admission of it."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    s3: FakeObjects = field(default_factory=FakeObjects)
    topic: FakeTopic = field(default_factory=FakeTopic)
    bus: FakeBus = field(default_factory=FakeBus)
    clock: MovableClock = field(default_factory=MovableClock)

    def __post_init__(self) -> None:
        self.s3.create_bucket(BUCKET)
        self.s3.create_bucket(WORK_BUCKET)
        self.s3.put(BUCKET, KEY, BODY)
        self.admit()

    def admit(self, **changes: Any) -> None:
        """As if the object had been admitted, in whatever state that is."""
        fields: dict[str, Any] = {
            "bucket": BUCKET,
            "key": KEY,
            "generation": GENERATION,
            "busy_until": NOON + 9,
        }
        records = self.ledger.records([entry_key(BUCKET, KEY)])
        version = records[entry_key(BUCKET, KEY)].version if records else 0
        assert not self.ledger.put_records([record_of(Entry(**fields | changes), version)])

    @property
    def entry(self) -> Entry:
        return entry_of(self.ledger.records([entry_key(BUCKET, KEY)])[entry_key(BUCKET, KEY)])

    @property
    def object(self) -> Found:
        head = self.s3.head(BUCKET, KEY)
        return found(version=head.etag, version_id="", etag=head.etag, size=head.size)

    def settle(self, task: Task) -> Settled:
        return SettleDocument(
            self.ledger,
            self.s3,
            self.topic,
            self.bus,
            self.clock,
            bucket=WORK_BUCKET,
            quarantine_bytes=LARGEST_COPY,
        ).settle(task)

    @property
    def told(self) -> list[str]:
        return [event["detail-type"] for event in self.bus.events]

    @property
    def alerts(self) -> list[str]:
        return [attributes["outcome"] for _, _, attributes in self.topic.published]


@pytest.fixture
def world() -> World:
    return World()


def indexed(of: Document | None = None, **changes: Any) -> Task:
    of = of or document()
    fields: dict[str, Any] = {
        "document": of,
        "options": options(),
        "object": found(),
        "text": text_of(of),
        "loaded": Loaded(outcome=Outcome.INDEXED, rows=3),
    }
    return Task(**fields | changes)


def judged(outcome: Outcome, reason: str = "some-reason", of: Document | None = None, **changes: Any) -> Task:
    """A task with a verdict, once the index has nothing of the document."""
    fields: dict[str, Any] = {
        "document": of or document(),
        "options": options(),
        "object": found(),
        "verdict": Verdict(outcome=outcome, reason=reason, detail="A sentence."),
        "loaded": Loaded(outcome=outcome),
    }
    return Task(**fields | changes)


def failed(of: Document | None = None, **changes: Any) -> Task:
    return Task(**{"document": of or document(), "options": options(), "failure": FAILURE, **changes})


class TestIndexed:
    def test_the_ledger_has_its_account(self, world: World) -> None:
        world.clock.now += 5
        settled = world.settle(indexed())
        assert world.entry == Entry(
            bucket=BUCKET,
            key=KEY,
            generation=GENERATION,
            settled=GENERATION,
            told=GENERATION,
            outcome=Outcome.INDEXED,
            reason="indexed",
            version="version-1",
            size=48_213,
            media_type="application/pdf",
            rows=3,
            route="reports",
            occurred_at=NOON - 2,
            settled_at=NOON + 5,
        )
        assert (settled.outcome, settled.told, settled.seconds) == (Outcome.INDEXED, True, 7)

    def test_programs_are_told_people_are_not(self, world: World) -> None:
        world.settle(indexed())
        assert world.told == ["Document Indexed v1"]
        assert world.alerts == []
        assert world.s3.keys(WORK_BUCKET) == []

    def test_its_media_type_is_the_converters(self, world: World) -> None:
        text = text_of(document(), media_type="text/html")
        world.settle(indexed(object=found(media_type="application/zip"), text=text))
        assert world.entry.media_type == "text/html"

    def test_what_it_is_indexed_without_is_said(self, world: World) -> None:
        world.settle(indexed(entities=Entities(note="access-denied: no comprehend:DetectEntities")))
        assert (world.entry.outcome, world.entry.detail) == (
            Outcome.INDEXED,
            "entities: access-denied: no comprehend:DetectEntities",
        )

    def test_unchanged_nobody_is_told_and_the_account_stays(self, world: World) -> None:
        world.settle(indexed())
        before, told = world.entry, list(world.told)
        later = document(generation=GENERATION + 5, alone=True)
        world.admit(**{**as_fields(before), "generation": later.generation, "busy_until": NOON + 9})
        settled = world.settle(judged(Outcome.INDEXED, "unchanged", later))
        assert (settled.outcome, settled.told) == (Outcome.INDEXED, False)
        assert world.told == told
        assert as_fields(world.entry) == as_fields(before) | {
            "generation": later.generation,
            "settled": later.generation,
            "told": later.generation,
        }


def as_fields(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


class TestRemoved:
    @pytest.mark.parametrize("reason", ["deleted", "gone-before-read"])
    def test_programs_are_told_people_are_not(self, world: World, reason: str) -> None:
        settled = world.settle(judged(Outcome.DELETED, reason, object=None))
        assert (settled.outcome, settled.reason, settled.seconds) == (Outcome.DELETED, reason, None)
        assert (world.told, world.alerts) == (["Document Removed v1"], [])
        assert (world.entry.outcome, world.entry.reason, world.entry.version) == (Outcome.DELETED, reason, "")
        assert world.entry.is_done

    def test_nobody_is_told_of_a_folder(self, world: World) -> None:
        world.settle(judged(Outcome.DELETED, "folder-marker"))
        assert (world.told, world.alerts) == ([], [])
        assert world.entry.is_done


class TestQuarantined:
    @pytest.mark.parametrize("outcome", sorted(QUARANTINED))
    def test_everybody_is_told_once(self, world: World, outcome: Outcome) -> None:
        world.settle(judged(outcome))
        assert (world.told, world.alerts) == (["Document Quarantined v1"], [outcome])
        assert (world.entry.outcome, world.entry.reason, world.entry.detail) == (
            outcome,
            "some-reason",
            "A sentence.",
        )
        assert world.entry.is_done

    def test_a_copy_is_kept_with_the_reason(self, world: World) -> None:
        task = judged(Outcome.ENCRYPTED, "password-needed", object=world.object)
        world.settle(task)
        folder = f"quarantine/{BUCKET}/{task.document.id}/{GENERATION}"
        assert world.s3.get(WORK_BUCKET, f"{folder}/object").body == BODY
        content = world.s3.get(WORK_BUCKET, f"{folder}/reason.json")
        assert json.loads(content.body) == {
            "version": 1,
            "document": task.document.id,
            "generation": GENERATION,
            "bucket": BUCKET,
            "key": KEY,
            "route": "reports",
            "occurred_at": "2026-05-28T20:26:38Z",
            "object_version": world.object.etag,
            "size": len(BODY),
            "media_type": "application/pdf",
            "outcome": "ENCRYPTED",
            "reason": "password-needed",
            "detail": "A sentence.",
            "quarantined_at": "2026-05-28T20:26:40Z",
            "object": f"{folder}/object",
            "without": "",
        }

    def test_what_was_found_is_copied_not_what_came_later(self, world: World) -> None:
        world.s3.create_bucket("versioned", versioned=True)
        world.s3.put("versioned", KEY, BODY)
        head = world.s3.head("versioned", KEY)
        world.s3.put("versioned", KEY, b"later")
        of = document(bucket="versioned")
        what = found(version_id=head.version_id, etag=head.etag, size=head.size)
        world.settle(judged(Outcome.CORRUPT, of=of, object=what))
        assert world.s3.get(WORK_BUCKET, f"quarantine/versioned/{of.id}/{GENERATION}/object").body == BODY

    @pytest.mark.parametrize(
        ("meddle", "without"),
        [
            (lambda s3: s3.delete(BUCKET, KEY), "not-found"),
            (lambda s3: s3.put(BUCKET, KEY, b"later"), "conflict"),
            (lambda s3: s3.deny(BUCKET, "copy"), "access-denied"),
            (lambda s3: s3.archive(BUCKET, KEY), "refused"),
        ],
        ids=["gone", "overwritten", "denied", "archived"],
    )
    def test_what_can_not_be_copied_has_the_reason_alone(
        self, world: World, meddle: Any, without: str
    ) -> None:
        task = judged(Outcome.CORRUPT, object=world.object)
        meddle(world.s3)
        world.settle(task)
        [key] = world.s3.keys(WORK_BUCKET)
        account = json.loads(world.s3.get(WORK_BUCKET, key).body)
        assert (account["object"], account["without"].split(":")[0]) == ("", without)
        [(_, message, _)] = world.topic.published
        assert f"No copy was kept: {without}" in message

    @pytest.mark.parametrize(
        ("what", "without"),
        [
            (None, "the object could not be looked at"),
            (found(size=LARGEST_COPY + 1), "it is larger than 100 bytes"),
        ],
        ids=["unseen", "large"],
    )
    def test_what_is_not_copied_at_all(self, world: World, what: Found | None, without: str) -> None:
        world.settle(judged(Outcome.TOO_LARGE, object=what))
        assert "copy" not in {operation for operation, _, _ in world.s3.calls}
        [key] = world.s3.keys(WORK_BUCKET)
        assert json.loads(world.s3.get(WORK_BUCKET, key).body)["without"] == without

    def test_as_large_as_is_allowed_is_copied(self, world: World) -> None:
        world.s3.put(BUCKET, KEY, bytes(LARGEST_COPY))
        world.settle(judged(Outcome.NO_TEXT, object=world.object))
        assert len(world.s3.keys(WORK_BUCKET)) == 2

    def test_a_copy_that_may_yet_be_made_is_tried_again_before_anything_else(self, world: World) -> None:
        task = judged(Outcome.CORRUPT, object=world.object)
        world.s3.fail("copy", ThrottledError("SlowDown"))
        with pytest.raises(ThrottledError):
            world.settle(task)
        assert (world.entry.settled, world.alerts) == (0, [])
        world.settle(task)
        assert (world.entry.outcome, world.alerts) == (Outcome.CORRUPT, ["CORRUPT"])


class TestSuperseded:
    def test_by_what_the_index_has(self, world: World) -> None:
        settled = world.settle(indexed(loaded=Loaded(outcome=Outcome.SUPERSEDED)))
        assert (settled.outcome, settled.reason) == (Outcome.SUPERSEDED, "newer-in-index")
        assert (world.told, world.alerts) == ([], [])
        assert world.entry.is_done

    def test_whatever_the_verdict_was(self, world: World) -> None:
        """The index would not even be emptied: it has something later."""
        world.settle(judged(Outcome.CORRUPT, loaded=Loaded(outcome=Outcome.SUPERSEDED)))
        assert (world.entry.outcome, world.alerts) == (Outcome.SUPERSEDED, [])

    def test_a_later_admission_keeps_its_entry(self, world: World) -> None:
        world.admit(generation=GENERATION + 1, settled=GENERATION - 9, outcome=Outcome.INDEXED, version="v0")
        before = world.entry
        settled = world.settle(judged(Outcome.SUPERSEDED, "newer-admission"))
        assert settled.outcome is Outcome.SUPERSEDED
        assert world.entry == before

    @pytest.mark.parametrize(
        "task", [indexed(), judged(Outcome.CORRUPT), failed(LAST)], ids=["indexed", "corrupt", "failed"]
    )
    def test_an_older_outcome_never_takes_the_place_of_a_later_one(self, world: World, task: Task) -> None:
        world.admit(
            generation=GENERATION + 1,
            settled=GENERATION + 1,
            told=GENERATION + 1,
            outcome=Outcome.DELETED,
            reason="deleted",
        )
        before = world.entry
        assert world.settle(task).outcome is Outcome.SUPERSEDED
        assert world.entry == before
        assert (world.told, world.alerts) == ([], [])

    def test_an_older_outcome_stands_while_the_later_one_is_not_known(self, world: World) -> None:
        world.admit(generation=GENERATION + 1)
        world.settle(indexed())
        assert (world.entry.outcome, world.entry.settled, world.entry.generation) == (
            Outcome.INDEXED,
            GENERATION,
            GENERATION + 1,
        )
        assert world.entry.busy_until == NOON + 9, "the later one is at work"
        assert world.told == ["Document Indexed v1"]


class TestFailed:
    def test_a_try_that_failed_leaves_the_object_to_the_next_one(self, world: World) -> None:
        world.admit(settled=GENERATION - 9, told=GENERATION - 9, outcome=Outcome.INDEXED, version="v0")
        settled = world.settle(failed())
        assert (settled.outcome, settled.reason) == (None, "try-failed")
        entry = world.entry
        assert (entry.settled, entry.outcome, entry.version) == (GENERATION - 9, Outcome.INDEXED, "v0")
        assert (entry.reason, entry.detail, entry.busy_until) == (
            "try-failed",
            "LoadDocument: UnavailableError: S3: 503",
            0.0,
        )
        assert not entry.is_done
        assert (world.told, world.alerts, world.s3.keys(WORK_BUCKET)) == ([], [], [])

    def test_a_try_of_what_somebody_later_has(self, world: World) -> None:
        world.admit(generation=GENERATION + 1)
        before = world.entry
        world.settle(failed())
        assert world.entry == before

    def test_the_last_try_is_settled(self, world: World) -> None:
        settled = world.settle(failed(LAST))
        assert (settled.outcome, settled.reason, settled.told) == (Outcome.FAILED, "tries-used-up", True)
        assert (world.told, world.alerts) == (["Document Quarantined v1"], ["FAILED"])
        [(_, message, _)] = world.topic.published
        assert "dead-letter queue" in message
        assert "--domain documents --queue intake --execute" in message
        assert "LoadDocument: UnavailableError: S3: 503" in message

    def test_its_message_is_taken_up_again_once_it_is_redriven(self, world: World) -> None:
        world.settle(failed(LAST))
        assert not world.entry.is_done

    def test_the_last_try_of_what_somebody_later_has(self, world: World) -> None:
        world.admit(generation=GENERATION + 1)
        before = world.entry
        assert world.settle(failed(LAST)).outcome is Outcome.SUPERSEDED
        assert (world.entry, world.alerts) == (before, [])

    @pytest.mark.parametrize("of", [document(), LAST], ids=["more tries", "last try"])
    def test_a_try_that_failed_at_telling_keeps_its_outcome(self, world: World, of: Document) -> None:
        """The next try finds that nobody was told, and does it all once more."""
        world.bus.failing.append(UnavailableError("PutEvents: InternalFailure"))
        with pytest.raises(UnavailableError):
            world.settle(indexed(of))
        before = world.entry
        settled = world.settle(failed(of))
        assert world.entry == before
        assert (before.outcome, before.settled, before.told) == (Outcome.INDEXED, GENERATION, 0)
        assert not before.is_done
        assert settled.outcome is (Outcome.INDEXED if of.last_try else None)


class TestTellingAgain:
    @pytest.mark.parametrize("task", [indexed(), judged(Outcome.DELETED), judged(Outcome.CORRUPT)], ids=str)
    def test_what_was_told_is_not(self, world: World, task: Task) -> None:
        world.settle(task)
        first = (list(world.told), list(world.alerts), world.entry)
        world.clock.now += 60
        again = world.settle(task)
        assert (world.told, world.alerts, world.entry) == first
        assert (again.outcome, again.told, again.seconds) == (world.entry.outcome, False, None)

    def test_what_was_not_told_is_and_says_when_it_was_settled(self, world: World) -> None:
        world.bus.failing.append(UnavailableError("no"))
        with pytest.raises(UnavailableError):
            world.settle(indexed())
        assert (world.entry.settled, world.entry.told) == (GENERATION, 0)
        assert world.entry.busy_until > NOON, "nobody else need begin while this one may tell"
        world.clock.now += 60
        assert world.settle(indexed()).told
        [event] = world.bus.events
        assert event["detail"]["indexed_at"] == "2026-05-28T20:26:40Z"
        assert (world.entry.told, world.entry.busy_until) == (GENERATION, 0)

    def test_an_alert_may_come_twice_but_never_not_at_all(self, world: World) -> None:
        world.bus.failing.append(UnavailableError("no"))
        with pytest.raises(UnavailableError):
            world.settle(judged(Outcome.CORRUPT))
        world.settle(judged(Outcome.CORRUPT))
        assert (world.alerts, world.told) == (["CORRUPT", "CORRUPT"], ["Document Quarantined v1"])

    def test_who_refuses_to_be_told_makes_the_try_fail(self, world: World) -> None:
        world.topic.failing.append(RefusedError("Publish: AuthorizationError"))
        with pytest.raises(RefusedError):
            world.settle(judged(Outcome.CORRUPT))


class Crowded(MemoryLedger):
    """Somebody else writes before each of our first writes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def put_records(self, records: Any) -> set[str]:
        if self.times > 0 and records[0].version:
            self.times -= 1
            current = self.records([records[0].key])[records[0].key]
            super().put_records(
                [Record(current.key, current.body | {"sequencer": str(self.times)}, current.version)]
            )
        return super().put_records(records)


def test_what_others_note_meanwhile_is_kept() -> None:
    world = World(ledger=Crowded(times=3))
    world.settle(indexed())
    assert (world.entry.sequencer, world.entry.outcome) == ("0", Outcome.INDEXED)


def test_a_ledger_that_never_rests_is_tried_again_later() -> None:
    world = World(ledger=Crowded(times=100))
    with pytest.raises(UnavailableError, match=KEY):
        world.settle(indexed())
    assert world.told == []


def test_an_object_whose_row_has_expired(world: World) -> None:
    of = document(key="old")
    world.settle(indexed(of))
    key = entry_key(BUCKET, "old")
    entry = entry_of(world.ledger.records([key])[key])
    assert (entry.outcome, entry.generation, entry.is_done) == (Outcome.INDEXED, GENERATION, True)


def test_a_task_without_an_outcome_is_a_bug(world: World) -> None:
    with pytest.raises(InvariantError, match=KEY):
        world.settle(indexed(loaded=None))


def test_the_calls_that_a_document_costs(world: World) -> None:
    """Two reads and two writes of the ledger, one event; nothing of S3."""
    world.s3.calls.clear()
    world.settle(indexed())
    assert (world.s3.calls, len(world.bus.events)) == ([], 1)
    [record] = world.ledger.records([entry_key(BUCKET, KEY)]).values()
    assert record.version == 3  # the admission's, and two
