"""The demo fleet in the estate: Auto Scaling groups of Spot instances, one for each way they are treated.

Making it twice changes nothing: each part is looked for by name first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signalbox.spot.configuration import ECS_TAG, MODE_TAG, REBALANCE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_ssm import SSMClient

    from local.embedded import Clients

NAME = "signalbox-demo"
ZONES = "abc"
INSTANCE_TYPES = ("m6i.large", "m5.large", "m5a.large", "r5.large")
IMAGE = "ami-12c6146b"  # one of those moto knows from the start
DEREGISTRATION_DELAY_SECONDS = 90
PARAMETER_PREFIX = "/signalbox/spot"


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group of the fleet, what runs on its instances before they go, and its tags.

    Attributes:
        rebalance: the value of the tag that opts in to acting on rebalance recommendations; "" for none.
        ecs_cluster: the ECS cluster that its instances are nodes of; "" for none.
    """

    name: str
    desired: int
    behind_load_balancer: bool
    shutdown: tuple[str, ...]
    timeout_seconds: int = 25
    mode: str = "act"
    capacity_rebalance: bool = False
    rebalance: str = ""
    ecs_cluster: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """Those that the group has, and hands down to its instances."""
        named = {
            "Name": self.name,
            MODE_TAG: self.mode,
            REBALANCE_TAG: self.rebalance,
            ECS_TAG: self.ecs_cluster,
        }
        return {key: value for key, value in named.items() if value}


GROUPS = (
    Group("web", 6, behind_load_balancer=True, shutdown=("systemctl stop web", "/opt/web/flush-logs")),
    Group(
        "batch",
        6,
        behind_load_balancer=False,
        shutdown=("/opt/batch/checkpoint --to s3", "systemctl stop batch"),
    ),
    Group(
        "queue",
        5,
        behind_load_balancer=False,
        shutdown=("systemctl stop queue-worker",),
        rebalance="act",
    ),
    Group(
        "apps",
        3,
        behind_load_balancer=False,
        shutdown=("docker stop --time 20 $(docker ps --quiet)",),
        ecs_cluster=NAME,
    ),
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The instances of each group, by the group's name, and the target group of those behind the balancer."""

    instances: Mapping[str, tuple[str, ...]]
    target_group_arn: str


def create(aws: Clients) -> Fleet:
    """Makes what is missing of the fleet, through the guard, as the account's root."""
    target_group = add(aws, *GROUPS)
    return Fleet(members(aws), target_group)


def add(aws: Clients, *groups: Group) -> str:
    """Makes those of the groups that are missing, in the fleet's network; answers its target group's ARN."""
    subnets = _subnets(aws.client("ec2"))
    target_group = _target_group(aws.client("elbv2"), subnets)
    _launch_template(aws.client("ec2"))
    autoscaling: AutoScalingClient = aws.client("autoscaling")
    for group in groups:
        _group(autoscaling, group, subnets, target_group)
        _commands(aws.client("ssm"), group)
        if group.ecs_cluster:
            _join(aws.client("ecs"), group.ecs_cluster, members(aws, group.name)[group.name])
    return target_group


def members(aws: Clients, *names: str) -> dict[str, tuple[str, ...]]:
    """The instances in service, by group: of these groups, or of the fleet's. A missing group is absent."""
    autoscaling: AutoScalingClient = aws.client("autoscaling")
    wanted = list(names or (group.name for group in GROUPS))
    found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=wanted)
    return {
        group["AutoScalingGroupName"]: tuple(
            instance["InstanceId"]
            for instance in group["Instances"]
            if instance["LifecycleState"] == "InService"
        )
        for group in found["AutoScalingGroups"]
    }


def container_states(aws: Clients, cluster: str) -> dict[str, str]:
    """Instance → status, of each container instance of an ECS cluster."""
    return _container_states(aws.client("ecs"), cluster)


def _container_states(ecs: ECSClient, cluster: str) -> dict[str, str]:
    pages = ecs.get_paginator("list_container_instances").paginate(cluster=cluster)
    arns = [arn for page in pages for arn in page["containerInstanceArns"]]
    if not arns:
        return {}
    found = ecs.describe_container_instances(cluster=cluster, containerInstances=arns)["containerInstances"]
    return {each["ec2InstanceId"]: each["status"] for each in found}


def _join(ecs: ECSClient, cluster: str, instances: Iterable[str]) -> None:
    """Registers the instances with the cluster, as their ECS agents would."""
    ecs.create_cluster(clusterName=cluster)
    for instance in sorted(set(instances) - _container_states(ecs, cluster).keys()):
        ecs.register_container_instance(
            cluster=cluster, instanceIdentityDocument=json.dumps({"instanceId": instance})
        )


def _subnets(ec2: EC2Client) -> list[str]:
    named = [{"Name": "tag:Name", "Values": [NAME]}]
    found = ec2.describe_vpcs(Filters=_filters(named))["Vpcs"]
    if found:
        subnets = ec2.describe_subnets(Filters=_filters([{"Name": "vpc-id", "Values": [found[0]["VpcId"]]}]))
        return [subnet["SubnetId"] for subnet in subnets["Subnets"]]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets_made = [
        ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"10.0.{number * 16}.0/20",
            AvailabilityZone=f"{ec2.meta.region_name}{zone}",
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate(ZONES)
    ]
    # Tagged last: an interrupted run leaves an unnamed network behind, never half of this one.
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": NAME}])
    return subnets_made


def _filters(filters: list[dict[str, Any]]) -> Any:
    return filters


def _target_group(elbv2: ElasticLoadBalancingv2Client, subnets: list[str]) -> str:
    try:
        return elbv2.describe_target_groups(Names=[NAME])["TargetGroups"][0]["TargetGroupArn"]
    except elbv2.exceptions.TargetGroupNotFoundException:
        pass
    balancer = elbv2.create_load_balancer(Name=NAME, Subnets=subnets, Type="application")["LoadBalancers"][0]
    group = elbv2.create_target_group(
        Name=NAME, Protocol="HTTP", Port=80, VpcId=balancer["VpcId"], TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    elbv2.modify_target_group_attributes(
        TargetGroupArn=group,
        Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": str(DEREGISTRATION_DELAY_SECONDS)}
        ],
    )
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    return group


def _launch_template(ec2: EC2Client) -> None:
    found = ec2.describe_launch_templates(
        Filters=_filters([{"Name": "launch-template-name", "Values": [NAME]}])
    )
    if not found["LaunchTemplates"]:
        ec2.create_launch_template(
            LaunchTemplateName=NAME, LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "m6i.large"}
        )


def _group(autoscaling: AutoScalingClient, group: Group, subnets: list[str], target_group: str) -> None:
    if autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])["AutoScalingGroups"]:
        return
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=group.name,
        MinSize=0,
        MaxSize=group.desired * 2,
        DesiredCapacity=group.desired,
        VPCZoneIdentifier=",".join(subnets),
        TargetGroupARNs=[target_group] if group.behind_load_balancer else [],
        CapacityRebalance=group.capacity_rebalance,
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": NAME, "Version": "$Latest"},
                "Overrides": [{"InstanceType": kind} for kind in INSTANCE_TYPES],
            },
            "InstancesDistribution": {
                "OnDemandBaseCapacity": 0,
                "OnDemandPercentageAboveBaseCapacity": 0,
                "SpotAllocationStrategy": "capacity-optimized",
            },
        },
        Tags=[
            {
                "ResourceId": group.name,
                "ResourceType": "auto-scaling-group",
                "Key": key,
                "Value": value,
                "PropagateAtLaunch": True,
            }
            for key, value in group.tags.items()
        ],
    )


def _commands(ssm: SSMClient, group: Group) -> None:
    ssm.put_parameter(
        Name=f"{PARAMETER_PREFIX}/{group.name}/commands",
        Type="String",
        Value=json.dumps({"shutdown": list(group.shutdown), "timeout_seconds": group.timeout_seconds}),
        Overwrite=True,
    )
