"""Doing what a plan says: one performer per kind of action, each safe to call again."""

from collections.abc import Sequence
from typing import Any, Protocol

from signalbox.clock import Clock, iso
from signalbox.errors import NotBegunError, NotFoundError, RefusedError, ThrottledError
from signalbox.ledger.actions import Action, Deviation, Result
from signalbox.spot.halving import by_halves

COMMAND_CAP = 50  # SendCommand InstanceIds, Systems Manager API Reference
CLASSIC_CHUNK = 100
DELIVERY_TIMEOUT_SECONDS = 30  # the least that SendCommand's TimeoutSeconds takes
ANSWER_SECONDS = 2.0
"""Kept free at the end, so that a command that is cut off has still answered before the instance goes."""


class InvalidInstancesError(RefusedError):
    """Systems Manager does not manage one or more of the instances; it does not say which."""

    code = "not-managed"


class NotRegisteredError(RefusedError):
    """One or more of the instances were never registered with the load balancer; it may not say which."""

    code = "not-registered"


class AutoScaling(Protocol):
    def detach(self, group: str, instances: Sequence[str]) -> None:
        """Detaches without lowering the desired capacity: the group starts replacements."""
        ...

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Instance → (group, lifecycle state), of those that are in a group."""
        ...


class LoadBalancing(Protocol):
    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        """Starts draining. An instance that is no target is no error."""
        ...


class ClassicLoadBalancing(Protocol):
    def deregister(self, load_balancer: str, instances: Sequence[str]) -> None:
        """Starts draining. Once more does no harm.

        Raises:
            NotRegisteredError: nothing was done, since one of the instances is not registered.
            NotFoundError: there is no such load balancer.
        """
        ...


class RunCommand(Protocol):
    def send(
        self,
        document: str,
        instances: Sequence[str],
        parameters: dict[str, list[str]],
        *,
        delivery_timeout: int,
        comment: str,
    ) -> str:
        """Sends the command to all of them; answers its id.

        Raises:
            InvalidInstancesError: nothing was sent, since one of the instances can't take it.
        """
        ...

    def sent(self, document: str, comment: str) -> dict[str, list[str]]:
        """Ids of the commands that carry the comment → the instances each went to."""
        ...


class DetachInstances:
    """Detaches up to 20 instances of one group. What the group has let go of already counts as done."""

    def __init__(self, auto_scaling: AutoScaling) -> None:
        self._auto_scaling = auto_scaling

    def perform(self, action: Action) -> Result:
        pending, deviations = list(action.subjects), dict[str, Deviation]()
        if action.resumed:
            pending = self._sift(action.target, pending, deviations, taken_over=True)
        while pending:
            try:
                self._auto_scaling.detach(action.target, pending)
                break
            except ThrottledError as error:
                raise NotBegunError(str(error)) from error
            except RefusedError:
                attachable = self._sift(action.target, pending, deviations, taken_over=action.resumed)
                if attachable == pending:
                    raise  # the refusal has another cause than the instances' states
                pending = attachable
        if len(deviations) == len(action.subjects):
            return Result(status="skipped", reason="no instance was left to detach", deviations=deviations)
        return Result(status="succeeded", deviations=deviations)

    def _sift(
        self, group: str, instances: list[str], deviations: dict[str, Deviation], *, taken_over: bool
    ) -> list[str]:
        """Those still in service. The others' reasons go into ``deviations``.

        One that is gone after an earlier try of ours was detached by it: nothing to note.
        """
        states = self._auto_scaling.member_states(instances)
        in_service = []
        for instance in instances:
            member_of, state = states.get(instance, ("", ""))
            if member_of == group and state == "InService":
                in_service.append(instance)
            elif member_of != group and not taken_over:
                reason = f"in {member_of}, not {group}" if member_of else f"no member of {group} any more"
                deviations[instance] = Deviation("skipped", reason)
            elif member_of == group and not state.startswith("Detach"):
                deviations[instance] = Deviation("skipped", f"{state} in {group}")
        return in_service


class DeregisterTargets:
    """Drains the instances from one target group."""

    def __init__(self, load_balancing: LoadBalancing) -> None:
        self._load_balancing = load_balancing

    def perform(self, action: Action) -> Result:
        try:
            self._load_balancing.deregister(action.target, action.subjects)
        except NotFoundError as error:
            return Result(status="skipped", reason=f"the target group is gone: {error}")
        return Result(status="succeeded")


class DeregisterInstances:
    """Drains the instances from one classic load balancer."""

    def __init__(self, load_balancing: ClassicLoadBalancing) -> None:
        self._load_balancing = load_balancing

    def perform(self, action: Action) -> Result:
        try:
            done, strangers = by_halves(
                action.subjects,
                lambda part: self._load_balancing.deregister(action.target, part),
                NotRegisteredError,
                most=CLASSIC_CHUNK,
            )
        except NotFoundError as error:
            return Result(status="skipped", reason=f"the load balancer is gone: {error}")
        stranger = Deviation("skipped", f"not registered with {action.target}")
        deviations = dict.fromkeys(strangers, stranger)
        if not done:
            return Result(status="skipped", reason="no instance is registered", deviations=deviations)
        return Result(status="succeeded", deviations=deviations)


class SendCommands:
    """Runs a script on up to 50 instances, with what time is left as its limit."""

    def __init__(self, run_command: RunCommand, clock: Clock) -> None:
        self._run_command = run_command
        self._clock = clock

    def perform(self, action: Action) -> Result:
        comment = f"signalbox {action.id}"
        sent: dict[str, list[str]] = {}
        if action.resumed:
            sent = self._run_command.sent(action.target, comment)
        reached = {instance for instances in sent.values() for instance in instances}
        answers, refusals = by_halves(
            [instance for instance in action.subjects if instance not in reached],
            lambda part: self._send(action, part, comment),
            InvalidInstancesError,
            most=COMMAND_CAP,
        )
        deviations = {
            instance: Deviation("failed", f"{error.code}: {error}") for instance, error in refusals.items()
        }
        ids = [*sent, *answers]
        if not ids:
            return Result(status="failed", reason="no instance took the command", deviations=deviations)
        return Result(status="succeeded", reference=",".join(ids), deviations=deviations)

    def _send(self, action: Action, instances: Sequence[str], comment: str) -> str:
        return self._run_command.send(
            action.target,
            instances,
            command_parameters(action, self._clock()),
            delivery_timeout=DELIVERY_TIMEOUT_SECONDS,
            comment=comment,
        )


def command_parameters(action: Action, now: float) -> dict[str, list[str]]:
    """The parameters of the SSM document.

    The script is the user's own; what comes from an event is passed beside it, never inside it.
    """
    timeout = int(action.payload["timeout_seconds"])
    left = int(action.deadline - now - ANSWER_SECONDS)
    return {
        "Commands": ["\n".join(action.payload["script"])],
        "InstanceAction": [action.payload["instance_action"]],
        "Deadline": [iso(action.deadline)],
        "TimeoutSeconds": [str(min(timeout, left) if left > 0 else timeout)],
    }


class Topic(Protocol):
    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str:
        """Answers the message's id."""
        ...


class Bus(Protocol):
    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        """Answers the event's id."""
        ...


class PublishAlert:
    """Publishes one alert. A crash between publishing and noting it publishes it again: told twice is
    better than not told."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    def perform(self, action: Action) -> Result:
        return Result(status="succeeded", reference=self._topic.publish(**action.payload))


class PutEvent:
    """Puts one domain event on the bus. As with alerts, a crash may put it twice; consumers dedupe on
    window, group and outcome."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def perform(self, action: Action) -> Result:
        return Result(status="succeeded", reference=self._bus.put(**action.payload))
