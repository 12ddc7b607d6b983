"""The estate through boto3: bulk reads, capped calls, this program's errors."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any, Protocol

from signalbox.aws.calls import call, code_of
from signalbox.aws.remembering import Remembering
from signalbox.clock import Clock, iso
from signalbox.errors import RefusedError
from signalbox.spot.containers import ContainerInstances
from signalbox.spot.estate import Group, Instance, Snapshot, TargetGroup
from signalbox.spot.halving import by_halves
from signalbox.spot.performers import InvalidInstancesError
from signalbox.spot.verification import COMMAND_PENDING

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import CommandTypeDef

MEMBERS_CAP = 50  # DescribeAutoScalingInstances, Auto Scaling API Reference
FILTER_CAP = 200  # values of all the filters of a call, EC2 API Reference
GROUPS_CAP = 50  # names, DescribeAutoScalingGroups
PARAMETERS_CAP = 10  # GetParameters, Systems Manager API Reference
TARGET_GROUPS_CAP = 20
"""DescribeTargetGroups, names or ARNs. Not documented, but seen in the field:
ansible-collections/amazon.aws#1593, FeLvi-zzz/tentez#27."""
UNKNOWN_TARGET_GROUP = frozenset({"TargetGroupNotFound", "ValidationError"})
"""Elastic Load Balancing API Reference; the second for an ARN of another account or Region."""
REMEMBERED_SECONDS = 5.0
PAGE = 1000
TAG_PREFIX = "signalbox:"
GROUP_TAG = "aws:autoscaling:groupName"
"""On every instance that a group launches (Amazon EC2 Auto Scaling User Guide, "Tag lifecycle")."""
COMMANDS_PAGE = 50  # MaxResults of ListCommands and of ListCommandInvocations
CLOCK_SLACK_SECONDS = 60.0


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

    def running(self, instances: Collection[str]) -> set[str]:
        """Those that run; nothing is answered for the others."""
        return {
            instance["InstanceId"]
            for part in batched(sorted(instances), FILTER_CAP - 1, strict=False)  # the state takes one
            for page in self._pages(
                self._ec2.describe_instances,
                [
                    {"Name": "instance-id", "Values": list(part)},
                    {"Name": "instance-state-name", "Values": ["running"]},
                ],
            )
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }

    def tags(self, instances: Collection[str]) -> dict[str, dict[str, str]]:
        """Instance → its group's tag and this program's: a fraction of what describing them costs."""
        found: dict[str, dict[str, str]] = {instance: {} for instance in instances}
        keys = [f"{TAG_PREFIX}*", GROUP_TAG]
        for part in batched(sorted(instances), FILTER_CAP - len(keys), strict=False):
            filters = [{"Name": "resource-id", "Values": list(part)}, {"Name": "key", "Values": keys}]
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

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for part in batched(sorted(instances), MEMBERS_CAP, strict=False):
            answer = call(self._auto_scaling.describe_auto_scaling_instances, InstanceIds=list(part))
            for member in answer["AutoScalingInstances"]:
                found[member["InstanceId"]] = (member["AutoScalingGroupName"], member["LifecycleState"])
        return found

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
    """`signalbox.spot.estate.EstateReader` on AWS. What people configure is remembered for some seconds.

    Args:
        instances: reads EC2.
        auto_scaling: reads groups and members.
        ssm: reads parameters.
        target_groups: reads target groups; called only where one has to be looked up, which is seldom.
        clock: seconds, from wherever.
    """

    def __init__(
        self,
        instances: AwsInstances,
        auto_scaling: AwsAutoScaling,
        ssm: "SSMClient",
        target_groups: Callable[[Collection[str]], dict[str, TargetGroup]],
        clock: Clock = time.monotonic,
    ) -> None:
        self._instances = instances
        self._auto_scaling = auto_scaling
        self._ssm = ssm
        self.parameters = Remembering(self._read_parameters, REMEMBERED_SECONDS, clock)
        self.target_groups = Remembering(target_groups, REMEMBERED_SECONDS, clock)

    def snapshot(self, instances: Collection[str], closely: Collection[str] = ()) -> Snapshot:
        """Members are known by their groups and their tags; only the others are described one by one.

        The tag says which groups to read, and a group says who is in it. Who is not where the tag says, or
        has none, is asked for: AttachInstances need not have tagged it.
        """
        tags = self._instances.tags(instances)
        groups = self.groups({found[GROUP_TAG] for found in tags.values() if GROUP_TAG in found})
        places = {
            instance: (name, groups[name].members[instance])
            for instance, found in tags.items()
            if (name := found.get(GROUP_TAG, "")) in groups and instance in groups[name].members
        }
        elsewhere = self._auto_scaling.member_states(sorted(set(instances) - places.keys()))
        groups |= self.groups({name for name, _ in elsewhere.values()} - groups.keys())
        places |= elsewhere
        described = {
            instance["InstanceId"]: instance
            for instance in self._instances.describe((set(instances) - places.keys()) | set(closely))
        }
        known = [
            _member(instance, place, tags[instance], described.get(instance, {}))
            for instance, place in places.items()
        ]
        known += [_stand_alone(found) for instance, found in described.items() if instance not in places]
        in_use = {name for name, _ in places.values()}
        return Snapshot(
            {instance.id: instance for instance in known},
            {name: group for name, group in groups.items() if name in in_use},
        )

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        return self._auto_scaling.groups(names)

    def _read_parameters(self, names: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in batched(sorted(names), PARAMETERS_CAP, strict=False):
            answer = call(self._ssm.get_parameters, Names=list(part))
            found |= {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
        return found


class UnknownTargetGroupError(RefusedError):
    """One or more of the target groups asked for do not exist; Elastic Load Balancing does not say which."""


class AwsLoadBalancing:
    """Target groups."""

    def __init__(self, elbv2: "ElasticLoadBalancingv2Client") -> None:
        self._elbv2 = elbv2

    def target_groups(self, names: Collection[str]) -> dict[str, TargetGroup]:
        """Name or ARN → the target group, of those that exist."""
        arns = sorted(name for name in names if name.startswith("arn:"))
        return self._described("TargetGroupArns", arns) | self._described("Names", sorted({*names} - {*arns}))

    def _described(self, parameter: str, names: Sequence[str]) -> dict[str, TargetGroup]:
        pages, _ = by_halves(
            names,
            lambda part: self._describe({parameter: list(part)}),
            UnknownTargetGroupError,
            most=TARGET_GROUPS_CAP,
        )
        found = [each for page in pages for each in page]
        return {each.arn if parameter == "TargetGroupArns" else each.name: each for each in found}

    def _describe(self, wanted: dict[str, Any]) -> list[TargetGroup]:
        try:
            answer = call(self._elbv2.describe_target_groups, **wanted)
        except RefusedError as error:
            if code_of(error) in UNKNOWN_TARGET_GROUP:
                raise UnknownTargetGroupError(str(error)) from error
            raise
        return [
            TargetGroup(
                arn=each["TargetGroupArn"],
                name=each["TargetGroupName"],
                protocol=each.get("Protocol", ""),
                target_type=each.get("TargetType", "instance"),
            )
            for each in answer["TargetGroups"]
        ]

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
        return {
            command["CommandId"]: list(command["InstanceIds"])
            for command in self._commands(document, {})
            if command["Comment"] == comment
        }

    def _commands(self, document: str, narrowed: dict[str, str]) -> "Iterator[CommandTypeDef]":
        wanted = {"DocumentName": document} | narrowed
        filters: Any = [{"key": key, "value": value} for key, value in wanted.items()]
        token: dict[str, Any] = {}
        while True:
            page = call(self._ssm.list_commands, Filters=filters, MaxResults=COMMANDS_PAGE, **token)
            yield from page["Commands"]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def invocation_states(
        self, document: str, commands: Collection[str], since: float, *, each: bool
    ) -> dict[str, str]:
        """Reads the commands in bulk, and instance by instance only those that don't speak for all theirs."""
        found: dict[str, str] = {}
        for command in self._commands(document, {"InvokedAfter": iso(since - CLOCK_SLACK_SECONDS)}):
            if command["CommandId"] in commands:
                status = command["Status"]
                if status == "Success" or (status in COMMAND_PENDING and not each):
                    found |= dict.fromkeys(command["InstanceIds"], status)
                else:
                    found |= self._invocations(command["CommandId"])
        return found

    def _invocations(self, command_id: str) -> dict[str, str]:
        found: dict[str, str] = {}
        token: dict[str, Any] = {}
        while True:
            page = call(
                self._ssm.list_command_invocations,
                CommandId=command_id,
                MaxResults=COMMANDS_PAGE,
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
        registered_states: Callable[[str, Sequence[str]], dict[str, str]],
    ) -> None:
        self.groups = auto_scaling.groups
        self.target_states = load_balancing.target_states
        self.invocation_states = run_command.invocation_states
        self.container_instances = containers.container_instances
        self.registered_states = registered_states


class Clients(Protocol):
    """Makes clients of one account and Region, as `signalbox.aws.estates` does."""

    def client(self, service: str) -> Any: ...


class AwsSurvivors:
    """`signalbox.spot.late_look.Estate` on AWS."""

    def __init__(self, estate: Clients) -> None:
        self.running = AwsInstances(estate.client("ec2")).running
        self.member_states = AwsAutoScaling(estate.client("autoscaling")).member_states


def _tags(tags: Iterable[Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def _member(
    instance: str, place: tuple[str, str], tags: dict[str, str], described: dict[str, Any]
) -> Instance:
    group, state = place
    return Instance(
        id=instance,
        state="running",
        lifecycle="unknown",
        tags={key: value for key, value in tags.items() if key != GROUP_TAG},
        group=group,
        member_state=state,
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
