"""Instance state change: it closes an episode. Source: "Monitor Amazon EC2 state changes", EC2 User Guide."""

import msgspec

from signalbox.eventbridge import Envelope, read_detail
from signalbox.spot.events.detail import instance_id
from signalbox.spot.notices import End

ENDING = frozenset({"stopping", "stopped", "shutting-down", "terminated"})


class _Detail(msgspec.Struct):
    state: str


def parse_state_change(envelope: Envelope) -> tuple[End, ...]:
    """The instance's end; nothing where it is beginning or running."""
    instance = instance_id(envelope, "instance-id")
    state = read_detail(envelope, _Detail).state
    if state not in ENDING:
        return ()
    return (
        End(
            event_id=envelope.id,
            account=envelope.account,
            region=envelope.region,
            instance=instance,
            state=state,
            at=envelope.occurred_at,
        ),
    )
