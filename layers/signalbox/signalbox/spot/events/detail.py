"""Reading an event's detail: strictly what is needed, with the place of what is wrong."""

import re
from typing import Any

from signalbox.clock import from_iso
from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope
from signalbox.spot.notices import Notice, Severity

INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")
INSTANCE_ACTIONS = ("terminate", "stop", "hibernate")


def instance_id(envelope: Envelope, name: str) -> str:
    """The instance id in the detail's field ``name``.

    Raises:
        RejectedError: ``missing-instance-id`` or ``malformed``.
    """
    value = envelope.detail.get(name)
    if not value:
        raise RejectedError("missing-instance-id", f"$.detail.{name}", "the event names no instance")
    return checked_id(value, f"$.detail.{name}")


def checked_id(value: object, where: str) -> str:
    """The value, if it is an instance id.

    Raises:
        RejectedError: ``malformed``.
    """
    if not isinstance(value, str) or not INSTANCE_ID.fullmatch(value):
        raise RejectedError("malformed", where, f"{value!r} is no instance id such as i-1234567890abcdef0")
    return value


def checked_action(value: str, where: str) -> str:
    """The value, if EC2 can do that to an instance.

    Raises:
        RejectedError: ``unknown-action``, naming the allowed ones.
    """
    if value not in INSTANCE_ACTIONS:
        allowed = ", ".join(INSTANCE_ACTIONS)
        raise RejectedError("unknown-action", where, f"{value!r} is not one of: {allowed}")
    return value


def checked_time(value: str, where: str) -> float:
    """Seconds since 1970 of an ISO-8601 time.

    Raises:
        RejectedError: ``malformed``.
    """
    try:
        return from_iso(value)
    except ValueError as error:
        raise RejectedError("malformed", where, f"expected an ISO-8601 time: {error}") from error


def notice_of(envelope: Envelope, instance: str, severity: Severity, **fields: Any) -> Notice:
    """The envelope's notice about the instance; where ``fields`` say nothing else, it is terminated and no
    time is named."""
    usual = {"event_id": envelope.id, "instance_action": "terminate", "deadline": None}
    return Notice(
        account=envelope.account,
        region=envelope.region,
        instance=instance,
        severity=severity,
        noticed_at=envelope.occurred_at,
        **usual | fields,
    )
