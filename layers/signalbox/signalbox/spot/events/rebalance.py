"""Rebalance recommendation: the risk of an interruption is elevated; no time is named, none may come.

Source: "EC2 instance rebalance recommendations", Amazon EC2 User Guide.
"""

from signalbox.eventbridge import Envelope
from signalbox.spot.events.detail import instance_id, notice_of
from signalbox.spot.notices import Notice, Severity


def parse_rebalance(envelope: Envelope) -> tuple[Notice, ...]:
    """One notice without a deadline; its action is what acting on it would come to."""
    return (notice_of(envelope, instance_id(envelope, "instance-id"), Severity.REBALANCE),)
