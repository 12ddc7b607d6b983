"""Classic load balancers as AWS has them: deregistering takes an instance out, whoever put it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.elb.exceptions import LoadBalancerNotFoundError
from moto.elb.models import ELBBackend, LoadBalancer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.estate.replacing import Replacements


def classic_semantics(replacements: Replacements) -> None:
    """moto keeps what a group registered apart, and has no error for a load balancer that is not there."""
    replacements.around(ELBBackend, deregister_instances)


# From here on: methods of moto's.


def deregister_instances(
    deregister: Callable[..., LoadBalancer],
    self: ELBBackend,
    load_balancer_name: str,
    instance_ids: Iterable[str],
    from_autoscaling: bool = False,  # noqa: FBT001, FBT002 - moto's own signature
) -> LoadBalancer:
    if load_balancer_name not in self.load_balancers:
        raise LoadBalancerNotFoundError(load_balancer_name)
    instances = list(instance_ids)
    if not from_autoscaling:
        deregister(self, load_balancer_name, instances, from_autoscaling=False)
    return deregister(self, load_balancer_name, instances, from_autoscaling=True)
