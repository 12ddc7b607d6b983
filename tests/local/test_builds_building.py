"""A build on its way through the phases, and what is told of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from local.builds.building import Build, PhaseError
from local.builds.buildspec import Buildspec
from local.builds.records import begun, overridden, state_change
from local.builds.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local.builds.records import Record

ARN = "arn:aws:codebuild:us-east-1:123456789012:build/rebuild-ui:0b9f"
PROJECT = {
    "name": "rebuild-ui",
    "source": {"type": "NO_SOURCE", "buildspec": "…"},
    "environment": {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [{"name": "A", "value": "project"}, {"name": "B", "value": "project"}],
    },
    "serviceRole": "arn:aws:iam::123456789012:role/builder",
    "encryptionKey": "arn:aws:kms:us-east-1:123456789012:alias/aws/codebuild",
    "timeoutInMinutes": 5,
}
FIRST = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE"]
NOON = 1769860800.5


class FakeOutside:
    """Keeps what it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.saved: list[Record] = []
        self.told: list[str] = []
        self.lines: list[str] = []

    def save(self, record: Record) -> None:
        self.saved.append(record)

    def tell(self, record: Record) -> None:
        self.told.append(record["buildStatus"])

    def provision(self, record: Record) -> Mapping[str, str]:
        if self.error:
            raise self.error
        return {"PATH": os.environ["PATH"], "CODEBUILD_BUILD_ID": record["id"]}

    def write(self, _: Record, lines: Sequence[str]) -> None:
        self.lines += [line for line in lines if not line.startswith("[Container]")]


def record(**request: Any) -> Record:
    return begun(PROJECT, request, arn=ARN, number=3, initiator="admin/me", now=NOON)


def build(
    folder: Path, outside: FakeOutside | None = None, minute: float = 60.0, /, **commands: Sequence[str]
) -> Build:
    """One that has run."""
    spec = Buildspec({"A": "spec", "C": "spec"}, {n.upper(): tuple(c) for n, c in commands.items()})
    turns = Turns(1)
    ran = Build(record(), spec, outside or FakeOutside(), turns, folder / "build", minute)
    turns.join(ran.id)
    ran.run()
    assert not any(turns.document().values())
    assert not (folder / "build").exists()
    return ran


def phases(ran: Build) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in ran.record["phases"]}


def test_all_phases_with_the_variables_of_the_project_before_the_buildspecs(tmp_path: Path) -> None:
    outside = FakeOutside()
    ran = build(tmp_path, outside, install=["echo $A $B $C"], post_build=["echo $CODEBUILD_BUILD_ID"])
    assert outside.lines == ["project project spec", "rebuild-ui:0b9f"]
    assert outside.told == ["IN_PROGRESS", "SUCCEEDED"]
    assert outside.saved[-1] == ran.record
    assert list(phases(ran)) == [
        *FIRST,
        *("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"),
    ]
    assert {status for name, status in phases(ran).items() if name != "COMPLETED"} == {"SUCCEEDED"}


@pytest.mark.parametrize(
    ("phase", "after"),
    [
        ("install", []),
        ("pre_build", []),
        ("build", ["POST_BUILD", "UPLOAD_ARTIFACTS"]),
        ("post_build", ["UPLOAD_ARTIFACTS"]),
    ],
)
def test_after_a_failure_only_what_follows_the_build_is_still_done(
    tmp_path: Path, phase: str, after: list[str]
) -> None:
    outside = FakeOutside()
    commands = {name: [f"echo {name}"] for name in ("install", "pre_build", "build", "post_build")}
    commands[phase] = [f"echo {phase}; exit 7", "echo never"]
    ran = build(tmp_path, outside, **commands)
    names = list(phases(ran))
    assert names[names.index(phase.upper()) + 1 :] == [*after, "FINALIZING", "COMPLETED"]
    assert "never" not in outside.lines
    assert outside.told == ["IN_PROGRESS", "FAILED"]
    [failed] = [each for each in ran.record["phases"] if each.get("phaseStatus") == "FAILED"]
    assert failed["phaseType"] == phase.upper()
    [context] = failed["contexts"]
    assert context["statusCode"] == "COMMAND_EXECUTION_ERROR"
    assert context["message"].endswith("exit 7. Reason: exit status 7")


def test_what_takes_longer_than_its_minutes_has_timed_out(tmp_path: Path) -> None:
    outside = FakeOutside()
    ran = build(tmp_path, outside, 0.04, build=["echo begun; sleep 600"], post_build=["echo never"])
    assert outside.lines == ["begun"]
    assert outside.told == ["IN_PROGRESS", "TIMED_OUT"]
    assert phases(ran)["BUILD"] == "TIMED_OUT"
    assert "POST_BUILD" not in phases(ran)
    assert state_change(ran.record, NOON)["detail"]["build-status"] == "FAILED"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PhaseError("FAILED", "ACCESS_DENIED", "no log"), "FAILED", ["ACCESS_DENIED"]),
        (RuntimeError("a bug"), "FAULT", []),
    ],
)
def test_one_that_gets_no_environment_has_failed(
    tmp_path: Path, error: Exception, status: str, code: list[str]
) -> None:
    ran = build(tmp_path, FakeOutside(error), build=["echo never"])
    assert (ran.record["buildStatus"], ran.record["buildComplete"]) == (status, True)
    provisioning = ran.record["phases"][2]
    assert (provisioning["phaseType"], provisioning["phaseStatus"]) == ("PROVISIONING", status)
    assert [context["statusCode"] for context in provisioning["contexts"]] == code


def test_the_event_of_one_that_is_asked_for() -> None:
    override = [{"name": "B", "value": "mine", "type": "PLAINTEXT"}, {"name": "RELEASE", "value": "r"}]
    event = state_change(record(environmentVariablesOverride=override), NOON)
    detail = event["detail"]
    assert (event["source"], event["time"], event["region"]) == (
        "aws.codebuild",
        "2026-01-31T12:00:00Z",
        "us-east-1",
    )
    assert event["resources"] == [detail["build-id"]] == [ARN]
    assert (detail["build-status"], detail["project-name"]) == ("IN_PROGRESS", "rebuild-ui")
    told = detail["additional-information"]
    assert (told["build-complete"], told["initiator"]) == (False, "admin/me")
    assert told["build-start-time"] == "Jan 31, 2026 12:00:00 PM"
    assert told["environment"]["environment-variables"] == [
        {"name": "A", "type": "PLAINTEXT", "value": "project"},
        {"name": "B", "type": "PLAINTEXT", "value": "mine"},
        {"name": "RELEASE", "type": "PLAINTEXT", "value": "r"},
    ]


def test_the_event_of_one_that_is_complete_tells_of_its_phases(tmp_path: Path) -> None:
    detail = state_change(build(tmp_path, build=["false"]).record, NOON)["detail"]
    assert (detail["build-status"], detail["current-phase"]) == ("FAILED", "COMPLETED")
    told = detail["additional-information"]
    assert told["logs"]["group-name"] == "/aws/codebuild/rebuild-ui"
    by_type = {phase["phase-type"]: phase for phase in told["phases"]}
    assert by_type["BUILD"]["phase-context"] == [
        "COMMAND_EXECUTION_ERROR: Error while executing command: false. Reason: exit status 1"
    ]
    assert by_type["INSTALL"]["phase-context"] == []
    assert by_type["COMPLETED"].keys() == {"phase-type", "start-time"}


def test_an_override_takes_the_place_of_the_projects() -> None:
    project = [{"name": "A", "value": "1"}, {"name": "B", "value": "2", "type": "PARAMETER_STORE"}]
    assert overridden(project, [{"name": "A", "value": "3"}]) == [
        {"type": "PLAINTEXT", "name": "A", "value": "3"},
        {"type": "PARAMETER_STORE", "name": "B", "value": "2"},
    ]
