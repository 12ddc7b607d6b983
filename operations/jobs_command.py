"""The command `job`: lists a stack's jobs, runs one, shows how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from local.display import table, terminal
from local.progress import Steps
from operations.jobs import begin, follow, jobs_among, project_of
from operations.projects import Project, last_lines, newest_of, project_names
from operations.showing import duration
from operations.stacks import StackError
from signalbox.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operations.jobs import Build, Run

NONE_YET = (
    "{stack} has no jobs in {region}: they are CodeBuild projects whose name begins with {prefix}. "
    "Check --stack, AWS_REGION and AWS_PROFILE."
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a job by its name, or "" for a list; whether to wait for its end."""

    job: str
    wait: bool = True


def jobs(request: Request, stack: str, clients: Callable[[str], Any]) -> int:
    """Shows the jobs, or runs one: 0 where it succeeded, or was started and is not waited for."""
    if not request.job:
        return _list(stack, clients("codebuild"))
    project = Project(clients("codebuild"), project_of(stack, request.job))
    try:
        run = begin(project)
    except NotFoundError as error:
        raise StackError(_unknown(request.job, stack, clients("codebuild"))) from error
    _tell_begun(run)
    if not request.wait:
        return 0
    try:
        with Steps() as step:
            ended = follow(project, run.build, time.sleep, _Phases(step, request.job))
    except KeyboardInterrupt:
        print(f"\n{run.build.id} goes on. The same command follows it again; this ends it:")
        print(f"  aws codebuild stop-build --id {run.build.id}")
        return 130
    return _tell_ended(ended, last_lines(clients("logs"), ended))


class _Phases:
    """Reports each phase once."""

    def __init__(self, step: Steps, job: str) -> None:
        self._step = step
        self._job = job
        self._told = ""

    def __call__(self, build: Build) -> None:
        if build.phase != self._told:
            self._told = build.phase
            self._step(f"{self._job}: {build.phase or 'SUBMITTED'}")


def _list(stack: str, codebuild: Any) -> int:
    found = jobs_among(list(project_names(codebuild)), stack)
    if not found:
        prefix = project_of(stack, "")
        print(NONE_YET.format(stack=stack, region=codebuild.meta.region_name, prefix=prefix))
        return 0
    newest = newest_of(codebuild, [project_of(stack, job) for job in found])
    rows = table("job", "last run", "ended as", "took", title=escape(stack))
    for job in found:
        build = newest.get(project_of(stack, job))
        rows.add_row(job, *(_told(build) if build else ("never", "", "")))
    terminal().print(rows)
    print("Run one: make job NAME=… (ARGS=--no-wait to go on at once)")
    return 0


def _told(build: Build) -> tuple[str, str, str]:
    took = f"{build.ended_at - build.started_at:,.0f} s" if build.ended_at else ""
    return f"{duration(time.time() - build.started_at)} ago", build.status, took


def _unknown(job: str, stack: str, codebuild: Any) -> str:
    there = ", ".join(jobs_among(list(project_names(codebuild)), stack)) or "none"
    return (
        f"There is no job {job}: no CodeBuild project {project_of(stack, job)} in "
        f"{codebuild.meta.region_name}. Jobs of {stack}: {there}."
    )


def _tell_begun(run: Run) -> None:
    said = "is under way already" if run.joined else "was started"
    print(f"{run.build.id} {said}.")


def _tell_ended(build: Build, lines: Sequence[str]) -> int:
    for line in lines:
        print(f"  {line}")
    took = f" after {build.ended_at - build.started_at:,.0f} s" if build.ended_at else ""
    print(f"{build.status}{took}." + (f" The whole log: {build.log}" if build.log else ""))
    return 0 if build.succeeded else 1
