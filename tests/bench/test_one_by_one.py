"""The algorithm that Signalbox is compared with does what is said of it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bench.one_by_one import Invocation, Pool, next_try
from signalbox.spot.notices import NOTICE_SECONDS

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": ""}}, "DetachInstances")


class Estate:
    """Answers the four calls, and remembers them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.throttled: set[str] = set()

    def describe_instances(self, **_: Any) -> dict[str, Any]:
        self.calls.append("DescribeInstances")
        return {"Reservations": []}

    def describe_auto_scaling_instances(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append("DescribeAutoScalingInstances")
        [instance] = parameters["InstanceIds"]
        return {"AutoScalingInstances": [{"InstanceId": instance, "AutoScalingGroupName": "web"}]}

    def detach_instances(self, **parameters: Any) -> None:
        self.calls.append("DetachInstances")
        if self.throttled.intersection(parameters["InstanceIds"]):
            raise THROTTLED

    def send_command(self, **_: Any) -> None:
        self.calls.append("SendCommand")


@pytest.fixture
def estate() -> Estate:
    return Estate()


@pytest.fixture
def pool(estate: Estate) -> Iterator[Pool]:
    pool = Pool([dict.fromkeys(("ec2", "autoscaling", "ssm"), estate)])
    yield pool
    pool.close()


def test_four_calls_for_each_warning(estate: Estate, pool: Pool) -> None:
    pool.take(["i-1", "i-2"], time.time())
    pool.wait()
    four = ["DescribeInstances", "DescribeAutoScalingInstances", "DetachInstances", "SendCommand"]
    assert estate.calls == four * 2
    assert pool.states == {"done": 2}
    assert pool.detached.keys() == {"i-1", "i-2"}


def test_an_error_ends_the_invocation(estate: Estate, pool: Pool) -> None:
    estate.throttled = {"i-1"}
    pool.take(["i-1"], time.time() - NOTICE_SECONDS + 30)  # no time for another try
    pool.wait()
    assert "SendCommand" not in estate.calls
    assert pool.states == {"failed: Throttling": 1}
    assert pool.invocations == 1


def test_what_is_too_late_is_left_alone(estate: Estate, pool: Pool) -> None:
    pool.take(["i-1"], time.time() - NOTICE_SECONDS - 1)
    pool.wait()
    assert estate.calls == []
    assert pool.states == {"late": 1}
    assert pool.invocations == 0


def test_lambda_tries_again_after_a_minute_and_then_it_is_too_late() -> None:
    first = Invocation(due=0.0, instance="i-1", deadline=NOTICE_SECONDS)
    second = next_try(first, now=5.0)
    assert second is not None
    assert (second.due, second.tries_before) == (65.0, 1)
    assert next_try(second, now=66.0) is None
