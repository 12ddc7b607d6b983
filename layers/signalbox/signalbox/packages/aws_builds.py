"""Builds in CodeBuild: `signalbox.packages.building.Builds` on AWS."""

from collections.abc import Collection, Mapping
from itertools import batched
from typing import TYPE_CHECKING

from signalbox.aws.calls import call, code_of
from signalbox.errors import RefusedError, ThrottledError
from signalbox.packages.builds import OUTCOMES, TOKEN_VARIABLE, Built, End, Phase, why

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_codebuild.type_defs import BuildTypeDef

BUILDS_A_CALL = 100
"""BatchGetBuilds, CodeBuild API Reference."""
NO_PLACE = "AccountLimitExceededException"
"""No more builds may wait in the account's queue. Its limits rise and fall with what else it builds."""
SKEW_SECONDS = 60.0
"""How far CodeBuild's clock may be from ours."""


class CodeBuild:
    """The builds of this account and Region."""

    def __init__(self, codebuild: "CodeBuildClient") -> None:
        self._codebuild = codebuild

    def start(self, project: str, token: str, environment: Mapping[str, str]) -> str:
        try:
            answer = call(
                self._codebuild.start_build,
                projectName=project,
                idempotencyToken=token,
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in environment.items()
                ],
            )
        except RefusedError as error:
            if code_of(error) == NO_PLACE:
                raise ThrottledError(str(error)) from error
            raise
        return answer["build"]["id"]

    def look(self, ids: Collection[str]) -> dict[str, Built]:
        return {
            build["id"]: _built(build)
            for part in batched(ids, BUILDS_A_CALL, strict=False)
            for build in self._builds(part)
        }

    def find(self, project: str, token: str, since: float) -> Built | None:
        pages = self._codebuild.get_paginator("list_builds_for_project")
        listed = iter(pages.paginate(projectName=project, sortOrder="DESCENDING"))
        while page := call(next, listed, None):  # each is a call of its own
            builds = self._builds(page.get("ids", []))
            if found := next((build for build in builds if _token(build) == token), None):
                return _built(found)
            if any(build["startTime"].timestamp() < since - SKEW_SECONDS for build in builds):
                return None
        return None

    def stop(self, build: str) -> None:
        call(self._codebuild.stop_build, id=build)

    def _builds(self, ids: Collection[str]) -> list["BuildTypeDef"]:
        return call(self._codebuild.batch_get_builds, ids=list(ids))["builds"] if ids else []


def _token(build: "BuildTypeDef") -> str:
    variables = build.get("environment", {}).get("environmentVariables", [])
    return next((each["value"] for each in variables if each["name"] == TOKEN_VARIABLE), "")


def _built(build: "BuildTypeDef") -> Built:
    if build["buildStatus"] not in OUTCOMES:
        return Built(build["id"])
    phases = [
        Phase(
            each["phaseType"],
            each.get("phaseStatus", ""),
            tuple(
                f"{context.get('statusCode', '')}: {context.get('message', '')}"
                for context in each.get("contexts", [])
            ),
        )
        for each in build.get("phases", [])
    ]
    begun = build["startTime"]
    ended = build.get("endTime", begun).timestamp()
    link = build.get("logs", {}).get("deepLink")
    end = End(
        id=build["id"],
        outcome=OUTCOMES[build["buildStatus"]],
        ended_at=ended,
        seconds=max(ended - begun.timestamp(), 0.0),
        why=why(build["id"], build["buildStatus"], phases, link),
    )
    return Built(build["id"], end)
