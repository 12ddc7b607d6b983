"""What AWS says about an instance, as three kinds of news: a notice, its withdrawal, the instance's end."""

import enum

import msgspec

NOTICE_SECONDS = 120.0
"""Between a Spot interruption warning and the interruption ("Spot Instance interruption notices", Amazon EC2
User Guide)."""


class Severity(enum.IntEnum):
    """How grave a notice is. An episode's severity only rises."""

    REBALANCE = 1
    SCHEDULED = 2
    LIFECYCLE = 3
    INTERRUPTION = 4


class Hook(msgspec.Struct, frozen=True):
    """A lifecycle hook that holds an instance until it is completed."""

    group: str
    name: str
    token: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One instance, one threat to it.

    Attributes:
        event_id: EventBridge's id; a redelivery carries the same one.
        instance_action: ``terminate``, ``stop`` or ``hibernate``.
        noticed_at: when AWS said so; seconds since 1970.
        deadline: when AWS takes the instance; seconds since 1970; None where AWS names no time.
        due_at: nothing is to be done before this time; 0 for at once.
        cause: what a later event may withdraw: the ARN of an AWS Health event, or "".
    """

    event_id: str
    account: str
    region: str
    instance: str
    severity: Severity
    instance_action: str
    noticed_at: float
    deadline: float | None
    due_at: float = 0.0
    cause: str = ""
    hook: Hook | None = None


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """AWS takes a scheduled notice back, for one instance."""

    event_id: str
    account: str
    region: str
    instance: str
    cause: str
    at: float


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The instance is going or gone: ``stopping``, ``stopped``, ``shutting-down`` or ``terminated``."""

    event_id: str
    account: str
    region: str
    instance: str
    state: str
    at: float


type News = Notice | Withdrawal | End
