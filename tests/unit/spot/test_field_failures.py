"""What goes wrong in the field with handlers of Spot interruptions: each failure, and what keeps us from it.

In short: NTH is aws/aws-node-termination-handler, AutoSpotting is LeanerCloud/AutoSpotting, karpenter is
aws/karpenter-provider-aws. What only AWS's own answers can show, on the guarded estate:
tests/adapters/test_field_failures.py; on the deployed stack: tests/e2e/test_field_failures.py.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signalbox.errors import AccessDeniedError, RefusedError, ThrottledError, UnavailableError
from signalbox.ledger.actions import Action, Performer, Progress, Result, Worker
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan
from signalbox.ledger.windows import Segment
from signalbox.spot.closing import Closing, SettleWindow
from signalbox.spot.configuration import ECS_TAG, EKS_TAG, MODE_TAG, REBALANCE_TAG
from signalbox.spot.containers import ContainerInstance
from signalbox.spot.estate import Instance
from signalbox.spot.hooks import CompleteHooks, KeepHooks
from signalbox.spot.nodes import MARGIN_SECONDS, DrainNodes
from signalbox.spot.notices import Hook, Notice, Severity
from signalbox.spot.performers import ANSWER_SECONDS, DeregisterTargets, DetachInstances, SendCommands
from signalbox.spot.planning import FLEET_TAGS, Decision, Policy
from signalbox.spot.verification import Verification, VerifyWindow
from signalbox.spot.window import BRANCHES, PlanWindow
from tests.unit.spot.clusters import FakeCluster, FakeClusters, pod
from tests.unit.spot.doubles import (
    DOCUMENT,
    NOON,
    SCOPE,
    Failing,
    FakeAutoScaling,
    FakeEstate,
    FakeEvidence,
    FakeLoadBalancing,
    FakeRunCommand,
    MovableClock,
    fleet,
    instance_id,
    notice,
    target_group,
    warning,
    window,
)
from tests.unit.spot.test_intake import Intake, messages

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
TOKEN = "87654321-4321-4321-4321-210987654321"
HOOK = Hook("web", "drain", TOKEN)
NEVER = math.inf


class Handling:
    """Windows from notices to outcomes over a fake estate, each branch with a worker of its own."""

    def __init__(self, estate: FakeEstate, **performers: Performer) -> None:
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.evidence = FakeEvidence()
        self.beats: list[str] = []
        self._performers: Mapping[str, Performer] = performers
        ids = count(1)
        policy = Policy(command_document=DOCUMENT)
        self._planner = PlanWindow(self.ledger, estate, policy, self.clock, lambda: f"plan{next(ids)}")
        hooks = KeepHooks(self, self.clock, lambda action, error: None)
        self._verifier = VerifyWindow(self.ledger, self.evidence, hooks, self.clock)

    def heartbeat(self, group: str, hook: str, instance: str, token: str) -> None:
        self.beats.append(instance)

    def plan(self, *notices: Notice, number: int = 1) -> Plan:
        while (pointer := self.ledger.pointer(window().key)) is None or pointer.number < number:
            self.ledger.open_next(window().key, pointer, self.clock.now)
        self.ledger.append(window(number), Segment.of([msgspec.to_builtins(each) for each in notices]))
        return self._planner.plan(window(number))

    def decisions(self, *notices: Notice, number: int = 1) -> dict[str, Decision]:
        plan = self.plan(*notices, number=number)
        found = [msgspec.convert(each, Decision) for each in plan.decisions]
        return {each.instance: each for each in found}

    def work(self, *branches: str, until: float = NEVER) -> dict[str, Progress]:
        """Each branch's worker, once."""
        workers = {
            branch: Worker(
                self.ledger,
                {kind: self._performers[kind] for kind in BRANCHES[branch] if kind in self._performers},
                self.clock,
                self.clock.sleep,
                lambda action, reason, error: None,
            )
            for branch in branches or BRANCHES
        }
        return {name: worker.work(window(), "plan1", name, until) for name, worker in workers.items()}

    def look(self) -> Verification:
        return self._verifier.look(window(), "plan1")

    def settle(self) -> Closing:
        return SettleWindow(self.ledger, self.clock, late_look=300.0).settle(window(), ())

    def actions(self, kind: str) -> list[Action]:
        return self.ledger.actions(window(), "plan1", kind)


class Noting:
    """A performer that does nothing but say how it went, and how long that took."""

    def __init__(self, result: Result | None = None, takes: float = 0.0, clock: MovableClock | None = None):
        self.done: list[Action] = []
        self._result = result or Result(status="succeeded")
        self._takes = takes
        self.clock = clock

    def perform(self, action: Action) -> Result:
        self.done.append(action)
        if self.clock:
            self.clock.now += self._takes
        return self._result


def ids(numbers: Iterable[int]) -> list[str]:
    return [instance_id(number) for number in numbers]


def recommendation(number: int, *, at: float = NOON) -> Notice:
    return notice(number, at=at, severity=Severity.REBALANCE, instance_action="", deadline=None)


def lifecycle(number: int) -> Notice:
    return notice(number, severity=Severity.LIFECYCLE, instance_action="terminate", deadline=None, hook=HOOK)


def held_fleet(**changes: Any) -> FakeEstate:
    """A group of two, one of them held by a hook; without commands."""
    estate = fleet("web", range(2), **changes)
    held = msgspec.structs.replace(estate.all_instances[instance_id(0)], member_state="Terminating:Wait")
    estate.all_instances[held.id] = held
    estate.all_parameters.clear()
    return estate


class Test1ADetachThatFails:
    """The sample handler of the EC2 Spot labs detaches first: an error there, and no command is ever run."""

    @pytest.mark.parametrize(
        "error", [AccessDeniedError("no"), RefusedError("no"), KeyError("tags"), UnavailableError("gone")]
    )
    def test_a_detach_that_fails_stops_neither_draining_nor_the_commands(self, error: Exception) -> None:
        groups: Any = Failing(FakeAutoScaling(ids(range(2))), detach=[error] * 1_000)
        balancing = FakeLoadBalancing({target_group("web"): set(ids(range(2)))})
        systems_manager = FakeRunCommand(ids(range(2)))
        handling = Handling(
            fleet("web", range(2)),
            detach=DetachInstances(groups),
            deregister=DeregisterTargets(balancing),
            command=SendCommands(systems_manager, MovableClock(NOON + 90)),
        )
        handling.plan(notice(0), notice(1))
        handling.work("detach", until=NOON + 60)
        handling.clock.now = NOON + 91
        handling.work("deregister", "command")
        assert [a.status for a in handling.actions("detach")] == ["failed"]
        assert balancing.targets == {target_group("web"): set()}
        assert systems_manager.reached() == dict.fromkeys(ids(range(2)), 1)
        assert handling.settle().outcomes["failed"] == 2


class Test2AnInstanceUnlikeTheOthers:
    """Handlers that take tags and a group for granted die of a KeyError, and their batch with them."""

    def test_one_without_tags_or_group_or_of_a_fleet_is_decided_like_any_other(self) -> None:
        estate = fleet("web", [0])
        strangers = [
            Instance(id=instance_id(1), state="running", lifecycle="spot"),
            Instance(id=instance_id(2), state="running", lifecycle="spot", tags={MODE_TAG: "act"}),
            *(
                Instance(id=instance_id(3 + n), state="running", lifecycle="spot", tags={tag: "fleet-1"})
                for n, tag in enumerate(FLEET_TAGS)
            ),
        ]
        estate.all_instances |= {each.id: each for each in strangers}
        found = Handling(estate).decisions(*(notice(n) for n in range(6)))
        codes = {i: {reason.code for reason in each.reasons} for i, each in found.items()}
        assert found[instance_id(0)].kinds == ("detach", "deregister", "command")
        assert {"mode-by-default", "no-group"} <= codes[instance_id(1)]
        assert {"mode-by-tag", "no-group"} <= codes[instance_id(2)]
        assert all("fleet" in codes[instance_id(n)] for n in (3, 4))
        assert codes[instance_id(5)] == {"unknown-instance"}


class Test5Thrash:
    """Recommendations come in swarms, most are followed by nothing, and who obeys each one turns the fleet
    over (NTH#141); nodes were left cordoned by it, up and useless (NTH#321, NTH#458)."""

    ACTS = {MODE_TAG: "act", REBALANCE_TAG: "act"}  # noqa: RUF012 - never changed

    def acting(self, handling: Handling, number: int, *notices: Notice) -> list[str]:
        found = handling.decisions(*notices, number=number)
        return [i for i, each in found.items() if each.mode == "act"]

    def test_a_swarm_takes_a_share_of_the_group(self) -> None:
        handling = Handling(fleet("web", range(20), tags=self.ACTS))
        assert len(self.acting(handling, 1, *map(recommendation, range(20)))) == 4

    def test_an_hour_of_recommendations_takes_one_share_every_ten_minutes(self) -> None:
        handling = Handling(fleet("web", range(60), tags=self.ACTS))
        acted = 0
        for minute in range(60):
            handling.clock.now = NOON + 60 * minute
            acted += len(self.acting(handling, minute + 1, recommendation(minute, at=handling.clock.now)))
        assert acted == 6

    @pytest.mark.parametrize(
        ("group", "kinds"),
        [
            ({"tags": {MODE_TAG: "act", EKS_TAG: "shop"}}, set()),
            ({"tags": {**ACTS, EKS_TAG: "shop"}, "suspended": frozenset({"Launch"})}, set()),
            ({"tags": {**ACTS, EKS_TAG: "shop"}}, {"nodes", "terminate"}),
        ],
        ids=["not-opted-in", "nothing-would-end-it", "drained-and-ended"],
    )
    def test_no_node_is_cordoned_that_then_stays(self, group: dict[str, Any], kinds: set[str]) -> None:
        handling = Handling(fleet("web", range(3), **group))
        plan = handling.plan(recommendation(0))
        planned = {a.kind for a in handling.ledger.actions(window(), plan.id)}
        assert planned & {"nodes", "terminate"} == kinds


class Test6OneCallAMessage:
    """A Describe for each message is throttled exactly when there are many, in a storm (NTH#494)."""

    @pytest.mark.parametrize("size", [1, 1_000])
    def test_a_window_reads_the_estate_once_however_many_it_is_about(self, size: int) -> None:
        estate = fleet("web", range(size))
        Handling(estate).plan(*(notice(n) for n in range(size)))
        assert estate.reads == {"snapshot": 1, "parameters": 1, "target_groups": 1}


class Test7DeregistrationSlowerThanTheDrain:
    """An instance was let go once its pods were off it, while requests still came to it (NTH#316)."""

    def test_deregistering_begins_at_once_and_its_end_is_waited_for_before_the_hook(self) -> None:
        handling = Handling(held_fleet(), deregister=Noting())
        handling.plan(lifecycle(0))
        assert [a.due_at for a in handling.actions("deregister")] == [0]
        handling.work("deregister")
        states = handling.evidence.targets.setdefault(target_group("web"), {})
        for state, verified in (("healthy", False), ("draining", False), ("unused", True)):
            states[instance_id(0)] = state
            handling.clock.now += 10
            assert handling.look().verified is verified
        assert [a.status for a in handling.actions("complete")] == ["pending"]
        assert handling.beats == [instance_id(0)] * 3


class Test8Hooks:
    """A hook was completed while the pods still ran (NTH#355); or never, for what is no node (NTH#575)."""

    def test_a_hook_is_kept_open_while_a_task_still_runs(self) -> None:
        estate = held_fleet(tags={MODE_TAG: "act", ECS_TAG: "jobs"})
        handling = Handling(estate, containers=Noting(), deregister=Noting())
        handling.plan(lifecycle(0))
        handling.work("containers", "deregister")
        for tasks, verified in ((2, False), (0, True)):
            handling.evidence.containers["jobs"] = [
                ContainerInstance(
                    arn="arn-0", instance=instance_id(0), status="DRAINING", running_tasks=tasks
                )
            ]
            handling.clock.now += 10
            assert handling.look().verified is verified
        assert handling.beats == [instance_id(0)] * 2

    @pytest.mark.parametrize(
        ("result", "outcome"),
        [
            (Result(status="skipped", reason="no node of shop"), "handled"),
            (Result(status="failed", reason="no node could be drained"), "failed"),
        ],
    )
    def test_a_hook_is_completed_whether_or_not_its_instance_was_a_node(
        self, result: Result, outcome: str
    ) -> None:
        completed: list[str] = []

        class Hooks:
            def complete(self, group: str, hook: str, instance: str, token: str) -> None:
                completed.append(f"{group} {hook} {instance} {token}")

            def member_states(self, instances: Any) -> dict[str, tuple[str, str]]:
                return {}

        estate = held_fleet(tags={MODE_TAG: "act", EKS_TAG: "shop"}, target_groups=())
        handling = Handling(estate, nodes=Noting(result), complete=CompleteHooks(Hooks()))
        handling.plan(lifecycle(0))
        handling.work("nodes")
        assert handling.look().verified
        handling.work("complete")
        assert completed == [f"web drain {instance_id(0)} {TOKEN}"]
        assert handling.settle().outcomes[outcome] == 1


class Test9Strangers:
    """Messages about another cluster's or account's instances came back every 30 s, for days (NTH#787)."""

    @pytest.mark.parametrize("place", [{"account": "999999999999"}, {"region": "eu-west-1"}])
    def test_an_event_of_somebody_else_is_kept_as_rejected_and_never_comes_back(
        self, place: dict[str, str]
    ) -> None:
        intake = Intake()
        admission = intake.admit(messages([warning(instance_id(0)) | place]))
        assert (admission.returned, admission.admitted) == ((), 0)
        assert len(admission.rejections) == 1
        assert not intake.executions.starts

    def test_an_instance_that_nobody_here_knows_is_settled_as_ignored(self) -> None:
        handling = Handling(FakeEstate())
        handling.plan(notice(0))
        assert handling.look().verified
        assert handling.settle().outcomes["ignored"] == 1


class Test10WhatFailedIsNotForgotten:
    """The message was deleted although what it asked for had failed: nobody tried again (NTH#1284)."""

    @pytest.mark.parametrize("step", ["append", "records"])
    def test_a_message_that_is_not_in_the_ledger_comes_again(self, step: str) -> None:
        errors: dict[str, list[Exception]] = {step: [UnavailableError("down")]}
        intake = Intake(SCOPE, **errors)
        batch = messages([warning(instance_id(0))])
        assert intake.admit(batch).returned == (batch[0].id,)
        assert intake.admit(batch).returned == ()
        assert intake.gathered() == [instance_id(0)]

    def test_an_action_that_fails_is_tried_again_while_there_is_time(self) -> None:
        systems_manager = FakeRunCommand(ids([0]))
        flaky: Any = Failing(systems_manager, send=[ThrottledError("slow"), UnavailableError("down")])
        handling = Handling(fleet("web", [0]), command=SendCommands(flaky, MovableClock(NOON + 90)))
        handling.plan(notice(0))
        handling.clock.now = NOON + 91
        handling.work("command")
        assert [a.status for a in handling.actions("command")] == ["succeeded"]
        assert systems_manager.reached() == {instance_id(0): 1}

    def test_an_action_that_fails_for_good_is_told_with_its_reason(self) -> None:
        groups: Any = Failing(FakeAutoScaling(ids([0])), detach=[AccessDeniedError("DetachInstances")])
        handling = Handling(fleet("web", [0]), detach=DetachInstances(groups))
        handling.plan(notice(0))
        handling.work("detach")
        assert handling.settle().outcomes["failed"] == 1
        told = [a for a in handling.ledger.actions(window(), "plan1", "alert") if "settled" in a.id]
        assert ["access-denied: DetachInstances" in a.payload["message"] for a in told] == [True]


class Test11TheLivingDead:
    """A dying instance was attached to its group again (AutoSpotting#327, AutoSpotting#335); a detached one
    was ended by nobody, and billed (AutoSpotting#484): those that EC2 spares are found by the late look."""

    @pytest.mark.parametrize(
        "action",
        [
            "autoscaling:AttachInstances",
            "autoscaling:ExitStandby",
            "elasticloadbalancing:RegisterTargets",
            "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
            "autoscaling:*",
            "elasticloadbalancing:*",
        ],
    )
    def test_no_function_may_put_an_instance_back(self, action: str) -> None:
        assert action not in TEMPLATE.read_text()

    def test_one_that_ec2_does_not_take_is_ended_by_its_group_and_not_detached(self) -> None:
        tags = {MODE_TAG: "act", REBALANCE_TAG: "act"}
        [found] = Handling(fleet("web", range(3), tags=tags)).decisions(recommendation(0)).values()
        assert (found.mode, set(found.kinds) & {"detach", "terminate"}) == ("act", {"terminate"})

    def test_one_that_was_detached_is_detached_no_second_time(self) -> None:
        estate = fleet("web", range(2))
        handling = Handling(estate)
        assert "detach" in handling.decisions(notice(0))[instance_id(0)].kinds
        left = msgspec.structs.replace(estate.all_instances[instance_id(0)], group="", member_state="")
        estate.all_instances[left.id] = left
        [again] = handling.decisions(notice(0, at=NOON + 700), number=2).values()
        assert "detach" not in again.kinds


class Test12TheTwoMinutes:
    """Slow drains ate the two minutes, and what came after them never ran; or pods were killed at once, with
    the time for their own grace still there (karpenter#8160)."""

    def test_a_slow_drain_takes_no_time_from_the_commands(self) -> None:
        slow = Noting(takes=300.0)
        systems_manager = FakeRunCommand(ids([0]))
        clock = MovableClock(NOON + 91)
        handling = Handling(fleet("web", [0]), deregister=slow, command=SendCommands(systems_manager, clock))
        slow.clock = MovableClock()  # its function's own time, beside the others
        handling.plan(notice(0))
        assert [a.due_at for a in handling.actions("command")] == [NOON + 90]
        handling.work("deregister")
        handling.clock.now = clock.now
        handling.work("command")
        [sent] = systems_manager.commands
        [timeout] = sent["parameters"]["TimeoutSeconds"]
        assert 0 < int(timeout) <= NOON + 120 - clock.now - ANSWER_SECONDS

    def test_a_budget_that_never_allows_it_ends_before_the_deadline(self) -> None:
        clock = MovableClock()
        cluster = FakeCluster(clock)
        cluster.add_node("node-0", instance_id(0))
        stubborn, long = pod("stubborn"), pod("long", grace=300)
        for each in (stubborn, long):
            cluster.add_pod("node-0", each)
        cluster.protect(stubborn)
        deadline = NOON + 60
        node = Action(
            id="plan1#nodes#00000",
            kind="nodes",
            group="web",
            target="shop",
            subjects=(instance_id(0),),
            payload={"force": False},
            deadline=deadline,
        )
        DrainNodes(FakeClusters(shop=cluster), clock, clock.sleep).perform(node)
        assert clock.now < deadline
        [(how, name, grace, _)] = cluster.removals
        assert (how, name, grace) == ("delete", "shop/long", 60 - MARGIN_SECONDS)

    def test_a_pod_with_time_for_its_own_grace_gets_it(self) -> None:
        clock = MovableClock()
        cluster = FakeCluster(clock)
        cluster.add_node("node-0", instance_id(0))
        cluster.add_pod("node-0", pod("web-0", grace=90))
        node = Action(
            id="plan1#nodes#00000",
            kind="nodes",
            group="web",
            target="shop",
            subjects=(instance_id(0),),
            payload={"force": False},
            deadline=NOON + 110,
        )
        DrainNodes(FakeClusters(shop=cluster), clock, clock.sleep).perform(node)
        assert [(how, grace) for how, _, grace, _ in cluster.removals] == [("evict", 90)]
