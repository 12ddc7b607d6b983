"""What each function is called with first: one warning, followed through the steps.

The estate is a group of Spot instances in moto, behind a target group, with commands, tagged for ECS and EKS.
The functions are called in the order of the state machine, each on what those before have left in the ledger.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from local.settings import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TABLE, BUS, GROUP = "ledger", "signalbox", "web"
NOTICE_AGE_SECONDS = 100  # the commands are due at once
MODE = {"signalbox:spot": "act", "signalbox:ecs-cluster": "web", "signalbox:eks-cluster": "web"}
WINDOW = {"domain": "spot", "account": ACCOUNT, "region": REGION, "number": 1}
MACHINE = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the functions find what they work on: the physical ids of the template's resources."""

    warned: str
    resources: Mapping[str, str]


type Event = Callable[[Place, str], dict[str, Any]]
"""Of the place and the plan's id."""


def admit(place: Place, _: str) -> dict[str, Any]:
    """A batch of the intake queue: an instance of the group is interrupted."""
    noticed = datetime.fromtimestamp(time.time() - NOTICE_AGE_SECONDS, UTC)
    warning = {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000001",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": noticed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [],
        "detail": {"instance-id": place.warned, "instance-action": "terminate"},
    }
    record = {
        "messageId": "00000000-0000-0000-0000-000000000002",
        "receiptHandle": "AQEB",
        "body": json.dumps(warning),
        "attributes": {"ApproximateReceiveCount": "1"},
    }
    return {"Records": [record]}


def nothing(_: Place, __: str) -> dict[str, Any]:
    """The schedule's event: none of it is read."""
    return {}


def task(_: Place, plan: str) -> dict[str, Any]:
    """What the state machine sends: the window and, once there is one, its plan."""
    return {"window": WINDOW} | ({"plan": plan} if plan else {})


FIRST_CALLS: dict[str, Event] = {
    "SpotAdmitEventsFunction": admit,
    "SpotPlanWindowFunction": task,
    "SpotDetachInstancesFunction": task,
    "SpotDeregisterTargetsFunction": task,
    "SpotDrainContainersFunction": task,
    "SpotDrainNodesFunction": task,
    "SpotSendCommandsFunction": task,
    "SpotPublishAlertsFunction": task,
    "SpotVerifyWindowFunction": task,
    "SpotCompleteHooksFunction": task,
    "SpotSettleWindowFunction": task,
    "SpotSweepWindowsFunction": nothing,
}
"""In the order in which they are called."""
OBJECTS = "it reads or writes objects, and bench/answers.py repeats no headers, in which S3 says half"
RELEASE = "a release begins with CodeArtifact, which moto does not have"
LEFT_OUT = {
    "DeploymentCheckVersionFunction": "CodeDeploy calls it, which moto does not have; no event waits for it",
    "DocumentsAdmitEventsFunction": "it waits for an execution, by StartSyncExecution, which moto lacks",
    "DocumentsInspectObjectFunction": OBJECTS,
    "DocumentsConvertObjectFunction": OBJECTS,
    "DocumentsRecogniseTextFunction": OBJECTS,
    "DocumentsDetectEntitiesFunction": OBJECTS,
    "DocumentsDetectLabelsFunction": OBJECTS,
    "DocumentsLoadDocumentFunction": OBJECTS,
    "DocumentsSettleDocumentFunction": "as the others, for what goes to the quarantine",
    "DocumentsCompactIndexFunction": "no event waits for it",
    "DocumentsManageUploadsFunction": OBJECTS,
    "PackagesAdmitEventsFunction": RELEASE,
    "PackagesInspectVersionFunction": RELEASE,
    "PackagesPlanReleaseFunction": RELEASE,
    "PackagesBuildWaveFunction": RELEASE,
    "PackagesAdmitBuildsFunction": RELEASE,
    "PackagesPromoteVersionFunction": RELEASE,
    "PackagesSettleReleaseFunction": RELEASE,
    "PackagesRebuildIndexFunction": "no event waits for it",
}
"""Functions that have a budget, and no first call here."""


def furnish(url: str) -> Place:
    """Makes the ledger and the estate at the endpoint."""
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=url)  # type: ignore[call-overload]  # any service

    client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    client("events").create_event_bus(Name=BUS)
    role = client("iam").create_role(RoleName="states", AssumeRolePolicyDocument=json.dumps(TRUST))
    machine = client("stepfunctions").create_state_machine(
        name="spot",
        roleArn=role["Role"]["Arn"],
        definition=json.dumps(MACHINE),
    )
    members = _group(client)
    client("ssm").put_parameter(
        Name=f"/signalbox/spot/{GROUP}/commands", Type="String", Value='{"shutdown": ["systemctl stop web"]}'
    )
    resources = {
        "LedgerTable": TABLE,
        "EventBus": BUS,
        "AlertTopic": client("sns").create_topic(Name="alerts")["TopicArn"],
        "SpotWindowStateMachine": machine["stateMachineArn"],
    }
    return Place(members[0], resources)


def _group(client: Callable[[str], Any]) -> list[str]:
    """A group of three behind a target group; its instances."""
    ec2, elbv2, autoscaling = client("ec2"), client("elbv2"), client("autoscaling")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20", AvailabilityZone="us-east-1a")
    target_group = elbv2.create_target_group(
        Name=GROUP, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    ec2.create_launch_template(
        LaunchTemplateName=GROUP,
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",  # one of those moto knows
            "InstanceType": "m6i.large",
            "InstanceMarketOptions": {"MarketType": "spot"},
        },
    )
    tags = [
        {
            "ResourceId": GROUP,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": False,
        }
        for key, value in MODE.items()
    ]
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchTemplate={"LaunchTemplateName": GROUP},
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=3,
        VPCZoneIdentifier=subnet["Subnet"]["SubnetId"],
        TargetGroupARNs=[target_group],
        Tags=tags,
    )
    (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    return [instance["InstanceId"] for instance in group["Instances"]]
