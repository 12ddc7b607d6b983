"""Request limits: the buckets alone, and as clients of each service meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local.estate.buckets import LIMITS, Limit, RequestLimits, TokenBucket, bucket_of
from local.estate.requests import AwsRequest
from tests.local.guarded_estate import GuardedEstate, MovedClock, guarded_estate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


def request(name: str, region: str = "us-east-1", **parameters: Any) -> AwsRequest:
    service, operation = name.split(":")
    return AwsRequest(service, operation, "query", "test", region, parameters=parameters)


def taken(bucket: TokenBucket, now: float, tries: int) -> int:
    return sum(bucket.take(now) for _ in range(tries))


@given(
    size=st.integers(1, 200),
    refill=st.integers(1, 100),
    waits=st.lists(st.floats(0, 60, allow_nan=False), max_size=20),
)
def test_a_bucket_never_grants_more_than_its_size_and_what_was_refilled(
    size: int, refill: int, waits: list[float]
) -> None:
    now, granted = 0.0, 0
    bucket = TokenBucket(Limit(size, refill), now)
    for wait in waits:
        now += wait
        granted += taken(bucket, now, tries=size + 1)
        assert granted <= size + refill * now + 1e-6


def test_an_empty_bucket_refills_with_time_up_to_its_size() -> None:
    bucket = TokenBucket(Limit(10, 2), now=0)
    assert taken(bucket, 0, tries=12) == 10
    assert taken(bucket, 1.5, tries=12) == 3
    assert taken(bucket, 1_000, tries=12) == 10


@pytest.mark.parametrize(
    ("asked", "bucket"),
    [
        (request("ec2:DescribeVpcs"), "ec2:Describe"),
        (request("ec2:DescribeInstances", Filters=[{"Name": "vpc-id"}]), "ec2:Describe"),
        (request("ec2:DescribeInstances", MaxResults=100), "ec2:Describe"),
        (request("ec2:DescribeInstances"), "ec2:DescribeUnfiltered"),
        (request("ec2:DescribeInstances", InstanceIds=["i-1"]), "ec2:DescribeUnfiltered"),
        (request("ec2:CreateTags"), "ec2:Mutating"),
        (request("ec2:TerminateInstances"), "ec2:TerminateInstances"),
        (request("autoscaling:DetachInstances"), "autoscaling"),
        (request("autoscaling:DescribeAutoScalingGroups"), "autoscaling"),
        (request("ecs:UpdateContainerInstancesState"), "ecs:UpdateContainerInstancesState"),
        (request("ssm:GetParameters"), "ssm:GetParameters"),
        (request("ssm:SendCommand"), "ssm"),
        (request("codebuild:StartBuild"), None),
    ],
)
def test_each_call_draws_on_its_bucket(asked: AwsRequest, bucket: str | None) -> None:
    assert bucket_of(asked, LIMITS) == bucket


def test_regions_have_buckets_of_their_own() -> None:
    limits = RequestLimits(MovedClock())
    limits.change({"autoscaling": {"size": 1, "refill": 1}})
    here, there = (request("autoscaling:DetachInstances", region) for region in ("us-east-1", "eu-west-1"))
    assert [limits.admits(here), limits.admits(here), limits.admits(there)] == [True, False, True]


def test_a_refused_change_of_limits_changes_nothing() -> None:
    limits = RequestLimits(MovedClock())
    before = limits.document()
    with pytest.raises(ValueError, match="ssm"):
        limits.change({"enabled": False, "autoscaling": {"size": 1, "refill": 1}, "ssm": {"size": 3}})
    assert limits.document() == before


@pytest.mark.parametrize(
    ("service", "method", "bucket", "code"),
    [
        ("ec2", "describe_vpcs", "ec2:Describe", "RequestLimitExceeded"),
        ("autoscaling", "describe_auto_scaling_groups", "autoscaling", "Throttling"),
        ("elbv2", "describe_load_balancers", "elasticloadbalancing", "Throttling"),
        ("ssm", "list_commands", "ssm", "ThrottlingException"),
        ("ecs", "list_clusters", "ecs", "ThrottlingException"),
    ],
)
def test_an_empty_bucket_throttles_with_the_services_own_code_until_it_refills(
    estate: GuardedEstate, service: str, method: str, bucket: str, code: str
) -> None:
    estate.limit(**{bucket: {"size": 2, "refill": 0.5}})
    call = getattr(estate.client(service), method)
    call()
    call()
    with pytest.raises(ClientError) as refusal:
        call()
    assert refusal.value.response["Error"]["Code"] == code
    estate.clock.now += 2
    call()
    counts = estate.calls()
    assert list(counts["throttled"].values()) == [1]
    assert counts["total"] == 4


def test_auto_scaling_shares_one_bucket_between_describes_and_changes(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    estate.limit(autoscaling={"size": 1, "refill": 0.01})
    estate.client("autoscaling").describe_auto_scaling_groups()
    with pytest.raises(ClientError, match="Rate exceeded"):
        estate.detach(fleet, fleet.instances[0])
    estate.limit(enabled=False)
    assert estate.members(fleet) == fleet.instances


def test_a_reset_fills_the_buckets(estate: GuardedEstate) -> None:
    estate.limit(ssm={"size": 1, "refill": 0.01})
    estate.client("ssm").list_commands()
    estate.ask("POST", "reset", {"keep": ["limits"]})
    estate.client("ssm").list_commands()
    with pytest.raises(ClientError, match="Rate exceeded"):
        estate.client("ssm").list_commands()
