"""Starts a job, or joins the run that is under way, and follows it to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from signalbox.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INFIX = "-job-"
"""A CodeBuild project is a job of the stack whose name, and this, its own name begins with."""
POLL_SECONDS = 5.0
MOST_FAILURES = 12
"""Looks in a row, a minute in all, that may fail before it is given up to follow."""


@dataclass(frozen=True, slots=True)
class Build:
    """One run of a job, as CodeBuild tells it.

    Attributes:
        status: IN_PROGRESS, SUCCEEDED, FAILED, FAULT, STOPPED or TIMED_OUT.
        phase: what it is doing, as in PROVISIONING or BUILD.
        started_at: seconds since 1970; 0 where it is not known.
        ended_at: likewise.
        log: where CodeBuild says that its log can be read; "" for nowhere yet.
        log_group: of CloudWatch Logs, with the stream: "" where there is none yet.
    """

    id: str
    status: str
    phase: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    log: str = ""
    log_group: str = ""
    log_stream: str = ""

    @property
    def running(self) -> bool:
        return self.status == "IN_PROGRESS"

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class Run:
    """A build, and whether it was under way before."""

    build: Build
    joined: bool


class Builds(Protocol):
    """The builds of one project."""

    def newest(self) -> Build | None: ...

    def start(self) -> Build: ...

    def read(self, build: str) -> Build: ...


def project_of(stack: str, job: str) -> str:
    return f"{stack}{INFIX}{job}"


def jobs_among(projects: Sequence[str], stack: str) -> tuple[str, ...]:
    """The names of the stack's jobs, out of those of all projects."""
    prefix = project_of(stack, "")
    return tuple(sorted(name.removeprefix(prefix) for name in projects if name.startswith(prefix)))


def begin(builds: Builds) -> Run:
    """Starts a build, unless one is under way."""
    newest = builds.newest()
    if newest and newest.running:
        return Run(newest, joined=True)
    return Run(builds.start(), joined=False)


def follow(
    builds: Builds, build: Build, sleep: Callable[[float], None], report: Callable[[Build], None]
) -> Build:
    """Looks every few seconds until the build has ended, and answers how.

    Args:
        report: gets the build as it was at each look while it ran.

    Raises:
        TransientError: twelve looks in a row went wrong.
    """
    failures = 0
    while build.running:
        report(build)
        sleep(POLL_SECONDS)
        try:
            build, failures = builds.read(build.id), 0
        except TransientError:
            failures += 1
            if failures == MOST_FAILURES:
                raise
    return build
