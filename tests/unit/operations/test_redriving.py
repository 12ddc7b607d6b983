"""Following a move that SQS makes: started once, joined when it runs, cancelled when interrupted."""

from dataclasses import dataclass, field

import pytest

from operations.redriving import POLL_SECONDS, Task, redrive

RUNNING = Task("RUNNING", handle="h-1", moved=1, to_move=3)
COMPLETED = Task("COMPLETED", moved=3, to_move=3)


@dataclass
class Scripted:
    """Tells the tasks it was given, one a look; the last for ever. Refuses to start one while one runs."""

    tasks: list[Task | None]
    started: int = 0
    told: Task | None = None
    cancelled: list[str] = field(default_factory=list)

    def start(self) -> None:
        assert not (self.told and self.told.running)
        self.started += 1

    def newest(self) -> Task | None:
        self.told = self.tasks.pop(0) if len(self.tasks) > 1 else self.tasks[0]
        return self.told

    def cancel(self, handle: str) -> None:
        self.cancelled.append(handle)


@dataclass
class Sleeps:
    """Counts how long was slept; interrupted at the turn of that number."""

    slept: float = 0.0
    interrupted_at: int = 0
    turns: int = 0

    def __call__(self, seconds: float) -> None:
        self.turns += 1
        if self.turns == self.interrupted_at:
            raise KeyboardInterrupt
        self.slept += seconds


@pytest.mark.parametrize("before", [None, COMPLETED, Task("FAILED", reason="once"), Task("CANCELLED")])
def test_a_move_is_started_and_followed_to_its_end(before: Task | None) -> None:
    moves, sleeps = Scripted([before, RUNNING, RUNNING, COMPLETED]), Sleeps()
    told: list[Task] = []
    assert redrive(moves, sleeps, told.append) == COMPLETED
    assert (moves.started, told, sleeps.slept) == (1, [RUNNING, RUNNING], 2 * POLL_SECONDS)
    assert moves.cancelled == []


def test_one_that_runs_is_joined() -> None:
    moves = Scripted([RUNNING, COMPLETED])
    assert redrive(moves, Sleeps(), lambda _: None) == COMPLETED
    assert moves.started == 0


def test_one_that_fails_says_why() -> None:
    failed = Task("FAILED", reason="AWS.SimpleQueueService.NonExistentQueue")
    assert redrive(Scripted([None, RUNNING, failed]), Sleeps(), lambda _: None) == failed


def test_interrupted_it_is_cancelled() -> None:
    moves = Scripted([None, RUNNING, RUNNING])
    with pytest.raises(KeyboardInterrupt):
        redrive(moves, Sleeps(interrupted_at=2), lambda _: None)
    assert moves.cancelled == ["h-1"]


def test_a_move_that_nobody_lists_has_failed() -> None:
    ended = redrive(Scripted([None]), Sleeps(), lambda _: None)
    assert ended.status == "FAILED"
    assert ended.reason
