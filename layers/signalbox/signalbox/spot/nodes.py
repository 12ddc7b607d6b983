"""Draining EKS nodes: cordoned, and their pods evicted, while the instance still runs.

Eviction and PodDisruptionBudgets: Kubernetes documentation, "API-initiated Eviction".
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import ConflictError, NotFoundError, SignalboxError, ThrottledError, TransientError
from signalbox.ledger.actions import JITTER, Action, Deviation, Result

MARGIN_SECONDS = 2.0
"""Kept free before the deadline: the kubelet has yet to hear of it."""
PATIENCE_SECONDS = 80.0
"""The longest that one action waits for budgets and faults. Whoever takes its claim over meanwhile does no
harm: cordoning and evicting again change nothing."""
LAST_PASS_SECONDS = 2.0
LATE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 5.0
NAMED_PODS = 20
"""Of those left for one reason; an action's account must fit into a ledger item."""
CORDON, PODS = "cordon", "pods"


class DisruptionBudgetError(ThrottledError):
    """A PodDisruptionBudget does not allow the eviction now; it may later."""

    code = "disruption-budget"


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod on a node.

    Attributes:
        uid: tells it from a successor of the same name, as a StatefulSet makes them.
        grace: its terminationGracePeriodSeconds.
        controller: the kind of its controller, as in ``ReplicaSet``, or "".
        mirror: it stands for a static pod of the kubelet's own.
        finished: it has succeeded or failed.
        terminating: it is being deleted already.
    """

    namespace: str
    name: str
    uid: str
    grace: int
    controller: str = ""
    mirror: bool = False
    finished: bool = False
    terminating: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def evictable(self) -> bool:
        """A DaemonSet would start its pod again on the same node; the others end by themselves."""
        return not (self.controller == "DaemonSet" or self.mirror or self.finished or self.terminating)


class Cluster(Protocol):
    """The Kubernetes API of one cluster. Each method may raise any `SignalboxError`."""

    def nodes(self, instances: Collection[str]) -> dict[str, str]:
        """Instance → node, of those instances that are nodes."""
        ...

    def cordon(self, node: str) -> None:
        """Keeps new pods away. Once more does no harm."""
        ...

    def pods(self, node: str) -> list[Pod]:
        """All pods on the node."""
        ...

    def evict(self, pod: Pod, grace: int) -> None:
        """Asks the pod to go, within ``grace`` seconds.

        Raises:
            DisruptionBudgetError: its budget does not allow it now.
            NotFoundError: it is gone.
            ConflictError: another of the same name has taken its place, or it was changed meanwhile.
        """
        ...

    def delete(self, pod: Pod, grace: int) -> None:
        """Deletes the pod within ``grace`` seconds, whatever its budget.

        Raises:
            NotFoundError: it is gone.
        """
        ...


class Clusters(Protocol):
    def cluster(self, name: str) -> Cluster:
        """The EKS cluster of that name.

        Raises:
            NotFoundError: there is none.
        """
        ...


class OutOfTimeError(SignalboxError):
    """Not even tried: the time for it was up."""

    code = "out-of-time"


class Drain:
    """One node on its way: cordoned, then rid of its pods, in as many passes as it takes.

    Nothing is raised: what stands in the way is kept, so that no node holds up another.

    Args:
        deadline: when the instance goes.
        until: when to stop trying.
        force: what a budget refuses may be deleted.
    """

    def __init__(
        self, cluster: Cluster, node: str, deadline: float, until: float, clock: Clock, *, force: bool
    ) -> None:
        self._cluster = cluster
        self._node = node
        self._deadline = deadline
        self._until = until
        self._clock = clock
        self._force = force
        self._gone = False
        self._pods: list[Pod] = []
        self._refused: set[str] = set()
        self._hindrances: dict[str, Exception] = {}

    @property
    def retryable(self) -> bool:
        """Another pass may get further."""
        return any(isinstance(e, TransientError | ConflictError) for e in self._hindrances.values())

    def cordon(self) -> None:
        self._attempt(CORDON, self._cordon)

    def clear(self) -> None:
        """One pass over the pods that are there now. Those that need long go first."""
        self._pass(insist=False)

    def insist(self) -> None:
        """The last pass: what is still there is deleted."""
        self._pass(insist=True)

    def outcome(self) -> Deviation | None:
        """None where the node is cordoned and every pod on its way."""
        if self._gone:
            return Deviation("skipped", f"the node {self._node} is gone")
        if self._hindrances:
            return Deviation("failed", f"{self._node}: {account(self._hindrances)}")
        return None

    def _attempt(self, what: str, step: Callable[[], None]) -> None:
        if self._clock() >= self._until:
            self._hindrances.setdefault(what, OutOfTimeError("not tried any more"))
            return
        try:
            step()
            self._hindrances.pop(what, None)
        except Exception as error:  # refused for good or a bug: it must not hold up the rest
            self._hindrances[what] = error

    def _pass(self, *, insist: bool) -> None:
        if CORDON in self._hindrances:
            self.cordon()
        if self._gone:
            return
        self._attempt(PODS, self._list)
        if PODS in self._hindrances:
            return
        for pod in self._pods:
            self._attempt(pod.full_name, partial(self._remove, pod, insist=insist))

    def _cordon(self) -> None:
        try:
            self._cluster.cordon(self._node)
        except NotFoundError:
            self._gone = True

    def _list(self) -> None:
        evictable = [pod for pod in self._cluster.pods(self._node) if pod.evictable]
        self._pods = sorted(evictable, key=lambda pod: pod.grace, reverse=True)
        current = {CORDON, *(pod.full_name for pod in self._pods)}
        self._hindrances = {what: e for what, e in self._hindrances.items() if what in current}

    def _remove(self, pod: Pod, *, insist: bool) -> None:
        left = self._deadline - MARGIN_SECONDS - self._clock()
        in_time = left >= pod.grace
        grace = max(1, int(min(pod.grace, left)))  # 0 would take it off the API while it still runs
        budget_decides = pod.uid in self._refused and not self._force
        try:
            if budget_decides or (in_time and not insist):
                self._cluster.evict(pod, grace)
            else:
                self._cluster.delete(pod, grace)
        except NotFoundError:
            pass  # gone by itself
        except DisruptionBudgetError:
            self._refused.add(pod.uid)
            raise


type Spread = Callable[[Callable[[Drain], None], Iterable[Drain]], Iterable[None]]
"""Does it for each, as `map` does one after the other and a pool of threads side by side."""


class DrainNodes:
    """Drains the nodes of one EKS cluster, the action's target.

    All nodes are cordoned before any pod is evicted, or pods would move from one doomed node to the next. A
    pod is evicted with its own grace; with less time left than that, it is deleted with the time that is
    left, since its budget can't keep it alive. One that its budget has refused is asked again until the time
    is up, and then deleted only where the payload says ``force``.

    Safe to repeat: each pass acts on what the cluster shows.

    Args:
        clusters: by name.
        clock: seconds since 1970.
        sleep: waits that many seconds between two passes.
        spread: how the nodes are worked on, one after the other by default.
    """

    def __init__(
        self, clusters: Clusters, clock: Clock, sleep: Callable[[float], None], spread: Spread = map
    ) -> None:
        self._clusters = clusters
        self._clock = clock
        self._sleep = sleep
        self._spread = spread

    def perform(self, action: Action) -> Result:
        try:
            cluster = self._clusters.cluster(action.target)
        except NotFoundError as error:
            return Result(status="skipped", reason=f"the cluster is gone: {error}")
        force = bool(action.payload.get("force", False))
        waiting_until, until = limits(action.deadline, self._clock())
        drains = {
            instance: Drain(cluster, node, action.deadline, until, self._clock, force=force)
            for instance, node in cluster.nodes(action.subjects).items()
        }
        self._each(Drain.cordon, drains.values())
        unfinished = self._clear(drains.values(), waiting_until)
        if force:
            self._each(Drain.insist, unfinished)
        return _result(action, drains)

    def _clear(self, drains: Iterable[Drain], waiting_until: float) -> list[Drain]:
        """Passes, with pauses between them, while there is reason and time. Answers who is still hindered."""
        pending, longest = list(drains), FIRST_PAUSE_SECONDS
        while True:
            self._each(Drain.clear, pending)
            pending = [drain for drain in pending if drain.retryable]
            pause = JITTER.uniform(longest / 2, longest)
            if not pending or self._clock() + pause >= waiting_until:
                return pending
            self._sleep(pause)
            longest = min(longest * 2, LONGEST_PAUSE_SECONDS)

    def _each(self, step: Callable[[Drain], None], drains: Iterable[Drain]) -> None:
        for _ in self._spread(step, drains):
            pass


def limits(deadline: float, now: float) -> tuple[float, float]:
    """Until when an action waits between passes, and until when it makes calls.

    One that comes late makes calls all the same: what is deleted is replaced at once, what is lost with its
    node after minutes.
    """
    until = min(deadline - MARGIN_SECONDS, now + PATIENCE_SECONDS)
    return until - LAST_PASS_SECONDS, max(until, now + LATE_SECONDS)


def account(hindrances: Mapping[str, Exception]) -> str:
    """What was left undone and why, by reason: ``code: names (the first one's message); …``."""
    by_code: dict[str, list[str]] = {}
    for name, error in hindrances.items():
        by_code.setdefault(_code(error), []).append(name)
    return "; ".join(f"{code}: {_listed(names)} ({hindrances[names[0]]})" for code, names in by_code.items())


def _code(error: Exception) -> str:
    return error.code if isinstance(error, SignalboxError) else type(error).__name__


def _listed(names: list[str]) -> str:
    rest = len(names) - NAMED_PODS
    return ", ".join(names[:NAMED_PODS]) + (f" and {rest} more" if rest > 0 else "")


def _result(action: Action, drains: Mapping[str, Drain]) -> Result:
    absent = Deviation("skipped", f"no node of {action.target}")
    outcomes = {i: drains[i].outcome() if i in drains else absent for i in action.subjects}
    deviations = {instance: outcome for instance, outcome in outcomes.items() if outcome}
    if len(deviations) < len(outcomes):
        return Result(status="succeeded", deviations=deviations)
    failed = [d.reason for d in deviations.values() if d.status == "failed"]
    if failed:
        return Result(status="failed", reason=f"no node could be drained: {failed[0]}", deviations=deviations)
    return Result(status="skipped", reason="no node was left to drain", deviations=deviations)
