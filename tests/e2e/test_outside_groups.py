"""A Spot instance in no Auto Scaling group: what its own tags name is done, with IAM enforced."""

import json

import pytest

from signalbox.spot.configuration import COMMANDS_TAG, MODE_TAG, TARGETS_TAG
from tests.e2e.stack import Group, Scene, warning

pytestmark = pytest.mark.embedded
COMMANDS = {"shutdown": ["systemctl stop flows"], "fail_health_check": ["touch /run/unhealthy"]}


def stand_alone(scene: Scene, **tags: str) -> str:
    [launched] = scene.stack.aws.client("ec2").run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        ],
    )["Instances"]
    instance: str = launched["InstanceId"]
    return instance


def test_it_leaves_its_network_load_balancer_and_its_health_check_fails_at_once(scene: Scene) -> None:
    aws = scene.stack.aws
    balancing = aws.client("elbv2")
    [known] = balancing.describe_target_groups(TargetGroupArns=[scene.stack.fleet.target_group_arn])[
        "TargetGroups"
    ]
    [flows] = balancing.create_target_group(Name="flows", Protocol="TCP", Port=7, VpcId=known["VpcId"])[
        "TargetGroups"
    ]
    aws.client("ssm").put_parameter(
        Name="/signalbox/spot/flows/commands", Value=json.dumps(COMMANDS), Type="String"
    )
    tags = {MODE_TAG: "act", TARGETS_TAG: "flows gone", COMMANDS_TAG: "flows"}
    instance = stand_alone(scene, **tags)
    arn = flows["TargetGroupArn"]
    balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    scene.stack.guard.reset()
    scene.send(warning(instance))
    settled = scene.settled([instance])
    assert settled.outcomes == {instance: "handled"}
    reasons = settled.reasons(instance)
    assert reasons.keys() == {"mode-by-tag", "no-group", "network-load-balancer", "target-groups-invalid"}
    assert "flows (TCP)" in reasons["network-load-balancer"]
    assert scene.stack.guard.changes() == {"elasticloadbalancing:DeregisterTargets": 1, "ssm:SendCommand": 2}
    assert scene.stack.target_states(Group("", (instance,), arn), [instance]) == {"draining"}
    [failing], [command] = (settled.actions(kind) for kind in ("fail-health-check", "command"))
    assert failing.payload["script"] == COMMANDS["fail_health_check"]
    assert (failing.due_at, command.due_at > 0) == (0, True)
    [notice] = [a for a in settled.heard.alerts if a["MessageAttributes"]["stage"]["Value"] == "notice"]
    assert "1 configured value makes no sense" in notice["Message"]
    assert "'gone'" in notice["Message"]


def test_without_tags_of_target_groups_the_plan_says_why_it_is_not_drained(scene: Scene) -> None:
    instance = stand_alone(scene, **{MODE_TAG: "act"})
    scene.stack.guard.reset()
    scene.send(warning(instance))
    settled = scene.settled([instance])
    assert settled.outcomes == {instance: "ignored"}
    assert settled.reasons(instance).keys() == {"mode-by-tag", "no-group", "no-target-groups"}
    assert scene.stack.guard.changes() == {}
