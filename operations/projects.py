"""CodeBuild's projects and builds, as jobs see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operations.jobs import Build
from signalbox.aws.calls import call
from signalbox.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_codebuild.type_defs import BuildTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient

BUILDS_A_CALL = 100
"""BatchGetBuilds (CodeBuild API Reference)."""
LINES = 40


@dataclass(frozen=True, slots=True)
class Project:
    """One project. `start` raises NotFoundError where it is not there."""

    codebuild: CodeBuildClient
    name: str

    def newest(self) -> Build | None:
        """The build that was started last; None without one, and without the project."""
        return newest_of(self.codebuild, [self.name]).get(self.name)

    def start(self) -> Build:
        return _build(call(self.codebuild.start_build, projectName=self.name)["build"])

    def read(self, build: str) -> Build:
        """Raises NotFoundError where CodeBuild keeps it no more."""
        for found in call(self.codebuild.batch_get_builds, ids=[build])["builds"]:
            return _build(found)
        raise NotFoundError(f"CodeBuild has no build {build}")


def project_names(codebuild: CodeBuildClient) -> Iterator[str]:
    """Of the whole account and Region: CodeBuild can't be asked for a part."""
    page = call(codebuild.list_projects)
    yield from page["projects"]
    while token := page.get("nextToken"):
        page = call(codebuild.list_projects, nextToken=token)
        yield from page["projects"]


def newest_of(codebuild: CodeBuildClient, projects: Sequence[str]) -> Mapping[str, Build]:
    """The build of each that was started last, of those that have one."""
    newest = {}
    for project in projects:
        for build in _builds_of(codebuild, project)[:1]:
            newest[build] = project
    ids = list(newest)
    pages = (ids[n : n + BUILDS_A_CALL] for n in range(0, len(ids), BUILDS_A_CALL))
    found = (each for page in pages for each in call(codebuild.batch_get_builds, ids=page)["builds"])
    return {newest[each["id"]]: _build(each) for each in found}


def _builds_of(codebuild: CodeBuildClient, project: str) -> list[str]:
    try:
        return call(codebuild.list_builds_for_project, projectName=project, sortOrder="DESCENDING")["ids"]
    except NotFoundError:
        return []


def last_lines(logs: CloudWatchLogsClient, build: Build) -> list[str]:
    """The end of its log; nothing where there is none."""
    if not build.log_stream:
        return []
    try:
        answer = call(
            logs.get_log_events,
            logGroupName=build.log_group,
            logStreamName=build.log_stream,
            limit=LINES,
            startFromHead=False,
        )
    except NotFoundError:
        return []
    return [event["message"].rstrip() for event in answer["events"]]


def _build(found: BuildTypeDef) -> Build:
    logs = found.get("logs", {})
    return Build(
        id=found["id"],
        status=found["buildStatus"],
        phase=found.get("currentPhase", ""),
        started_at=_seconds(found.get("startTime")),
        ended_at=_seconds(found.get("endTime")),
        log=logs.get("deepLink", ""),
        log_group=logs.get("groupName", ""),
        log_stream=logs.get("streamName", ""),
    )


def _seconds(time: datetime | None) -> float:
    return time.timestamp() if time else 0.0
