"""ECS container instances: drained in tens, whatever state some of them are in."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import AccessDeniedError, NotFoundError, RefusedError, ThrottledError
from signalbox.ledger.actions import Deviation, Result
from signalbox.spot.containers import DRAIN_CHUNK, LEAVING, ContainerInstance, DrainContainers
from tests.unit.spot.doubles import Failing, action, instance_id

ABSENT = Deviation("skipped", "no container instance of cluster")


def member(number: int, status: str = "ACTIVE", arn: str = "") -> ContainerInstance:
    return ContainerInstance(
        arn=arn or f"arn-{number}", instance=instance_id(number), status=status, running_tasks=1
    )


class FakeCluster:
    """One cluster named ``cluster``. ``refused`` fail their whole call, ``failing`` only themselves."""

    def __init__(
        self,
        members: Iterable[ContainerInstance],
        *,
        refused: Iterable[int] = (),
        failing: Iterable[int] = (),
        error: type[RefusedError] = RefusedError,
    ) -> None:
        self.members = list(members)
        self._refused = {f"arn-{number}" for number in refused}
        self._failing = {f"arn-{number}" for number in failing}
        self._error = error
        self.drained: list[str] = []
        self.calls: list[int] = []

    def container_instances(self, cluster: str, instances: Sequence[str]) -> list[ContainerInstance]:
        if cluster != "cluster":
            raise NotFoundError("ClusterNotFoundException: Cluster not found.")
        assert len(instances) <= 100
        return [each for each in self.members if each.instance in instances]

    def drain(self, cluster: str, arns: Sequence[str]) -> dict[str, str]:
        self.calls.append(len(arns))
        if not 1 <= len(arns) <= DRAIN_CHUNK:
            raise RefusedError("InvalidParameterException: instanceIds can have at most 10 items.")
        if self._refused.intersection(arns):
            raise self._error("InvalidParameterException: one of them")
        self.drained += [arn for arn in arns if arn not in self._failing]
        return {arn: "INACTIVE" for arn in arns if arn in self._failing}


def drain(cluster: FakeCluster, of: Iterable[int], target: str = "cluster") -> Result:
    return DrainContainers(cluster).perform(action("containers", of=of, target=target))


def test_a_hundred_are_drained_in_tens() -> None:
    cluster = FakeCluster(member(number) for number in range(100))
    result = drain(cluster, range(100))
    assert (result.status, result.deviations) == ("succeeded", {})
    assert cluster.calls == [10] * 10
    assert sorted(cluster.drained) == sorted(each.arn for each in cluster.members)


def test_what_drains_already_is_left_alone_and_counts() -> None:
    cluster = FakeCluster([member(0, "DRAINING"), member(1)])
    result = drain(cluster, range(2))
    assert (result.status, result.deviations, cluster.drained) == ("succeeded", {}, ["arn-1"])


def test_where_all_drain_already_nothing_is_called() -> None:
    cluster = FakeCluster([member(0, "DRAINING")])
    assert (drain(cluster, [0]).status, cluster.calls) == ("succeeded", [])


@pytest.mark.parametrize("status", sorted(LEAVING))
def test_what_is_no_container_instance_any_more_is_skipped(status: str) -> None:
    cluster = FakeCluster([member(0, status), member(1)])
    result = drain(cluster, range(3))
    assert result.deviations == dict.fromkeys((instance_id(0), instance_id(2)), ABSENT)
    assert (result.status, cluster.drained) == ("succeeded", ["arn-1"])


def test_where_there_is_none_at_all_there_is_nothing_to_do() -> None:
    result = drain(FakeCluster([]), range(2))
    assert (result.status, len(result.deviations)) == ("skipped", 2)


def test_a_cluster_that_is_gone_is_skipped() -> None:
    result = drain(FakeCluster([]), [0], target="another")
    assert (result.status, "gone" in result.reason) == ("skipped", True)


def test_one_that_fails_is_told_apart() -> None:
    cluster = FakeCluster([member(0), member(1)], failing=[1])
    result = drain(cluster, range(2))
    assert (result.status, cluster.drained) == ("succeeded", ["arn-0"])
    assert result.deviations == {instance_id(1): Deviation("failed", "INACTIVE")}


@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_who_is_to_blame_holds_up_no_other(number: int, refused: set[int], failing: set[int]) -> None:
    cluster = FakeCluster(map(member, range(number)), refused=refused, failing=failing)
    result = drain(cluster, range(number))
    well = set(range(number)) - refused - failing
    assert sorted(cluster.drained) == sorted(f"arn-{each}" for each in well)
    assert result.deviations.keys() == {instance_id(each) for each in set(range(number)) - well}
    assert {deviation.status for deviation in result.deviations.values()} <= {"failed"}
    assert result.status == ("succeeded" if well else "failed")


def test_a_role_that_may_not_says_so() -> None:
    cluster = FakeCluster([member(0)], refused=[0], error=AccessDeniedError)
    result = drain(cluster, [0])
    assert result.status == "failed"
    assert result.deviations[instance_id(0)].reason.startswith("access-denied")


def test_an_instance_that_is_registered_twice_is_drained_twice() -> None:
    cluster = FakeCluster([member(0, arn="old"), member(0, arn="new")])
    assert drain(cluster, [0]).status == "succeeded"
    assert sorted(cluster.drained) == ["new", "old"]


def test_being_throttled_is_for_the_worker_to_try_again() -> None:
    cluster = FakeCluster(member(number) for number in range(20))
    throttled = Failing(cluster, drain=[ThrottledError("slow")])
    with pytest.raises(ThrottledError):
        DrainContainers(throttled).perform(action("containers", of=range(20)))
    assert drain(cluster, range(20)).status == "succeeded"
