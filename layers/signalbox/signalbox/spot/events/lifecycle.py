"""Auto Scaling terminate lifecycle action: the group ends an instance and waits for the hook.

Source: "EC2 Instance-terminate Lifecycle Action", Amazon EC2 Auto Scaling User Guide. A move to a warm pool
(``Destination: WarmPool``) ends nothing.
"""

import msgspec

from signalbox.eventbridge import Envelope, read_detail
from signalbox.spot.events.detail import instance_id, notice_of
from signalbox.spot.notices import Hook, Notice, Severity


class _Detail(msgspec.Struct, rename="pascal"):
    auto_scaling_group_name: str
    lifecycle_hook_name: str
    lifecycle_action_token: str
    destination: str = "EC2"


def parse_lifecycle_action(envelope: Envelope) -> tuple[Notice, ...]:
    """One notice with its hook; nothing for a move to a warm pool."""
    instance = instance_id(envelope, "EC2InstanceId")
    detail = read_detail(envelope, _Detail)
    if detail.destination == "WarmPool":
        return ()
    hook = Hook(detail.auto_scaling_group_name, detail.lifecycle_hook_name, detail.lifecycle_action_token)
    return (notice_of(envelope, instance, Severity.LIFECYCLE, hook=hook),)
