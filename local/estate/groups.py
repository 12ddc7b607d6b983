"""Auto Scaling as AWS has it: checked detaches that deregister, Spot launches, suspended launches."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, Self

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.ec2.models import EC2Backend
from moto.elbv2.models import elbv2_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from moto.autoscaling.models import (
        DetachInstanceActivity,
        InstanceState,
        TerminateInstanceActivity,
    )

    from local.estate.replacing import Replacements

DETACHABLE = {"InService", "Standby"}


@dataclass(frozen=True, slots=True)
class InstancesDistribution:
    """How a mixed instances policy divides a group between On-Demand and Spot."""

    on_demand_base: int
    on_demand_percentage: int

    @classmethod
    def of(cls, policy: dict[str, Any]) -> Self:
        """AWS's defaults where the policy is silent: everything On-Demand."""
        given = policy.get("InstancesDistribution") or {}
        return cls(
            int(given.get("OnDemandBaseCapacity", 0)),
            int(given.get("OnDemandPercentageAboveBaseCapacity", 100)),
        )

    def on_demand(self, desired: int) -> int:
        """On-Demand instances among `desired`: the base, and the percentage of the rest rounded up."""
        above = max(desired - self.on_demand_base, 0)
        return min(self.on_demand_base, desired) + math.ceil(above * self.on_demand_percentage / 100)


def group_semantics(replacements: Replacements) -> None:
    """Replaces what moto leaves out of a group's launches, detaches and target groups."""
    replacements.around(FakeAutoScalingGroup, replace_autoscaling_group_instances)
    replacements.around(
        AutoScalingBackend,
        attach_instances,
        attach_load_balancer_target_groups,
        detach_instances,
        terminate_instance,
    )
    replacements.methods(AutoScalingBackend, update_attached_target_groups, describe_auto_scaling_instances)
    replacements.around(EC2Backend, terminate_instances)


def _choose_lifecycles(group: FakeAutoScalingGroup, launched: list[InstanceState]) -> None:
    if not group.mixed_instances_policy:
        return
    wanted = InstancesDistribution.of(group.mixed_instances_policy).on_demand(len(group.instance_states))
    spot = sum(1 for state in group.instance_states if state.instance.lifecycle == "spot")
    on_demand = len(group.instance_states) - len(launched) - spot
    for state in launched:
        if on_demand < wanted:
            on_demand += 1
        else:
            state.instance.lifecycle = "spot"


def _balanced_subnets(group: FakeAutoScalingGroup, count: int) -> Iterator[str | None]:
    """For each launch the subnet with the fewest instances of the group; None for a group without subnets."""
    if not group.vpc_zone_identifier:
        yield from repeat(None, count)
        return
    subnets = group.vpc_zone_identifier.split(",")
    placed: Counter[str | None] = Counter(dict.fromkeys(subnets, 0))
    placed.update(state.instance.subnet_id for state in group.instance_states)
    for _ in range(count):
        subnet = min(subnets, key=placed.__getitem__)
        placed[subnet] += 1
        yield subnet


@contextmanager
def _subnet(group: FakeAutoScalingGroup, subnet: str | None) -> Iterator[None]:
    """moto launches into the first of a group's subnets: this one, for now."""
    subnets = group.vpc_zone_identifier
    group.vpc_zone_identifier = subnet
    try:
        yield
    finally:
        group.vpc_zone_identifier = subnets


def _register(group: FakeAutoScalingGroup, states: Iterable[InstanceState], arns: Iterable[str]) -> None:
    instances = [state.instance.id for state in states if state.instance.state == "running"]
    for arn in arns:
        if target_group := group.autoscaling_backend.elbv2_backend.target_groups.get(arn):
            target_group.register([{"Id": instance, "Port": target_group.port} for instance in instances])


def _check_detachable(group: FakeAutoScalingGroup, instance_ids: list[str]) -> None:
    """AWS's words as seen in the field: reproio/ecs_deploy#47 and #56. One bad id refuses the whole call."""
    states = {state.instance.id: state.lifecycle_state for state in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in states:
            raise ValidationError(
                f"The instance {instance_id} is not part of Auto Scaling group {group.name}."
            )
        if states[instance_id] not in DETACHABLE:
            raise ValidationError(f"The instance {instance_id} is not in InService or Standby.")


# From here on: methods of moto's.


def replace_autoscaling_group_instances(
    launch: Callable[..., None],
    self: FakeAutoScalingGroup,
    count_needed: int,
    propagated_tags: dict[str, str],
) -> None:
    if any(process["ProcessName"] == "Launch" for process in self.suspended_processes):
        return
    before = len(self.instance_states)
    for subnet in _balanced_subnets(self, count_needed):
        with _subnet(self, subnet):
            # A reservation each: DescribeInstances counts its pages in reservations here.
            launch(self, 1, propagated_tags)
    launched = self.instance_states[before:]
    _choose_lifecycles(self, launched)
    _register(self, launched, self.target_group_arns)


def update_attached_target_groups(self: AutoScalingBackend, group_name: str) -> None:
    """Nothing: moto would register the whole group anew, also what was deregistered on purpose."""


def attach_instances(
    attach: Callable[..., None], self: AutoScalingBackend, group_name: str, instance_ids: list[str]
) -> None:
    attach(self, group_name, instance_ids)
    group = self.autoscaling_groups[group_name]
    attached = [state for state in group.instance_states if state.instance.id in instance_ids]
    _register(group, attached, group.target_group_arns)


def attach_load_balancer_target_groups(
    attach: Callable[..., None], self: AutoScalingBackend, group_name: str, target_group_arns: list[str]
) -> None:
    attach(self, group_name, target_group_arns)
    group = self.autoscaling_groups[group_name]
    _register(group, group.instance_states, target_group_arns)


def detach_instances(
    detach: Callable[..., list[DetachInstanceActivity]],
    self: AutoScalingBackend,
    group_name: str,
    instance_ids: list[str],
    should_decrement: bool,  # noqa: FBT001 - moto's own signature
) -> list[DetachInstanceActivity]:
    group = self.autoscaling_groups.get(group_name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{group_name}' not found")
    _check_detachable(group, instance_ids)
    for arn in group.target_group_arns:
        if target_group := self.elbv2_backend.target_groups.get(arn):
            target_group.deregister([{"Id": instance_id} for instance_id in instance_ids])
    return detach(self, group_name, instance_ids, should_decrement)


def terminate_instance(
    terminate: Callable[..., TerminateInstanceActivity],
    self: AutoScalingBackend,
    instance_id: str,
    should_decrement: bool,  # noqa: FBT001 - moto's own signature
) -> TerminateInstanceActivity:
    groups = self.autoscaling_groups.values()
    if not any(instance_id == state.instance.id for group in groups for state in group.instance_states):
        raise ValidationError(
            f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )
    return terminate(self, instance_id, should_decrement)


def terminate_instances[T](terminate: Callable[..., T], self: EC2Backend, instance_ids: list[str]) -> T:
    """Also a group that scales in drains its instances; moto does so for TerminateInstances only."""
    terminated = terminate(self, instance_ids)
    elbv2_backends[self.account_id][self.region_name].notify_terminate_instances(instance_ids)
    return terminated


def describe_auto_scaling_instances(self: AutoScalingBackend, instance_ids: list[str]) -> list[InstanceState]:
    wanted = set(instance_ids)
    states = (state for group in self.autoscaling_groups.values() for state in group.instance_states)
    return [state for state in states if not wanted or state.instance.id in wanted]
