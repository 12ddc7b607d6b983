"""Classic load balancers as AWS has them: what is deregistered, whoever registered it, drains and is out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from moto.elb.exceptions import LoadBalancerNotFoundError
from moto.elb.models import ELBBackend, LoadBalancer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.estate.buckets import Clock
    from local.estate.replacing import Replacements

type InstanceState = dict[str, Any]


def classic_semantics(replacements: Replacements, clock: Clock) -> None:
    """moto keeps what a group registered apart, knows no error for a load balancer that is not there, and
    drains nothing."""
    drains = ClassicDrains(clock)
    replacements.around(ELBBackend, drains.deregister_instances, drains.describe_instance_health)


class ClassicDrains:
    """The instances that drain, by load balancer. The public methods stand in for moto's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: WeakKeyDictionary[LoadBalancer, dict[str, float]] = WeakKeyDictionary()

    def deregister_instances(
        self,
        deregister: Callable[..., LoadBalancer],
        backend: ELBBackend,
        load_balancer_name: str,
        instance_ids: Iterable[str],
        from_autoscaling: bool = False,  # noqa: FBT001, FBT002 - moto's own signature
    ) -> LoadBalancer:
        found = backend.load_balancers.get(load_balancer_name)
        if found is None:
            raise LoadBalancerNotFoundError(load_balancer_name)
        instances = list(instance_ids)
        self._begin(found, [each for each in instances if each in found.instance_ids])
        if not from_autoscaling:
            deregister(backend, load_balancer_name, instances, from_autoscaling=False)
        return deregister(backend, load_balancer_name, instances, from_autoscaling=True)

    def describe_instance_health(
        self,
        original: Callable[..., list[InstanceState]],
        backend: ELBBackend,
        lb_name: str,
        instances: list[dict[str, str]],
    ) -> list[InstanceState]:
        """In service while it drains, out of service then: "Configure connection draining", User Guide."""
        states = original(backend, lb_name, instances)
        found = backend.load_balancers[lb_name]
        registered, draining = set(found.instance_ids), self._until.get(found, {})
        for each in states:
            if each["InstanceId"] not in registered:
                drains = draining.get(each["InstanceId"], 0.0) > self._clock()
                each["State"] = "InService" if drains else "OutOfService"
        return states

    def _begin(self, load_balancer: LoadBalancer, instances: list[str]) -> None:
        attribute = load_balancer.attributes["connection_draining"]
        # moto's default is spelled small, what a caller sets is not, and goes before.
        draining = {key.lower(): attribute[key] for key in sorted(attribute, reverse=True)}
        if str(draining["enabled"]).lower() == "true":
            until = self._clock() + float(draining["timeout"])
            self._until.setdefault(load_balancer, {}).update(dict.fromkeys(instances, until))
