"""The estate as a process: starts, serves a large fleet and a burst, stops when asked to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from local.settings import ROOT
from tests.local.guarded_estate import GuardedEstate, guarded_estate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.embedded


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


def test_it_starts_answers_and_stops_on_sigterm() -> None:
    command = [sys.executable, "-m", "local.estate", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        try:
            assert found, line
            assert requests.get(f"{found[0]}/_guard/health", timeout=10).json()["status"] == "ok"
            signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ec2/aws4_request"}
            answer = requests.post(found[0], data={"Action": "DescribeVpcs"}, headers=signed, timeout=30)
            assert "<vpcSet>" in answer.text
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert "stopped" in process.stderr.read()


def test_a_burst_of_detaches_by_many_callers_does_each_once(estate: GuardedEstate) -> None:
    estate.limit(enabled=False)
    fleet = estate.fleet(100)
    estate.limit(enabled=False)
    scaling = estate.client("autoscaling")

    def detach(position: int) -> int:
        answer = scaling.detach_instances(
            AutoScalingGroupName=fleet.group,
            InstanceIds=fleet.instances[position : position + 5],
            ShouldDecrementDesiredCapacity=False,
        )
        return len(answer["Activities"])

    with ThreadPoolExecutor(os.cpu_count()) as callers:
        detached = list(callers.map(detach, range(0, 100, 5)))
    assert detached == [5] * 20
    members = estate.members(fleet)
    assert len(members) == 100
    assert not set(members) & set(fleet.instances)
    health = estate.health(fleet)
    assert {one for one, state in health.items() if state == "draining"} == set(fleet.instances)
    assert {one for one, state in health.items() if state == "healthy"} == set(members)
    assert estate.calls()["calls"]["autoscaling:DetachInstances"] == 20
