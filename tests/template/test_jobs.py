"""Jobs: what runs the nightly rebuild of the index, when, and what is said of a job that fails."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from local.builds.buildspec import parse
from signalbox.chat import Notification, custom_notification
from tests.examples.buildspecs import Ran, commands, rehearse, script
from tests.template.deployed import Deployed
from tests.template.sources import attribute, resources, statements, template

WITHOUT, WITH = Deployed({}), Deployed({"PackagesDomain": "acme", "PackagesSourceRepositories": "team"})
PROJECT = resources()["PackagesRebuildIndexProject"]["Properties"]
FUNCTION = resources()["PackagesRebuildIndexFunction"]["Properties"]
SCHEDULE = resources()["PackagesRebuildIndexSchedule"]["Properties"]
FAILED = resources()["PackagesJobFailedRule"]["Properties"]
STACK = "signalbox-test"
ANSWER = '{"packages": 3}'
LOG = "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups/x"


def build(project: str, status: str, **changes: Any) -> dict[str, Any]:
    """CodeBuild's event, as "Build notifications reference" (CodeBuild User Guide) has it."""
    detail = {
        "build-status": status,
        "project-name": project,
        "build-id": f"arn:aws:codebuild:us-east-1:123456789012:build/{project}:1",
        "additional-information": {"initiator": "rule/nightly", "logs": {"deep-link": LOG}},
    }
    return {
        "version": "0",
        "id": "c030038d-8c4d-6141-9545-00ff7b7153ec",
        "detail-type": "CodeBuild Build State Change",
        "source": "aws.codebuild",
        "account": "123456789012",
        "time": "2026-01-31T02:31:00Z",
        "region": "us-east-1",
        "resources": [detail["build-id"]],
        "detail": detail,
    } | changes


def is_told(event: dict[str, Any]) -> bool:
    pattern = EventPattern.load(json.dumps(WITH.value(FAILED["EventPattern"])))
    return bool(pattern.matches_event(event))  # type: ignore[arg-type] # a TypedDict


class TestTheRebuild:
    def test_it_waits_for_the_function_and_longer(self) -> None:
        [invoke] = [c for c in commands(parse(PROJECT["Source"]["BuildSpec"])) if "lambda invoke" in c]
        [patience] = map(int, re.findall(r"--cli-read-timeout (\d+)", invoke))
        assert FUNCTION["Timeout"] < patience < PROJECT["TimeoutInMinutes"] * 60

    def test_it_invokes_what_everybody_invokes_and_may_do_no_more(self) -> None:
        alias = {"Ref": "PackagesRebuildIndexFunction.Alias"}
        [variable] = PROJECT["Environment"]["EnvironmentVariables"]
        assert variable == {"Name": "FUNCTION", "Value": alias}
        allowed = {
            action: statement.resources
            for statement in statements("AWS::IAM::Role")
            if statement.owner == "PackagesRebuildIndexProjectRole" and "Principal" not in statement.content
            for action in statement.actions
        }
        group = [attribute("PackagesRebuildIndexProjectLogGroup")]
        assert allowed == {
            "lambda:InvokeFunction": [alias],
            "logs:CreateLogStream": group,
            "logs:PutLogEvents": group,
        }

    def test_it_logs_where_its_role_may(self) -> None:
        name = WITH.value(resources()["PackagesRebuildIndexProjectLogGroup"]["Properties"]["LogGroupName"])
        assert name == f"/aws/codebuild/{WITH.value(PROJECT['Name'])}"
        group = PROJECT["LogsConfig"]["CloudWatchLogs"]["GroupName"]
        assert group == {"Ref": "PackagesRebuildIndexProjectLogGroup"}

    def test_one_at_a_time(self) -> None:
        assert PROJECT["ConcurrentBuildLimit"] == 1

    def test_shellcheck_finds_nothing(self) -> None:
        found = subprocess.run(  # noqa: S603 - the linter of this environment
            [Path(sys.executable).with_name("shellcheck"), "--shell=bash", "-"],
            input=script(parse(PROJECT["Source"]["BuildSpec"])),
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stdout + found.stderr == ""

    def test_it_prints_what_the_function_answers(self, tmp_path: Path) -> None:
        ran = invoked(tmp_path, error="None")
        assert (ran.failed, ran.output) == ("", ANSWER)

    def test_it_fails_where_the_function_does(self, tmp_path: Path) -> None:
        """The AWS CLI exits with 0 also where the function failed."""
        ran = invoked(tmp_path, error="Unhandled")
        assert ran.failed
        assert ran.output.splitlines()[0] == ANSWER
        assert "The function failed" in ran.output

    def test_it_fails_where_the_function_cannot_be_asked(self, tmp_path: Path) -> None:
        assert "aws lambda invoke" in invoked(tmp_path, error="None", failing="aws*").failed


def invoked(folder: Path, error: str, failing: str = "") -> Ran:
    """The job's commands, the function answering so."""
    variables = {"FUNCTION": "arn:live", "ANSWER": ANSWER, "ERROR": error}
    return rehearse(parse(PROJECT["Source"]["BuildSpec"]), folder, ["aws"], variables, failing)


class TestTheSchedule:
    def test_it_starts_that_project_as_a_role_that_may_start_no_other(self) -> None:
        [target] = SCHEDULE["Targets"]
        assert target["Arn"] == attribute("PackagesRebuildIndexProject")
        assert target["RoleArn"] == attribute("PackagesRebuildIndexScheduleRole")
        [start] = [
            s
            for s in statements("AWS::IAM::Role")
            if "codebuild:StartBuild" in s.actions and s.owner == "PackagesRebuildIndexScheduleRole"
        ]
        assert start.resources == [attribute("PackagesRebuildIndexProject")]

    def test_nothing_runs_where_there_is_no_domain(self) -> None:
        assert WITHOUT.value(SCHEDULE["State"]) == "DISABLED"
        assert WITH.value(SCHEDULE["State"]) == "ENABLED"

    @pytest.mark.parametrize("schedule", ["cron(30 2 * * ? *)", "rate(12 hours)"])
    def test_eventbridges_ways_to_say_when_are_taken(self, schedule: str) -> None:
        parameter = template()["Parameters"]["PackagesIndexSchedule"]
        assert re.fullmatch(parameter["AllowedPattern"], schedule)
        assert SCHEDULE["ScheduleExpression"] == {"Ref": "PackagesIndexSchedule"}

    @pytest.mark.parametrize("schedule", ["30 2 * * *", "", "at(2026-01-31T02:30:00)"])
    def test_others_are_refused(self, schedule: str) -> None:
        parameter = template()["Parameters"]["PackagesIndexSchedule"]
        assert not re.fullmatch(parameter["AllowedPattern"], schedule)


class TestAFailedJob:
    @pytest.mark.parametrize("status", ["FAILED", "STOPPED", "TIMED_OUT", "FAULT"])
    @pytest.mark.parametrize("job", ["rebuild-index", "tidy-versions"])
    def test_is_told_also_one_of_somebody_elses(self, job: str, status: str) -> None:
        assert is_told(build(f"{STACK}-job-{job}", status))

    @pytest.mark.parametrize(
        "event",
        [
            *(build(f"{STACK}-job-rebuild-index", status) for status in ("SUCCEEDED", "IN_PROGRESS")),
            *(
                build(project, "FAILED")
                for project in ("rebuild-ui", "signalbox-prod-job-x", f"{STACK}-jobs")
            ),
            build(f"{STACK}-job-x", "FAILED", account="999999999999"),
            build(f"{STACK}-job-x", "FAILED", region="eu-west-1"),
            build(f"{STACK}-job-x", "FAILED", source="my.own"),
        ],
        ids=lambda event: f"{event['detail']['project-name']} {event['detail']['build-status']}",
    )
    def test_anything_else_is_not(self, event: dict[str, Any]) -> None:
        assert not is_told(event)

    def test_the_alert_says_what_failed_and_where_its_log_is(self) -> None:
        alert = json.loads(told(build(f"{STACK}-job-rebuild-index", "TIMED_OUT")))
        content = alert["content"]
        assert content["title"] == f"[Signalbox] Job {STACK}-job-rebuild-index: TIMED_OUT"
        assert f"{STACK}-job-rebuild-index:1" in content["description"]
        assert "rule/nightly" in content["description"]
        assert f"Read its log: {LOG}" in content["nextSteps"]
        assert any("#a-job-failed" in step for step in content["nextSteps"])

    def test_the_alert_has_the_form_of_those_for_chats(self) -> None:
        alert = json.loads(told(build(f"{STACK}-job-x", "FAILED")))
        ours = json.loads(
            custom_notification(
                Notification(id="i", title="t", description="d", thread="t", summary="s", event_type="T")
            )
        )
        assert alert.keys() <= ours.keys()
        assert alert["content"].keys() <= ours["content"].keys()
        assert [alert[key] for key in ("version", "source")] == [ours[key] for key in ("version", "source")]
        assert alert["content"]["textType"] == ours["content"]["textType"]

    def test_eventbridge_may_publish_to_the_topic_and_use_its_key(self) -> None:
        service = {"Service": "events.amazonaws.com"}
        [publish] = [s for s in statements("AWS::SNS::TopicPolicy") if s.content["Principal"] == service]
        assert publish.actions == ["sns:Publish"]
        assert publish.resources == [{"Ref": "AlertTopic"}]
        [use] = [s for s in statements("AWS::KMS::Key") if s.content["Principal"] == service]
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(use.actions)
        # "Using resource-based policies", EventBridge User Guide: with one, nothing would ever be published.
        assert "Condition" not in publish.content
        assert "Condition" not in use.content


def told(event: dict[str, Any]) -> str:
    """What the topic gets of an event."""
    [target] = FAILED["Targets"]
    transformer = target["InputTransformer"]
    text = str(WITH.value(transformer["InputTemplate"]))
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        assert f"<{name}>" in text
        text = text.replace(f"<{name}>", value)
    assert not re.search(r"<[a-z]+>", text)
    return text
