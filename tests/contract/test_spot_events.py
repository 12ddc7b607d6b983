"""What AWS sends, what the rule lets in and what the parser takes: one contract."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.events import Values, fill, read
from signalbox.clock import from_iso
from signalbox.errors import RejectedError
from signalbox.eventbridge import Scope, check_scope, parse_envelope
from signalbox.spot.events import PARSERS, parse_event
from signalbox.spot.events.detail import INSTANCE_ACTIONS
from signalbox.spot.notices import News, Notice
from tests.template.sources import ROOT
from tests.template.test_rules import ACCOUNT, REGION, admits

FILES = sorted(p for p in (ROOT / "events" / "spot").glob("*.json") if not p.name.endswith(".schema.json"))
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SCOPE = Scope(frozenset({(ACCOUNT, REGION)}), maximum_age=900.0)
INSTANCE = "i-0123456789abcdef0"
ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"


def instances() -> Iterator[str]:
    return (f"i-{number:017x}" for number in range(100))


def samples(path: Path) -> list[dict[str, Any]]:
    return fill(read(path), Values(NOW, instances()))


def taken(event: dict[str, Any]) -> tuple[News, ...]:
    """As the intake function takes it from a queue's message."""
    envelope = parse_envelope(json.dumps(event))
    check_scope(envelope, SCOPE, NOW.timestamp())
    return parse_event(envelope)


def envelope(detail_type: str, detail: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": detail_type,
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": "2026-01-31T12:00:00Z",
        "region": REGION,
        "resources": [ARN],
        "detail": detail,
    } | changes


WARNING = "EC2 Spot Instance Interruption Warning"
DETAIL = {"instance-id": INSTANCE, "instance-action": "terminate"}
# As in "Spot Instance interruption notices" of the EC2 User Guide, and as seen in the field.
TAKEN = {
    **{action: envelope(WARNING, DETAIL | {"instance-action": action}) for action in INSTANCE_ACTIONS},
    "arn with a zone and no account": envelope(
        WARNING, DETAIL, resources=[f"arn:aws:ec2:{REGION}b:instance/{INSTANCE}"]
    ),
    "resources as text": envelope(WARNING, DETAIL, resources=ARN),
    "short instance id": envelope(WARNING, DETAIL | {"instance-id": "i-12345678"}),
    "replayed from an archive": envelope(WARNING, DETAIL, **{"replay-name": "again"}),
    "more in the detail than documented": envelope(WARNING, DETAIL | {"instance-lifecycle": "spot"}),
}
# As the guides of EC2, Auto Scaling and AWS Health show them, filled in.
OTHERS = {
    "rebalance": envelope("EC2 Instance Rebalance Recommendation", {"instance-id": INSTANCE}),
    "state change": envelope(
        "EC2 Instance State-change Notification", {"instance-id": INSTANCE, "state": "shutting-down"}
    ),
    "capacity block": envelope(
        "EC2 Capacity Reservation Instance Interruption Warning",
        DETAIL
        | {"instance-termination-time": "2026-01-31T12:40:00Z", "instance-lifecycle": "capacity-block"},
    ),
    "interruptible reservation": envelope(
        "EC2 Interruptible Capacity Reservation Instance Interruption Warning",
        DETAIL | {"instance-termination-time": "2026-01-31T12:02:00Z"},
        resources=ARN,
    ),
    "terminate hook": envelope(
        "EC2 Instance-terminate Lifecycle Action",
        {
            "EC2InstanceId": INSTANCE,
            "AutoScalingGroupName": "web",
            "LifecycleHookName": "drain",
            "LifecycleActionToken": "87654321-4321-4321-4321-210987654321",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        },
        source="aws.autoscaling",
        resources=["arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/web"],
    ),
    "scheduled change": envelope(
        "AWS Health Event",
        {
            "eventArn": "arn:aws:health:us-east-1::event/EC2/RETIREMENT/1",
            "service": "EC2",
            "eventTypeCode": "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED",
            "eventTypeCategory": "scheduledChange",
            "startTime": "Sat, 07 Feb 2026 15:00:00 GMT",
            "affectedEntities": [{"entityValue": INSTANCE}],
            "page": "1",
            "totalPages": "1",
        },
        source="aws.health",
    ),
}
# Of the same account and Region, on the same bus, about instances; not this domain's business.
NOT_TAKEN = {
    "fleet": envelope(
        "EC2 Fleet Instance Change", {"instance-id": INSTANCE, "sub-type": "launched"}, source="aws.ec2fleet"
    ),
    "launched": envelope(
        "EC2 Instance Launch Successful", {"EC2InstanceId": INSTANCE}, source="aws.autoscaling"
    ),
    "somebody else's warning": envelope(WARNING, DETAIL, source="my.own"),
}


def test_there_are_samples() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_sample_file_is_let_in_and_taken(path: Path) -> None:
    events = samples(path)
    assert all(admits(event) for event in events)
    news = [item for event in events for item in taken(event)]
    assert news
    assert {item.account for item in news} == {ACCOUNT}
    assert all(item.instance in path_text for item, path_text in zip(news, map(str, events), strict=False))


@pytest.mark.parametrize("event", TAKEN.values(), ids=TAKEN)
def test_every_shape_of_a_warning_is_let_in_and_taken(event: dict[str, Any]) -> None:
    assert admits(event)
    [notice] = taken(event)
    assert isinstance(notice, Notice)
    assert notice.instance == event["detail"]["instance-id"]
    assert notice.noticed_at == from_iso(event["time"])


@pytest.mark.parametrize("event", OTHERS.values(), ids=OTHERS)
def test_the_other_events_are_let_in_and_taken(event: dict[str, Any]) -> None:
    assert admits(event)
    [news] = taken(event)
    assert (news.instance, news.account, news.region) == (INSTANCE, ACCOUNT, REGION)


@pytest.mark.parametrize("event", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_the_rule_keeps_out_the_parser_would_not_take_either(event: dict[str, Any]) -> None:
    assert not admits(event)
    with pytest.raises(RejectedError) as caught:
        taken(event)
    assert caught.value.code == "unexpected-event"


def test_there_is_a_sample_for_each_parser() -> None:
    sampled = {(event["source"], event["detail-type"]) for event in (*TAKEN.values(), *OTHERS.values())}
    assert sampled == set(PARSERS)


@pytest.mark.parametrize(("field", "value"), [("account", "999999999999"), ("region", "eu-west-1")])
def test_rule_and_scope_agree_on_whose_events_are_taken(field: str, value: str) -> None:
    event = envelope(WARNING, DETAIL, **{field: value})
    assert not admits(event)
    with pytest.raises(RejectedError, match=f"at `\\$.{field}`"):
        taken(event)
