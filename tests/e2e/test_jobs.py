"""Jobs on the deployed stack: the nightly rebuild of the index, by hand; what fails is told of."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.deployment import STACK
from operations.jobs_command import Request, jobs
from operations.projects import Project, newest_of
from operations.stacks import StackError
from tests.e2e.packages import Family
from tests.e2e.stack import Stack, wait_until

pytestmark = pytest.mark.embedded

REBUILD = f"{STACK}-job-rebuild-index"
MINE = f"{STACK}-job-mine"


@pytest.fixture
def family(stack: Stack) -> Iterator[Family]:
    """Nothing is on its way, before and after: a job's alert has none of the attributes others look at."""
    yield Family.begin(stack)
    stack.inbox.drain()


def run(stack: Stack, job: str = "", *, wait: bool = True) -> int:
    """What `make job` does."""
    return jobs(Request(job, wait=wait), STACK, stack.aws.client)


def ended(stack: Stack, project: str) -> str:
    """How the project's last build ended, once it has."""
    codebuild = stack.aws.client("codebuild")

    def status() -> str:
        build = newest_of(codebuild, [project]).get(project)
        return build.status if build and not build.running else ""

    return wait_until(status, f"{project} ends")


def alert_of(family: Family, project: str) -> dict[str, Any]:
    """The one that tells of a job."""
    told: list[dict[str, Any]] = []

    def found() -> list[dict[str, Any]]:
        told.extend(json.loads(alert["Message"]) for alert in family.stack.inbox.drain().alerts)
        return [each for each in told if project in each["content"]["title"]]

    [alert] = wait_until(found, f"an alert of {project}", lambda: told)
    content: dict[str, Any] = alert["content"]
    return content


def test_the_index_is_made_anew_and_the_log_has_the_counts(
    family: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    with family.workshop.unheard():
        family.workshop.publish(family.made("core"), family.made("shop", "1.0.0", "core"))
    assert run(family.stack, "rebuild-index") == 0
    said = capsys.readouterr().out
    assert "SUCCEEDED" in said
    [counts] = [json.loads(line) for line in said.splitlines() if line.strip().startswith("{")]
    assert counts["packages"] >= 2
    assert family.stack.inbox.drain().alerts == ()


def test_the_list_has_it(family: Family, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(family.stack) == 0
    assert "rebuild-index" in capsys.readouterr().out


def test_a_job_that_is_not_there_is_named(family: Family) -> None:
    with pytest.raises(StackError, match="rebuild-idnex in us-east-1"):
        run(family.stack, "rebuild-idnex")


def test_a_function_that_fails_fails_the_job_and_somebody_is_told(
    family: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = family.stack
    with stack.variable("PackagesRebuildIndexFunction", "PACKAGES_DOMAIN", "no-such-domain"):
        assert run(stack, "rebuild-index") == 1
    said = capsys.readouterr().out
    assert "The function failed" in said
    assert "FAILED" in said
    alert = alert_of(family, REBUILD)
    assert alert["title"] == f"[Signalbox] Job {REBUILD}: FAILED"
    assert any(step.startswith("Read its log: https://") for step in alert["nextSteps"])


def test_one_that_is_under_way_is_joined(family: Family, capsys: pytest.CaptureFixture[str]) -> None:
    stack, before = family.stack, len(family.workshop.builds(REBUILD))
    with family.holding():
        assert run(stack, "rebuild-index", wait=False) == 0
        first = Project(stack.aws.client("codebuild"), REBUILD).newest()
        assert first is not None
        assert run(stack, "rebuild-index", wait=False) == 0
        assert f"{first.id} is under way already" in capsys.readouterr().out
    assert ended(stack, REBUILD) == "SUCCEEDED"
    assert len(family.workshop.builds(REBUILD)) == before + 1


def test_a_job_of_ones_own_that_is_stopped_is_told_of(family: Family) -> None:
    """By its name alone: the stack knows nothing else of it."""
    stack, codebuild = family.stack, family.stack.aws.client("codebuild")
    family.workshop.put_project(MINE, "true")
    try:
        with family.holding():
            build = codebuild.start_build(projectName=MINE)["build"]["id"]
            codebuild.stop_build(id=build)
            assert ended(stack, MINE) == "STOPPED"
        alert = alert_of(family, MINE)
        assert alert["title"] == f"[Signalbox] Job {MINE}: STOPPED"
        assert build in alert["description"]
    finally:
        codebuild.delete_project(name=MINE)


def test_a_build_that_is_no_job_is_not(family: Family) -> None:
    stack, project = family.stack, family.project("ui")
    family.workshop.put_project(project, "false")
    stack.aws.client("codebuild").start_build(projectName=project)
    assert ended(stack, project) == "FAILED"
    family.quiet()
    assert stack.inbox.drain().alerts == ()
