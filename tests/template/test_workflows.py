"""The pipeline: who gets credentials, in which order, and that what it says to run is there."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.examples.example_templates import Example
from tests.template.sources import ROOT, as_list

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))
}
JOBS = [
    (f"{name}:{key}", job) for name, workflow in WORKFLOWS.items() for key, job in workflow["jobs"].items()
]
CREDENTIALS = "aws-actions/configure-aws-credentials@"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = job.get("steps", [])
    return found


def takes_credentials(job: dict[str, Any]) -> bool:
    return any(step.get("uses", "").startswith(CREDENTIALS) for step in steps(job))


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_that_gets_credentials_runs_in_an_environment_and_no_other_may_ask(
    name: str, job: dict[str, Any]
) -> None:
    asks = job.get("permissions", {}).get("id-token") == "write"
    if "uses" in job:
        assert asks == job["uses"].endswith("deploy-stage.yml")
    else:
        assert asks == takes_credentials(job) == ("environment" in job)
    [role] = {
        step["with"]["role-to-assume"] for step in steps(job) if takes_credentials({"steps": [step]})
    } or {""}
    assert role in {"", "${{ vars.DEPLOY_ROLE_ARN }}"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_granted_to_a_whole_workflow_but_to_read(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] in ({}, {"contents": "read"})
    assert "secrets." not in (FOLDER / name).read_text()


def test_production_comes_after_staging_after_the_build_after_the_tests() -> None:
    jobs = WORKFLOWS["deploy.yml"]["jobs"]
    assert [jobs[name].get("needs") for name in ("build", "staging", "prod")] == ["test", "build", "staging"]
    assert jobs["build"]["if"] == "vars.DEPLOY == 'true'"
    assert [jobs[name]["with"]["stage"] for name in ("staging", "prod")] == ["staging", "prod"]
    assert WORKFLOWS["deploy.yml"]["concurrency"]["cancel-in-progress"] is False
    built = [step for _, job in JOBS for step in steps(job) if "make build" in str(step.get("run"))]
    assert (
        len([job for job in jobs.values() if any("make build" in str(s.get("run")) for s in steps(job))]) == 1
    )
    assert len(built) == 2  # and a preview's


def test_a_fork_gets_no_preview() -> None:
    jobs = WORKFLOWS["preview.yml"]["jobs"]
    for name in ("deploy", "remove"):
        assert "github.event.pull_request.head.repo.full_name == github.repository" in jobs[name]["if"]
    for job in jobs.values():
        assert "vars.PREVIEWS == 'true'" in job["if"]
    assert not {"pull_request_target", "workflow_run"} & {str(key) for key in WORKFLOWS["preview.yml"][True]}


def test_a_preview_never_acts_and_can_be_told_from_the_others() -> None:
    preview = tomllib.loads((ROOT / "samconfig.toml").read_text())["preview"]["deploy"]["parameters"]
    assert "SpotDryRun=true" in preview["parameter_overrides"]
    assert not any(each.startswith("AlertEmail") for each in preview["parameter_overrides"])
    assert "stage=preview" in preview["tags"]
    assert "stack_name" not in preview


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_what_a_job_makes_is_there_and_no_text_of_others_gets_into_a_shell(
    name: str, job: dict[str, Any]
) -> None:
    for step in steps(job):
        run = str(step.get("run", ""))
        assert set(re.findall(r"\bmake ([a-z-]+)", run)) <= TARGETS
        assert "${{" not in run


def test_the_role_is_for_the_jobs_that_ask_for_it() -> None:
    role = Example("pipeline").properties("DeployRole")
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"].keys() == {"StringEquals"}
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject == {"Fn::Sub": "repo:${Repository}:environment:${Environment}"}
    environments = {job["environment"] for _, job in JOBS if "environment" in job} - {"${{ inputs.stage }}"}
    stages = {job["with"]["stage"] for _, job in JOBS if "with" in job}
    allowed = Example("pipeline").template["Parameters"]["Environment"]["AllowedValues"]
    assert environments | stages == set(as_list(allowed))
    assert role["MaxSessionDuration"] == 3600
