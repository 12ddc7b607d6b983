"""Faults to order, each kind of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.local.guarded_estate import GuardedEstate, guarded_estate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


def test_a_throttle_happens_as_often_as_it_was_ordered(estate: GuardedEstate) -> None:
    estate.order_fault("autoscaling:DescribeAutoScalingGroups", "throttle", times=2)
    scaling = estate.client("autoscaling")
    for _ in range(2):
        with pytest.raises(ClientError, match="Throttling"):
            scaling.describe_auto_scaling_groups()
    scaling.describe_auto_scaling_groups()
    assert estate.calls()["throttled"] == {"autoscaling:DescribeAutoScalingGroups": 2}


@pytest.mark.parametrize(
    ("service", "method", "operation", "status", "code"),
    [
        ("ec2", "describe_vpcs", "ec2:DescribeVpcs", 500, "InternalError"),
        ("ec2", "describe_vpcs", "ec2:DescribeVpcs", 503, "Unavailable"),
        ("autoscaling", "describe_tags", "autoscaling:DescribeTags", 500, "InternalFailure"),
        ("ssm", "list_commands", "ssm:ListCommands", 500, "InternalServerError"),
        ("ecs", "list_clusters", "ecs:ListClusters", 503, "ServiceUnavailable"),
    ],
)
def test_an_error_has_the_status_ordered_and_the_services_code(
    estate: GuardedEstate, service: str, method: str, operation: str, status: int, code: str
) -> None:
    estate.order_fault(operation, "error", status=status)
    with pytest.raises(ClientError) as failure:
        getattr(estate.client(service), method)()
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert failure.value.response["Error"]["Code"] == code


def test_an_error_can_be_any_of_aws(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    estate.order_fault(
        "autoscaling:DetachInstances",
        "error",
        status=400,
        code="ResourceContention",
        message="You already have a pending update to an Auto Scaling resource.",
    )
    with pytest.raises(ClientError, match="pending update") as failure:
        estate.detach(fleet, *fleet.instances)
    assert failure.value.response["Error"]["Code"] == "ResourceContention"
    assert estate.members(fleet) == fleet.instances


def test_latency_delays_and_then_serves(estate: GuardedEstate) -> None:
    estate.order_fault("ssm:ListCommands", "latency", seconds=2.5)
    assert estate.client("ssm").list_commands()["Commands"] == []
    assert estate.clock.slept == [2.5]


def test_a_lost_answer_is_lost_after_the_effect(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    victim = fleet.instances[0]
    estate.order_fault("autoscaling:DetachInstances", "lost_answer")
    with pytest.raises(ClientError) as failure:
        estate.detach(fleet, victim)
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert victim not in estate.members(fleet)
    with pytest.raises(ClientError, match="is not part of Auto Scaling group"):
        estate.detach(fleet, victim)


def test_a_refusal_isnt_a_lost_answer(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    estate.order_fault("autoscaling:DetachInstances", "lost_answer")
    with pytest.raises(ClientError, match="is not part of Auto Scaling group"):
        estate.detach(fleet, "i-00000000000000001")


def test_a_fault_meets_only_the_calls_it_matches(estate: GuardedEstate) -> None:
    fleet = estate.fleet(3)
    spared, hit, _ = fleet.instances
    estate.order_fault("autoscaling:DetachInstances", "throttle", match={"InstanceIds": hit})
    estate.detach(fleet, spared)
    with pytest.raises(ClientError, match="Throttling"):
        estate.detach(fleet, hit)


def test_a_fault_without_an_end_stays_until_it_is_cleared(estate: GuardedEstate) -> None:
    estate.order_fault("ssm:ListCommands", "throttle", times=None)
    ssm = estate.client("ssm")
    for _ in range(3):
        with pytest.raises(ClientError, match="ThrottlingException"):
            ssm.list_commands()
    estate.ask("DELETE", "faults")
    assert ssm.list_commands()["Commands"] == []
