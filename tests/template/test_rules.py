"""The rules of Spot: which of AWS's events they let in, and which they don't."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.template.deployed import Deployed
from tests.template.domains import domain_of
from tests.template.sources import resources

ACCOUNT, REGION = "123456789012", "us-east-1"
MEMBER = "444455556666"
INSTANCE = "i-0123456789abcdef0"
RULES = {
    name: rule
    for name, rule in resources("AWS::Events::Rule").items()
    if domain_of(name) == "spot" and "EventBusName" not in rule["Properties"]
}
MEMBER_RULES = {
    name: rule
    for name, rule in resources("AWS::Events::Rule").items()
    if "EventBusName" in rule["Properties"]
}
ALONE = Deployed({})
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


def admitting(
    event: dict[str, Any], rules: Mapping[str, Any] = RULES, deployed: Deployed = ALONE
) -> list[str]:
    """The rules that let an event in."""
    # moto 5.2.5: matches_event takes the event as EventBridge delivers it.
    return [
        name
        for name, rule in rules.items()
        if EventPattern.load(json.dumps(deployed.value(rule["Properties"]["EventPattern"]))).matches_event(
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


PINS = {"account", "region"}


def unpinned(pattern: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in pattern.items() if key not in PINS}


def test_the_members_rules_are_the_hubs_own_on_its_bus() -> None:
    """But for whose events they take, and for the bus they hear them on."""
    for ours, theirs in zip(RULES.values(), MEMBER_RULES.values(), strict=True):
        own, members = ours["Properties"], theirs["Properties"]
        assert members["EventBusName"] == {"Ref": "EventBus"}
        assert theirs["Condition"] == "HasMembers"
        assert unpinned(members["EventPattern"]) == unpinned(own["EventPattern"])
        assert members["Targets"] == own["Targets"]


@pytest.mark.parametrize(
    ("accounts", "regions", "places"),
    [
        (MEMBER, "", {(ACCOUNT, REGION), (MEMBER, REGION)}),
        ("", "eu-west-1", {(ACCOUNT, "eu-west-1")}),
        (MEMBER, "eu-west-1", {(ACCOUNT, "eu-west-1"), (MEMBER, "eu-west-1")}),
        (
            f"{MEMBER},777788889999",
            f"{REGION},eu-west-1",
            {(a, r) for a in (ACCOUNT, MEMBER, "777788889999") for r in (REGION, "eu-west-1")},
        ),
    ],
)
@pytest.mark.parametrize("number", range(len(MEMBER_RULES)))
def test_the_members_rules_take_the_events_of_the_places_named(
    number: int, accounts: str, regions: str, places: set[tuple[str, str]]
) -> None:
    deployed = Deployed({"SpotMemberAccounts": accounts, "SpotMemberRegions": regions})
    rule = list(MEMBER_RULES)[number]
    all_ = [(a, r) for a in (ACCOUNT, MEMBER, "777788889999") for r in (REGION, "eu-west-1", "eu-west-2")]
    [example, *_] = list(ADMITTED.values())[number]
    taken = {
        (account, region)
        for account, region in all_
        if admitting(example | {"account": account, "region": region}, MEMBER_RULES, deployed) == [rule]
    }
    assert taken == places


def test_a_stack_without_members_has_no_rule_on_its_bus() -> None:
    assert [rule for rule in MEMBER_RULES if ALONE.exists(rule)] == []
    assert [rule for rule in RULES if not ALONE.exists(rule)] == []
