"""AWS's caps on one request, met by real clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.local.guarded_estate import GuardedEstate, guarded_estate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


def ids(count: int) -> list[str]:
    return [f"i-{number:017x}" for number in range(count)]


COMMAND = {"DocumentName": "AWS-RunShellScript"}
DETACH = {"AutoScalingGroupName": "web", "ShouldDecrementDesiredCapacity": False}
TOO_MUCH: list[tuple[str, str, dict[str, Any], str, str]] = [
    (
        "autoscaling",
        "detach_instances",
        DETACH | {"InstanceIds": ids(21)},
        "ValidationError",
        "List exceeds the maximum number of instances to detach",
    ),
    (
        "autoscaling",
        "describe_auto_scaling_instances",
        {"InstanceIds": ids(51)},
        "ValidationError",
        "limited to 50",
    ),
    (
        "autoscaling",
        "describe_auto_scaling_groups",
        {"AutoScalingGroupNames": ids(51)},
        "ValidationError",
        "limited to 50",
    ),
    (
        "ecs",
        "update_container_instances_state",
        {"containerInstances": ids(11), "status": "DRAINING"},
        "InvalidParameterException",
        "at most 10 items",
    ),
    (
        "ecs",
        "describe_container_instances",
        {"containerInstances": ids(101)},
        "InvalidParameterException",
        "at most 100 items",
    ),
    (
        "elbv2",
        "describe_target_groups",
        {"Names": ids(21)},
        "ValidationError",
        "You cannot describe more than '20' target groups at a time",
    ),
    (
        "elbv2",
        "describe_target_groups",
        {"TargetGroupArns": ids(21)},
        "ValidationError",
        "You cannot describe more than '20' target groups at a time",
    ),
    ("ssm", "send_command", COMMAND | {"InstanceIds": ids(51)}, "ValidationException", "instanceIds"),
    ("ssm", "send_command", COMMAND | {"TimeoutSeconds": 29}, "ValidationException", "timeoutSeconds"),
    ("ssm", "get_parameters", {"Names": ids(11)}, "ValidationException", "names"),
    ("ec2", "describe_instance_status", {"InstanceIds": ids(101)}, "InvalidRequest", "101 exceeds"),
    (
        "ec2",
        "describe_instances",
        {"Filters": [{"Name": "instance-id", "Values": ids(150)}, {"Name": "vpc-id", "Values": ids(51)}]},
        "FilterLimitExceeded",
        "200",
    ),
    (
        "ec2",
        "describe_instances",
        {"InstanceIds": ids(1), "MaxResults": 10},
        "InvalidParameterCombination",
        "maxResults",
    ),
    ("ec2", "describe_instances", {"MaxResults": 4}, "InvalidParameterValue", "5"),
    ("ec2", "describe_instances", {"MaxResults": 1001}, "InvalidParameterValue", "1000"),
]


@pytest.mark.parametrize(("service", "method", "parameters", "code", "words"), TOO_MUCH)
def test_more_than_aws_allows_is_refused_in_its_words(
    estate: GuardedEstate, service: str, method: str, parameters: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        getattr(estate.client(service), method)(**parameters)
    assert refusal.value.response["Error"]["Code"] == code
    counts = estate.calls()
    assert counts["refused"] == counts["calls"]


def test_as_much_as_aws_allows_is_taken(estate: GuardedEstate) -> None:
    fleet = estate.fleet(50)
    scaling, ssm = estate.client("autoscaling"), estate.client("ssm")
    assert (
        len(scaling.describe_auto_scaling_instances(InstanceIds=fleet.instances)["AutoScalingInstances"])
        == 50
    )
    command = ssm.send_command(**COMMAND, InstanceIds=fleet.instances, TimeoutSeconds=30)["Command"]
    assert command["TargetCount"] == 50
    assert len(ssm.get_parameters(Names=ids(10))["InvalidParameters"]) == 10
    by_id = {"Filters": [{"Name": "instance-id", "Values": [*fleet.instances, *ids(150)]}]}
    assert len(estate.client("ec2").describe_instances(**by_id, MaxResults=1000)["Reservations"]) == 50
    estate.detach(fleet, *fleet.instances[:20])
    assert estate.calls()["refused"] == {}


def test_a_refused_request_has_no_effect(estate: GuardedEstate) -> None:
    fleet = estate.fleet(21)
    with pytest.raises(ClientError, match="List exceeds"):
        estate.detach(fleet, *fleet.instances)
    assert estate.members(fleet) == fleet.instances
    assert set(estate.health(fleet).values()) == {"healthy"}
