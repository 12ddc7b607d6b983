"""Drains beside the target groups through boto3: ECS and classic load balancers on moto behind its guard,
where AWS's caps and errors hold; lifecycle hooks, which moto can't complete, against botocore's own model."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from signalbox.errors import (
    AccessDeniedError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from signalbox.spot.aws_drains import AwsClassicLoadBalancing, AwsContainerInstances, AwsLifecycleHooks
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEvidence, AwsLoadBalancing, AwsRunCommand
from signalbox.spot.containers import DRAIN_CHUNK, DrainContainers
from signalbox.spot.performers import DeregisterInstances, NotRegisteredError
from tests.local.guarded_estate import IMAGE, GuardedEstate, guarded_estate
from tests.unit.spot.doubles import action

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.filterwarnings("ignore:Exception.*does not match an error shape:UserWarning"),
]
CLUSTER, BALANCER = "apps", "old"
UNKNOWN = "i-0000000000000dead"
TOKEN = "87654321-4321-4321-4321-210987654321"
HOOK = {
    "AutoScalingGroupName": "web",
    "LifecycleHookName": "drain",
    "InstanceId": UNKNOWN,
    "LifecycleActionToken": TOKEN,
}


@pytest.fixture(scope="module")
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


@pytest.fixture(scope="module")
def instances(estate: GuardedEstate) -> list[str]:
    """100 instances, all of them container instances and behind a classic load balancer."""
    estate.limit(enabled=False)  # for as long as it takes to build this
    ec2, ecs, elb = (estate.client(service) for service in ("ec2", "ecs", "elb"))
    launched = ec2.run_instances(ImageId=IMAGE, MinCount=100, MaxCount=100)["Instances"]
    ids = sorted(each["InstanceId"] for each in launched)
    elb.create_load_balancer(
        LoadBalancerName=BALANCER,
        Listeners=[{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}],
        AvailabilityZones=["us-east-1a"],
    )
    elb.register_instances_with_load_balancer(
        LoadBalancerName=BALANCER, Instances=[{"InstanceId": each} for each in ids]
    )
    for name in (CLUSTER, "others"):
        ecs.create_cluster(clusterName=name)
    for each in ids:
        ecs.register_container_instance(
            cluster=CLUSTER, instanceIdentityDocument=json.dumps({"instanceId": each})
        )
    return ids


@pytest.fixture(autouse=True)
def _fresh(estate: GuardedEstate, instances: list[str]) -> None:
    estate.ask("POST", "reset")


def containers(estate: GuardedEstate) -> AwsContainerInstances:
    return AwsContainerInstances(estate.client("ecs"))


def arn_of(estate: GuardedEstate, instance: str) -> str:
    [found] = containers(estate).container_instances(CLUSTER, [instance])
    return found.arn


class TestContainerInstances:
    def test_a_hundred_are_found_in_two_calls(self, estate: GuardedEstate, instances: list[str]) -> None:
        found = containers(estate).container_instances(CLUSTER, instances)
        assert sorted(each.instance for each in found) == instances
        assert estate.calls()["calls"] == {
            "ecs:DescribeContainerInstances": 1,
            "ecs:ListContainerInstances": 1,
        }

    def test_only_those_asked_for_are_found(self, estate: GuardedEstate, instances: list[str]) -> None:
        [found] = containers(estate).container_instances(CLUSTER, [UNKNOWN, instances[0]])
        assert (found.instance, found.status, found.running_tasks) == (instances[0], "ACTIVE", 0)

    def test_the_cluster_may_be_an_arn(self, estate: GuardedEstate, instances: list[str]) -> None:
        [described] = estate.client("ecs").describe_clusters(clusters=[CLUSTER])["clusters"]
        assert containers(estate).container_instances(described["clusterArn"], instances[:1])

    @pytest.mark.parametrize("cluster", [CLUSTER, "others"])
    def test_nobody_found_is_no_second_call(self, estate: GuardedEstate, cluster: str) -> None:
        assert containers(estate).container_instances(cluster, [UNKNOWN]) == []
        assert estate.calls()["calls"] == {"ecs:ListContainerInstances": 1}

    def test_a_cluster_that_is_not_there(self, estate: GuardedEstate, instances: list[str]) -> None:
        with pytest.raises(NotFoundError, match="ClusterNotFoundException"):
            containers(estate).container_instances("gone", instances[:1])

    def test_pages_are_read_to_the_last(
        self, estate: GuardedEstate, instances: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("local.estate.containers.PAGE", 3)
        assert len(containers(estate).container_instances(CLUSTER, instances[:10])) == 10
        assert estate.calls()["calls"]["ecs:ListContainerInstances"] == 4

    def test_those_that_fail_are_told_apart(self, estate: GuardedEstate, instances: list[str]) -> None:
        arn = arn_of(estate, instances[-1])
        unknown = arn.rpartition("/")[0] + "/0123456789abcdef0123456789abcdef"
        failures = containers(estate).drain(CLUSTER, [arn, unknown])
        assert {key.rpartition("/")[2]: reason for key, reason in failures.items()} == {
            unknown.rpartition("/")[2]: "MISSING"
        }
        [found] = containers(estate).container_instances(CLUSTER, instances[-1:])
        assert found.status == "DRAINING"

    def test_more_than_ten_at_once_are_refused(self, estate: GuardedEstate, instances: list[str]) -> None:
        arns = [arn_of(estate, instance) for instance in instances[: DRAIN_CHUNK + 1]]
        with pytest.raises(RefusedError, match="at most 10"):
            containers(estate).drain(CLUSTER, arns)

    def test_the_performer_drains_a_hundred_and_nothing_twice(
        self, estate: GuardedEstate, instances: list[str]
    ) -> None:
        each = action("containers", target=CLUSTER, subjects=(*instances[:40], UNKNOWN))
        for updates in (4, None):
            estate.ask("POST", "reset")
            result = DrainContainers(containers(estate)).perform(each)
            assert (result.status, list(result.deviations)) == ("succeeded", [UNKNOWN])
            assert estate.calls()["calls"].get("ecs:UpdateContainerInstancesState") == updates
        found = containers(estate).container_instances(CLUSTER, instances[:40])
        assert {each.status for each in found} == {"DRAINING"}


class TestClassicLoadBalancers:
    def registered(self, estate: GuardedEstate) -> set[str]:
        [balancer] = estate.client("elb").describe_load_balancers(LoadBalancerNames=[BALANCER])[
            "LoadBalancerDescriptions"
        ]
        return {each["InstanceId"] for each in balancer["Instances"]}

    def test_the_instances_leave_in_one_call(self, estate: GuardedEstate, instances: list[str]) -> None:
        before = self.registered(estate)
        each = action("deregister-classic", target=BALANCER, subjects=tuple(instances[:50]))
        balancing = AwsClassicLoadBalancing(estate.client("elb"))
        for _ in range(2):
            estate.ask("POST", "reset")
            assert DeregisterInstances(balancing).perform(each).status == "succeeded"
            assert estate.calls()["total"] == 1
        assert self.registered(estate) == before - set(instances[:50])

    def test_a_load_balancer_that_is_gone(self, estate: GuardedEstate, instances: list[str]) -> None:
        with pytest.raises(NotFoundError, match="LoadBalancerNotFound"):
            AwsClassicLoadBalancing(estate.client("elb")).deregister("gone", instances[:1])

    def test_a_load_balancer_says_who_is_in_service(
        self, estate: GuardedEstate, instances: list[str]
    ) -> None:
        balancing = AwsClassicLoadBalancing(estate.client("elb"))
        balancing.deregister(BALANCER, instances[50:51])
        estate.ask("POST", "reset")
        found = balancing.registered_states(BALANCER, instances[50:52])
        assert found == {instances[50]: "OutOfService", instances[51]: "InService"}
        assert estate.calls()["total"] == 1
        with pytest.raises(NotFoundError):
            balancing.registered_states("gone", instances[:1])

    def test_one_that_was_never_registered_is_told_apart(
        self, estate: GuardedEstate, instances: list[str]
    ) -> None:
        """In AWS's words (boto#2274); moto lets it pass."""
        fault = {"status": 400, "code": "InvalidInstance", "message": "Could not find EC2 instance i-1."}
        estate.order_fault("elasticloadbalancing:DeregisterInstancesFromLoadBalancer", "error", **fault)
        with pytest.raises(NotRegisteredError, match="Could not find"):
            AwsClassicLoadBalancing(estate.client("elb")).deregister(BALANCER, instances[:1])


CALLS: dict[str, Callable[[GuardedEstate, list[str]], Any]] = {
    "ecs:ListContainerInstances": lambda e, i: containers(e).container_instances(CLUSTER, i[:1]),
    "ecs:DescribeContainerInstances": lambda e, i: containers(e).container_instances(CLUSTER, i[:1]),
    "ecs:UpdateContainerInstancesState": lambda e, i: containers(e).drain(CLUSTER, [arn_of(e, i[0])]),
    "elasticloadbalancing:DeregisterInstancesFromLoadBalancer": lambda e, i: AwsClassicLoadBalancing(
        e.client("elb")
    ).deregister(BALANCER, i[-1:]),
}
FAULTS: dict[str, tuple[dict[str, Any], type[SignalboxError]]] = {
    "throttled": ({"fault": "throttle"}, ThrottledError),
    "unavailable": ({"fault": "error", "status": 503}, UnavailableError),
    "lost": ({"fault": "lost_answer"}, UnavailableError),
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("operation", CALLS)
def test_what_aws_says_becomes_an_error_of_ours(
    estate: GuardedEstate,
    instances: list[str],
    operation: str,
    fault: dict[str, Any],
    kind: type[SignalboxError],
) -> None:
    estate.order_fault(operation, times=1, **fault)
    with pytest.raises(kind):
        CALLS[operation](estate, instances)


def test_the_evidence_sees_container_instances(estate: GuardedEstate, instances: list[str]) -> None:
    evidence = AwsEvidence(
        AwsAutoScaling(estate.client("autoscaling")),
        AwsLoadBalancing(estate.client("elbv2")),
        AwsRunCommand(estate.client("ssm")),
        containers(estate),
        AwsClassicLoadBalancing(estate.client("elb")).registered_states,
    )
    [found] = evidence.container_instances(CLUSTER, instances[:1])
    assert found.instance == instances[0]


class TestLifecycleHooks:
    """moto 5.2.5 neither holds an instance for a hook nor knows these two calls."""

    @pytest.fixture
    def auto_scaling(self) -> Iterator[tuple[AwsLifecycleHooks, Stubber]]:
        client = boto3.client(
            "autoscaling", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        with Stubber(client) as answers:
            yield AwsLifecycleHooks(client), answers
            answers.assert_no_pending_responses()
        client.close()

    def test_completing(self, auto_scaling: tuple[AwsLifecycleHooks, Stubber]) -> None:
        hooks, answers = auto_scaling
        expected = HOOK | {"LifecycleActionResult": "CONTINUE"}
        answers.add_response("complete_lifecycle_action", {}, expected)
        hooks.complete("web", "drain", UNKNOWN, TOKEN)

    def test_a_heartbeat(self, auto_scaling: tuple[AwsLifecycleHooks, Stubber]) -> None:
        hooks, answers = auto_scaling
        answers.add_response("record_lifecycle_action_heartbeat", {}, HOOK)
        hooks.heartbeat("web", "drain", UNKNOWN, TOKEN)

    @pytest.mark.parametrize(
        ("code", "message", "kind"),
        [
            # In AWS's words: spacelift-io/terraform-aws-spacelift-workerpool-on-ec2#197.
            ("ValidationError", f"No active Lifecycle Action found with token {TOKEN}", RefusedError),
            ("ResourceContention", "You already have a pending update", UnavailableError),
            ("Throttling", "Rate exceeded", ThrottledError),
            ("AccessDenied", "not authorized", AccessDeniedError),
        ],
    )
    @pytest.mark.parametrize("operation", ["complete_lifecycle_action", "record_lifecycle_action_heartbeat"])
    def test_errors(
        self,
        auto_scaling: tuple[AwsLifecycleHooks, Stubber],
        operation: str,
        code: str,
        message: str,
        kind: type[SignalboxError],
    ) -> None:
        hooks, answers = auto_scaling
        answers.add_client_error(operation, code, message, 400)
        call = hooks.complete if operation.startswith("complete") else hooks.heartbeat
        with pytest.raises(kind, match=message) as caught:
            call("web", "drain", UNKNOWN, TOKEN)
        assert type(caught.value) is kind

    def test_whether_an_instance_is_still_held(self, auto_scaling: tuple[AwsLifecycleHooks, Stubber]) -> None:
        hooks, answers = auto_scaling
        member = {
            "InstanceId": UNKNOWN,
            "AutoScalingGroupName": "web",
            "AvailabilityZone": "us-east-1a",
            "LifecycleState": "Terminating:Wait",
            "HealthStatus": "HEALTHY",
            "ProtectedFromScaleIn": False,
        }
        answers.add_response("describe_auto_scaling_instances", {"AutoScalingInstances": [member]})
        assert hooks.member_states([UNKNOWN]) == {UNKNOWN: ("web", "Terminating:Wait")}
