"""Target groups as AWS has them: what is deregistered drains for the group's delay, then is unused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.ec2.models import EC2Backend

    from local.estate.buckets import Clock
    from local.estate.replacing import Replacements

type Target = dict[str, Any]

DELAY = "deregistration_delay.timeout_seconds"


@dataclass(frozen=True, slots=True)
class Draining:
    """A target that takes no new connections; `until` is on the estate's clock."""

    target: Target
    until: float


def target_semantics(replacements: Replacements, clock: Clock) -> None:
    """A missing target is deregistered without an error, as AWS does; one with another port is left alone."""
    drains = Drains(clock)
    replacements.around(
        FakeTargetGroup,
        drains.register,
        drains.deregister,
        drains.deregister_terminated_instances,
        drains.health_for,
    )
    replacements.around(ELBv2Backend, drains.describe_target_health)


class Drains:
    """The targets that drain, by target group. The public methods stand in for moto's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._groups: WeakKeyDictionary[FakeTargetGroup, dict[str, Draining]] = WeakKeyDictionary()

    def register(self, original: Callable[..., None], group: FakeTargetGroup, targets: list[Target]) -> None:
        original(group, targets)
        drains = self._groups.get(group, {})
        for target in targets:
            drains.pop(target["Id"], None)

    def deregister(
        self, _original: Callable[..., None], group: FakeTargetGroup, targets: list[Target]
    ) -> None:
        for target in targets:
            registered = group.targets.get(target["Id"])
            if registered and _same_port(target, registered, group):
                self._begin(group, group.targets.pop(target["Id"]))

    def deregister_terminated_instances(
        self, _original: Callable[..., None], group: FakeTargetGroup, instance_ids: list[str]
    ) -> None:
        for instance_id in instance_ids:
            if instance_id in group.targets:
                self._begin(group, group.targets.pop(instance_id))

    def health_for(
        self,
        original: Callable[..., FakeHealthStatus],
        group: FakeTargetGroup,
        target: Target,
        ec2_backend: EC2Backend,
    ) -> FakeHealthStatus:
        draining = self._groups.get(group, {}).get(target["Id"])
        if draining is None or draining.until <= self._clock():
            return original(group, target, ec2_backend)
        return FakeHealthStatus(
            draining.target["Id"],
            draining.target["Port"],
            group.health_check_port,
            "draining",
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        )

    def describe_target_health(
        self,
        _original: Callable[..., list[FakeHealthStatus]],
        backend: ELBv2Backend,
        target_group_arn: str,
        targets: list[Target],
    ) -> list[FakeHealthStatus]:
        group = backend.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError
        asked = targets or [*group.targets.values(), *self._still_draining(group)]
        return [group.health_for(target, backend.ec2_backend) for target in asked]

    def _begin(self, group: FakeTargetGroup, target: Target) -> None:
        # moto's attributes hold a number at first and text once they are modified.
        until = self._clock() + float(str(group.attributes[DELAY]))
        self._groups.setdefault(group, {})[target["Id"]] = Draining(target, until)

    def _still_draining(self, group: FakeTargetGroup) -> list[Target]:
        """Forgets those that have drained."""
        now = self._clock()
        left = {key: one for key, one in self._groups.get(group, {}).items() if one.until > now}
        self._groups[group] = left
        return [one.target for one in left.values()]


def _same_port(asked: Target, registered: Target, group: FakeTargetGroup) -> bool:
    """Who registered with a port of its own is found by it only: DeregisterTargets, API Reference."""
    return str(asked.get("Port", group.port)) == str(registered["Port"])
