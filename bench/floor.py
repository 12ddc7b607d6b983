"""The fewest calls to the estate that AWS's caps allow: every call full, all warnings at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Each from the API reference of its service.
FILTER_CAP = 200  # values of the filters of an EC2 call
GROUPS_CAP = 50  # DescribeAutoScalingGroups AutoScalingGroupNames
PARAMETERS_CAP = 10  # GetParameters Names
DETACH_CAP = 20  # DetachInstances InstanceIds
COMMAND_CAP = 50  # SendCommand InstanceIds
COMMANDS_PAGE = 50  # ListCommands MaxResults


def floor(groups: Sequence[int]) -> dict[str, int]:
    """Operation → calls, for groups of so many interrupted instances, each behind one target group.

    DeregisterTargets and DescribeTargetHealth have no published cap: one call for each target group. The
    reads of the verification are those of one look.
    """
    instances = sum(groups)
    commands = _calls(groups, COMMAND_CAP)
    return {
        "ec2:DescribeTags": math.ceil(instances / FILTER_CAP),
        "ssm:GetParameters": math.ceil(len(groups) / PARAMETERS_CAP),
        "autoscaling:DetachInstances": _calls(groups, DETACH_CAP),
        "elasticloadbalancing:DeregisterTargets": len(groups),
        "ssm:SendCommand": commands,
        # To plan, and to verify.
        "autoscaling:DescribeAutoScalingGroups": 2 * math.ceil(len(groups) / GROUPS_CAP),
        "elasticloadbalancing:DescribeTargetHealth": len(groups),
        "ssm:ListCommands": math.ceil(commands / COMMANDS_PAGE),
    }


def of_service(calls: Mapping[str, int], service: str) -> int:
    """The calls of one service, by the prefix of their names."""
    return sum(count for name, count in calls.items() if name.startswith(f"{service}:"))


def _calls(groups: Sequence[int], cap: int) -> int:
    return sum(math.ceil(size / cap) for size in groups)
