"""Drains beside the target groups through boto3: classic load balancers, ECS clusters, lifecycle hooks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from signalbox.aws.calls import call, code_of
from signalbox.errors import RefusedError
from signalbox.spot.aws_estate import AwsAutoScaling
from signalbox.spot.containers import ContainerInstance
from signalbox.spot.performers import NotRegisteredError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elb import ElasticLoadBalancingClient

NOT_REGISTERED = "InvalidInstance"
"""Elastic Load Balancing API Reference 2012-06-01; in the field for whom was never registered (boto#2274,
#2576): who was registered once is deregistered again without an error."""


class AwsClassicLoadBalancing:
    """Classic load balancers."""

    def __init__(self, elb: "ElasticLoadBalancingClient") -> None:
        self._elb = elb

    def deregister(self, load_balancer: str, instances: Sequence[str]) -> None:
        try:
            call(
                self._elb.deregister_instances_from_load_balancer,
                LoadBalancerName=load_balancer,
                Instances=[{"InstanceId": instance} for instance in instances],
            )
        except RefusedError as error:
            if code_of(error) == NOT_REGISTERED:
                raise NotRegisteredError(str(error)) from error
            raise

    def registered_states(self, load_balancer: str, instances: Sequence[str]) -> dict[str, str]:
        """Instance → ``InService``, ``OutOfService`` or ``Unknown``; of a terminated one nothing."""
        answer = call(
            self._elb.describe_instance_health,
            LoadBalancerName=load_balancer,
            Instances=[{"InstanceId": instance} for instance in instances],
        )
        return {each["InstanceId"]: each["State"] for each in answer["InstanceStates"]}


class AwsContainerInstances:
    """ECS container instances."""

    def __init__(self, ecs: "ECSClient") -> None:
        self._ecs = ecs

    def container_instances(self, cluster: str, instances: Sequence[str]) -> list[ContainerInstance]:
        arns = self._arns(cluster, instances)
        if not arns:
            return []
        answer = call(self._ecs.describe_container_instances, cluster=cluster, containerInstances=arns)
        return [  # one that has left in between is among the answer's failures
            ContainerInstance(
                arn=found["containerInstanceArn"],
                instance=found["ec2InstanceId"],
                status=found["status"],
                running_tasks=found["runningTasksCount"],
            )
            for found in answer["containerInstances"]
        ]

    def _arns(self, cluster: str, instances: Sequence[str]) -> list[str]:
        """By the cluster query language (Amazon ECS Developer Guide). INACTIVE ones are left out."""
        quoted = ", ".join(f"'{instance}'" for instance in instances)
        arns: list[str] = []
        token: dict[str, Any] = {}
        while True:
            page = call(
                self._ecs.list_container_instances,
                cluster=cluster,
                filter=f"ec2InstanceId in [{quoted}]",
                **token,
            )
            arns.extend(page["containerInstanceArns"])
            if not page.get("nextToken"):
                return arns
            token = {"nextToken": page["nextToken"]}

    def drain(self, cluster: str, arns: Sequence[str]) -> dict[str, str]:
        answer = call(
            self._ecs.update_container_instances_state,
            cluster=cluster,
            containerInstances=list(arns),
            status="DRAINING",
        )
        return {failure["arn"]: failure["reason"] for failure in answer["failures"]}


class AwsLifecycleHooks:
    """The lifecycle hooks of Auto Scaling groups."""

    def __init__(self, auto_scaling: "AutoScalingClient") -> None:
        self._auto_scaling = auto_scaling
        self.member_states = AwsAutoScaling(auto_scaling).member_states

    def complete(self, group: str, hook: str, instance: str, token: str) -> None:
        call(
            self._auto_scaling.complete_lifecycle_action,
            AutoScalingGroupName=group,
            LifecycleHookName=hook,
            InstanceId=instance,
            LifecycleActionToken=token,
            LifecycleActionResult="CONTINUE",
        )

    def heartbeat(self, group: str, hook: str, instance: str, token: str) -> None:
        call(
            self._auto_scaling.record_lifecycle_action_heartbeat,
            AutoScalingGroupName=group,
            LifecycleHookName=hook,
            InstanceId=instance,
            LifecycleActionToken=token,
        )
