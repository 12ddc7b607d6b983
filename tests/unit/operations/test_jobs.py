"""Running a job: started once, joined when it runs, followed to its end through what goes wrong meanwhile."""

from dataclasses import dataclass, field, replace

import pytest

from operations.jobs import MOST_FAILURES, POLL_SECONDS, Build, begin, follow, jobs_among, project_of
from signalbox.errors import NotFoundError, ThrottledError, TransientError, UnavailableError

RUNNING = Build("b-1", "IN_PROGRESS", "SUBMITTED")
BUILDING = replace(RUNNING, phase="BUILD")
SUCCEEDED = Build("b-1", "SUCCEEDED", "COMPLETED")
ENDINGS = ["SUCCEEDED", "FAILED", "FAULT", "STOPPED", "TIMED_OUT"]


@dataclass
class Scripted:
    """Answers each look with what it was given, in order. Refuses to start a build while one runs."""

    last: Build | None = None
    looks: list[Build | Exception] = field(default_factory=list)
    started: int = 0

    def newest(self) -> Build | None:
        return self.last

    def start(self) -> Build:
        assert not (self.last and self.last.running)
        self.started += 1
        self.last = RUNNING
        return self.last

    def read(self, build: str) -> Build:
        assert build == RUNNING.id
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look


@dataclass
class Followed:
    """What was told, and how long was slept."""

    told: list[str] = field(default_factory=list)
    slept: float = 0.0

    def run(self, *looks: Build | Exception) -> Build:
        return follow(Scripted(looks=list(looks)), RUNNING, self._sleep, lambda b: self.told.append(b.phase))

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds


@pytest.mark.parametrize("last", [None, *(Build("b-0", status) for status in ENDINGS)])
def test_a_job_that_is_not_under_way_is_started(last: Build | None) -> None:
    builds = Scripted(last)
    run = begin(builds)
    assert (run.build, run.joined, builds.started) == (RUNNING, False, 1)


def test_a_job_that_is_under_way_is_joined() -> None:
    builds = Scripted(BUILDING)
    run = begin(builds)
    assert (run.build, run.joined, builds.started) == (BUILDING, True, 0)


@pytest.mark.parametrize("status", ENDINGS)
def test_it_is_followed_to_its_end(status: str) -> None:
    followed, end = Followed(), Build("b-1", status)
    assert followed.run(BUILDING, BUILDING, end) == end
    assert followed.told == ["SUBMITTED", "BUILD", "BUILD"]
    assert followed.slept == 3 * POLL_SECONDS
    assert end.succeeded == (status == "SUCCEEDED")


def test_one_that_has_ended_is_not_looked_at_again() -> None:
    assert follow(Scripted(), SUCCEEDED, lambda _: None, lambda _: None) == SUCCEEDED


def test_a_look_that_fails_for_a_moment_does_not_end_the_following() -> None:
    trouble = [UnavailableError("down"), ThrottledError("slow"), *[UnavailableError("down")] * 9]
    assert len(trouble) == MOST_FAILURES - 1
    assert Followed().run(*trouble, BUILDING, *trouble, SUCCEEDED) == SUCCEEDED


def test_looks_that_go_on_failing_do() -> None:
    followed = Followed()
    with pytest.raises(TransientError):
        followed.run(*[UnavailableError("down")] * MOST_FAILURES, SUCCEEDED)
    assert followed.slept == MOST_FAILURES * POLL_SECONDS


def test_a_build_that_is_gone_ends_it_at_once() -> None:
    followed = Followed()
    with pytest.raises(NotFoundError):
        followed.run(NotFoundError("gone"), SUCCEEDED)
    assert followed.slept == POLL_SECONDS


def test_jobs_are_told_by_the_beginning_of_their_project() -> None:
    projects = ["acme-job-tidy", "acme-job-index", "acme-jobs", "acme2-job-x", "rebuild-ui", "my-acme-job-y"]
    assert jobs_among(projects, "acme") == ("index", "tidy")
    assert [project_of("acme", job) for job in ("index", "tidy")] == ["acme-job-index", "acme-job-tidy"]
