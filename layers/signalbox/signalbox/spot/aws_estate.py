"""The estate through boto3: bulk reads, capped calls, this program's errors."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from signalbox.aws.calls import call, code_of
from signalbox.errors import RefusedError
from signalbox.spot.containers import ContainerInstances
from signalbox.spot.estate import Group, Instance, Snapshot
from signalbox.spot.performers import InvalidInstancesError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_ssm import SSMClient

MEMBERS_CAP = 50  # DescribeAutoScalingInstances, Auto Scaling API Reference
FILTER_CAP = 200  # values of all the filters of a call, EC2 API Reference
GROUPS_CAP = 50  # names, DescribeAutoScalingGroups
PARAMETERS_CAP = 10  # GetParameters, Systems Manager API Reference
PAGE = 1000
TAG_PREFIX = "signalbox:"
INVOCATIONS_PAGE = 50


class AwsInstances:
    """EC2 instances and tags, read through filters: one unknown id must not fail the whole call."""

    def __init__(self, ec2: "EC2Client") -> None:
        self._ec2 = ec2

    def describe(self, instances: Collection[str]) -> list[dict[str, Any]]:
        """The instances that EC2 knows, as it describes them: several kilobytes each."""
        return [
            dict(instance)
            for part in batched(sorted(instances), FILTER_CAP, strict=False)
            for page in self._pages(
                self._ec2.describe_instances, [{"Name": "instance-id", "Values": list(part)}]
            )
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]

    def tags(self, instances: Collection[str]) -> dict[str, dict[str, str]]:
        """Instance → its tags of this program's: a fraction of what describing the instances costs."""
        found: dict[str, dict[str, str]] = {instance: {} for instance in instances}
        for part in batched(sorted(instances), FILTER_CAP - 1, strict=False):  # the key takes one
            filters = [
                {"Name": "resource-id", "Values": list(part)},
                {"Name": "key", "Values": [f"{TAG_PREFIX}*"]},
            ]
            for page in self._pages(self._ec2.describe_tags, filters):
                for tag in page["Tags"]:
                    found[tag["ResourceId"]][tag["Key"]] = tag["Value"]
        return found

    @staticmethod
    def _pages(operation: Callable[..., Any], filters: list[dict[str, Any]]) -> Iterator[Any]:
        token: dict[str, Any] = {}
        while True:
            page = call(operation, Filters=filters, MaxResults=PAGE, **token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


class AwsAutoScaling:
    """Auto Scaling groups and their members."""

    def __init__(self, auto_scaling: "AutoScalingClient") -> None:
        self._auto_scaling = auto_scaling

    def members(self, instances: Collection[str]) -> dict[str, dict[str, Any]]:
        """Instance → its membership, of those that are in a group. Unknown ids are simply absent."""
        found: dict[str, dict[str, Any]] = {}
        for part in batched(sorted(instances), MEMBERS_CAP, strict=False):
            answer = call(self._auto_scaling.describe_auto_scaling_instances, InstanceIds=list(part))
            found |= {member["InstanceId"]: dict(member) for member in answer["AutoScalingInstances"]}
        return found

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        return {
            instance: (member["AutoScalingGroupName"], member["LifecycleState"])
            for instance, member in self.members(instances).items()
        }

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for part in batched(sorted(names), GROUPS_CAP, strict=False):
            answer = call(
                self._auto_scaling.describe_auto_scaling_groups,
                AutoScalingGroupNames=list(part),
            )
            found |= {group["AutoScalingGroupName"]: _group(group) for group in answer["AutoScalingGroups"]}
        return found

    def detach(self, group: str, instances: Sequence[str]) -> None:
        call(
            self._auto_scaling.detach_instances,
            AutoScalingGroupName=group,
            InstanceIds=list(instances),
            ShouldDecrementDesiredCapacity=False,
        )

    def terminate(self, instance: str) -> None:
        call(
            self._auto_scaling.terminate_instance_in_auto_scaling_group,
            InstanceId=instance,
            ShouldDecrementDesiredCapacity=False,
        )


class AwsEstate:
    """`signalbox.spot.estate.EstateReader` on AWS."""

    def __init__(self, instances: AwsInstances, auto_scaling: AwsAutoScaling, ssm: "SSMClient") -> None:
        self._instances = instances
        self._auto_scaling = auto_scaling
        self._ssm = ssm

    def snapshot(self, instances: Collection[str], closely: Collection[str] = ()) -> Snapshot:
        """Members are known by their groups and their tags; only the others are described one by one."""
        members = self._auto_scaling.members(instances)
        tags = self._instances.tags(members)
        described = {
            instance["InstanceId"]: instance
            for instance in self._instances.describe((set(instances) - members.keys()) | set(closely))
        }
        known = [
            _member(member, tags[instance], described.get(instance, {}))
            for instance, member in members.items()
        ]
        known += [_stand_alone(found) for instance, found in described.items() if instance not in members]
        groups = self.groups({member["AutoScalingGroupName"] for member in members.values()})
        return Snapshot({instance.id: instance for instance in known}, groups)

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        return self._auto_scaling.groups(names)

    def parameters(self, names: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in batched(sorted(names), PARAMETERS_CAP, strict=False):
            answer = call(self._ssm.get_parameters, Names=list(part))
            found |= {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
        return found


class AwsLoadBalancing:
    """Target groups."""

    def __init__(self, elbv2: "ElasticLoadBalancingv2Client") -> None:
        self._elbv2 = elbv2

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        call(
            self._elbv2.deregister_targets,
            TargetGroupArn=target_group,
            Targets=[{"Id": instance} for instance in instances],
        )

    def target_states(self, target_group: str, instances: Sequence[str]) -> dict[str, str]:
        answer = call(
            self._elbv2.describe_target_health,
            TargetGroupArn=target_group,
            Targets=[{"Id": instance} for instance in instances],
        )
        return {d["Target"]["Id"]: d["TargetHealth"]["State"] for d in answer["TargetHealthDescriptions"]}


class AwsRunCommand:
    """Systems Manager Run Command."""

    def __init__(self, ssm: "SSMClient") -> None:
        self._ssm = ssm

    def send(
        self,
        document: str,
        instances: Sequence[str],
        parameters: dict[str, list[str]],
        *,
        delivery_timeout: int,
        comment: str,
    ) -> str:
        try:
            answer = call(
                self._ssm.send_command,
                DocumentName=document,
                InstanceIds=list(instances),
                Parameters=parameters,
                TimeoutSeconds=delivery_timeout,
                MaxConcurrency="100%",
                MaxErrors="100%",  # the default of 0 stops dispatch to the rest at the first failure
                Comment=comment,
            )
        except RefusedError as error:
            if code_of(error) == "InvalidInstanceId":
                raise InvalidInstancesError(str(error)) from error
            raise
        return answer["Command"]["CommandId"]

    def sent(self, document: str, comment: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        token: dict[str, Any] = {}
        while True:
            page = call(
                self._ssm.list_commands, Filters=[{"key": "DocumentName", "value": document}], **token
            )
            for command in page["Commands"]:
                if command["Comment"] == comment:
                    found[command["CommandId"]] = list(command["InstanceIds"])
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}

    def invocation_states(self, command_id: str) -> dict[str, str]:
        found: dict[str, str] = {}
        token: dict[str, Any] = {}
        while True:
            page = call(
                self._ssm.list_command_invocations,
                CommandId=command_id,
                MaxResults=INVOCATIONS_PAGE,
                **token,
            )
            found |= {i["InstanceId"]: i["Status"] for i in page["CommandInvocations"]}
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}


class AwsEvidence:
    """`signalbox.spot.verification.Evidence` on AWS."""

    def __init__(
        self,
        auto_scaling: AwsAutoScaling,
        load_balancing: AwsLoadBalancing,
        run_command: AwsRunCommand,
        containers: ContainerInstances,
    ) -> None:
        self.groups = auto_scaling.groups
        self.target_states = load_balancing.target_states
        self.invocation_states = run_command.invocation_states
        self.container_instances = containers.container_instances


def _tags(tags: Iterable[Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def _member(member: dict[str, Any], tags: dict[str, str], described: dict[str, Any]) -> Instance:
    return Instance(
        id=member["InstanceId"],
        state="running",
        lifecycle="unknown",
        tags=tags,
        group=member["AutoScalingGroupName"],
        member_state=member["LifecycleState"],
        launched_at=described["LaunchTime"].timestamp() if described else 0.0,
    )


def _stand_alone(described: dict[str, Any]) -> Instance:
    return Instance(
        id=described["InstanceId"],
        state=described["State"]["Name"],
        lifecycle=described.get("InstanceLifecycle", ""),
        tags=_tags(described.get("Tags", ())),
        launched_at=described["LaunchTime"].timestamp(),
    )


def _group(described: Any) -> Group:
    return Group(
        name=described["AutoScalingGroupName"],
        tags=_tags(described.get("Tags", ())),
        target_groups=tuple(described.get("TargetGroupARNs", ())),
        load_balancers=tuple(described.get("LoadBalancerNames", ())),
        capacity_rebalance=bool(described.get("CapacityRebalance")),
        suspended=frozenset(p["ProcessName"] for p in described.get("SuspendedProcesses", ())),
        desired=described["DesiredCapacity"],
        members={i["InstanceId"]: i["LifecycleState"] for i in described.get("Instances", ())},
    )
