"""Fakes of the estate and builders of events."""

import json
from collections.abc import Collection, Iterable
from typing import Any

from signalbox.clock import iso
from signalbox.spot.estate import Group, Instance, Snapshot

ACCOUNT, REGION = "123456789012", "us-east-1"
NOON = 1_780_000_000.0


class MovableClock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def instance_id(number: int) -> str:
    return f"i-{number:017x}"


def warning(
    instance: str,
    *,
    at: float = NOON,
    action: str = "terminate",
    event_id: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """An interruption warning as EventBridge delivers it."""
    event = {
        "version": "0",
        "id": event_id or f"event-{instance}-{at}",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": iso(at),
        "region": REGION,
        "resources": [f"arn:aws:ec2:{REGION}a:instance/{instance}"],
        "detail": {"instance-id": instance, "instance-action": action},
    }
    return event | changes


def body(event: dict[str, Any]) -> str:
    return json.dumps(event)


class FakeEstate:
    """Instances of one account and Region, and the groups that they are in."""

    def __init__(self, instances: Iterable[Instance] = (), groups: Iterable[Group] = ()) -> None:
        self.all_instances = {i.id: i for i in instances}
        self.all_groups = {g.name: g for g in groups}
        self.all_parameters: dict[str, str] = {}

    def snapshot(self, instances: Collection[str]) -> Snapshot:
        found = {i: self.all_instances[i] for i in instances if i in self.all_instances}
        return Snapshot(found, self.groups({i.group for i in found.values() if i.group}))

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        return {name: self.all_groups[name] for name in names if name in self.all_groups}

    def parameters(self, names: Collection[str]) -> dict[str, str]:
        return {name: self.all_parameters[name] for name in names if name in self.all_parameters}


def fleet(group: str, numbers: Iterable[int], **changes: Any) -> FakeEstate:
    """One group on Spot that opts in, with a target group and these instances in service."""
    members = [instance_id(number) for number in numbers]
    arn = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{group}/0123456789abcdef"
    fields: dict[str, Any] = {
        "tags": {"signalbox:spot": "act"},
        "target_groups": (arn,),
        "desired": len(members),
        "members": dict.fromkeys(members, "InService"),
    } | changes
    estate = FakeEstate(
        (
            Instance(id=i, state="running", lifecycle="spot", group=group, member_state="InService")
            for i in members
        ),
        [Group(name=group, **fields)],
    )
    estate.all_parameters[f"/signalbox/spot/{group}/commands"] = '{"shutdown": ["systemctl stop web"]}'
    return estate
