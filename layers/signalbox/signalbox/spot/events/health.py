"""AWS Health scheduled change: an instance is to be stopped, retired or rebooted at a time known early.

Source: "AWS Health events EventBridge schema", AWS Health User Guide. Delivered at least once and, for many
instances, in pages: each page names its own, so that their union needs no waiting. ``closed`` withdraws.
"""

from email.utils import parsedate_to_datetime

import msgspec

from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope, read_detail
from signalbox.spot.events.detail import INSTANCE_ID, checked_id, notice_of
from signalbox.spot.notices import News, Notice, Severity, Withdrawal


class _Entity(msgspec.Struct, rename="camel"):
    entity_value: str


class _Detail(msgspec.Struct, rename="camel"):
    event_arn: str
    service: str
    event_type_category: str
    start_time: str = ""
    status_code: str = "open"
    affected_entities: list[_Entity] = []


def parse_scheduled_change(envelope: Envelope) -> tuple[News, ...]:
    """A notice, or a withdrawal, for each instance of this page; nothing for another service or category."""
    detail = read_detail(envelope, _Detail)
    if detail.service != "EC2" or detail.event_type_category != "scheduledChange":
        return ()
    instances = [
        checked_id(entity.entity_value, f"$.detail.affectedEntities[{number}].entityValue")
        for number, entity in enumerate(detail.affected_entities)
        if entity.entity_value.startswith("i-")
    ] or [resource for resource in envelope.resource_list if INSTANCE_ID.fullmatch(resource)]
    if not instances:
        raise RejectedError("missing-instance-id", "$.detail.affectedEntities", "the event names no instance")
    if detail.status_code == "closed":
        return tuple(_withdrawal(envelope, detail, instance) for instance in instances)
    starts = _start_time(detail.start_time)
    return tuple(_notice(envelope, detail, instance, starts) for instance in instances)


def _notice(envelope: Envelope, detail: _Detail, instance: str, starts: float) -> Notice:
    return notice_of(
        envelope,
        instance,
        Severity.SCHEDULED,
        event_id=f"{detail.event_arn}#{starts:.0f}",  # pages, copies and languages of one change are one
        instance_action="stop",
        deadline=starts,
        cause=detail.event_arn,
    )


def _withdrawal(envelope: Envelope, detail: _Detail, instance: str) -> Withdrawal:
    return Withdrawal(
        event_id=envelope.id,
        account=envelope.account,
        region=envelope.region,
        instance=instance,
        cause=detail.event_arn,
        at=envelope.occurred_at,
    )


def _start_time(value: str) -> float:
    """Health writes its times as e-mail does: ``Sat, 05 Jun 2016 15:10:09 GMT``."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except ValueError as error:
        text = f"expected a time such as 'Sat, 05 Jun 2016 15:10:09 GMT': {error}"
        raise RejectedError("malformed", "$.detail.startTime", text) from error
