"""Looking at the estate after acting on it: has it happened, is it still to come, or did it fail?"""

from collections.abc import Collection, Sequence
from itertools import chain, repeat
from typing import Protocol

import msgspec

from signalbox.clock import Clock, iso_precise
from signalbox.errors import NotFoundError
from signalbox.ledger.actions import Action, ActionStore, Verdict
from signalbox.ledger.windows import Window
from signalbox.spot.containers import DRAINING, LEAVING, ContainerInstance
from signalbox.spot.estate import Group
from signalbox.spot.hooks import KeepHooks

PAUSES_SECONDS = (2.0, 3.0, 5.0, 10.0)
"""Between two looks; the last one repeats until the time is up."""
GRACE_SECONDS = 5.0
"""A look this long after the deadline is the last one."""
LONGEST_SECONDS = 840.0
"""No look later than this after the actions, however far the deadline: the state machine allows 900."""
DRAINED = frozenset({"draining", "unused", "unavailable"})
NO_TARGET = frozenset({"unused"})
COMMAND_PENDING = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})


class Evidence(Protocol):
    """What there is to see, in bulk."""

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        """The groups that exist among the names."""
        ...

    def target_states(self, target_group: str, instances: Sequence[str]) -> dict[str, str]:
        """Instance → state of the target; an instance that is no target is absent or ``unused``."""
        ...

    def invocation_states(self, command_id: str) -> dict[str, str]:
        """Instance → status of the command's invocation there."""
        ...

    def container_instances(self, cluster: str, instances: Sequence[str]) -> list[ContainerInstance]:
        """What the cluster knows of the instances."""
        ...


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a look came to."""

    verified: bool
    check_again: str | None


class VerifyWindow:
    """Looks whether what a plan did has had its effect.

    Args:
        store: the ledger.
        evidence: reads the estate.
        hooks: keeps the lifecycle hooks open that are to be completed once this is over.
        clock: seconds since 1970.
    """

    def __init__(self, store: ActionStore, evidence: Evidence, hooks: KeepHooks, clock: Clock) -> None:
        self._store = store
        self._evidence = evidence
        self._hooks = hooks
        self._clock = clock

    def look(self, window: Window, plan: str) -> Verification:
        """One look at everything that is not decided yet."""
        planned = self._store.actions(window, plan)
        self._hooks.keep(planned)
        actions = [a for a in planned if a.kind in VERIFIED_KINDS]
        open_actions = [a for a in actions if a.status == "succeeded" and not _decided(a)]
        groups = self._evidence.groups({a.target for a in open_actions if a.kind == "detach"})
        waiting = False
        for action in open_actions:
            verdict = self._verdict(action, groups)
            self._store.verify(window, action.id, verdict)
            waiting |= verdict.state == "waiting"
        if not waiting:
            return Verification(verified=True, check_again=None)
        return Verification(verified=False, check_again=self._next_look(actions))

    def _next_look(self, actions: Sequence[Action]) -> str | None:
        """Soon after the actions, then less often, until just after the last deadline."""
        now = self._clock()
        acted = max(action.finished_at for action in actions)
        last = min(max(action.deadline for action in actions) + GRACE_SECONDS, acted + LONGEST_SECONDS)
        if now >= last:
            return None
        at = acted
        for pause in chain(PAUSES_SECONDS, repeat(PAUSES_SECONDS[-1])):
            at += pause
            if at > now:
                break
        return iso_precise(min(max(at, now + 1.0), last))

    def _verdict(self, action: Action, groups: dict[str, Group]) -> Verdict:
        if action.kind == "detach":
            return detached(action, groups.get(action.target))
        try:
            return self._drained_or_commanded(action)
        except NotFoundError as error:
            return Verdict("confirmed", f"{action.target} itself is gone: {error}")

    def _drained_or_commanded(self, action: Action) -> Verdict:
        if action.kind == "deregister":
            return drained(action, self._evidence.target_states(action.target, action.subjects))
        if action.kind == "containers":
            return emptied(action, self._evidence.container_instances(action.target, action.subjects))
        states: dict[str, str] = {}
        for command_id in action.reference.split(","):
            states |= self._evidence.invocation_states(command_id)
        return commanded(action, states)


VERIFIED_KINDS = frozenset({"detach", "deregister", "containers", "checkpoint", "command"})
"""What ``nodes`` came to is known when it ends; ``complete`` comes after the last look."""


def _decided(action: Action) -> bool:
    return action.verdict is not None and action.verdict.state != "waiting"


def _done(action: Action) -> list[str]:
    return [s for s in action.subjects if action.outcome_of(s)[0] == "succeeded"]


def detached(action: Action, group: Group | None) -> Verdict:
    """Gone from the group, and as many in service as the group wants."""
    if group is None:
        return Verdict("confirmed", "the group itself is gone")
    still = [instance for instance in _done(action) if instance in group.members]
    if still:
        return Verdict("waiting", f"still in {group.name}: {', '.join(still)}")
    in_service = sum(state == "InService" for state in group.members.values())
    if in_service < group.desired:
        return Verdict("waiting", f"{in_service} of {group.desired} in service in {group.name}")
    return Verdict("confirmed", f"{in_service} of {group.desired} in service in {group.name}")


def drained(action: Action, states: dict[str, str]) -> Verdict:
    """Every target drains, or is none any more. Where a hook waits for it, draining must be over."""
    to_the_end = action.payload.get("until") == "drained"
    enough = NO_TARGET if to_the_end else DRAINED
    still = [i for i in _done(action) if states.get(i, "unused") not in enough]
    if still:
        return Verdict("waiting", f"not {'drained' if to_the_end else 'draining'}: {', '.join(still)}")
    return Verdict("confirmed")


def emptied(action: Action, found: Sequence[ContainerInstance]) -> Verdict:
    """Every container instance drains and runs no task, or is none any more."""
    done = set(_done(action))
    present = [each for each in found if each.instance in done and each.status not in LEAVING]
    still = sorted({each.instance for each in present if each.status != DRAINING})
    if still:
        return Verdict("waiting", f"not draining: {', '.join(still)}")
    tasks = sum(each.running_tasks for each in present)
    if tasks:
        return Verdict("waiting", f"{tasks} tasks still run in {action.target}")
    return Verdict("confirmed")


def commanded(action: Action, states: dict[str, str]) -> Verdict:
    """The command has ended well everywhere; where it ended badly, that stands."""
    subjects = _done(action)
    open_ = [i for i in subjects if states.get(i, "Pending") in COMMAND_PENDING]
    if open_:
        return Verdict("waiting", f"no answer yet from: {', '.join(open_)}")
    failed = {i: f"the command ended {states[i]}" for i in subjects if states[i] != "Success"}
    if failed:
        return Verdict("contradicted", f"the command failed on {len(failed)}", failed)
    return Verdict("confirmed")
