"""What is known of the instances and their groups when a plan is made, and who can tell."""

from collections.abc import Collection
from typing import Protocol

import msgspec

GONE = frozenset({"shutting-down", "terminated"})


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """An EC2 instance.

    Attributes:
        state: EC2's instance state, as in ``running``. A member of a group is only described by its group,
            and counts as running.
        lifecycle: ``spot``, ``scheduled``, ``capacity-block``, or "" for on-demand. Of a member of a group
            it is not known: there ``unknown``.
        group: the Auto Scaling group it is a member of, or "".
        member_state: Auto Scaling's lifecycle state, as in ``InService``; "" outside a group.
        launched_at: seconds since 1970; 0 where it was not asked for.
    """

    id: str
    state: str
    lifecycle: str = ""
    tags: dict[str, str] = {}
    group: str = ""
    member_state: str = ""
    launched_at: float = 0.0


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """An Auto Scaling group."""

    name: str
    tags: dict[str, str] = {}
    target_groups: tuple[str, ...] = ()
    load_balancers: tuple[str, ...] = ()
    capacity_rebalance: bool = False
    suspended: frozenset[str] = frozenset()
    desired: int = 0
    members: dict[str, str] = {}
    """Instance id → lifecycle state."""


class TargetGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A target group of Elastic Load Balancing.

    Attributes:
        protocol: what its load balancer passes on to the targets, as in ``HTTP`` or ``TCP``.
        target_type: how targets are registered: ``instance``, ``ip``, ``lambda`` or ``alb``.
    """

    arn: str
    name: str
    protocol: str = "HTTP"
    target_type: str = "instance"


class Snapshot(msgspec.Struct, frozen=True):
    """The estate as it was read for one plan. An instance that EC2 does not know is absent.

    ``target_groups`` are those that had to be looked up, by the name or ARN they were asked for by.
    """

    instances: dict[str, Instance]
    groups: dict[str, Group]
    target_groups: dict[str, TargetGroup] = {}


class EstateReader(Protocol):
    """Reads in bulk: the number of calls grows with the groups and the pages, not with the instances."""

    def snapshot(self, instances: Collection[str], closely: Collection[str] = ()) -> Snapshot:
        """The instances and the groups that they are members of.

        Those in ``closely`` are described one by one, members of groups too: only then is it known since
        when they run.
        """
        ...

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        """The groups that exist among the names."""
        ...

    def parameters(self, names: Collection[str]) -> dict[str, str]:
        """The Parameter Store values that exist among the names; some seconds old at most."""
        ...

    def target_groups(self, names: Collection[str]) -> dict[str, TargetGroup]:
        """The target groups that exist among the names and ARNs; some seconds old at most."""
        ...
