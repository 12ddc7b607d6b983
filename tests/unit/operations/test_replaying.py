"""Going through a dead-letter queue: nothing is lost, deleted too early or kept hidden, whatever fails."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.letters import Finding, Letter, Prospect
from operations.replaying import Outcome, go_through


@dataclass
class DeadLetters:
    """A queue in memory. What is received is hidden until it is released or `appear` is called."""

    letters: dict[str, Letter]
    hidden: set[str] = field(default_factory=set)
    undeletable: frozenset[str] = frozenset()
    receives: int = 0

    @classmethod
    def of(cls, count: int, undeletable: frozenset[str] = frozenset()) -> "DeadLetters":
        letters = {f"m-{n}": Letter(f"m-{n}", "", f"body {n}", 0.0) for n in range(count)}
        return cls(letters, undeletable=undeletable)

    def receive(self, most: int) -> list[Letter]:
        self.receives += 1
        seen = [id_ for id_ in self.letters if id_ not in self.hidden][:most]
        self.hidden.update(seen)
        return [Letter(id_, f"r-{self.receives}", self.letters[id_].body, 0.0) for id_ in seen]

    def delete(self, letters: Sequence[Letter]) -> set[str]:
        gone = {letter.id for letter in letters} - self.undeletable
        for id_ in gone:
            del self.letters[id_]
        self.hidden -= gone
        return gone

    def release(self, letters: Sequence[Letter]) -> None:
        self.hidden -= {letter.id for letter in letters}


@dataclass
class Intake:
    """What was sent, in order; takes none of `refusing`, and breaks down at the call numbered `breaking`."""

    sent: list[str] = field(default_factory=list)
    refusing: frozenset[str] = frozenset()
    breaking: int = 0
    calls: int = 0

    def send(self, letters: Sequence[Letter]) -> Collection[str]:
        self.calls += 1
        if self.calls == self.breaking:
            raise KeyboardInterrupt
        taken = [letter.id for letter in letters if letter.id not in self.refusing]
        self.sent += taken
        return taken


def wanted(letter: Letter) -> Finding:
    return Finding(letter, "handled", letter.body)


def ids(letters: Sequence[Letter]) -> set[str]:
    return {letter.id for letter in letters}


def test_without_a_receiver_nothing_is_changed() -> None:
    queue = DeadLetters.of(25)
    outcome = go_through(queue, wanted, None, most=1_000)
    assert len(outcome.seen) == len(queue.letters) == 25
    assert queue.hidden == set()
    assert (outcome.replayed, outcome.clean) == ([], True)


def test_every_letter_is_sent_once_and_gone() -> None:
    queue, intake = DeadLetters.of(25), Intake()
    told: list[int] = []
    outcome = go_through(queue, wanted, intake.send, most=1_000, report=told.append)
    assert sorted(intake.sent) == sorted(ids(outcome.replayed))
    assert (len(intake.sent), queue.letters, outcome.clean) == (25, {}, True)
    assert told == [10, 20, 25]


def test_no_more_than_asked_for() -> None:
    queue, intake = DeadLetters.of(25), Intake()
    go_through(queue, wanted, intake.send, most=12)
    assert (len(intake.sent), len(queue.letters), queue.hidden) == (12, 13, set())


def test_what_is_not_wanted_does_not_count_and_stays() -> None:
    def every_second(letter: Letter) -> Finding:
        prospect: Prospect = "handled" if int(letter.id[2:]) % 2 else "passed over"
        return Finding(letter, prospect, "")

    queue, intake = DeadLetters.of(40), Intake()
    outcome = go_through(queue, every_second, intake.send, most=20)
    assert len(intake.sent) == len(queue.letters) == 20
    assert all(int(id_[2:]) % 2 == 0 for id_ in queue.letters)
    assert (queue.hidden, outcome.clean) == (set(), True)


def test_what_is_refused_stays_and_is_told() -> None:
    queue, intake = DeadLetters.of(12), Intake(refusing=frozenset({"m-3", "m-11"}))
    outcome = go_through(queue, wanted, intake.send, most=1_000)
    assert ids(outcome.refused) == queue.letters.keys() == {"m-3", "m-11"}
    assert (queue.hidden, outcome.clean) == (set(), False)


def test_what_was_sent_but_not_deleted_stays_and_is_told() -> None:
    queue, intake = DeadLetters.of(3, undeletable=frozenset({"m-1"})), Intake()
    outcome = go_through(queue, wanted, intake.send, most=1_000)
    assert ids(outcome.undeleted) == queue.letters.keys() == {"m-1"}
    assert sorted(intake.sent) == ["m-0", "m-1", "m-2"]
    assert (queue.hidden, outcome.clean) == (set(), False)


def test_letters_that_appear_again_end_the_round() -> None:
    """Their hiding time is over before the round is."""

    class Forgetful(DeadLetters):
        def receive(self, most: int) -> list[Letter]:
            self.hidden.clear()
            return super().receive(most)

    queue = Forgetful.of(5)
    outcome = go_through(queue, wanted, None, most=1_000)
    assert (len(outcome.seen), queue.receives, queue.hidden) == (5, 2, set())


@given(
    count=st.integers(0, 40),
    most=st.integers(1, 50),
    refusing=st.frozensets(st.integers(0, 39).map("m-{}".format)),
    undeletable=st.frozensets(st.integers(0, 39).map("m-{}".format)),
    breaking=st.integers(0, 6),
)
def test_whatever_fails_no_letter_is_lost_or_left_hidden(
    count: int, most: int, refusing: frozenset[str], undeletable: frozenset[str], breaking: int
) -> None:
    queue = DeadLetters.of(count, undeletable=undeletable)
    before = set(queue.letters)
    intake = Intake(refusing=refusing, breaking=breaking)
    outcome: Outcome | None = None
    try:
        outcome = go_through(queue, wanted, intake.send, most=most)
    except KeyboardInterrupt:
        assert intake.calls == breaking
    assert before - queue.letters.keys() <= set(intake.sent)
    assert len(intake.sent) == len(set(intake.sent)) <= most
    assert queue.hidden == set()
    if outcome is not None:
        assert ids(outcome.replayed) == before - queue.letters.keys()


def test_run_again_it_goes_on_where_it_was_interrupted() -> None:
    queue = DeadLetters.of(30)
    first = Intake(breaking=3)
    with pytest.raises(KeyboardInterrupt):
        go_through(queue, wanted, first.send, most=1_000)
    second = Intake()
    go_through(queue, wanted, second.send, most=1_000)
    assert sorted(first.sent + second.sent) == sorted(f"m-{n}" for n in range(30))
    assert queue.letters == {}
