"""What lies in a bucket already is taken in: counted, sent in tens, sent again where SQS did not take it."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.backfill import BATCH_ENTRIES, PAUSES, Place, Sender, Tally, Terms, event, wanted
from signalbox.documents.routes import parse_routes
from signalbox.errors import ThrottledError
from signalbox.eventbridge import parse_envelope
from tests.unit.operations.doubles import FakeQueue

NOON = 1_780_000_000.0
PLACE = Place("acme-1", "123456789012", "eu-central-1")
ROUTES = parse_routes(
    json.dumps(
        [
            {"name": "drafts", "bucket": "*", "key": "drafts/*", "pipeline": "ignore"},
            {"name": "pdf", "bucket": "acme-*", "key": "*.pdf", "pipeline": "index"},
            {"name": "in", "bucket": "acme-*", "key": "in/*", "pipeline": "index"},
        ]
    )
)


@dataclass
class Time:
    """Moves when it is slept."""

    now: float = NOON
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def page(*keys: str, age: float = 60.0, size: int = 10) -> list[Any]:
    written = datetime.fromtimestamp(NOON - age, UTC)
    return [{"Key": key, "Size": size, "LastModified": written} for key in keys]


def terms(*, since: float = 0.0, most: int = 1_000) -> Terms:
    return Terms("acme-1", ROUTES, since, most)


def sender(queue: FakeQueue, time: Time, rate: float = 0) -> Sender:
    return Sender(PLACE, queue.send, rate, time, time.sleep)


def keys(queue: FakeQueue) -> list[str]:
    return [json.loads(body)["detail"]["object"]["key"] for body in queue.bodies]


def test_an_event_is_one_that_the_intake_reads() -> None:
    envelope = parse_envelope(json.dumps(event(PLACE, "in/a b+😀.pdf", NOON)))
    assert (envelope.source, envelope.detail_type) == ("signalbox.documents", "Object Found")
    assert (envelope.account, envelope.region, envelope.occurred_at) == ("123456789012", "eu-central-1", NOON)
    assert envelope.detail == {"bucket": {"name": "acme-1"}, "object": {"key": "in/a b+😀.pdf"}}
    assert event(PLACE, "a", NOON)["id"] != event(PLACE, "a", NOON)["id"]


def test_every_object_is_counted_and_those_of_a_route_are_wanted() -> None:
    tally = Tally()
    pages = [
        page("a.pdf", "drafts/b.pdf", "c.txt"),
        [],
        page("in/old", age=7_200),
        page("in/d", "in/e.pdf", size=5),
    ]
    assert list(wanted(pages, terms(since=NOON - 3_600), tally)) == ["a.pdf", "in/d", "in/e.pdf"]
    assert (tally.routes, tally.size, tally.left_alone, tally.older) == ({"pdf": 2, "in": 1}, 20, 2, 1)
    assert (tally.found, tally.seen) == (3, 6)


def test_no_more_than_are_wanted_are_looked_at() -> None:
    tally = Tally()
    pages = iter([page("a.pdf", "b.pdf", "c.pdf"), page("d.pdf")])
    assert list(wanted(pages, terms(most=2), tally)) == ["a.pdf", "b.pdf"]
    assert next(pages)[0]["Key"] == "d.pdf"
    assert tally.seen == 2


@given(st.lists(st.text(min_size=1), max_size=45), st.lists(st.sets(st.integers(0, 9)), max_size=5))
def test_all_are_sent_once_in_tens_also_where_some_are_refused(
    named: list[str], refusals: list[set[int]]
) -> None:
    queue, tally, told = FakeQueue(list(refusals)), Tally(), list[int]()
    sender(queue, Time()).go_through(named, tally, lambda: told.append(tally.sent))
    assert sorted(keys(queue)) == sorted(named)
    assert all(1 <= size <= BATCH_ENTRIES for size in queue.sizes)
    assert len(queue.sizes) <= -(-len(named) // BATCH_ENTRIES) + len(refusals)
    assert tally.sent == len(named)
    assert tally.last == (named[-1] if named else "")
    assert told == sorted(told)


def test_what_sqs_does_not_take_at_all_ends_it_and_the_place_is_known() -> None:
    named = [f"k{n:02}" for n in range(25)]
    queue, tally, time = FakeQueue([set(), {3}, *[{0}] * len(PAUSES)]), Tally(), Time()
    with pytest.raises(ThrottledError, match="did not take 1 events in 6 tries"):
        sender(queue, time).go_through(named, tally, lambda: None)
    assert (tally.sent, tally.last) == (10, "k09")
    assert tuple(time.slept) == PAUSES


def test_a_retried_entry_keeps_its_id() -> None:
    queue = FakeQueue([{0, 1}])
    time = Time()
    sender(queue, time).go_through(["a", "b", "c"], Tally(), lambda: None)
    assert keys(queue) == ["c", "a", "b"]
    assert len({json.loads(body)["id"] for body in queue.bodies}) == 3


def test_the_rate_is_kept_over_all() -> None:
    queue, time = FakeQueue(), Time()
    sender(queue, time, rate=5).go_through([str(n) for n in range(100)], Tally(), lambda: None)
    assert time.now == pytest.approx(NOON + 20)
    assert len(queue.bodies) == 100
