"""Capacity reservation or capacity block: its instances end at a time that the event names.

Two spellings of the detail-type are documented, and ``resources`` may be a text instead of a list; both are
taken ("Capacity Reservations" and "Capacity Blocks for ML", Amazon EC2 User Guide).
"""

import msgspec

from signalbox.eventbridge import Envelope, read_detail
from signalbox.spot.events.detail import checked_action, checked_time, instance_id, notice_of
from signalbox.spot.notices import Notice, Severity


class _Detail(msgspec.Struct, rename="kebab"):
    instance_termination_time: str
    instance_action: str = "terminate"


def parse_capacity_warning(envelope: Envelope) -> tuple[Notice, ...]:
    """One notice with the deadline that the event names."""
    instance = instance_id(envelope, "instance-id")
    detail = read_detail(envelope, _Detail)
    action = checked_action(detail.instance_action, "$.detail.instance-action")
    deadline = checked_time(detail.instance_termination_time, "$.detail.instance-termination-time")
    return (notice_of(envelope, instance, Severity.INTERRUPTION, instance_action=action, deadline=deadline),)
