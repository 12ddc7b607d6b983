"""A fake of the classic load balancers."""

from collections.abc import Iterable, Mapping, Sequence

from signalbox.errors import NotFoundError
from signalbox.spot.performers import NotRegisteredError


class FakeClassicLoadBalancing:
    """Load balancers by name, each with its instances. Refuses as AWS does in the field (boto#2274, #2576):
    all or none, and only for an instance that was never registered.
    """

    def __init__(self, registered: Mapping[str, Iterable[str]], strangers: Iterable[str] = ()) -> None:
        self.registered = {name: set(instances) for name, instances in registered.items()}
        self._strangers = set(strangers)
        self.calls = 0

    def deregister(self, load_balancer: str, instances: Sequence[str]) -> None:
        self.calls += 1
        if load_balancer not in self.registered:
            raise NotFoundError("LoadBalancerNotFound: There is no ACTIVE Load Balancer named so")
        unknown = [instance for instance in instances if instance in self._strangers]
        if unknown:
            raise NotRegisteredError(f"InvalidInstance: Could not find EC2 instance {unknown[0]}.")
        self.registered[load_balancer] -= set(instances)
