"""Spot interruption warning: two minutes ahead, as best effort, without a deadline field.

Source: "Spot Instance interruption notices", Amazon EC2 User Guide. Hibernation begins at once. The ARN in
``resources`` may carry a zone and no account: the detail's id counts.
"""

import msgspec

from signalbox.eventbridge import Envelope, read_detail
from signalbox.spot.events.detail import checked_action, instance_id, notice_of
from signalbox.spot.notices import NOTICE_SECONDS, Notice, Severity


class _Detail(msgspec.Struct, rename="kebab"):
    instance_action: str


def parse_interruption(envelope: Envelope) -> tuple[Notice, ...]:
    """One notice."""
    instance = instance_id(envelope, "instance-id")
    action = checked_action(read_detail(envelope, _Detail).instance_action, "$.detail.instance-action")
    at = envelope.occurred_at
    deadline = at if action == "hibernate" else at + NOTICE_SECONDS
    return (notice_of(envelope, instance, Severity.INTERRUPTION, instance_action=action, deadline=deadline),)
