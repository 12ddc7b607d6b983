"""What AWS does and moto does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends
from moto.ssm.responses import SimpleSystemManagerResponse

from local.estate.groups import InstancesDistribution
from local.estate.semantics import aws_semantics
from local.settings import ACCOUNT, REGION
from tests.local.guarded_estate import GuardedEstate, guarded_estate, spot_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.guarded_estate import Fleet

UNKNOWN = "i-00000000000000000"


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


def delay(estate: GuardedEstate, fleet: Fleet, seconds: int) -> None:
    estate.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=fleet.target_group,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}],
    )


def lifecycles(estate: GuardedEstate, fleet: Fleet) -> list[str]:
    found = estate.client("ec2").describe_instances(InstanceIds=estate.members(fleet))
    return sorted(
        instance.get("InstanceLifecycle", "on-demand")
        for reservation in found["Reservations"]
        for instance in reservation["Instances"]
    )


def test_a_detached_instance_drains_for_the_delay_and_is_unused_then(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    delay(estate, fleet, 90)
    victim = fleet.instances[0]
    estate.detach(fleet, victim)
    assert estate.health(fleet)[victim] == "draining"
    assert estate.health(fleet, victim) == {victim: "draining"}
    estate.clock.now += 89
    assert estate.health(fleet, victim) == {victim: "draining"}
    estate.clock.now += 1
    assert estate.health(fleet, victim) == {victim: "unused"}
    assert victim not in estate.health(fleet)


def test_a_draining_target_says_why(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    estate.detach(fleet, *fleet.instances)
    found = estate.client("elbv2").describe_target_health(
        TargetGroupArn=fleet.target_group, Targets=[{"Id": fleet.instances[0]}]
    )
    health = found["TargetHealthDescriptions"][0]["TargetHealth"]
    assert health["Reason"] == "Target.DeregistrationInProgress"


def test_the_replacement_of_a_detached_instance_is_registered(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    estate.detach(fleet, *fleet.instances[:2])
    members = estate.members(fleet)
    assert len(members) == 3
    healthy = {target for target, state in estate.health(fleet).items() if state == "healthy"}
    assert healthy == set(members)


def test_a_detached_instance_keeps_running(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    estate.detach(fleet, *fleet.instances)
    found = estate.client("ec2").describe_instances(InstanceIds=fleet.instances)
    assert found["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"


def test_a_detach_with_one_bad_id_has_no_effect(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2)
    words = f"The instance {UNKNOWN} is not part of Auto Scaling group {fleet.group}"
    with pytest.raises(ClientError, match=words) as refusal:
        estate.detach(fleet, fleet.instances[0], UNKNOWN)
    assert refusal.value.response["Error"]["Code"] == "ValidationError"
    assert estate.members(fleet) == fleet.instances
    assert set(estate.health(fleet).values()) == {"healthy"}


def test_an_instance_on_its_way_out_cannot_be_detached(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    # moto has no lifecycle hooks that hold: the state is set by hand.
    group = autoscaling_backends[ACCOUNT][REGION].autoscaling_groups[fleet.group]
    group.instance_states[0].lifecycle_state = "Terminating:Wait"
    with pytest.raises(ClientError, match=r"is not in InService or Standby\."):
        estate.detach(fleet, *fleet.instances)


def test_an_unknown_group_is_named(estate: GuardedEstate) -> None:
    with pytest.raises(ClientError, match="AutoScalingGroup 'nowhere' not found") as refusal:
        estate.client("autoscaling").detach_instances(
            AutoScalingGroupName="nowhere", InstanceIds=[UNKNOWN], ShouldDecrementDesiredCapacity=False
        )
    assert refusal.value.response["Error"]["Code"] == "ValidationError"


def test_an_instance_of_no_group_cannot_be_terminated_in_one(estate: GuardedEstate) -> None:
    with pytest.raises(ClientError, match="No managed instance found") as refusal:
        estate.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=UNKNOWN, ShouldDecrementDesiredCapacity=True
        )
    assert refusal.value.response["Error"]["Code"] == "ValidationError"


def test_with_launch_suspended_nothing_replaces_what_is_detached(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    scaling = estate.client("autoscaling")
    scaling.suspend_processes(AutoScalingGroupName=fleet.group, ScalingProcesses=["Launch"])
    estate.detach(fleet, fleet.instances[0])
    assert estate.members(fleet) == fleet.instances[1:]


def test_deregistering_twice_or_a_stranger_succeeds(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2)
    targets = [{"Id": fleet.instances[0]}, {"Id": UNKNOWN}]
    for _ in range(2):
        estate.client("elbv2").deregister_targets(TargetGroupArn=fleet.target_group, Targets=targets)
    assert estate.health(fleet) == {fleet.instances[0]: "draining", fleet.instances[1]: "healthy"}


def test_deregistering_another_port_leaves_the_target(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    targets = [{"Id": fleet.instances[0], "Port": 8443}]
    estate.client("elbv2").deregister_targets(TargetGroupArn=fleet.target_group, Targets=targets)
    assert estate.health(fleet) == {fleet.instances[0]: "healthy"}


def test_a_target_with_a_port_of_its_own_is_found_by_it_only(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    balancing, [target] = estate.client("elbv2"), fleet.instances
    balancing.register_targets(TargetGroupArn=fleet.target_group, Targets=[{"Id": target, "Port": 8443}])
    for port, state in (({}, "healthy"), ({"Port": 8443}, "draining")):
        balancing.deregister_targets(TargetGroupArn=fleet.target_group, Targets=[{"Id": target, **port}])
        assert estate.health(fleet)[target] == state


def test_one_unknown_target_group_fails_the_whole_call(estate: GuardedEstate) -> None:
    fleet, balancing = estate.fleet(1), estate.client("elbv2")
    [found] = balancing.describe_target_groups(Names=["web"])["TargetGroups"]
    assert (found["TargetGroupArn"], found["Protocol"]) == (fleet.target_group, "HTTP")
    arns = [fleet.target_group, fleet.target_group.replace("/web/", "/gone/")]
    for asked in ({"Names": ["web", "gone"]}, {"TargetGroupArns": arns}):
        with pytest.raises(ClientError, match="TargetGroupNotFound"):
            balancing.describe_target_groups(**asked)


def test_registering_again_ends_the_draining(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    balancing, targets = estate.client("elbv2"), [{"Id": fleet.instances[0]}]
    balancing.deregister_targets(TargetGroupArn=fleet.target_group, Targets=targets)
    balancing.register_targets(TargetGroupArn=fleet.target_group, Targets=targets)
    assert estate.health(fleet) == {fleet.instances[0]: "healthy"}


def test_what_was_deregistered_stays_out_when_the_group_changes(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    out, victim, _ = fleet.instances
    estate.client("elbv2").deregister_targets(TargetGroupArn=fleet.target_group, Targets=[{"Id": out}])
    estate.detach(fleet, victim)
    assert estate.health(fleet)[out] == "draining"


def test_a_terminated_instance_drains_and_its_replacement_is_registered(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2)
    victim = fleet.instances[0]
    estate.client("ec2").terminate_instances(InstanceIds=[victim])
    health = estate.health(fleet)
    assert health.pop(victim) == "draining"
    assert health == dict.fromkeys(estate.members(fleet), "healthy")


def test_a_group_that_scales_in_drains_what_it_ends(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    scaling = estate.client("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=fleet.group, DesiredCapacity=1)
    states = sorted(estate.health(fleet).values())
    assert states == ["draining", "draining", "healthy"]


def test_attached_instances_and_target_groups_are_registered(estate: GuardedEstate) -> None:
    fleet, other = estate.fleet(2), estate.fleet(0, "other")
    detached = fleet.instances[0]
    estate.detach(fleet, detached)
    scaling = estate.client("autoscaling")
    scaling.attach_instances(AutoScalingGroupName=other.group, InstanceIds=[detached])
    assert estate.health(other) == {detached: "healthy"}
    scaling.attach_load_balancer_target_groups(
        AutoScalingGroupName=fleet.group, TargetGroupARNs=[other.target_group]
    )
    assert set(estate.health(other)) == {detached, *estate.members(fleet)}


def test_a_group_on_spot_launches_and_replaces_on_spot(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2)
    estate.detach(fleet, fleet.instances[0])
    assert lifecycles(estate, fleet) == ["spot", "spot"]


def test_a_group_without_a_policy_launches_on_demand(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2, MixedInstancesPolicy={}, LaunchTemplate={"LaunchTemplateName": "web"})
    assert lifecycles(estate, fleet) == ["on-demand", "on-demand"]


def test_a_mixed_group_keeps_its_on_demand_share(estate: GuardedEstate) -> None:
    fleet = estate.fleet(6, MixedInstancesPolicy=spot_policy("web", base=2, percentage=25))
    assert lifecycles(estate, fleet) == ["on-demand"] * 3 + ["spot"] * 3


@pytest.mark.parametrize(
    ("base", "percentage", "desired", "on_demand"),
    [(0, 0, 10, 0), (0, 100, 10, 10), (2, 0, 1, 1), (2, 50, 10, 6), (0, 25, 5, 2), (20, 0, 5, 5)],
)
def test_the_share_of_on_demand(base: int, percentage: int, desired: int, on_demand: int) -> None:
    assert InstancesDistribution(base, percentage).on_demand(desired) == on_demand


def test_a_fleet_is_spread_over_its_subnets(estate: GuardedEstate) -> None:
    subnets = estate.client("ec2").describe_subnets()["Subnets"][:3]
    fleet = estate.fleet(6, VPCZoneIdentifier=",".join(subnet["SubnetId"] for subnet in subnets))
    found = estate.client("ec2").describe_instances(InstanceIds=fleet.instances)
    placed = [instance["SubnetId"] for one in found["Reservations"] for instance in one["Instances"]]
    assert sorted(placed) == sorted(2 * [subnet["SubnetId"] for subnet in subnets])


def test_pages_of_instances_are_as_long_as_asked(estate: GuardedEstate) -> None:
    fleet = estate.fleet(7)
    pages = estate.client("ec2").get_paginator("describe_instances").paginate(MaxResults=5)
    found = [
        [instance["InstanceId"] for one in page["Reservations"] for instance in one["Instances"]]
        for page in pages
    ]
    assert [len(page) for page in found] == [5, 2]
    assert {instance for page in found for instance in page} == set(fleet.instances)


@pytest.mark.filterwarnings("ignore:Exception.*does not match an error shape:UserWarning")
def test_one_unknown_id_fails_a_describe_and_a_filter_skips_it(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    ec2, asked = estate.client("ec2"), [*fleet.instances, UNKNOWN]
    with pytest.raises(ClientError, match=UNKNOWN) as refusal:
        ec2.describe_instances(InstanceIds=asked)
    assert refusal.value.response["Error"]["Code"] == "InvalidInstanceID.NotFound"
    found = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": asked}])
    assert found["Reservations"][0]["Instances"][0]["InstanceId"] == fleet.instances[0]


def test_an_instance_tags_are_its_own(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2)
    ec2 = estate.client("ec2")
    ec2.create_tags(Resources=fleet.instances[:1], Tags=[{"Key": "signalbox:spot", "Value": "act"}])
    found = ec2.describe_instances(Filters=[{"Name": "tag:signalbox:spot", "Values": ["act"]}])
    instance = found["Reservations"][0]["Instances"][0]
    assert instance["InstanceId"] == fleet.instances[0]
    assert {"Key": "signalbox:spot", "Value": "act"} in instance["Tags"]
    assert len(found["Reservations"]) == 1


def test_invocations_are_listed_for_the_instances_of_a_command(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    ssm = estate.client("ssm")
    send = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["drain"]}}
    command = ssm.send_command(InstanceIds=fleet.instances[:2], **send)["Command"]["CommandId"]
    ssm.send_command(InstanceIds=fleet.instances[2:], **send)
    listed = ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    assert {one["InstanceId"] for one in listed} == set(fleet.instances[:2])
    assert {one["CommandId"] for one in listed} == {command}
    assert {plugin["Status"] for one in listed for plugin in one["CommandPlugins"]} == {"Success"}


def test_invocations_are_filtered_and_paged(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    ssm = estate.client("ssm")
    for _ in range(2):
        ssm.send_command(InstanceIds=fleet.instances, DocumentName="AWS-RunShellScript")
    pages = list(ssm.get_paginator("list_command_invocations").paginate(MaxResults=4))
    assert [len(page["CommandInvocations"]) for page in pages] == [4, 2]
    of_one = ssm.list_command_invocations(InstanceId=fleet.instances[0])["CommandInvocations"]
    assert [one["InstanceId"] for one in of_one] == [fleet.instances[0]] * 2
    failed = ssm.list_command_invocations(Filters=[{"key": "Status", "value": "Failed"}])
    assert failed["CommandInvocations"] == []


def test_invocations_of_an_unknown_command_are_refused(estate: GuardedEstate) -> None:
    ssm = estate.client("ssm")
    with pytest.raises(ssm.exceptions.InvalidCommandId):
        ssm.list_command_invocations(CommandId="0" * 36)


def test_a_command_for_an_instance_that_is_gone_is_refused(estate: GuardedEstate) -> None:
    fleet = estate.fleet(2)
    estate.client("ec2").terminate_instances(InstanceIds=fleet.instances[:1])
    ssm = estate.client("ssm")
    words = rf"Instances \[\[{fleet.instances[0]}\]\] not in a valid state for account {ACCOUNT}"
    with pytest.raises(ssm.exceptions.InvalidInstanceId, match=words):
        ssm.send_command(InstanceIds=fleet.instances, DocumentName="AWS-RunShellScript")
    assert ssm.list_commands()["Commands"] == []


def test_leaving_puts_moto_back() -> None:
    detach = AutoScalingBackend.detach_instances
    with aws_semantics():
        assert AutoScalingBackend.detach_instances is not detach
        assert hasattr(SimpleSystemManagerResponse, "list_command_invocations")
    assert AutoScalingBackend.detach_instances is detach
    assert not hasattr(SimpleSystemManagerResponse, "list_command_invocations")


def test_container_instances_are_found_by_the_cluster_query_language(estate: GuardedEstate) -> None:
    fleet, ecs = estate.fleet(3), estate.client("ecs")
    ecs.create_cluster(clusterName="apps")
    for instance in fleet.instances:
        document = json.dumps({"instanceId": instance})
        ecs.register_container_instance(cluster="apps", instanceIdentityDocument=document)
    first, second, _ = fleet.instances
    query = f"ec2InstanceId in ['{first}', \"{second}\", {UNKNOWN}]"
    arns = ecs.list_container_instances(cluster="apps", filter=query)["containerInstanceArns"]
    found = ecs.describe_container_instances(cluster="apps", containerInstances=arns)["containerInstances"]
    assert sorted(each["ec2InstanceId"] for each in found) == sorted([first, second])
    assert len(ecs.list_container_instances(cluster="apps")["containerInstanceArns"]) == 3


def test_container_instances_come_in_pages(estate: GuardedEstate) -> None:
    fleet, ecs = estate.fleet(3), estate.client("ecs")
    ecs.create_cluster(clusterName="apps")
    for instance in fleet.instances:
        document = json.dumps({"instanceId": instance})
        ecs.register_container_instance(cluster="apps", instanceIdentityDocument=document)
    pages = list(ecs.get_paginator("list_container_instances").paginate(cluster="apps", maxResults=2))
    assert [len(page["containerInstanceArns"]) for page in pages] == [2, 1]


def test_another_query_is_refused_rather_than_ignored(estate: GuardedEstate) -> None:
    ecs = estate.client("ecs")
    ecs.create_cluster(clusterName="apps")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        ecs.list_container_instances(cluster="apps", filter="runningTasksCount > 0")


def test_a_cluster_must_exist_to_be_listed(estate: GuardedEstate) -> None:
    with pytest.raises(ClientError, match="ClusterNotFoundException"):
        estate.client("ecs").list_container_instances(cluster="nowhere")


def test_a_member_leaves_its_groups_classic_load_balancer(estate: GuardedEstate) -> None:
    elb = estate.client("elb")
    elb.create_load_balancer(
        LoadBalancerName="old",
        Listeners=[{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}],
        AvailabilityZones=[f"{REGION}a"],
    )
    first, second = estate.fleet(2, LoadBalancerNames=["old"]).instances
    for _ in range(2):
        elb.deregister_instances_from_load_balancer(LoadBalancerName="old", Instances=[{"InstanceId": first}])
        [described] = elb.describe_load_balancers(LoadBalancerNames=["old"])["LoadBalancerDescriptions"]
        assert described["Instances"] == [{"InstanceId": second}]


def test_a_classic_load_balancer_keeps_in_service_what_it_drains(estate: GuardedEstate) -> None:
    elb = estate.client("elb")
    for name in ("draining", "at-once"):
        elb.create_load_balancer(
            LoadBalancerName=name,
            Listeners=[{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}],
            AvailabilityZones=[f"{REGION}a"],
        )
    elb.modify_load_balancer_attributes(
        LoadBalancerName="draining",
        LoadBalancerAttributes={"ConnectionDraining": {"Enabled": True, "Timeout": 60}},
    )
    leaving, staying = estate.fleet(2, LoadBalancerNames=["draining", "at-once"]).instances

    def states(name: str) -> dict[str, str]:
        asked = [{"InstanceId": each} for each in (leaving, staying)]
        found = elb.describe_instance_health(LoadBalancerName=name, Instances=asked)["InstanceStates"]
        return {each["InstanceId"]: each["State"] for each in found}

    for name in ("draining", "at-once"):
        elb.deregister_instances_from_load_balancer(
            LoadBalancerName=name, Instances=[{"InstanceId": leaving}]
        )
    assert states("at-once") == {leaving: "OutOfService", staying: "InService"}
    estate.clock.now += 59
    assert states("draining") == {leaving: "InService", staying: "InService"}
    estate.clock.now += 1
    assert states("draining") == {leaving: "OutOfService", staying: "InService"}


def test_a_classic_load_balancer_must_exist(estate: GuardedEstate) -> None:
    with pytest.raises(ClientError, match="LoadBalancerNotFound"):
        estate.client("elb").deregister_instances_from_load_balancer(
            LoadBalancerName="gone", Instances=[{"InstanceId": UNKNOWN}]
        )
