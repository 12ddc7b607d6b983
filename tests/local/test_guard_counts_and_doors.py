"""What the guard counts, and its own doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.local.guarded_estate import GuardedEstate, guarded_estate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


def test_calls_are_counted_by_operation_over_every_protocol(estate: GuardedEstate) -> None:
    scaling = estate.client("autoscaling")
    scaling.describe_auto_scaling_groups()
    scaling.describe_auto_scaling_groups()
    estate.client("ec2").describe_vpcs()
    estate.client("elbv2").describe_load_balancers()
    estate.client("elb").describe_load_balancers()
    estate.client("ssm").get_parameters(Names=["/signalbox"])
    estate.client("ecs").list_clusters()
    assert estate.calls() == {
        "calls": {
            "autoscaling:DescribeAutoScalingGroups": 2,
            "ec2:DescribeVpcs": 1,
            "ecs:ListClusters": 1,
            "elasticloadbalancing:DescribeLoadBalancers": 2,
            "ssm:GetParameters": 1,
        },
        "throttled": {},
        "refused": {},
        "total": 7,
    }


def test_a_call_to_another_service_is_counted_and_passed_on(estate: GuardedEstate) -> None:
    assert estate.client("codebuild").list_projects()["projects"] == []
    assert estate.calls()["calls"] == {"codebuild:ListProjects": 1}


def test_reset_clears_what_it_isnt_told_to_keep(estate: GuardedEstate) -> None:
    estate.client("ec2").describe_vpcs()
    estate.order_fault("ec2:DescribeVpcs", "throttle")
    estate.limit(autoscaling={"size": 1, "refill": 1})
    assert estate.ask("POST", "reset", {"keep": ["faults"]}).status_code == 200
    assert estate.calls()["total"] == 0
    assert len(estate.ask("GET", "faults").json()["faults"]) == 1
    assert estate.ask("GET", "limits").json()["autoscaling"]["size"] > 1
    estate.ask("POST", "reset", {})
    assert estate.ask("GET", "faults").json()["faults"] == []


def test_health_says_whether_roles_are_enforced(estate: GuardedEstate) -> None:
    assert estate.ask("GET", "health").json() == {"status": "ok", "authorization": False}


@pytest.mark.parametrize(
    ("method", "door", "document", "named"),
    [
        ("POST", "reset", {"keep": ["everything"]}, "keep"),
        ("POST", "faults", {"operation": "ec2:DescribeVpcs", "fault": "gremlin"}, "gremlin"),
        ("POST", "faults", {"fault": "throttle"}, "operation"),
        ("POST", "faults", {"operation": "ec2:DescribeVpcs", "fault": "throttle", "often": 2}, "often"),
        ("POST", "faults", {"operation": "ec2:DescribeVpcs", "fault": "throttle", "times": 0}, "times"),
        ("POST", "faults", ["throttle"], "object"),
        ("POST", "limits", {"enabled": "yes"}, "enabled"),
        ("POST", "limits", {"autoscaling": 20}, "autoscaling"),
        ("POST", "limits", {"autoscaling": {"size": 0, "refill": 1}}, "at least 1"),
    ],
)
def test_a_door_says_what_is_wrong_with_a_request(
    estate: GuardedEstate, method: str, door: str, document: object, named: str
) -> None:
    answer = estate.ask(method, door, document)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_a_door_that_isnt_there_says_so(estate: GuardedEstate) -> None:
    answer = estate.ask("GET", "attic")
    assert answer.status_code == 404
    assert "attic" in answer.json()["error"]


def test_an_unsigned_request_is_refused(estate: GuardedEstate) -> None:
    answer = requests.post(estate.url, data={"Action": "DescribeVpcs"}, timeout=10)
    assert answer.status_code == 403
    assert "MissingAuthenticationToken" in answer.text
    assert estate.calls()["total"] == 0


def test_what_moto_cannot_do_is_said_at_once(estate: GuardedEstate) -> None:
    ssm = estate.client("ssm")
    with pytest.raises(ssm.exceptions.ClientError, match="DescribeAutomationExecutions") as refusal:
        ssm.describe_automation_executions()
    assert refusal.value.response["Error"]["Code"] == "NotImplemented"
