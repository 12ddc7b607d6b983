"""Draining ECS container instances: no new tasks start there, and services replace theirs elsewhere.

Source: "Draining Amazon ECS container instances", Amazon ECS Developer Guide. A task that belongs to no
service is left alone: it runs on until it ends, or until its instance goes.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from signalbox.errors import NotFoundError, RefusedError
from signalbox.ledger.actions import Action, Deviation, Result
from signalbox.spot.halving import by_halves

DRAIN_CHUNK = 10  # UpdateContainerInstancesState, Amazon ECS API Reference
DRAINING = "DRAINING"
LEAVING = frozenset({"DEREGISTERING", "INACTIVE"})
"""On its way out of the cluster already, or out of it."""


class ContainerInstance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its cluster knows it.

    Attributes:
        instance: the EC2 instance's id. One whose agent has lost its state may be registered twice.
        status: ``ACTIVE``, ``DRAINING``, ``REGISTERING``, …
        running_tasks: how many tasks still run on it.
    """

    arn: str
    instance: str
    status: str
    running_tasks: int


class ContainerInstances(Protocol):
    def container_instances(self, cluster: str, instances: Sequence[str]) -> list[ContainerInstance]:
        """What the cluster knows of up to 100 EC2 instances. Of the others nothing.

        Raises:
            NotFoundError: there is no such cluster.
        """
        ...

    def drain(self, cluster: str, arns: Sequence[str]) -> dict[str, str]:
        """Sets up to ten to DRAINING. Answers the ARNs for which that failed, each with ECS's reason."""
        ...


class DrainContainers:
    """Drains the container instances of one cluster, the action's target.

    It acts on what the cluster shows, so it is safe to repeat: what drains already is left alone.
    """

    def __init__(self, containers: ContainerInstances) -> None:
        self._containers = containers

    def perform(self, action: Action) -> Result:
        try:
            found = self._containers.container_instances(action.target, action.subjects)
        except NotFoundError as error:
            return Result(status="skipped", reason=f"the cluster is gone: {error}")
        present = [each for each in found if each.status not in LEAVING]
        known = {each.instance for each in present}
        deviations = {
            instance: Deviation("skipped", f"no container instance of {action.target}")
            for instance in action.subjects
            if instance not in known
        }
        owners = {each.arn: each.instance for each in present if each.status != DRAINING}
        for arn, reason in self._drain(action.target, list(owners)).items():
            deviations[owners[arn]] = Deviation("failed", reason)
        return _result(action, deviations)

    def _drain(self, cluster: str, arns: Sequence[str]) -> dict[str, str]:
        """ARN → why it could not be drained."""
        answers, refusals = by_halves(
            arns, lambda part: self._containers.drain(cluster, part), RefusedError, most=DRAIN_CHUNK
        )
        failures = {arn: f"{error.code}: {error}" for arn, error in refusals.items()}
        for answer in answers:
            failures |= answer
        return failures


def _result(action: Action, deviations: dict[str, Deviation]) -> Result:
    if len(deviations) < len(action.subjects):
        return Result(status="succeeded", deviations=deviations)
    failed = [deviation.reason for deviation in deviations.values() if deviation.status == "failed"]
    if failed:
        reason = f"no container instance could be drained: {failed[0]}"
        return Result(status="failed", reason=reason, deviations=deviations)
    return Result(status="skipped", reason="no container instance was left to drain", deviations=deviations)
