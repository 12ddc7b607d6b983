"""A Kubernetes cluster in memory."""

import math
from collections.abc import Collection

from msgspec import structs

from signalbox.clock import Clock
from signalbox.errors import ConflictError, NotFoundError
from signalbox.spot.nodes import Cluster, DisruptionBudgetError, Pod


def pod(name: str, grace: int = 30, **changes: object) -> Pod:
    """A pod of a ReplicaSet in the namespace ``shop``."""
    ordinary = Pod(namespace="shop", name=name, uid=f"uid-of-{name}", grace=grace, controller="ReplicaSet")
    return structs.replace(ordinary, **changes)


class FakeCluster:
    """Nodes and their pods. What is evicted or deleted stays, terminating, until it `vanish`es.

    Args:
        clock: for budgets that allow evictions later.
    """

    def __init__(self, clock: Clock = lambda: 0.0) -> None:
        self._clock = clock
        self._node_of: dict[str, str] = {}
        self._pods: dict[str, tuple[str, Pod]] = {}
        self._protected: dict[str, float] = {}
        self.cordoned: set[str] = set()
        self.removals: list[tuple[str, str, int, float]] = []
        """How, which, with how much grace and when."""

    def add_node(self, node: str, instance: str) -> None:
        self._node_of[instance] = node

    def add_pod(self, node: str, pod: Pod) -> None:
        self._pods[pod.full_name] = (node, pod)

    def protect(self, pod: Pod, until: float = math.inf) -> None:
        """A budget refuses its eviction until then."""
        self._protected[pod.full_name] = until

    def vanish(self, pod: Pod) -> None:
        del self._pods[pod.full_name]

    def is_cordoned(self, node: str) -> bool:
        return node in self.cordoned

    def nodes(self, instances: Collection[str]) -> dict[str, str]:
        return {i: self._node_of[i] for i in instances if i in self._node_of}

    def cordon(self, node: str) -> None:
        if node not in self._node_of.values():
            raise NotFoundError(f'cordon {node}: 404 NotFound: nodes "{node}" not found')
        self.cordoned.add(node)

    def pods(self, node: str) -> list[Pod]:
        return [pod for on, pod in self._pods.values() if on == node]

    def evict(self, pod: Pod, grace: int) -> None:
        current = self._current(pod)
        if current.uid != pod.uid:
            raise ConflictError(f"evict {pod.full_name}: 409 Conflict: the UID in the precondition differs")
        if self._clock() < self._protected.get(pod.full_name, -math.inf):
            raise DisruptionBudgetError(f"evict {pod.full_name}: 429 TooManyRequests: its budget")
        self._terminate("evict", current, grace)

    def delete(self, pod: Pod, grace: int) -> None:
        self._terminate("delete", self._current(pod), grace)

    def _current(self, pod: Pod) -> Pod:
        if pod.full_name not in self._pods:
            raise NotFoundError(f'{pod.full_name}: 404 NotFound: pods "{pod.name}" not found')
        return self._pods[pod.full_name][1]

    def _terminate(self, how: str, pod: Pod, grace: int) -> None:
        self.removals.append((how, pod.full_name, grace, self._clock()))
        node, _ = self._pods[pod.full_name]
        self._pods[pod.full_name] = (node, structs.replace(pod, terminating=True))


class FakeClusters:
    """Clusters by name."""

    def __init__(self, **clusters: Cluster) -> None:
        self._clusters = clusters

    def cluster(self, name: str) -> Cluster:
        if name not in self._clusters:
            raise NotFoundError(
                f"DescribeCluster: ResourceNotFoundException: No cluster found for name: {name}."
            )
        return self._clusters[name]
