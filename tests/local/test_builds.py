"""CodeBuild on the spine: builds run, are held to roles, tell of themselves, and leave nothing."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError

from local.embedded import EmbeddedAws
from local.processes import ProcessError
from local.settings import ACCOUNT, REGION
from local.workers import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.embedded

PROJECT_ARN = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project"
ENVIRONMENT = {
    "type": "LINUX_CONTAINER",
    "image": "aws/codebuild/standard:7.0",
    "computeType": "BUILD_GENERAL1_SMALL",
}
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("embedded"), estate=False) as started:
        make_role(started, "builder", {"logs:*": "*"}, service="codebuild.amazonaws.com")
        yield started


@pytest.fixture(scope="module")
def queue(aws: EmbeddedAws) -> str:
    """Gets every event of CodeBuild."""
    sqs, events = aws.client("sqs"), aws.client("events")
    url: str = sqs.create_queue(QueueName="builds")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    policy = document([{**sender, "Action": "sqs:SendMessage", "Resource": arn}])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="builds", EventPattern=json.dumps({"source": ["aws.codebuild"]}))
    events.put_targets(Rule="builds", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def document(statements: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_role(aws: EmbeddedAws, name: str, allowed: dict[str, str], *, service: str = "") -> str:
    """A role that may do these actions on these resources, and trusts the service, or everybody here."""
    principal = {"Service": service} if service else {"AWS": "*"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    made = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document([trust]))
    allow(aws, name, allowed)
    return str(made["Role"]["Arn"])


def allow(aws: EmbeddedAws, role: str, allowed: dict[str, str]) -> None:
    """Gives a role these, and takes away any others."""
    statements = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in allowed.items()]
    policy = document(statements)
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="may", PolicyDocument=policy)


def session_client(aws: EmbeddedAws, role_arn: str) -> Any:
    """A client of CodeBuild with a session of the role."""
    given = aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "codebuild",
        endpoint_url=aws.spine_url,
        region_name=REGION,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def make_project(
    aws: EmbeddedAws, name: str, *commands: str, role: str = "builder", **properties: Any
) -> str:
    """A project that runs these commands as its build phase."""
    spec = json.dumps({"version": 0.2, "phases": {"build": {"commands": commands}}})
    aws.client("codebuild").create_project(
        **{
            "name": name,
            "source": {"type": "NO_SOURCE", "buildspec": spec},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": ENVIRONMENT,
            "serviceRole": f"arn:aws:iam::{ACCOUNT}:role/{role}",
            **properties,
        }
    )
    return name


def start(aws: EmbeddedAws, name: str, **request: Any) -> dict[str, Any]:
    build: dict[str, Any] = aws.client("codebuild").start_build(projectName=name, **request)["build"]
    return build


def read(aws: EmbeddedAws, identity: str) -> dict[str, Any]:
    [build] = aws.client("codebuild").batch_get_builds(ids=[identity])["builds"]
    return dict(build)


def wait_until[T](found: Callable[[], T], what: str) -> T:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (answer := found()):
        assert time.monotonic() < give_up_at, what
        time.sleep(0.02)
    return answer


def ended(aws: EmbeddedAws, identity: str) -> dict[str, Any]:
    """The build, when it is complete."""
    return wait_until(
        lambda: build if (build := read(aws, identity))["buildComplete"] else {}, f"{identity} ends"
    )


def log(aws: EmbeddedAws, build: dict[str, Any]) -> list[str]:
    """What its commands wrote."""
    logs = build["logs"]
    answer = aws.client("logs").get_log_events(
        logGroupName=logs["groupName"], logStreamName=logs["streamName"]
    )
    said = [event["message"] for event in answer["events"]]
    return [line for line in said if not line.startswith("[Container]")]


def heard(aws: EmbeddedAws, queue: str, identity: str, count: int) -> list[dict[str, Any]]:
    """That many events about a build, in their order; those of others are dropped."""
    sqs, found = aws.client("sqs"), []

    def all_of_them() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if event["detail"]["build-id"].endswith(identity):
                found.append(event)
        return len(found) >= count

    wait_until(all_of_them, f"{count} events of {identity}")
    return found


def test_a_build_runs_and_tells_of_it(aws: EmbeddedAws, queue: str) -> None:
    project = make_project(aws, "telling", 'echo "$GREETING from $CODEBUILD_INITIATOR in $AWS_REGION"')
    variables = [{"name": "GREETING", "value": "hello"}]
    build = start(aws, project, environmentVariablesOverride=variables)
    assert (build["buildStatus"], build["buildComplete"], build["buildNumber"]) == ("IN_PROGRESS", False, 1)
    after = ended(aws, build["id"])
    assert (after["buildStatus"], after["currentPhase"]) == ("SUCCEEDED", "COMPLETED")
    assert log(aws, after) == ["hello from root in us-east-1"]
    first, last = heard(aws, queue, build["id"], 2)
    assert [event["detail"]["build-status"] for event in (first, last)] == ["IN_PROGRESS", "SUCCEEDED"]
    assert (first["account"], first["region"], first["resources"]) == (ACCOUNT, REGION, [build["arn"]])
    for event in (first, last):
        environment = event["detail"]["additional-information"]["environment"]
        assert environment["environment-variables"] == [{**variables[0], "type": "PLAINTEXT"}]
    assert aws.client("codebuild").list_builds_for_project(projectName=project)["ids"] == [build["id"]]


def test_answers_have_no_member_that_awss_model_lacks(aws: EmbeddedAws) -> None:
    """What the model doesn't know, the SDK drops: the answer itself is compared with what came through."""
    client, seen = aws.client("codebuild"), list[dict[str, Any]]()
    client.meta.events.register("before-parse", lambda response_dict, **_: seen.append(response_dict))
    project = make_project(aws, "modelled", "true")
    started = client.start_build(projectName=project)["build"]
    ended(aws, started["id"])
    client.batch_get_builds(ids=[started["id"]])
    client.stop_build(id=started["id"])
    model = botocore.session.get_session().get_service_model("codebuild")
    shape: Any = model.shape_for("Build")
    answers = [json.loads(response["body"]) for response in seen]
    for build in (answers[0]["build"], answers[1]["builds"][0], answers[2]["build"]):
        assert unknown(build, shape) == []


def unknown(value: Any, shape: Any) -> list[str]:
    """Members that a shape doesn't have, anywhere in the value."""
    if shape.type_name == "structure":
        found = [f"{shape.name}.{name}" for name in value if name not in shape.members]
        inside = ((v, shape.members[n]) for n, v in value.items() if n in shape.members)
        return [*found, *(each for v, s in inside for each in unknown(v, s))]
    if shape.type_name == "list":
        return [each for item in value for each in unknown(item, shape.member)]
    return []


def test_one_that_fails_is_failed(aws: EmbeddedAws, queue: str) -> None:
    build = ended(aws, start(aws, make_project(aws, "failing", "echo no >&2; exit 1"))["id"])
    assert build["buildStatus"] == "FAILED"
    assert log(aws, build) == ["no"]
    assert heard(aws, queue, build["id"], 2)[-1]["detail"]["build-status"] == "FAILED"


def test_a_build_calls_aws_by_the_cli_with_its_service_role_and_no_other(aws: EmbeddedAws) -> None:
    """A queue as well: its host the CLI would take from a table of its own."""
    function = make_function(aws, "job")
    allowed = {"logs:*": "*", "lambda:InvokeFunction": function}
    make_role(aws, "caller", allowed, service="codebuild.amazonaws.com")
    invoking = "aws lambda invoke --function-name job out.json > told.json && cat out.json && echo"
    build = start(aws, make_project(aws, "calling", invoking, "aws sqs list-queues", role="caller"))
    after = ended(aws, build["id"])
    said = [line for line in log(aws, after) if line]
    assert said[0] == '{"done": true}'
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/AWSCodeBuild-{build['id'].split(':')[1]}"
    assert f"User: {session} is not authorized to perform: sqs:ListQueues" in said[1]
    assert after["buildStatus"] == "FAILED"


def make_function(aws: EmbeddedAws, name: str) -> str:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", "def handle(event, context):\n    return {'done': True}\n")
    made = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=make_role(aws, name, {"sqs:*": "*"}, service="lambda.amazonaws.com"),
        Handler="handler.handle",
        Code={"ZipFile": package.getvalue()},
    )
    return str(made["FunctionArn"])


@pytest.mark.parametrize("missing", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_service_role_that_may_not_log_fails_the_build(aws: EmbeddedAws, missing: str) -> None:
    role = missing.partition(":")[2]
    both = {"logs:CreateLogStream": "*", "logs:PutLogEvents": "*"}
    make_role(aws, role, {a: r for a, r in both.items() if a != missing}, service="codebuild.amazonaws.com")
    build = ended(aws, start(aws, make_project(aws, f"without-{role}", "true", role=role))["id"])
    assert (build["buildStatus"], build["phases"][2]["phaseType"]) == ("FAILED", "PROVISIONING")
    [context] = build["phases"][2]["contexts"]
    assert context["statusCode"] == "ACCESS_DENIED"
    assert f"not authorized to perform: {missing}" in context["message"]


@pytest.mark.parametrize("action", ["StartBuild", "BatchGetBuilds", "StopBuild", "ListBuildsForProject"])
def test_a_role_may_what_its_policy_says_of_the_project(aws: EmbeddedAws, action: str) -> None:
    mine = make_project(aws, f"mine-{action}", "true")
    other = make_project(aws, f"other-{action}", "true")
    role = make_role(aws, f"may-{action}", {f"codebuild:{action}": f"{PROJECT_ARN}/mine-*"})
    client = session_client(aws, role)
    builds = {project: start(aws, project)["id"] for project in (mine, other)}

    def call(project: str) -> Any:
        return {
            "StartBuild": lambda: client.start_build(projectName=project),
            "BatchGetBuilds": lambda: client.batch_get_builds(ids=[builds[project]]),
            "StopBuild": lambda: client.stop_build(id=builds[project]),
            "ListBuildsForProject": lambda: client.list_builds_for_project(projectName=project),
        }[action]()

    answer = call(mine)
    if action == "StartBuild":
        assert answer["build"]["initiator"] == "may-StartBuild/test"
    with pytest.raises(ClientError, match=f"not authorized to perform: codebuild:{action}"):
        call(other)
    allow(aws, f"may-{action}", {"codebuild:ListProjects": "*"})
    with pytest.raises(ClientError, match=f"not authorized to perform: codebuild:{action}"):
        call(mine)
    client.close()


def test_stopping_kills_what_runs(aws: EmbeddedAws, queue: str) -> None:
    project = make_project(aws, "endless", "nohup sleep 600 & sleep 600", "echo never")
    build = start(aws, project)
    wait_until(lambda: len(processes_of(build["id"])) >= 3, "both sleep")
    stopped = aws.client("codebuild").stop_build(id=build["id"])["build"]
    assert (stopped["buildStatus"], stopped["buildComplete"]) == ("STOPPED", True)
    assert processes_of(build["id"]) == []
    assert log(aws, stopped) == []
    assert heard(aws, queue, build["id"], 2)[-1]["detail"]["build-status"] == "STOPPED"
    assert aws.client("codebuild").stop_build(id=build["id"])["build"]["endTime"] == stopped["endTime"]


def processes_of(identity: str) -> list[int]:
    """The processes of a build, by their environment. Linux only: elsewhere, none."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = entry.read_bytes()
        except OSError:
            continue
        if f"CODEBUILD_BUILD_ID={identity}".encode() in environment:
            found.append(int(entry.parent.name))
    return found


def test_held_builds_run_when_and_in_the_order_a_test_says(aws: EmbeddedAws, queue: str) -> None:
    project = make_project(aws, "held", "true")
    aws.ask_spine("POST", "builds", {"hold": True})
    first, second, third = (start(aws, project)["id"] for _ in range(3))
    assert [event["detail"]["build-status"] for event in heard(aws, queue, third, 1)] == ["IN_PROGRESS"]
    assert aws.ask_spine("GET", "builds")["held"] == [first, second, third]
    assert aws.ask_spine("POST", "builds/release", {"id": second}) == {"released": [second]}
    assert ended(aws, second)["buildStatus"] == "SUCCEEDED"
    assert (read(aws, first)["currentPhase"], read(aws, first)["buildStatus"]) == ("QUEUED", "IN_PROGRESS")
    assert aws.client("codebuild").stop_build(id=third)["build"]["buildStatus"] == "STOPPED"
    with pytest.raises(ProcessError, match=f"no held build has the id {third}"):
        aws.ask_spine("POST", "builds/release", {"id": third})
    assert aws.ask_spine("POST", "builds", {"hold": False})["hold"] is False
    assert ended(aws, first)["buildStatus"] == "SUCCEEDED"


def test_so_many_run_at_once_and_the_others_are_queued(aws: EmbeddedAws, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    project = make_project(aws, "gated", f'until [ -e "{gate}" ]; do sleep 0.02; done')
    builds = [start(aws, project)["id"] for _ in range(MOST + 1)]
    wait_until(lambda: len(aws.ask_spine("GET", "builds")["running"]) == MOST, "all that may run do")
    assert aws.ask_spine("GET", "builds")["queued"] == [builds[-1]]
    assert read(aws, builds[-1])["currentPhase"] == "QUEUED"
    gate.touch()
    assert {ended(aws, build)["buildStatus"] for build in builds} == {"SUCCEEDED"}


def test_events_come_twice_if_that_is_wanted(aws: EmbeddedAws, queue: str) -> None:
    project = make_project(aws, "twice", "true")
    aws.ask_spine("POST", "builds", {"duplicated": True})
    build = start(aws, project)["id"]
    ended(aws, build)
    events = heard(aws, queue, build, 4)
    aws.ask_spine("POST", "builds", {"duplicated": False})
    assert [event["detail"]["build-status"] for event in events] == ["IN_PROGRESS"] * 2 + ["SUCCEEDED"] * 2
    assert [event["id"] for event in events[::2]] == [event["id"] for event in events[1::2]]
    with pytest.raises(ProcessError, match="there are hold and duplicated, not late"):
        aws.ask_spine("POST", "builds", {"late": True})


def test_one_token_starts_one_build(aws: EmbeddedAws) -> None:
    project, other = make_project(aws, "once", "true"), make_project(aws, "once-more", "true")
    first = start(aws, project, idempotencyToken="t")
    again = start(aws, project, idempotencyToken="t")
    assert again["arn"] == first["arn"]
    assert start(aws, other, idempotencyToken="t")["arn"] != first["arn"]
    assert start(aws, project, idempotencyToken="u")["arn"] != first["arn"]
    variables = [{"name": "A", "value": "1"}]
    with pytest.raises(ClientError, match="InvalidInputException") as refused:
        start(aws, project, idempotencyToken="t", environmentVariablesOverride=variables)
    assert "other parameters" in str(refused.value)
    assert len(aws.client("codebuild").list_builds_for_project(projectName=project)["ids"]) == 2


@pytest.mark.parametrize(
    ("properties", "request_", "complaint"),
    [
        ({"source": {"type": "S3", "location": "b/k"}}, {}, "fetches no source: it is S3"),
        ({"source": {"type": "NO_SOURCE", "buildspec": "{version: 0.2}"}}, {}, "phases is no mapping"),
        ({}, {"buildspecOverride": "{"}, "the buildspec is not YAML"),
        (
            {},
            {"environmentVariablesOverride": [{"name": "A", "value": "b", "type": "PARAMETER_STORE"}]},
            "knows no PARAMETER_STORE: make A PLAINTEXT",
        ),
        ({}, {"privilegedModeOverride": True}, "doesn't understand privilegedModeOverride"),
        ({"serviceRole": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, {}, "sts:AssumeRole on service role"),
    ],
)
def test_what_cannot_be_built_is_refused(
    aws: EmbeddedAws, properties: dict[str, Any], request_: dict[str, Any], complaint: str
) -> None:
    project = make_project(aws, "refused", "true", **properties)
    with pytest.raises(ClientError, match="InvalidInputException") as refused:
        start(aws, project, **request_)
    assert complaint in str(refused.value)
    assert aws.client("codebuild").list_builds_for_project(projectName=project)["ids"] == []
    aws.client("codebuild").delete_project(name=project)


def test_a_project_or_a_build_that_is_not_there(aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        start(aws, "nowhere")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.client("codebuild").stop_build(id="nowhere:1")


def test_a_project_of_a_template_logs_where_it_says(aws: EmbeddedAws) -> None:
    properties = {
        "Name": "templated",
        "ServiceRole": f"arn:aws:iam::{ACCOUNT}:role/builder",
        "Source": {
            "Type": "NO_SOURCE",
            "BuildSpec": json.dumps({"version": 0.2, "phases": {"build": {"commands": ["echo $WHERE"]}}}),
        },
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {
            "Type": "LINUX_CONTAINER",
            "Image": "aws/codebuild/standard:7.0",
            "ComputeType": "BUILD_GENERAL1_SMALL",
            "EnvironmentVariables": [{"Name": "WHERE", "Value": "here"}],
        },
        "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "/jobs"}},
        "TimeoutInMinutes": 10,
    }
    template = {"Resources": {"Job": {"Type": "AWS::CodeBuild::Project", "Properties": properties}}}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="jobs", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="jobs", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400}
    )
    [project] = aws.client("codebuild").batch_get_projects(names=["templated"])["projects"]
    assert project["logsConfig"] == {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/jobs"}}
    build = ended(aws, start(aws, "templated")["id"])
    assert (build["logs"]["groupName"], build["timeoutInMinutes"]) == ("/jobs", 10)
    assert log(aws, build) == ["here"]


def test_a_rule_and_a_schedule_start_builds_as_their_role(aws: EmbeddedAws) -> None:
    project = make_project(aws, "due", "echo $WHY")
    role = make_role(aws, "starter", {"codebuild:StartBuild": f"{PROJECT_ARN}/{project}"})
    idle = make_role(aws, "idle", {"codebuild:ListProjects": "*"})
    overrides = {"environmentVariablesOverride": [{"name": "WHY", "value": "rule"}]}
    target = {"Arn": f"{PROJECT_ARN}/{project}", "Input": json.dumps(overrides)}
    events = aws.client("events")
    events.put_rule(Name="due", EventPattern=json.dumps({"source": ["test.due"]}))
    targets = [{"Id": arn, "RoleArn": role_arn, **target} for arn, role_arn in (("a", role), ("b", idle))]
    events.put_targets(Rule="due", Targets=targets)
    assert aws.deliver([{"source": "test.due", "detail-type": "due", "detail": {}}])[0]["rules"] == ["due"]
    aws.client("scheduler").create_schedule(
        Name="due",
        ScheduleExpression=f"at({datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:codebuild:startBuild",
            "RoleArn": role,
            "Input": json.dumps({"ProjectName": project}),
        },
    )
    client = aws.client("codebuild")
    ids = wait_until(
        lambda: ids if len(ids := client.list_builds_for_project(projectName=project)["ids"]) > 1 else [],
        "both have started one",
    )
    builds = [ended(aws, identity) for identity in ids]
    assert {(build["initiator"], *log(aws, build)) for build in builds} == {
        ("rule/due", "rule"),
        ("starter/scheduler", ""),
    }


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_with_the_spine_every_build_ends(tmp_path: Path, *, killed: bool) -> None:
    with EmbeddedAws.start(tmp_path, estate=False, enforce_iam=False) as aws:
        build = start(aws, make_project(aws, "lasting", "nohup sleep 600 & sleep 600"))["id"]
        wait_until(lambda: len(processes_of(build)) >= 3, "both sleep")
        if killed:
            os.kill(aws.spine.record.pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(build), "the processes are gone")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["spine.log"]
