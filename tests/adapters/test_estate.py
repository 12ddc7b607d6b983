"""The estate through boto3, on moto behind its guard: AWS's caps and errors hold. The fake of the unit tests
is held to the same reading."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from moto.ssm.models import ssm_backends

from local.settings import ACCOUNT, REGION
from signalbox.errors import NotFoundError, RefusedError, ThrottledError, UnavailableError
from signalbox.spot.aws_drains import AwsClassicLoadBalancing, AwsContainerInstances
from signalbox.spot.aws_estate import (
    CLOCK_SLACK_SECONDS,
    AwsAutoScaling,
    AwsEstate,
    AwsEvidence,
    AwsInstances,
    AwsLoadBalancing,
    AwsRunCommand,
)
from signalbox.spot.estate import EstateReader, Group, Instance, TargetGroup
from signalbox.spot.performers import InvalidInstancesError
from tests.local.guarded_estate import Fleet, GuardedEstate, guarded_estate
from tests.unit.spot.doubles import FakeEstate, target_group

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.filterwarnings("ignore:Exception.*does not match an error shape:UserWarning"),
]
DOCUMENT = "signalbox-spot-command"
TAGS = {"signalbox:spot": "act", "Name": "web"}


@pytest.fixture(scope="module")
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


@pytest.fixture(scope="module")
def fleet(estate: GuardedEstate) -> Fleet:
    """70 instances: more than one page of every call that is capped at 50."""
    tags = [
        {
            "Key": k,
            "Value": v,
            "PropagateAtLaunch": True,
            "ResourceId": "web",
            "ResourceType": "auto-scaling-group",
        }
        for k, v in TAGS.items()
    ]
    fleet = estate.fleet(70, Tags=tags, CapacityRebalance=True)
    estate.client("autoscaling").suspend_processes(
        AutoScalingGroupName="web", ScalingProcesses=["AZRebalance"]
    )
    balancing = estate.client("elbv2")
    vpc = balancing.describe_target_groups(Names=["web"])["TargetGroups"][0]["VpcId"]
    balancing.create_target_group(Name="flows", Protocol="TCP", Port=7, VpcId=vpc, TargetType="ip")
    for number in range(40):
        balancing.create_target_group(Name=f"many{number}", Protocol="HTTP", Port=80, VpcId=vpc)
    ssm = estate.client("ssm")
    for number in range(12):
        ssm.put_parameter(Name=f"/signalbox/spot/g{number}/commands", Value=f"v{number}", Type="String")
    ssm.create_document(
        Name=DOCUMENT, Content='{"schemaVersion": "2.2", "mainSteps": []}', DocumentType="Command"
    )
    return fleet


@pytest.fixture(autouse=True)
def _fresh(estate: GuardedEstate, fleet: Fleet) -> None:
    estate.ask("POST", "reset")


def aws_estate(estate: GuardedEstate) -> AwsEstate:
    return AwsEstate(
        AwsInstances(estate.client("ec2")),
        AwsAutoScaling(estate.client("autoscaling")),
        estate.client("ssm"),
        AwsLoadBalancing(estate.client("elbv2")).target_groups,
    )


def fake_estate(fleet: Fleet) -> FakeEstate:
    fake = FakeEstate(
        (
            Instance(
                id=i,
                state="running",
                lifecycle="unknown",
                tags={"signalbox:spot": "act"},
                group="web",
                member_state="InService",
            )
            for i in fleet.instances
        ),
        [
            Group(
                name="web",
                tags=TAGS,
                target_groups=(fleet.target_group,),
                capacity_rebalance=True,
                suspended=frozenset({"AZRebalance"}),
                desired=70,
                members=dict.fromkeys(fleet.instances, "InService"),
            )
        ],
    )
    fake.all_target_groups = [
        TargetGroup(arn=fleet.target_group, name="web"),
        TargetGroup(arn=target_group("flows"), name="flows", protocol="TCP", target_type="ip"),
    ]
    fake.all_parameters = {f"/signalbox/spot/g{n}/commands": f"v{n}" for n in range(12)}
    return fake


@pytest.fixture(params=["aws", "fake"])
def reader(request: pytest.FixtureRequest, estate: GuardedEstate, fleet: Fleet) -> EstateReader:
    make: dict[str, Callable[[], EstateReader]] = {
        "aws": lambda: aws_estate(estate),
        "fake": lambda: fake_estate(fleet),
    }
    return make[request.param]()


class TestReading:
    """On AWS and on the fake alike."""

    def test_a_snapshot_has_the_instances_and_their_groups(self, reader: EstateReader, fleet: Fleet) -> None:
        unknown = "i-0000000000000dead"
        snapshot = reader.snapshot([*fleet.instances, unknown])
        assert set(snapshot.instances) == set(fleet.instances)
        expected = fake_estate(fleet)
        assert snapshot.groups == expected.all_groups
        one = snapshot.instances[fleet.instances[0]]
        assert one == expected.all_instances[one.id]

    def test_only_groups_that_exist(self, reader: EstateReader) -> None:
        assert list(reader.groups(["web", "nowhere"])) == ["web"]
        assert reader.groups([]) == {}

    def test_only_parameters_that_exist(self, reader: EstateReader) -> None:
        names = [f"/signalbox/spot/g{n}/commands" for n in range(14)]
        assert reader.parameters(names) == {f"/signalbox/spot/g{n}/commands": f"v{n}" for n in range(12)}
        assert reader.parameters([]) == {}

    def test_only_target_groups_that_exist_by_name_or_arn(self, reader: EstateReader, fleet: Fleet) -> None:
        gone = fleet.target_group.replace("/web/", "/gone/")
        found = reader.target_groups(["web", fleet.target_group, "flows", "gone", gone])
        assert found.keys() == {"web", fleet.target_group, "flows"}
        assert found["web"] == found[fleet.target_group]
        assert (found["web"].arn, found["web"].protocol) == (fleet.target_group, "HTTP")
        assert (found["flows"].protocol, found["flows"].target_type) == ("TCP", "ip")
        assert reader.target_groups([]) == {}

    def test_nothing_to_look_at(self, reader: EstateReader) -> None:
        snapshot = reader.snapshot([])
        assert (snapshot.instances, snapshot.groups) == ({}, {})


class TestCalls:
    """How often AWS is called, exactly."""

    def test_a_snapshot_of_seventy_takes_two_calls(self, estate: GuardedEstate, fleet: Fleet) -> None:
        aws_estate(estate).snapshot(fleet.instances)
        assert estate.calls()["calls"] == {
            "ec2:DescribeTags": 1,  # 200 ids a filter
            "autoscaling:DescribeAutoScalingGroups": 1,
        }

    def test_forty_target_groups_take_two_calls_and_none_for_some_seconds(
        self, estate: GuardedEstate, fleet: Fleet
    ) -> None:
        reader = aws_estate(estate)
        for _ in range(2):
            assert len(reader.target_groups([f"many{n}" for n in range(40)])) == 40
            assert estate.calls()["calls"] == {"elasticloadbalancing:DescribeTargetGroups": 2}

    def test_a_target_group_that_is_gone_is_found_by_halving(
        self, estate: GuardedEstate, fleet: Fleet
    ) -> None:
        names = [*(f"many{n}" for n in range(19)), "gone"]
        assert len(aws_estate(estate).target_groups(names)) == 19
        assert estate.calls()["calls"]["elasticloadbalancing:DescribeTargetGroups"] <= 11

    def test_nothing_asked_is_no_call(self, estate: GuardedEstate) -> None:
        aws_estate(estate).snapshot([])
        aws_estate(estate).parameters([])
        aws_estate(estate).target_groups([])
        assert estate.calls()["total"] == 0

    def test_twelve_parameters_take_two_calls(self, estate: GuardedEstate) -> None:
        aws_estate(estate).parameters([f"/signalbox/spot/g{n}/commands" for n in range(12)])
        assert estate.calls()["calls"] == {"ssm:GetParameters": 2}


class TestDetaching:
    def test_detached_instances_leave_the_group_and_are_replaced(
        self, estate: GuardedEstate, fleet: Fleet
    ) -> None:
        auto_scaling = AwsAutoScaling(estate.client("autoscaling"))
        group = auto_scaling.groups(["web"])["web"]
        leaving = sorted(group.members)[:2]
        auto_scaling.detach("web", leaving)
        assert auto_scaling.member_states(leaving) == {}
        after = auto_scaling.groups(["web"])["web"]
        assert (after.desired, len(after.members)) == (group.desired, len(group.members))
        assert estate.health(fleet, *leaving) == dict.fromkeys(leaving, "draining")

    def test_what_is_not_in_the_group_is_refused(self, estate: GuardedEstate) -> None:
        with pytest.raises(RefusedError, match="ValidationError"):
            AwsAutoScaling(estate.client("autoscaling")).detach("web", ["i-0000000000000dead"])

    def test_member_states_tell_group_and_state(self, estate: GuardedEstate) -> None:
        auto_scaling = AwsAutoScaling(estate.client("autoscaling"))
        member = next(iter(auto_scaling.groups(["web"])["web"].members))
        assert auto_scaling.member_states([member]) == {member: ("web", "InService")}


class TestDraining:
    def test_deregistered_targets_drain(self, estate: GuardedEstate, fleet: Fleet) -> None:
        balancing = AwsLoadBalancing(estate.client("elbv2"))
        target = estate.members(fleet)[-1]
        balancing.deregister(fleet.target_group, [target, "i-0000000000000dead"])
        assert balancing.target_states(fleet.target_group, [target])[target] == "draining"

    def test_a_target_group_that_is_gone(self, estate: GuardedEstate, fleet: Fleet) -> None:
        gone = fleet.target_group.replace("/web/", "/gone/")
        with pytest.raises(NotFoundError):
            AwsLoadBalancing(estate.client("elbv2")).deregister(gone, fleet.instances[:1])


def since() -> float:
    return time.time()


@contextmanager
def invocation(command_id: str, instance: str, status: str) -> Iterator[None]:
    """How the command stands on one instance, for a while."""
    command = ssm_backends[ACCOUNT][REGION].get_command_by_id(command_id)
    [found] = [each for each in command.invocations if each["InstanceId"] == instance]
    before = found["Status"]
    found["Status"] = status
    yield
    found["Status"] = before


class TestCommands:
    def send(self, estate: GuardedEstate, instances: list[str], comment: str) -> str:
        return AwsRunCommand(estate.client("ssm")).send(
            DOCUMENT, instances, {"Commands": ["true"]}, delivery_timeout=30, comment=comment
        )

    def test_commands_that_went_well_are_read_in_one_call(self, estate: GuardedEstate, fleet: Fleet) -> None:
        members = estate.members(fleet)[:51]
        sent = {self.send(estate, members[:50], "fifty"), self.send(estate, members[50:], "one")}
        self.send(estate, members[:1], "nobody asks for this one")
        estate.ask("POST", "reset")
        states = AwsRunCommand(estate.client("ssm")).invocation_states(DOCUMENT, sent, since(), each=True)
        assert states == dict.fromkeys(members, "Success")
        assert estate.calls()["calls"] == {"ssm:ListCommands": 1}

    @pytest.mark.parametrize(
        ("each", "told"), [(False, ["InProgress"] * 3), (True, ["Success", "InProgress", "Success"])]
    )
    def test_a_command_that_is_not_over_is_read_by_instance_only_when_it_matters(
        self, estate: GuardedEstate, fleet: Fleet, *, each: bool, told: list[str]
    ) -> None:
        members = sorted(estate.members(fleet)[:3])
        sent = self.send(estate, members, "slow")
        with invocation(sent, members[1], "InProgress"):
            states = AwsRunCommand(estate.client("ssm")).invocation_states(
                DOCUMENT, {sent}, since(), each=each
            )
        assert [states[instance] for instance in members] == told

    def test_a_command_that_failed_somewhere_is_read_by_instance(
        self, estate: GuardedEstate, fleet: Fleet
    ) -> None:
        members = estate.members(fleet)[:3]
        sent = self.send(estate, members, "bad")
        with invocation(sent, members[0], "Failed"):
            states = AwsRunCommand(estate.client("ssm")).invocation_states(
                DOCUMENT, {sent}, since(), each=False
            )
        assert states == dict.fromkeys(members, "Success") | {members[0]: "Failed"}

    def test_commands_sent_before_are_not_read(self, estate: GuardedEstate, fleet: Fleet) -> None:
        sent = self.send(estate, estate.members(fleet)[:1], "early")
        later = since() + 2 * CLOCK_SLACK_SECONDS
        run_command = AwsRunCommand(estate.client("ssm"))
        assert run_command.invocation_states(DOCUMENT, {sent}, later, each=True) == {}

    def test_what_was_sent_is_found_by_its_comment_alone(self, estate: GuardedEstate, fleet: Fleet) -> None:
        members = estate.members(fleet)[:3]
        command = self.send(estate, members, "signalbox one")
        self.send(estate, members, "signalbox two")
        found = AwsRunCommand(estate.client("ssm")).sent(DOCUMENT, "signalbox one")
        assert {key: sorted(value) for key, value in found.items()} == {command: sorted(members)}

    def test_one_instance_that_is_not_managed_is_told_apart(
        self, estate: GuardedEstate, fleet: Fleet
    ) -> None:
        with pytest.raises(InvalidInstancesError):
            self.send(estate, [*estate.members(fleet)[:1], "i-0000000000000dead"], "bad")


CALLS: dict[str, Callable[[GuardedEstate, Fleet], Any]] = {
    "autoscaling:DescribeAutoScalingGroups": lambda e, f: aws_estate(e).groups(["web"]),
    "ec2:DescribeInstances": lambda e, f: AwsInstances(e.client("ec2")).describe(f.instances[:1]),
    "elasticloadbalancing:DeregisterTargets": lambda e, f: AwsLoadBalancing(e.client("elbv2")).deregister(
        f.target_group, ["i-0000000000000dead"]
    ),
    "elasticloadbalancing:DescribeTargetGroups": lambda e, f: aws_estate(e).target_groups(["web"]),
    "ssm:GetParameters": lambda e, f: aws_estate(e).parameters(["/signalbox/spot/g0/commands"]),
}


class TestErrors:
    """What AWS says becomes this program's kinds, by code and status, on every protocol."""

    @pytest.mark.parametrize("operation", list(CALLS))
    def test_throttled(self, estate: GuardedEstate, fleet: Fleet, operation: str) -> None:
        estate.order_fault(operation, "throttle", times=1)
        with pytest.raises(ThrottledError):
            CALLS[operation](estate, fleet)

    @pytest.mark.parametrize("operation", list(CALLS))
    def test_unavailable(self, estate: GuardedEstate, fleet: Fleet, operation: str) -> None:
        estate.order_fault(operation, "error", times=1, status=503)
        with pytest.raises(UnavailableError):
            CALLS[operation](estate, fleet)

    @pytest.mark.parametrize("operation", list(CALLS))
    def test_an_answer_that_is_lost_is_unavailable(
        self, estate: GuardedEstate, fleet: Fleet, operation: str
    ) -> None:
        estate.order_fault(operation, "lost_answer", times=1)
        with pytest.raises(UnavailableError):
            CALLS[operation](estate, fleet)


def test_the_evidence_reads_groups_and_targets(estate: GuardedEstate, fleet: Fleet) -> None:
    evidence = AwsEvidence(
        AwsAutoScaling(estate.client("autoscaling")),
        AwsLoadBalancing(estate.client("elbv2")),
        AwsRunCommand(estate.client("ssm")),
        AwsContainerInstances(estate.client("ecs")),
        AwsClassicLoadBalancing(estate.client("elb")).registered_states,
    )
    member = estate.members(fleet)[0]
    assert member in evidence.groups(["web"])["web"].members
    assert evidence.target_states(fleet.target_group, [member]) == {member: "healthy"}


def test_an_instance_that_its_group_ends_is_replaced(estate: GuardedEstate, fleet: Fleet) -> None:
    auto_scaling = AwsAutoScaling(estate.client("autoscaling"))
    before = auto_scaling.groups(["web"])["web"]
    leaving = min(before.members)
    auto_scaling.terminate(leaving)
    after = auto_scaling.groups(["web"])["web"]
    assert leaving not in after.members
    assert (after.desired, len(after.members)) == (before.desired, len(before.members))


def test_it_is_known_since_when_those_run_that_are_looked_at_closely(
    estate: GuardedEstate, fleet: Fleet
) -> None:
    first, second = sorted(estate.members(fleet))[:2]
    found = aws_estate(estate).snapshot([first, second], [first]).instances
    assert found[first].launched_at > 0
    assert found[second].launched_at == 0
    assert msgspec.structs.replace(found[first], launched_at=0.0, id=second) == found[second]
