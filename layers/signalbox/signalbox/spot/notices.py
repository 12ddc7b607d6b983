"""What AWS says about an instance, as one kind of fact: a notice.

Source: "Spot Instance interruption notices", Amazon EC2 User Guide. The warning comes two minutes ahead,
as best effort, and has no deadline field. Hibernation begins at once.
"""

import enum
import re
from collections.abc import Callable

import msgspec

from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope

NOTICE_SECONDS = 120.0
INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")


class Severity(enum.IntEnum):
    """How grave a notice is. An episode's severity only rises."""

    REBALANCE = 1
    SCHEDULED = 2
    LIFECYCLE = 3
    INTERRUPTION = 4


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One instance, one threat to it.

    Attributes:
        event_id: EventBridge's id; a redelivery carries the same one.
        instance_action: ``terminate``, ``stop`` or ``hibernate``.
        noticed_at: when AWS said so; seconds since 1970.
        deadline: when AWS takes the instance; seconds since 1970.
    """

    event_id: str
    account: str
    region: str
    instance: str
    severity: Severity
    instance_action: str
    noticed_at: float
    deadline: float


class _InterruptionDetail(msgspec.Struct, rename="kebab"):
    instance_id: str
    instance_action: str


INSTANCE_ACTIONS = ("terminate", "stop", "hibernate")


def _interruption(envelope: Envelope) -> Notice:
    detail = _detail(envelope, _InterruptionDetail)
    if detail.instance_action not in INSTANCE_ACTIONS:
        raise RejectedError(
            "unknown-action",
            "$.detail.instance-action",
            f"{detail.instance_action!r} is not one of: {', '.join(INSTANCE_ACTIONS)}",
        )
    at = envelope.occurred_at
    return Notice(
        event_id=envelope.id,
        account=envelope.account,
        region=envelope.region,
        instance=_instance_id(detail.instance_id, "$.detail.instance-id"),
        severity=Severity.INTERRUPTION,
        instance_action=detail.instance_action,
        noticed_at=at,
        deadline=at if detail.instance_action == "hibernate" else at + NOTICE_SECONDS,
    )


PARSERS: dict[tuple[str, str], Callable[[Envelope], Notice]] = {
    ("aws.ec2", "EC2 Spot Instance Interruption Warning"): _interruption,
}
"""(source, detail-type) → parser. A rule's pattern admits just these."""


def parse_notice(envelope: Envelope) -> Notice:
    """The envelope's notice.

    Raises:
        RejectedError: ``unexpected-event``, ``missing-instance-id``, ``malformed`` or ``unknown-action``.
    """
    parser = PARSERS.get((envelope.source, envelope.detail_type))
    if parser is None:
        raise RejectedError(
            "unexpected-event",
            "$.detail-type",
            f"{envelope.source!r} / {envelope.detail_type!r} is no event of this domain",
        )
    return parser(envelope)


def _detail[T](envelope: Envelope, kind: type[T]) -> T:
    if not envelope.detail.get("instance-id"):
        raise RejectedError("missing-instance-id", "$.detail.instance-id", "the event names no instance")
    try:
        return msgspec.convert(envelope.detail, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("malformed", "$.detail" + where.strip("`").removeprefix("$"), what) from error


def _instance_id(value: str, where: str) -> str:
    if not INSTANCE_ID.fullmatch(value):
        raise RejectedError("malformed", where, f"{value!r} is no instance id such as i-1234567890abcdef0")
    return value
