"""The rules: which of AWS's events they let in, and which they don't."""

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.template.sources import resources

ACCOUNT, REGION = "123456789012", "us-east-1"
PSEUDO_PARAMETERS = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
INSTANCE = "i-0123456789abcdef0"
RULES = resources("AWS::Events::Rule")
HOOK = {
    "EC2InstanceId": INSTANCE,
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "Origin": "AutoScalingGroup",
}
CHANGE = {"service": "EC2", "eventTypeCategory": "scheduledChange", "statusCode": "upcoming"}


def event(source: str, detail_type: str, detail: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "0b2a3f8e-5d0e-4c8e-9c57-0c7a3a0f1d11",
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": "2026-01-31T12:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": detail,
    } | changes


def ec2(detail_type: str, **detail: str) -> dict[str, Any]:
    return event("aws.ec2", detail_type, {"instance-id": INSTANCE} | detail)


def resolved(node: Any) -> Any:
    """A pattern as it is deployed."""
    if isinstance(node, dict):
        if "Ref" in node:
            return PSEUDO_PARAMETERS[node["Ref"]]
        return {str(key): resolved(value) for key, value in node.items()}
    return [resolved(value) for value in node] if isinstance(node, list) else node


def admitting(event: dict[str, Any]) -> list[str]:
    """The rules that let an event in."""
    # moto 5.2.5: matches_event takes the event as EventBridge delivers it.
    return [
        name
        for name, rule in RULES.items()
        if EventPattern.load(json.dumps(resolved(rule["Properties"]["EventPattern"]))).matches_event(
            event  # type: ignore[arg-type] # a TypedDict
        )
    ]


def admits(event: dict[str, Any]) -> bool:
    return bool(admitting(event))


WARNING = "EC2 Spot Instance Interruption Warning"
STATE_CHANGE = "EC2 Instance State-change Notification"
LIFECYCLE = "EC2 Instance-terminate Lifecycle Action"
ADMITTED = {
    "SpotInstanceEventsRule": [
        *(ec2(WARNING, **{"instance-action": a}) for a in ("terminate", "stop", "hibernate", "a-new-word")),
        ec2("EC2 Instance Rebalance Recommendation"),
        ec2("EC2 Capacity Reservation Instance Interruption Warning"),
        ec2("EC2 Interruptible Capacity Reservation Instance Interruption Warning"),
        *(ec2(STATE_CHANGE, state=s) for s in ("stopping", "stopped", "shutting-down", "terminated")),
        event("aws.ec2", WARNING, {}),  # for the parser to refuse, with a record
    ],
    "SpotLifecycleActionRule": [
        event("aws.autoscaling", LIFECYCLE, HOOK | {"Destination": "EC2"}),
        event("aws.autoscaling", LIFECYCLE, HOOK | {"Destination": "EC2", "Origin": "WarmPool"}),
        event("aws.autoscaling", LIFECYCLE, HOOK),
    ],
    "SpotScheduledChangeRule": [
        event("aws.health", "AWS Health Event", CHANGE),
        event("aws.health", "AWS Health Event", CHANGE | {"statusCode": "closed"}),
    ],
}
KEPT_OUT = {
    "another account": ec2(WARNING) | {"account": "999999999999"},
    "another region": ec2(WARNING) | {"region": "eu-west-1"},
    "somebody else's": ec2(WARNING) | {"source": "my.own"},
    "a fleet's": ec2("EC2 Fleet Instance Change") | {"source": "aws.ec2fleet"},
    "a beginning": ec2(STATE_CHANGE, state="pending"),
    "a start": ec2(STATE_CHANGE, state="running"),
    "another event of EC2's": ec2("EBS Volume Notification"),
    "a launch": event(
        "aws.autoscaling", "EC2 Instance-launch Lifecycle Action", HOOK | {"Destination": "EC2"}
    ),
    "a move to the warm pool": event("aws.autoscaling", LIFECYCLE, HOOK | {"Destination": "WarmPool"}),
    "another service's health": event("aws.health", "AWS Health Event", CHANGE | {"service": "RDS"}),
    "an issue": event("aws.health", "AWS Health Event", CHANGE | {"eventTypeCategory": "issue"}),
    "a hook that EC2 reports": event("aws.ec2", LIFECYCLE, HOOK | {"Destination": "EC2"}),
}


def test_the_rules_are_one_a_source() -> None:
    assert ADMITTED.keys() == RULES.keys()
    sources = [rule["Properties"]["EventPattern"]["source"] for rule in RULES.values()]
    assert sources == [["aws.ec2"], ["aws.autoscaling"], ["aws.health"]]


@pytest.mark.parametrize(
    ("rule", "event"),
    [
        pytest.param(rule, each, id=f"{rule}-{n}")
        for rule, all_ in ADMITTED.items()
        for n, each in enumerate(all_)
    ],
)
def test_an_event_is_let_in_once(rule: str, event: dict[str, Any]) -> None:
    assert admitting(event) == [rule]


@pytest.mark.parametrize("event", KEPT_OUT.values(), ids=KEPT_OUT)
def test_another_event_is_not(event: dict[str, Any]) -> None:
    assert not admits(event)


@pytest.mark.parametrize("field", ["account", "region", "source", "detail-type"])
@pytest.mark.parametrize("rule", RULES)
def test_an_event_that_lacks_a_pinned_field_is_not(rule: str, field: str) -> None:
    lacking = {key: value for key, value in ADMITTED[rule][0].items() if key != field}
    assert not admits(lacking)


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_on_the_default_bus(rule: str) -> None:
    assert "EventBusName" not in RULES[rule]["Properties"]
