"""`make job` on moto's CodeBuild: what it lists, starts, follows, and says where a job is not there."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from operations import cli
from operations.jobs import Build
from operations.projects import BUILDS_A_CALL, LINES, Project, last_lines, newest_of, project_names
from signalbox.errors import NotFoundError

STACK = "signalbox-test"
ROLE = "arn:aws:iam::123456789012:role/service-role/job"
JOB = f"{STACK}-job-tidy"


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with mock_aws():
        monkeypatch.setattr(cli, "client", client)
        monkeypatch.setattr("operations.jobs_command.time.sleep", lambda _: None)
        yield


def make(project: str) -> None:
    client("codebuild").create_project(
        name=project,
        # moto asks for a location even then.
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2", "location": "none"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=ROLE,
    )


def job(*options: str) -> int:
    return cli.main(["job", "--stack", STACK, *options])


def test_a_job_is_run_and_followed(capsys: pytest.CaptureFixture[str]) -> None:
    make(JOB)
    assert job("tidy") == 0
    said = capsys.readouterr().out
    assert f"{JOB}:" in said
    assert "was started" in said
    assert "SUCCEEDED after" in said


def test_a_job_that_is_not_waited_for_is_only_started(capsys: pytest.CaptureFixture[str]) -> None:
    make(JOB)
    assert job("tidy", "--no-wait") == 0
    assert "SUCCEEDED" not in capsys.readouterr().out
    assert len(client("codebuild").list_builds_for_project(projectName=JOB)["ids"]) == 1


def test_one_that_was_interrupted_says_that_the_job_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    make(JOB)
    monkeypatch.setattr("operations.jobs_command.time.sleep", interrupted)
    assert job("tidy") == 130
    assert "goes on" in capsys.readouterr().out


def test_a_job_that_is_not_there_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    make(JOB)
    make("signalbox-other-job-x")
    assert job("tydi") == 2
    said = capsys.readouterr().err
    assert f"{STACK}-job-tydi in us-east-1" in said
    assert "Jobs of signalbox-test: tidy." in said


def test_the_list_has_the_stacks_jobs_and_their_last_run(capsys: pytest.CaptureFixture[str]) -> None:
    for project in (JOB, f"{STACK}-job-index", "signalbox-other-job-x", "rebuild-ui"):
        make(project)
    job("tidy")
    capsys.readouterr()
    assert job() == 0
    said = capsys.readouterr().out
    [index] = [line for line in said.splitlines() if line.split()[:1] == ["index"]]
    [tidy] = [line for line in said.splitlines() if line.split()[:1] == ["tidy"]]
    assert "never" in index
    assert "SUCCEEDED" in tidy
    assert "rebuild-ui" not in said
    assert "other" not in said


def test_a_stack_without_jobs_says_what_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert job() == 0
    assert f"begins with {STACK}-job-" in capsys.readouterr().out


def test_the_newest_of_very_many_projects_take_a_call_for_each_hundred() -> None:
    codebuild = client("codebuild")
    projects = [f"p-{n}" for n in range(BUILDS_A_CALL + 1)]
    with Stubber(codebuild) as stub:
        for project in projects:
            answer = {"ids": [f"{project}:2", f"{project}:1"]}
            asked = {"projectName": project, "sortOrder": "DESCENDING"}
            stub.add_response("list_builds_for_project", answer, asked)
        for page in itertools.batched(projects, BUILDS_A_CALL, strict=False):
            ids = [f"{project}:2" for project in page]
            builds = [{"id": build, "buildStatus": "FAILED"} for build in ids]
            stub.add_response("batch_get_builds", {"builds": builds}, {"ids": ids})
        newest = newest_of(codebuild, projects)
        stub.assert_no_pending_responses()
    assert {project: build.id for project, build in newest.items()} == {p: f"{p}:2" for p in projects}


def test_projects_are_listed_to_the_last_page() -> None:
    codebuild = client("codebuild")
    with Stubber(codebuild) as stub:
        stub.add_response("list_projects", {"projects": ["a"], "nextToken": "more"}, {})
        stub.add_response("list_projects", {"projects": ["b"]}, {"nextToken": "more"})
        assert list(project_names(codebuild)) == ["a", "b"]


def test_a_build_that_codebuild_has_forgotten_is_named() -> None:
    with pytest.raises(NotFoundError, match=f"{JOB}:1"):
        Project(client("codebuild"), JOB).read(f"{JOB}:1")


class TestTheEndOfALog:
    GROUP, STREAM = "/aws/codebuild/tidy", "one"

    def build(self) -> Build:
        return Build("b-1", "FAILED", log_group=self.GROUP, log_stream=self.STREAM)

    def test_is_its_last_lines(self) -> None:
        logs, now = client("logs"), int(time.time() * 1000)
        logs.create_log_group(logGroupName=self.GROUP)
        logs.create_log_stream(logGroupName=self.GROUP, logStreamName=self.STREAM)
        lines = [{"timestamp": now + n, "message": f"line {n}\n"} for n in range(LINES + 5)]
        logs.put_log_events(logGroupName=self.GROUP, logStreamName=self.STREAM, logEvents=lines)
        assert last_lines(logs, self.build()) == [f"line {n}" for n in range(5, LINES + 5)]

    def test_is_nothing_where_there_is_none(self) -> None:
        assert last_lines(client("logs"), self.build()) == []

    def test_is_nothing_before_there_is_one(self) -> None:
        assert last_lines(client("logs"), Build("b-1", "FAULT")) == []
