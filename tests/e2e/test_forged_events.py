"""Events that somebody made up: they come to nothing, or to what a true one would have come to."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.settings import ROOT
from tests.e2e.stack import SHUTDOWN, Scene, Stack, new_id, warning, with_detail

pytestmark = pytest.mark.embedded

STRANGER = "210987654321"
EVIL = "x'; touch /tmp/pwned; `touch /tmp/pwned` $(touch /tmp/pwned) #\""
DEADLINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LIFECYCLE = ROOT / "events" / "spot" / "terminate_lifecycle_action.json"


@pytest.mark.parametrize("bus", ["default", "own"])
@pytest.mark.parametrize("source", ["aws.ec2", "aws.autoscaling", "aws.health"])
def test_nobody_but_aws_puts_an_event_of_aws(source: str, bus: str, scene: Scene) -> None:
    entry = put(scene.stack, bus, source, warning("i-00000000000000000"))
    assert entry["ErrorCode"] == "NotAuthorizedForSourceException"
    assert scene.quiet().windows == ()


@pytest.mark.parametrize("bus", ["default", "own"])
@pytest.mark.parametrize("source", ["ec2", "aws-ec2", "signalbox.spot", "my.application"])
def test_an_event_under_a_name_of_their_own_matches_no_rule(source: str, bus: str, scene: Scene) -> None:
    """It is on the bus, and nowhere else. The stack's own bus tells our domain events: it is no way in."""
    [instance] = scene.stack.fleet.instances["web"][:1]
    before = {rejection.id for rejection in scene.stack.account.rejections()}
    entry = put(scene.stack, bus, source, warning(instance))
    assert entry["EventId"]
    assert scene.quiet().windows == ()
    assert {rejection.id for rejection in scene.stack.account.rejections()} == before


def test_whoever_has_no_permission_cannot_put_a_message_on_the_queue(scene: Scene) -> None:
    """The queue takes messages from our rules; in this account also from whom a policy of IAM lets."""
    url = scene.stack.outputs["SpotIntakeQueueUrl"]
    body = json.dumps(warning("i-00000000000000000"))
    with user_without_permission(scene.stack) as theirs:
        with pytest.raises(ClientError) as refused:
            scene.stack.aws.client("sqs", **theirs).send_message(QueueUrl=url, MessageBody=body)
        assert refused.value.response["Error"]["Code"] == "AccessDenied"
        with pytest.raises(ClientError) as unheard:
            scene.stack.aws.client("events", **theirs).put_events(Entries=[entry_of("my.application", body)])
        assert unheard.value.response["Error"]["Code"].startswith("AccessDenied")
    assert scene.quiet().windows == ()


def test_another_account_cannot_put_a_message_on_the_queue(scene: Scene) -> None:
    url = scene.stack.outputs["SpotIntakeQueueUrl"]
    theirs = {"aws_access_key_id": STRANGER, "aws_secret_access_key": "theirs"}
    with pytest.raises(ClientError) as refused:
        scene.stack.aws.client("sqs", **theirs).send_message(QueueUrl=url, MessageBody="{}")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    assert scene.quiet().windows == ()


def test_no_string_of_an_event_reaches_a_shell_or_a_command(scene: Scene) -> None:
    """A field of a kind is checked and refused, a free one is data: commands are the group's own."""
    group = scene.group(4)
    plain, decorated, tagged, hooked = group.instances
    tag(scene.stack, tagged, {"signalbox:commands": EVIL, "signalbox:ecs-cluster": EVIL})
    refused = [
        (with_detail(warning(plain), instance_id=f"{plain}; touch /tmp/pwned"), "malformed"),
        (with_detail(warning(plain), instance_id=EVIL), "malformed"),
        (with_detail(warning(plain), instance_action=f"terminate{EVIL}"), "unknown-action"),
        (warning(plain) | {"time": EVIL}, "malformed"),
        (warning(plain) | {"region": EVIL}, "foreign-region"),
        (warning(plain) | {"detail-type": EVIL}, "unexpected-event"),
    ]
    taken = [
        warning(plain),
        with_detail(
            warning(decorated, id=EVIL, resources=[EVIL], version=EVIL),
            note=EVIL,
            Commands=[EVIL],
            group=EVIL,
        ),
        warning(tagged),
        lifecycle_action(hooked),
    ]
    before = {rejection.id for rejection in scene.stack.account.rejections()}
    ids = scene.put_on_queue(*(json.dumps(event) for event in [*(e for e, _ in refused), *taken]))
    settled = scene.settled(group.instances)
    found = {rejection.id: rejection.code for rejection in scene.stack.account.rejections()}
    assert {id_: found[id_] for id_ in found.keys() - before} == dict(
        zip(ids, (code for _, code in refused), strict=False)
    )
    sent = scene.stack.commands(group.instances)
    assert {instance: len(commands) for instance, commands in sent.items()} == {
        plain: 1,
        decorated: 1,
        tagged: 0,
        hooked: 1,
    }
    for command in (command for commands in sent.values() for command in commands):
        assert_own(command)
    listed = scene.stack.aws.client("ssm").list_commands()["Commands"]
    assert "pwned" not in json.dumps(listed, default=str)
    assert "commands-invalid" in settled.reasons(tagged) or "no-commands" in settled.reasons(tagged)


def assert_own(command: dict[str, Any]) -> None:
    """The script is the group's, the rest is of its own narrow kind."""
    given = {name: value for name, [value] in command["Parameters"].items()}
    assert given.keys() == {"Commands", "InstanceAction", "Deadline", "TimeoutSeconds"}
    assert given["Commands"] == "\n".join(SHUTDOWN)
    assert given["InstanceAction"] == "terminate"
    assert DEADLINE.fullmatch(given["Deadline"])
    assert given["TimeoutSeconds"].isdecimal()
    assert re.fullmatch(r"signalbox [0-9a-f]+#[a-z-]+#\d+", command["Comment"])


def lifecycle_action(instance: str) -> dict[str, Any]:
    """A terminate hook of a group that is named as no group is."""
    template = json.loads(LIFECYCLE.read_text())
    detail = template["detail"] | {
        "EC2InstanceId": instance,
        "AutoScalingGroupName": EVIL,
        "LifecycleHookName": EVIL,
        "LifecycleActionToken": EVIL,
    }
    return warning(instance) | {
        "source": template["source"],
        "detail-type": template["detail-type"],
        "detail": detail,
    }


def put(stack: Stack, bus: str, source: str, event: dict[str, Any]) -> dict[str, Any]:
    """What EventBridge answers to the event, put on the default bus or on the stack's own."""
    entry = entry_of(source, json.dumps(event["detail"]))
    if bus == "own":
        entry["EventBusName"] = stack.outputs["EventBusName"]
    answer = stack.aws.client("events").put_events(Entries=[entry])
    [result] = answer["Entries"]
    return dict(result)


def entry_of(source: str, detail: str) -> dict[str, str]:
    return {"Source": source, "DetailType": "EC2 Spot Instance Interruption Warning", "Detail": detail}


def tag(stack: Stack, instance: str, tags: dict[str, str]) -> None:
    stack.aws.client("ec2").create_tags(
        Resources=[instance], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )


@contextmanager
def user_without_permission(stack: Stack) -> Iterator[dict[str, str]]:
    """The credentials of somebody of this account whom no policy lets do anything."""
    iam, name = stack.aws.client("iam"), f"nobody-{new_id()}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)
