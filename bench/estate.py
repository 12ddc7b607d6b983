"""The storm's estate: ten Auto Scaling groups of Spot instances, each behind a target group of its own."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.shape import group_sizes
from local import fleet
from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bench.shape import Bucket
    from local.embedded import EmbeddedAws

SHUTDOWN = ("systemctl stop app",)
GUARD_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Calls:
    """What the guard has counted: calls by `service:Operation`, and those of them it throttled or refused."""

    made: Mapping[str, int]
    throttled: Mapping[str, int]
    refused: Mapping[str, int]


class Guard:
    """The doors of the estate's guard; see local/README.md."""

    def __init__(self, port: int) -> None:
        self._port = port

    def calls(self) -> Calls:
        """Since the last reset."""
        document = self._ask("GET", "calls")
        return Calls(document["calls"], document["throttled"], document["refused"])

    def begin(self, bucket: Bucket) -> None:
        """Counts anew, with AWS's limits, every bucket full, and this one for Auto Scaling."""
        self._ask("POST", "reset", {})
        self._ask("POST", "limits", {"autoscaling": {"size": bucket.size, "refill": bucket.refill}})

    @contextmanager
    def unlimited(self) -> Iterator[None]:
        """Request limits off, for what is no part of what is measured."""
        self._ask("POST", "limits", {"enabled": False})
        try:
            yield
        finally:
            self._ask("POST", "limits", {"enabled": True})

    def _ask(self, method: str, door: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        # Not urllib: it would ask the proxy of the caller's environment, which can't reach this loopback.
        connection = http.client.HTTPConnection(HOST, self._port, timeout=GUARD_SECONDS)
        try:
            connection.request(method, f"/_guard/{door}", None if document is None else json.dumps(document))
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


class Fleet:
    """The groups of one size of storm. After a storm the replacements are the members of the next one."""

    def __init__(self, aws: EmbeddedAws, target_groups: Mapping[str, str]) -> None:
        self._aws = aws
        self.target_groups = target_groups

    @classmethod
    def create(cls, aws: EmbeddedAws, guard: Guard, instances: int) -> Fleet:
        """Makes the groups, full."""
        groups = [
            fleet.Group(f"storm-{instances}-{number}", size, behind_load_balancer=False, shutdown=SHUTDOWN)
            for number, size in enumerate(group_sizes(instances))
        ]
        with guard.unlimited():
            network = fleet.add(aws, *groups)
            return cls(aws, {g.name: _behind_target_group(aws, g.name, network) for g in groups})

    def members(self) -> dict[str, tuple[str, ...]]:
        """The instances in service, by group."""
        return fleet.members(self._aws, *self.target_groups)


def _behind_target_group(aws: EmbeddedAws, group: str, like: str) -> str:
    """A target group for the Auto Scaling group, in the network of another one; its ARN."""
    elbv2 = aws.client("elbv2")
    network = elbv2.describe_target_groups(TargetGroupArns=[like])["TargetGroups"][0]["VpcId"]
    made = elbv2.create_target_group(
        Name=group, Protocol="HTTP", Port=80, VpcId=network, TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = {
        "Key": "deregistration_delay.timeout_seconds",
        "Value": str(fleet.DEREGISTRATION_DELAY_SECONDS),
    }
    elbv2.modify_target_group_attributes(TargetGroupArn=made, Attributes=[delay])
    aws.client("autoscaling").attach_load_balancer_target_groups(
        AutoScalingGroupName=group, TargetGroupARNs=[made]
    )
    return str(made)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the estate itself shows of the instances that were warned, at the moment it was asked."""

    detached: frozenset[str]
    drained: frozenset[str]
    calls: Mapping[str, int]
    """What asking has cost, to be left out of the count."""


def look(aws: EmbeddedAws, target_groups: Mapping[str, str], warned: Collection[str]) -> Evidence:
    """Who is in no group any more, and no longer takes new connections."""
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=list(target_groups))
    members = {i["InstanceId"] for group in groups["AutoScalingGroups"] for i in group["Instances"]}
    serving = set()
    for arn in target_groups.values():
        health = aws.client("elbv2").describe_target_health(TargetGroupArn=arn)
        serving |= {
            target["Target"]["Id"]
            for target in health["TargetHealthDescriptions"]
            if target["TargetHealth"]["State"] != "draining"
        }
    calls = {
        "autoscaling:DescribeAutoScalingGroups": 1,
        "elasticloadbalancing:DescribeTargetHealth": len(target_groups),
    }
    return Evidence(frozenset(warned) - members, frozenset(warned) - serving, calls)


def commanded_in_time(aws: EmbeddedAws, document: str, deadlines: Mapping[str, float]) -> frozenset[str]:
    """Those that Systems Manager took the command for before their deadline."""
    pages = aws.client("ssm").get_paginator("list_commands").paginate()
    return frozenset(
        instance
        for page in pages
        for command in page["Commands"]
        if command["DocumentName"] == document
        for instance in command["InstanceIds"]
        if instance in deadlines and command["RequestedDateTime"].timestamp() < deadlines[instance]
    )
