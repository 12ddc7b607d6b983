"""The events of the Spot domain, one module each, and the table that finds the parser of an envelope."""

from collections.abc import Callable

from signalbox.eventbridge import Envelope, parser_of
from signalbox.spot.events.capacity import parse_capacity_warning
from signalbox.spot.events.health import parse_scheduled_change
from signalbox.spot.events.interruption import parse_interruption
from signalbox.spot.events.lifecycle import parse_lifecycle_action
from signalbox.spot.events.rebalance import parse_rebalance
from signalbox.spot.events.state_change import parse_state_change
from signalbox.spot.notices import News

type Parser = Callable[[Envelope], tuple[News, ...]]

PARSERS: dict[tuple[str, str], Parser] = {
    ("aws.ec2", "EC2 Spot Instance Interruption Warning"): parse_interruption,
    ("aws.ec2", "EC2 Instance Rebalance Recommendation"): parse_rebalance,
    ("aws.ec2", "EC2 Instance State-change Notification"): parse_state_change,
    ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"): parse_capacity_warning,
    ("aws.ec2", "EC2 Interruptible Capacity Reservation Instance Interruption Warning"): (
        parse_capacity_warning
    ),
    ("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action"): parse_lifecycle_action,
    ("aws.health", "AWS Health Event"): parse_scheduled_change,
}
"""(source, detail-type) → parser. The rules' patterns admit just these."""


def parse_event(envelope: Envelope) -> tuple[News, ...]:
    """The envelope's news; none where the event is of no concern here.

    Raises:
        RejectedError: ``unexpected-event``, ``missing-instance-id``, ``malformed`` or ``unknown-action``.
    """
    return parser_of(envelope, PARSERS)(envelope)
