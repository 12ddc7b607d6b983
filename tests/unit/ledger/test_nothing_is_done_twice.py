"""Workers interleave, die before and after any step and lose answers: each effect happens once, and every
action ends.

Every worker owns its claims under a name of its own, also where several live workers are at the same window:
two of one execution, one of a recovery or of an execution that was redriven, one that comes again after a
crash. What a dead one had claimed is taken over when its lease is out, also while others live; what a live
one has claimed, it performs within its lease.

The performers are the program's own, over an estate that remembers what was done to it; each operation on
the ledger and on the estate is a step that the test orders.
"""

from collections import Counter
from itertools import count
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.errors import ThrottledError, UnavailableError
from signalbox.ledger.actions import FINAL, LEASE_SECONDS, Action, Worker
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan
from signalbox.spot.performers import DeregisterTargets, DetachInstances, SendCommands
from tests.stepping import Fate, Scheduler, Stepped
from tests.unit.spot.doubles import (
    NOON,
    PLAN,
    FakeAutoScaling,
    FakeLoadBalancing,
    FakeRunCommand,
    MovableClock,
    action,
    instance_id,
    target_group,
    window,
)

INSTANCES = 6
TIME = 3_600.0
"""A function's, and then some: what an action comes to when the time is up is tested elsewhere."""

type Answer = Literal["good", "throttled", "lost"]


class Unreliable:
    """Stands before the estate: refuses a call for now, or performs it and loses the answer.

    Args:
        estate: what is called.
        fates: of the calls to come, one after the other; shared among several.
    """

    def __init__(self, estate: object, fates: list[Answer]) -> None:
        self._estate = estate
        self._fates = fates

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._estate, name)

        def unreliable(*args: Any, **kwargs: Any) -> Any:
            fate: Answer = self._fates.pop(0) if self._fates else "good"
            if fate == "throttled":
                raise ThrottledError(name)
            answer = method(*args, **kwargs)
            if fate == "lost":
                raise UnavailableError(name)
            return answer

        return unreliable


class System:
    """One plan over one estate; ``unmanaged`` instances can't take a command."""

    def __init__(self, actions: list[Action], unmanaged: set[int], answers: list[Answer]) -> None:
        everybody = {instance_id(n) for n in range(INSTANCES)}
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.alive: set[str] = set()
        self._owners = count()
        self.ledger.commit_plan(window(), Plan(id=PLAN, planned_at=NOON, summary={}), actions)
        self.auto_scaling = FakeAutoScaling(everybody)
        self.load_balancing = FakeLoadBalancing({target_group("web"): set(everybody)})
        self.run_command = FakeRunCommand(everybody - {instance_id(n) for n in unmanaged})
        auto_scaling, load_balancing, run_command = (
            Stepped(Unreliable(each, answers))
            for each in (self.auto_scaling, self.load_balancing, self.run_command)
        )
        stepped: Any = Stepped(self.ledger)
        self._worker = Worker(
            stepped,
            {
                "detach": DetachInstances(auto_scaling),
                "deregister": DeregisterTargets(load_balancing),
                "command": SendCommands(run_command, self.clock),
            },
            self.clock,
            self.clock.sleep,
            lambda _action, _reason, _error: None,
        )

    def work(self) -> None:
        """One pass of a worker; one that crashed comes again as another."""
        owner = f"worker-{next(self._owners)}"
        self.alive.add(owner)
        try:
            self._worker.work(window(), PLAN, owner, self.clock.now + TIME)
        finally:
            self.alive.discard(owner)

    def let_leases_run_out(self) -> None:
        """Those of the dead: a live worker is at its action for less than its lease."""
        if not any(each.status == "running" and each.owner in self.alive for each in self.actions()):
            self.clock.now += LEASE_SECONDS

    def actions(self) -> list[Action]:
        return self.ledger.actions(window(), PLAN)


def chunks(kind: str, cut: int) -> list[Action]:
    """Every instance in one of at most two actions of the kind."""
    parts = [part for part in (range(cut), range(cut, INSTANCES)) if part]
    due_at = NOON + 30 if kind == "command" and cut % 2 else 0
    return [
        action(kind, number, of=part, due_at=due_at, deadline=NOON + 3_600)
        for number, part in enumerate(parts)
    ]


cuts = st.integers(1, INSTANCES)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    plan=st.tuples(cuts, cuts, cuts),
    unmanaged=st.sets(st.integers(0, INSTANCES - 1), max_size=2),
    crashes=st.integers(0, 4),
    answers=st.lists(st.sampled_from(("good", "good", "throttled", "lost")), max_size=6),
)
def test_each_effect_happens_once_and_every_action_ends(
    data: st.DataObject,
    plan: tuple[int, int, int],
    unmanaged: set[int],
    crashes: int,
    answers: list[Answer],
) -> None:
    kinds = ("detach", "deregister", "command")
    actions = [each for kind, cut in zip(kinds, plan, strict=True) for each in chunks(kind, cut)]
    system = System(actions, unmanaged, answers)

    def fate() -> Fate:
        nonlocal crashes
        if crashes == 0:
            return "go"
        drawn: Fate = data.draw(st.sampled_from(("go", "go", "go", "crash-before", "crash-after")))
        crashes -= drawn != "go"
        return drawn

    def choose(among: int) -> int:
        if data.draw(st.integers(0, 9)) == 9:
            system.let_leases_run_out()
        return data.draw(st.integers(0, among - 1))

    scheduler = Scheduler(choose, fate)
    for name in ("execution", "recovery", "redriven"):
        scheduler.add(name, system.work)
    scheduler.run()
    for _ in range(2):  # the last one again, when there is nothing left to do
        system.clock.now += LEASE_SECONDS + 30
        system.work()

    assert {each.status for each in system.actions()} <= FINAL
    assert Counter(system.auto_scaling.detached) == {instance_id(n): 1 for n in range(INSTANCES)}
    assert system.load_balancing.targets == {target_group("web"): set()}
    managed = {instance_id(n): 1 for n in range(INSTANCES) if n not in unmanaged}
    assert system.run_command.reached() == managed
    check_accounts(system, unmanaged)


def check_accounts(system: System, unmanaged: set[int]) -> None:
    """The ledger says of each instance what the estate shows."""
    for each in system.actions():
        for subject in each.subjects:
            failed = each.kind == "command" and subject in {instance_id(n) for n in unmanaged}
            assert each.outcome_of(subject)[0] == ("failed" if failed else "succeeded")
