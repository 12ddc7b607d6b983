"""Lifecycle actions as AWS has them where no instance is held by a hook: here none ever is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse

if TYPE_CHECKING:
    from local.estate.replacing import Replacements


def hook_semantics(replacements: Replacements) -> None:
    """Adds what moto lacks: CompleteLifecycleAction and RecordLifecycleActionHeartbeat, which refuse."""
    replacements.methods(AutoScalingResponse, complete_lifecycle_action, record_lifecycle_action_heartbeat)


def _refuse(response: AutoScalingResponse) -> Never:
    instance = response._get_param("InstanceId")
    raise ValidationError(f"No active Lifecycle Action found with instance ID {instance}")


# From here on: methods of moto's.


def complete_lifecycle_action(self: AutoScalingResponse) -> Never:
    _refuse(self)


def record_lifecycle_action_heartbeat(self: AutoScalingResponse) -> Never:
    _refuse(self)
