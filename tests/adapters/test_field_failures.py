"""What goes wrong in the field with handlers of Spot interruptions, where it is AWS's own answers that do it.

On moto behind its guard, which refuses in AWS's words. The others: tests/unit/spot/test_field_failures.py.
"""

from collections.abc import Iterator

import pytest
from moto.autoscaling.models import autoscaling_backends

from local.settings import ACCOUNT, REGION
from signalbox.errors import RefusedError
from signalbox.spot.aws_estate import AwsAutoScaling, AwsEstate, AwsInstances, AwsLoadBalancing
from signalbox.spot.configuration import MODE_TAG
from signalbox.spot.performers import DetachInstances
from signalbox.spot.planning import Policy, actions_of
from tests.local.guarded_estate import IMAGE, Fleet, GuardedEstate, guarded_estate
from tests.unit.spot.doubles import PLAN, action, decision

pytestmark = pytest.mark.embedded
STRANGER = "i-0000000000000dead"


@pytest.fixture
def estate() -> Iterator[GuardedEstate]:
    with guarded_estate() as estate:
        yield estate


@pytest.fixture
def fleet(estate: GuardedEstate) -> Fleet:
    return estate.fleet(22)


class Noted(AwsAutoScaling):
    """Notes what each DetachInstances was refused for."""

    refusals: tuple[str, ...] = ()

    def detach(self, group: str, instances: object) -> None:
        try:
            super().detach(group, instances)  # type: ignore[arg-type]  # the same as it was called with
        except RefusedError as error:
            self.refusals = (*self.refusals, str(error))
            raise


class Test2AnInstanceUnlikeTheOthers:
    """An instance without any tag has no `Tags` in EC2's answer, an on-demand one no `InstanceLifecycle`; one
    in no group is not in Auto Scaling's. Handlers that take them for granted die of a KeyError."""

    def test_what_is_missing_from_the_answers_is_no_error(self, estate: GuardedEstate, fleet: Fleet) -> None:
        ec2 = estate.client("ec2")
        [bare] = [
            each["InstanceId"]
            for each in ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)["Instances"]
        ]
        reader = AwsEstate(
            AwsInstances(ec2),
            AwsAutoScaling(estate.client("autoscaling")),
            estate.client("ssm"),
            AwsLoadBalancing(estate.client("elbv2")).target_groups,
        )
        found = reader.snapshot([bare, fleet.instances[0]]).instances
        assert (found[bare].tags, found[bare].group, found[bare].lifecycle) == ({}, "", "")
        assert MODE_TAG not in found[fleet.instances[0]].tags


class Test3OneIdPoisonsTheCall:
    """DescribeInstances with one id that EC2 has forgotten fails for all: InvalidInstanceID.NotFound."""

    def test_an_instance_that_is_gone_hides_no_other(self, estate: GuardedEstate, fleet: Fleet) -> None:
        ended, *others = fleet.instances
        estate.client("ec2").terminate_instances(InstanceIds=[ended])
        estate.ask("POST", "reset")
        found = AwsInstances(estate.client("ec2")).describe([STRANGER, ended, *others])
        assert {each["InstanceId"] for each in found} == set(fleet.instances)
        assert estate.calls()["calls"] == {"ec2:DescribeInstances": 1}


class Test4DetachInstancesRefusesTheWholeCall:
    """One instance in the wrong state, or one too many, and none of the call is detached
    (reproio/ecs_deploy#39, #47, #56, #84)."""

    def test_one_that_is_not_in_service_holds_up_no_other(self, estate: GuardedEstate, fleet: Fleet) -> None:
        ending, *others = fleet.instances[:4]
        # moto has no lifecycle hooks that hold: the state is set by hand.
        states = autoscaling_backends[ACCOUNT][REGION].autoscaling_groups["web"].instance_states
        [held] = [state for state in states if state.instance.id == ending]
        held.lifecycle_state = "Terminating:Wait"
        self.detached(estate, [ending, *others], others, "is not in InService or Standby")

    def test_one_of_no_group_holds_up_no_other(self, estate: GuardedEstate, fleet: Fleet) -> None:
        others = fleet.instances[:3]
        self.detached(estate, [STRANGER, *others], others, "is not part of Auto Scaling group web")

    def test_more_than_a_call_takes_are_several_calls(self, estate: GuardedEstate, fleet: Fleet) -> None:
        found = [decision(n, kinds=("detach",), instance=i) for n, i in enumerate(fleet.instances)]
        auto_scaling = Noted(estate.client("autoscaling"))
        for each in actions_of(PLAN, found, {}, Policy()):
            assert DetachInstances(auto_scaling).perform(each).status == "succeeded"
        assert auto_scaling.refusals == ()
        assert not set(fleet.instances) & set(estate.members(fleet))
        with pytest.raises(RefusedError, match="List exceeds the maximum number of instances to detach"):
            auto_scaling.detach("web", [f"i-{n:017x}" for n in range(21)])

    def detached(self, estate: GuardedEstate, asked: list[str], expected: list[str], words: str) -> None:
        auto_scaling = Noted(estate.client("autoscaling"))
        result = DetachInstances(auto_scaling).perform(action(subjects=tuple(asked)))
        assert [words in refusal for refusal in auto_scaling.refusals] == [True]
        assert auto_scaling.member_states(expected) == {}
        assert result.status == "succeeded"
        assert set(result.deviations) == set(asked) - set(expected)
