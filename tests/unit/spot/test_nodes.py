"""Nodes drained in the time that there is, whatever stands in the way."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from signalbox.ledger.actions import Deviation, Result
from signalbox.spot.nodes import (
    LATE_SECONDS,
    MARGIN_SECONDS,
    NAMED_PODS,
    PATIENCE_SECONDS,
    DisruptionBudgetError,
    DrainNodes,
    Pod,
)
from tests.unit.spot.clusters import FakeCluster, FakeClusters, pod
from tests.unit.spot.doubles import NOON, Failing, MovableClock, action, instance_id


class Sleepless(MovableClock):
    """Moves instead of sleeping, and remembers when it would have woken."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[float] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.woken.append(self.now)


class Slow:
    """Each call to the cluster takes that long."""

    def __init__(self, cluster: object, clock: MovableClock, seconds: float) -> None:
        self._cluster = cluster
        self._clock = clock
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)

        def slow(*args: Any) -> Any:
            self._clock.now += self._seconds
            return method(*args)

        return slow


class OneNodeRefuses:
    """A cluster where one step never works on the first node and its pod."""

    def __init__(self, cluster: FakeCluster, step: str, error: Exception) -> None:
        self._cluster = cluster
        self._step = step
        self._error = error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)

        def refusing(subject: Any, *args: Any) -> Any:
            if name == self._step and (subject == "node-0" or getattr(subject, "name", "") == "web-0"):
                raise self._error
            return method(subject, *args)

        return refusing


@pytest.fixture
def clock() -> Sleepless:
    return Sleepless()


@pytest.fixture
def cluster(clock: Sleepless) -> FakeCluster:
    """Three nodes, a pod each."""
    return nodes(FakeCluster(clock), 3)


def nodes(cluster: FakeCluster, number: int) -> FakeCluster:
    for n in range(number):
        cluster.add_node(f"node-{n}", instance_id(n))
        cluster.add_pod(f"node-{n}", pod(f"web-{n}"))
    return cluster


def drain(
    cluster: Any, clock: Sleepless, *, left: float = 110.0, of: Iterable[int] = (0, 1, 2), **changes: Any
) -> Result:
    to_do = action("nodes", of=of, target="shop-cluster", deadline=clock() + left, **changes)
    return DrainNodes(FakeClusters(**{"shop-cluster": cluster}), clock, clock.sleep).perform(to_do)


def ways(cluster: FakeCluster) -> dict[str, tuple[str, int]]:
    """Pod → how it went and with how much grace."""
    return {name.removeprefix("shop/"): (how, grace) for how, name, grace, _ in cluster.removals}


def test_every_node_is_cordoned_and_its_pods_are_evicted_with_their_own_grace(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    cluster.add_pod("node-0", pod("cart", grace=90))
    assert drain(cluster, clock) == Result(status="succeeded")
    assert cluster.cordoned == {"node-0", "node-1", "node-2"}
    assert ways(cluster) == {
        "cart": ("evict", 90),
        "web-0": ("evict", 30),
        "web-1": ("evict", 30),
        "web-2": ("evict", 30),
    }
    assert cluster.removals[0][1] == "shop/cart", "what needs longest goes first"
    assert clock.woken == []


def test_no_pod_is_evicted_before_every_node_is_cordoned(cluster: FakeCluster, clock: Sleepless) -> None:
    cordoned_at_each_eviction = []

    class Watching(FakeCluster):
        def evict(self, pod: Pod, grace: int) -> None:
            cordoned_at_each_eviction.append(len(self.cordoned))
            super().evict(pod, grace)

    drain(nodes(Watching(clock), 3), clock)
    assert cordoned_at_each_eviction == [3, 3, 3]


@pytest.mark.parametrize(
    "left_alone",
    [
        pod("logs", controller="DaemonSet"),
        pod("kube-proxy", controller="Node", mirror=True),
        pod("import", controller="Job", finished=True),
        pod("old", terminating=True),
    ],
    ids=lambda p: p.name,
)
def test_what_ends_by_itself_or_would_come_back_is_left_alone(
    cluster: FakeCluster, clock: Sleepless, left_alone: Pod
) -> None:
    cluster.add_pod("node-0", left_alone)
    assert drain(cluster, clock) == Result(status="succeeded")
    assert set(ways(cluster)) == {"web-0", "web-1", "web-2"}


def test_a_pod_without_a_controller_goes_too(cluster: FakeCluster, clock: Sleepless) -> None:
    cluster.add_pod("node-0", pod("alone", controller=""))
    drain(cluster, clock)
    assert ways(cluster)["alone"] == ("evict", 30)


def test_drained_again_nothing_happens_again(cluster: FakeCluster, clock: Sleepless) -> None:
    drain(cluster, clock)
    before = list(cluster.removals)
    assert drain(cluster, clock, attempts=2) == Result(status="succeeded")
    assert cluster.removals == before


# Too little time


@pytest.mark.parametrize(("left", "grace"), [(29.9 + MARGIN_SECONDS, 29), (10, 8), (3, 1), (1, 1), (-60, 1)])
def test_with_less_time_than_its_grace_a_pod_is_deleted_with_what_is_left(
    cluster: FakeCluster, clock: Sleepless, left: float, grace: int
) -> None:
    assert drain(cluster, clock, left=left) == Result(status="succeeded")
    assert ways(cluster) == {f"web-{n}": ("delete", grace) for n in range(3)}


def test_with_just_enough_time_it_is_evicted(cluster: FakeCluster, clock: Sleepless) -> None:
    drain(cluster, clock, left=30 + MARGIN_SECONDS)
    assert ways(cluster) == {f"web-{n}": ("evict", 30) for n in range(3)}


def test_a_pod_never_gets_a_grace_of_nothing(cluster: FakeCluster, clock: Sleepless) -> None:
    cluster.add_pod("node-0", pod("hasty", grace=0))
    drain(cluster, clock)
    assert ways(cluster)["hasty"] == ("evict", 1)


# Budgets


def test_a_refused_pod_is_asked_again_until_its_budget_allows_it(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    cluster.protect(pod("web-1"), until=NOON + 20)
    assert drain(cluster, clock) == Result(status="succeeded")
    assert ways(cluster)["web-1"] == ("evict", 30)
    assert NOON + 20 <= cluster.removals[-1][3] <= NOON + 25


def test_a_refused_pod_is_named_when_the_time_is_up_and_its_budget_was_not_passed_over(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    cluster.protect(pod("web-1"))
    result = drain(cluster, clock, left=60)
    assert (result.status, list(result.deviations)) == ("succeeded", [instance_id(1)])
    deviation = result.deviations[instance_id(1)]
    assert deviation.status == "failed"
    assert deviation.reason.startswith("node-1: disruption-budget: shop/web-1 (")
    assert set(ways(cluster)) == {"web-0", "web-2"}
    assert clock.woken[-1] <= NOON + 60


def test_a_pod_that_its_budget_keeps_to_the_end_may_go_with_what_time_is_left(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    cluster.protect(pod("web-1"), until=NOON + 40)
    assert drain(cluster, clock, left=60) == Result(status="succeeded")
    how, grace = ways(cluster)["web-1"]
    assert how == "evict"
    assert grace < 18


@pytest.mark.parametrize("grace", [1, 30])
def test_a_refused_pod_is_deleted_in_the_end_where_the_payload_says_force(
    cluster: FakeCluster, clock: Sleepless, grace: int
) -> None:
    stubborn = pod("stubborn", grace=grace)
    cluster.add_pod("node-1", stubborn)
    cluster.protect(stubborn)
    assert drain(cluster, clock, left=60, payload={"force": True}) == Result(status="succeeded")
    how, given_grace = ways(cluster)["stubborn"]
    assert how == "delete"
    assert given_grace >= min(grace, 20), "deleted early enough for most of its grace"
    assert cluster.removals[-1][3] > NOON + 15, "not before it was asked for a while"


def test_a_budget_is_not_forgotten_for_a_fault_that_comes_between(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    cluster.protect(pod("web-0"))
    refused = DisruptionBudgetError("its budget")
    flaky = Failing(cluster, evict=[refused, *[UnavailableError("500")] * 50])
    drain(flaky, clock, left=60, of=(0,))
    assert cluster.removals == []


def test_nobody_waits_longer_than_the_claim_on_the_action_holds(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    cluster.protect(pod("web-1"))
    result = drain(cluster, clock, left=3600)
    assert clock() <= NOON + PATIENCE_SECONDS
    assert result.deviations[instance_id(1)].status == "failed"


# Faults


@pytest.mark.parametrize("step", ["cordon", "pods", "evict"])
@pytest.mark.parametrize("error", [ThrottledError("429"), UnavailableError("503"), ConflictError("409")])
def test_a_passing_fault_is_tried_again(
    cluster: FakeCluster, clock: Sleepless, step: str, error: SignalboxError
) -> None:
    errors: dict[str, list[Exception]] = {step: [error, error]}
    flaky = Failing(cluster, **errors)
    assert drain(flaky, clock) == Result(status="succeeded")
    assert cluster.cordoned == {"node-0", "node-1", "node-2"}
    assert set(ways(cluster)) == {"web-0", "web-1", "web-2"}


@pytest.mark.parametrize("step", ["cordon", "pods", "evict"])
@pytest.mark.parametrize("error", [AccessDeniedError("403"), ValueError("a bug")])
def test_a_lasting_fault_of_one_node_is_its_own(
    cluster: FakeCluster, clock: Sleepless, step: str, error: Exception
) -> None:
    result = drain(OneNodeRefuses(cluster, step, error), clock)
    assert (result.status, list(result.deviations)) == ("succeeded", [instance_id(0)])
    assert result.deviations[instance_id(0)].status == "failed"
    assert str(error) in result.deviations[instance_id(0)].reason
    assert {"web-1", "web-2"} <= set(ways(cluster))
    assert clock.woken == [], "there is nothing to wait for"


def test_a_node_that_cant_be_cordoned_is_emptied_all_the_same(cluster: FakeCluster, clock: Sleepless) -> None:
    result = drain(OneNodeRefuses(cluster, "cordon", AccessDeniedError("403")), clock)
    assert set(ways(cluster)) == {"web-0", "web-1", "web-2"}
    assert result.deviations[instance_id(0)].reason == "node-0: access-denied: cordon (403)"


def test_a_hung_api_costs_no_more_than_the_time_there_is(clock: Sleepless) -> None:
    class Hanging(FakeCluster):
        def evict(self, pod: Pod, grace: int) -> None:
            raise UnavailableError("no answer")

        delete = evict

    hanging = nodes(Hanging(clock), 2)
    for number in range(50):
        hanging.add_pod("node-0", pod(f"pod-{number}"))
    result = drain(Slow(hanging, clock, 10.0), clock, left=60, of=(0, 1))
    assert clock() <= NOON + 60 + 10, "the call under way may take its time"
    assert result.status == "failed"
    assert "out-of-time: shop/pod-1, " in result.deviations[instance_id(0)].reason
    assert "out-of-time: pods" in result.deviations[instance_id(1)].reason


def test_an_account_of_very_many_pods_is_kept_short(clock: Sleepless) -> None:
    cluster = FakeCluster(clock)
    cluster.add_node("node-0", instance_id(0))
    for number in range(NAMED_PODS + 5):
        stuck = pod(f"stuck-{number}")
        cluster.add_pod("node-0", stuck)
        cluster.protect(stuck)
    reason = drain(cluster, clock, left=60, of=(0,)).deviations[instance_id(0)].reason
    assert reason.count("shop/stuck-") == NAMED_PODS + 1, "the names, and one message"
    assert " and 5 more " in reason


# What is not there


def test_an_instance_that_is_no_node_and_a_node_that_is_gone_are_skipped(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    class WithoutNodeOne(FakeCluster):
        def cordon(self, node: str) -> None:
            super().cordon("nowhere" if node == "node-1" else node)

    result = drain(nodes(WithoutNodeOne(clock), 2), clock)
    assert result == Result(
        status="succeeded",
        deviations={
            instance_id(1): Deviation("skipped", "the node node-1 is gone"),
            instance_id(2): Deviation("skipped", "no node of shop-cluster"),
        },
    )


def test_where_there_is_nothing_to_drain_the_action_is_skipped(clock: Sleepless) -> None:
    result = drain(FakeCluster(clock), clock, of=(0,))
    assert (result.status, result.reason) == ("skipped", "no node was left to drain")
    gone = DrainNodes(FakeClusters(), clock, clock.sleep).perform(action("nodes", target="shop-cluster"))
    assert gone.status == "skipped"
    assert gone.reason.startswith("the cluster is gone: ")


def test_where_no_node_could_be_drained_the_action_has_failed(cluster: FakeCluster, clock: Sleepless) -> None:
    cluster.protect(pod("web-0"))
    result = drain(cluster, clock, left=40, of=(0, 7))
    assert result.status == "failed"
    assert result.reason.startswith("no node could be drained: node-0: disruption-budget: shop/web-0")
    assert set(result.deviations) == {instance_id(0), instance_id(7)}


def test_a_cluster_that_can_not_be_read_is_the_workers_to_try_again(
    cluster: FakeCluster, clock: Sleepless
) -> None:
    with pytest.raises(UnavailableError):
        drain(Failing(cluster, nodes=[UnavailableError("503")]), clock)


def test_nodes_may_be_drained_side_by_side(cluster: FakeCluster, clock: Sleepless) -> None:
    to_do = action("nodes", of=range(3), target="shop-cluster")
    with ThreadPoolExecutor(3) as pool:
        drains = DrainNodes(FakeClusters(**{"shop-cluster": cluster}), clock, clock.sleep, pool.map)
        assert drains.perform(to_do) == Result(status="succeeded")
    assert set(ways(cluster)) == {"web-0", "web-1", "web-2"}


# Whatever the graces, the budgets, the faults and the time

pods_of_a_node = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5, 30, 60, 300]),  # grace
        st.sampled_from([None, None, 3.0, 45.0, 1e9]),  # seconds for which its budget refuses
        st.sampled_from(["ReplicaSet", "StatefulSet", "", "DaemonSet"]),
    ),
    max_size=6,
)
faults = st.dictionaries(
    st.sampled_from(["cordon", "pods", "evict", "delete"]),
    st.lists(
        st.sampled_from(
            [ThrottledError("429"), UnavailableError("503"), ConflictError("409"), AccessDeniedError("403")]
        ),
        max_size=6,
    ),
)


@given(
    population=st.lists(pods_of_a_node, min_size=1, max_size=3),
    left=st.floats(-30, 200),
    latency=st.sampled_from([0.0, 0.05, 2.0]),
    errors=faults,
    force=st.booleans(),
)
def test_every_pod_is_evicted_deleted_or_named_and_nobody_waits_past_the_deadline(
    population: list[list[tuple[int, float | None, str]]],
    left: float,
    latency: float,
    errors: dict[str, list[Exception]],
    force: bool,  # noqa: FBT001 - drawn, not passed by a caller
) -> None:
    clock = Sleepless()
    cluster = FakeCluster(clock)
    evictable: dict[str, str] = {}
    for number, pods in enumerate(population):
        cluster.add_node(f"node-{number}", instance_id(number))
        for index, (grace, refused_for, controller) in enumerate(pods):
            one = pod(f"p-{number}-{index}", grace=grace, controller=controller)
            cluster.add_pod(f"node-{number}", one)
            if refused_for is not None:
                cluster.protect(one, until=NOON + refused_for)
            if controller != "DaemonSet":
                evictable[one.full_name] = instance_id(number)
    tested = Slow(Failing(cluster, **{k: list(v) for k, v in errors.items()}), clock, latency)
    result = drain(tested, clock, left=left, of=range(len(population)), payload={"force": force})

    removed = [name for _, name, _, _ in cluster.removals]
    assert len(removed) == len(set(removed)), "nobody is asked to go twice"
    assert set(removed) <= set(evictable)
    for name in set(evictable) - set(removed):
        deviation = result.deviations[evictable[name]]
        assert deviation.status == "failed"
        assert re.search(rf"{name}\b|\bpods\b", deviation.reason), (name, deviation.reason)
    assert all(woken <= NOON + left for woken in clock.woken)
    deadline = NOON + left - MARGIN_SECONDS
    for how, _, grace, at in cluster.removals:
        assert grace >= 1
        assert grace <= max(1, deadline - (at - latency)), f"{how} with more grace than time"
    calls_until = max(deadline, NOON + latency + LATE_SECONDS) + 2 * latency
    assert all(at <= calls_until for _, _, _, at in cluster.removals)


@given(
    graces=st.lists(st.sampled_from([0, 1, 5, 30, 60, 300]), min_size=1, max_size=6),
    refused_for=st.sampled_from([3.0, 45.0, 1e9]),
    left=st.floats(-30, 200),
)
def test_with_force_no_budget_keeps_a_pod_to_the_end(
    graces: list[int], refused_for: float, left: float
) -> None:
    clock = Sleepless()
    cluster = FakeCluster(clock)
    cluster.add_node("node-0", instance_id(0))
    for number, grace in enumerate(graces):
        one = pod(f"p-{number}", grace=grace)
        cluster.add_pod("node-0", one)
        cluster.protect(one, until=NOON + refused_for)
    assert drain(cluster, clock, left=left, of=(0,), payload={"force": True}) == Result(status="succeeded")
    assert len(cluster.removals) == len(graces)


@given(graces=st.lists(st.sampled_from([0, 1, 5, 30]), min_size=1, max_size=6), left=st.floats(32, 200))
def test_without_force_a_refused_pod_is_never_deleted(graces: list[int], left: float) -> None:
    clock = Sleepless()
    cluster = FakeCluster(clock)
    cluster.add_node("node-0", instance_id(0))
    for number, grace in enumerate(graces):
        one = pod(f"p-{number}", grace=grace)
        cluster.add_pod("node-0", one)
        cluster.protect(one)
    result = drain(cluster, clock, left=left, of=(0,))
    assert cluster.removals == []
    reason = result.deviations[instance_id(0)].reason
    assert all(f"shop/p-{number}" in reason for number in range(len(graces)))
