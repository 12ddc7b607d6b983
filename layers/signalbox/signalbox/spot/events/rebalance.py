"""Rebalance recommendation: the risk of an interruption is elevated; no time is named, none may come.

Source: "EC2 instance rebalance recommendations", Amazon EC2 User Guide.
"""

from signalbox.eventbridge import Envelope
from signalbox.spot.events.detail import instance_id
from signalbox.spot.notices import Notice, Severity


def parse_rebalance(envelope: Envelope) -> tuple[Notice, ...]:
    """One notice without a deadline. What is named as the action is what acting on it would come to."""
    return (
        Notice(
            event_id=envelope.id,
            account=envelope.account,
            region=envelope.region,
            instance=instance_id(envelope, "instance-id"),
            severity=Severity.REBALANCE,
            instance_action="terminate",  # by its group, if it is acted on at all
            noticed_at=envelope.occurred_at,
            deadline=None,
        ),
    )
