"""What goes wrong in the field where objects of S3 become searchable, and what keeps us from it.

The seventh, of uploads: tests/unit/documents/uploads/test_field_failures.py. On the deployed stack:
tests/e2e/test_documents_patterns.py.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from local.samples import SAMPLES, make, papers
from operations.notifications import MEMBER, Switch
from signalbox.documents.batching import batches
from signalbox.documents.conversion.confined import BATCHES
from signalbox.documents.conversion.converters import Conversion, Source
from signalbox.documents.conversion.running import convert
from signalbox.documents.events import parse_event
from signalbox.documents.inspection import InspectObject
from signalbox.documents.lines import read_lines, write_lines
from signalbox.documents.loading import LoadDocument, Row
from signalbox.documents.media import FIRST_BYTES, media_type
from signalbox.documents.models import Batch, Document, Outcome, Task, batch_id
from signalbox.documents.routes import findings, parse_routes
from signalbox.eventbridge import parse_envelope
from signalbox.ledger.memory import MemoryLedger
from tests.unit.documents.doubles import (
    BUCKET,
    GENERATION,
    KEY,
    WORK_BUCKET,
    FakeObjects,
    MovableClock,
    document,
    found,
    options,
    text_of,
)
from tests.unit.documents.s3_events import KEYS, called, created, fails
from tests.unit.documents.test_intake import MAXIMUM_RECEIVES, Stack, run_to_rest
from tests.unit.documents.test_settlement import World, judged
from tests.unit.documents.test_the_last_version_wins import InOpenSearch, InS3, Searched
from tests.unit.operations.doubles import FakeBuckets, filtered, queue_entry


def test_turning_eventbridge_on_wipes_no_notification_of_another_stack() -> None:
    """aws/aws-cdk#29653: a bucket's configuration is replaced whole by each write."""
    theirs = {
        "QueueConfigurations": [queue_entry("theirs", **filtered("in/", ".pdf"))],
        "TopicConfigurations": [
            {"Id": "others", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Events": ["s3:*"]}
        ],
    }
    buckets = FakeBuckets({"existing": theirs})
    switch = Switch(buckets, MemoryLedger(), lambda: 0.0, lambda _: None)
    assert switch.enable("existing", execute=True).state == "turned on"
    assert buckets.configurations["existing"] == {**theirs, MEMBER: {}}
    assert switch.disable("existing", execute=True, force=False).state == "turned off"
    assert buckets.configurations["existing"] == theirs


def test_overlapping_prefixes_and_suffixes_are_allowed_and_each_object_has_one_route() -> None:
    """Plain S3 notifications refuse such a configuration altogether."""
    routes = parse_routes(
        json.dumps(
            [
                {"name": "invoices", "bucket": "*", "key": "in/invoices/*", "pipeline": "index"},
                {"name": "pdf", "bucket": "*", "key": "*.pdf", "pipeline": "index"},
                {"name": "in", "bucket": "*", "key": "in/*", "pipeline": "index"},
            ]
        )
    )
    names = [routes.find("any", key) for key in ("in/invoices/a.pdf", "in/a.pdf", "in/a.txt", "a.txt")]
    assert [route and route.name for route in names] == ["invoices", "pdf", "in", None]
    assert {each.kind for each in findings(routes)} == {"overlap"}


def test_1_a_first_sentence_of_4800_characters_and_more_keeps_what_follows() -> None:
    """A public sample of document processing dropped the rest of such a text."""
    text = "word " * 970 + "end. Then a second sentence. And a third."
    assert "".join(batch.text for batch in batches(text)) == text


def test_1_a_second_sentence_that_crosses_the_limit_ends() -> None:
    """The same sample looped over it for ever."""
    first, second = "First sentence. ", "Second " * 800 + "ends. "
    pieces = [batch.text for batch in batches(first + second + "Third.")]
    assert "".join(pieces) == first + second + "Third."
    assert pieces[0] == first


def test_2_a_key_is_decoded_where_it_comes_encoded_and_only_there() -> None:
    """S3's own events have it as it is, CloudTrail's URL-encoded. Some keys only look encoded."""
    for key in KEYS.values():
        for event in (created(key), called(key=key)):
            [news] = parse_event(parse_envelope(json.dumps(event)))
            assert news.key == key


class Library:
    """One object's texts, and an index that they are loaded into; what a search says of it."""

    def __init__(self, make_index: Callable[[FakeObjects], Searched]) -> None:
        self.clock = MovableClock()
        self.objects = FakeObjects(self.clock)
        self.objects.create_bucket("work")
        self.searched = make_index(self.objects)
        self.given: list[str] = []

    def replace(self, document: Document, rows: Iterable[Row]) -> int | None:
        """Passes them on, and remembers their ids."""
        kept = list(rows)
        self.given += [row.id for row in kept]
        return self.searched.index.replace(document, kept)

    def load(self, generation: int, version: str, *texts: str) -> Outcome:
        of = document(generation=generation)
        text = text_of(of)
        self.objects.put("work", text.key, write_lines(Batch(batch=n, text=t) for n, t in enumerate(texts)))
        task = Task(document=of, options=options(), object=found(version=version), text=text)
        return LoadDocument(self.objects, "work", self, self.clock).load(task).outcome

    @property
    def said(self) -> list[str]:
        return self.searched.said().get(document().id, [])


@pytest.mark.parametrize("make_index", [InS3, InOpenSearch])
def test_3_a_retry_duplicates_no_record(make_index: Callable[[FakeObjects], Searched]) -> None:
    """An id made of the clock is another one at each try. Ours are of bucket, key, version and batch."""
    library = Library(make_index)
    for generation in (GENERATION, GENERATION, GENERATION + 1):
        library.load(generation, "v1", "one", "two")
        library.clock.now += 60
    assert library.said == ["one", "two"]
    assert set(library.given) == {batch_id(BUCKET, KEY, "v1", batch) for batch in (0, 1)}


@pytest.mark.parametrize("make_index", [InS3, InOpenSearch])
def test_4_two_uploads_of_one_name_that_race_leave_the_newer_text_alone(
    make_index: Callable[[FakeObjects], Searched],
) -> None:
    """aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws#719: the old content,
    or text of both. Here the slow one comes last, and has more to say."""
    library = Library(make_index)
    assert library.load(GENERATION, "v1", "old one", "old two") is Outcome.INDEXED
    assert library.load(GENERATION + 2, "v3", "newest") is Outcome.INDEXED
    assert library.load(GENERATION + 1, "v2", "slow one", "slow two", "slow three") is Outcome.SUPERSEDED
    assert library.said == ["newest"]


def test_5_a_document_that_fails_for_ever_is_tried_a_few_times_and_then_kept_in_sight() -> None:
    """It is neither deleted with its batch, nor does it hold the others up."""
    stack = Stack()
    stack.workflow.work = lambda document: (
        fails(document) if document.key == "bad" else stack.settles(document)
    )
    stack.send(created("bad"), created("good"))
    run_to_rest(stack)
    assert stack.queue.dead == [json.dumps(created("bad"))]
    assert stack.entry("good").is_done
    assert [document.key for document in stack.documents].count("bad") == MAXIMUM_RECEIVES


def test_5_a_document_that_fails_for_good_leaves_a_trace_in_four_places() -> None:
    """The ledger, the quarantine, an alert, an event: each with the reason."""
    world = World()
    world.settle(judged(Outcome.CORRUPT, "damaged"))
    [(_, message, _)] = world.topic.published
    [event] = world.bus.events
    [key] = world.s3.keys(WORK_BUCKET)
    kept = json.loads(world.s3.get(WORK_BUCKET, key).body)
    assert {world.entry.reason, event["detail"]["reason"], kept["reason"]} == {"damaged"}
    assert "damaged" in message


@pytest.mark.parametrize(
    ("meddle", "expected"),
    [
        (lambda s3: s3.put(BUCKET, KEY, b""), (Outcome.NO_TEXT, "empty")),
        (lambda s3: s3.delete(BUCKET, KEY), (Outcome.DELETED, "gone-before-read")),
        (lambda s3: s3.deny(BUCKET, "head"), (Outcome.FAILED, "access-denied")),
    ],
    ids=["empty", "deleted before it is read", "a bucket without permission"],
)
def test_6_what_can_not_be_read_has_an_outcome_and_a_reason(
    meddle: Callable[[FakeObjects], None], expected: tuple[Outcome, str]
) -> None:
    world = World()
    meddle(world.s3)
    task = Task(document=document(), options=options())
    seen = InspectObject(world.ledger, world.s3).inspect(task)
    assert seen.verdict is not None
    settled = world.settle(judged(*expected, object=seen.object, verdict=seen.verdict))
    assert (settled.outcome, settled.reason) == expected == (world.entry.outcome, world.entry.reason)


@pytest.mark.parametrize(
    "kind", ["pdf-encrypted", "docx-encrypted", "pdf-truncated", "docx-truncated", "pdf-scanned", "zip"]
)
def test_6_what_has_no_text_to_give_says_why(kind: str, tmp_path: Path) -> None:
    conversion = converted(make(kind), tmp_path)
    sample = SAMPLES[kind]
    assert conversion.verdict is not None
    assert (conversion.verdict.outcome, conversion.verdict.reason) == (sample.outcome, sample.reason)


def test_6_of_500_pages_none_is_lost(tmp_path: Path) -> None:
    conversion = converted(papers.of_pages(500), tmp_path)
    packed = (tmp_path / BATCHES).read_bytes()
    text = "".join(batch.text for batch in read_lines(packed, Batch))
    assert (conversion.pages, conversion.verdict) == (500, None)
    assert [number for number in range(1, 501) if f"{number}.49: the quick" not in text] == []


def converted(content: bytes, folder: Path) -> Conversion:
    file = folder / "object"
    file.write_bytes(content)
    return convert(Source(file=str(file), media_type=media_type(content[:FIRST_BYTES])), folder)


@pytest.mark.parametrize("name", ["a.b.PDF", "holiday.png", "no-extension", "a/b.c/.pdf"])
def test_2_and_6_what_a_file_is_its_bytes_say_and_not_its_name(name: str) -> None:
    world = World()
    world.s3.put(BUCKET, name, b"%PDF-1.7 and so on")
    task = Task(document=document(key=name), options=options(labels=True))
    seen = InspectObject(world.ledger, world.s3).inspect(task)
    assert (seen.next, seen.object and seen.object.media_type) == ("convert", "application/pdf")
