"""Looking at the estate after acting on it: has it happened, is it still to come, or did it fail?"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, repeat
from typing import Literal, Protocol

import msgspec

from signalbox.clock import Clock, iso_precise
from signalbox.errors import NotFoundError
from signalbox.ledger.actions import FINAL, Action, ActionStore, Verdict
from signalbox.ledger.windows import Window
from signalbox.spot.commands import COMMAND_KINDS
from signalbox.spot.containers import DRAINING, LEAVING, ContainerInstance
from signalbox.spot.estate import Group
from signalbox.spot.hooks import AFTER_DRAIN, KeepHooks

type Phase = Literal["act", "verify"]

PAUSES_SECONDS = (2.0, 3.0, 5.0, 10.0)
"""Between two looks; the last one repeats until the time is up."""
KEEPING_PAUSE_SECONDS = 10.0
"""Between two heartbeats while the window acts: a hook's timeout is 30 s at least (PutLifecycleHook, Auto
Scaling API Reference), and a heartbeat may fail. Actions that are done at once are not waited for so long."""
GRACE_SECONDS = 5.0
"""A look this long after the deadline is the last one."""
LONGEST_SECONDS = 840.0
"""No look later than this after the actions, however far the deadline: the state machine allows 900."""
DETACHED_SECONDS = 20.0
"""Auto Scaling may go on showing a member it has let go of; who is one later was attached again."""
ON_ITS_WAY_OUT = ("Detach", "Terminat")
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

    def registered_states(self, load_balancer: str, instances: Sequence[str]) -> dict[str, str]:
        """Instance → its state at a classic load balancer, as long as it is there."""
        ...

    def invocation_states(
        self, document: str, commands: Collection[str], since: float, *, each: bool
    ) -> dict[str, str]:
        """Instance → how the commands stand there.

        Args:
            document: that all of them run.
            commands: their ids.
            since: when the first of them was sent.
            each: tells the instances of a command that isn't over apart; else its own status stands for them.
        """
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

    def look(self, window: Window, plan: str, phase: Phase = "verify") -> Verification:
        """One look at everything that is not decided yet. While the window acts there is nothing to look at,
        but hooks to be kept open."""
        planned = self._store.actions(window, plan)
        return self._keep(planned) if phase == "act" else self._look(window, planned)

    def _keep(self, planned: Sequence[Action]) -> Verification:
        """Verified, and nothing done, once the window has acted: then the looks go on with the hooks."""
        if all(a.status in FINAL for a in planned if a.kind not in AFTER_DRAIN):
            return Verification(verified=True, check_again=None)
        self._hooks.keep(planned)
        now = self._clock()
        began = min((a.started_at for a in planned if a.started_at), default=now)
        pause = PAUSES_SECONDS[0] if now - began < PAUSES_SECONDS[0] else KEEPING_PAUSE_SECONDS
        return Verification(verified=False, check_again=iso_precise(now + pause))

    def _look(self, window: Window, planned: Sequence[Action]) -> Verification:
        self._hooks.keep(planned)
        actions = [a for a in planned if _is_looked_at(a)]
        open_actions = [a for a in actions if a.status == "succeeded" and not _decided(a)]
        check_again = self._next_look(actions) if actions else None
        groups = self._evidence.groups({a.target for a in open_actions if a.kind == "detach"})
        answers = self._answers(open_actions, each=check_again is None)
        waiting = False
        for action in open_actions:
            verdict = self._verdict(action, groups, answers)
            self._store.verify(window, action.id, verdict)
            waiting |= verdict.state == "waiting"
        if not waiting:
            return Verification(verified=True, check_again=None)
        return Verification(verified=False, check_again=check_again)

    def _answers(self, actions: Sequence[Action], *, each: bool) -> "dict[str, dict[str, str]]":
        """Kind of action → instance → how its commands stand there."""
        answers: dict[str, dict[str, str]] = defaultdict(dict)
        sent: dict[tuple[str, str], list[Action]] = defaultdict(list)
        for action in actions:
            if action.kind in COMMAND_KINDS:
                sent[action.kind, action.target].append(action)
        for (kind, document), those in sent.items():
            commands = {id_ for action in those for id_ in action.reference.split(",")}
            since = min(action.started_at for action in those)
            answers[kind] |= self._evidence.invocation_states(document, commands, since, each=each)
        return answers

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

    def _verdict(
        self, action: Action, groups: dict[str, Group], answers: dict[str, dict[str, str]]
    ) -> Verdict:
        if action.kind == "detach":
            return detached(action, groups, self._clock())
        if action.kind in COMMAND_KINDS:
            return commanded(action, answers[action.kind])
        try:
            return self._drained(action)
        except NotFoundError as error:
            return Verdict("confirmed", f"{action.target} itself is gone: {error}")

    def _drained(self, action: Action) -> Verdict:
        if action.kind == "deregister":
            return drained(action, self._evidence.target_states(action.target, action.subjects))
        if action.kind == "deregister-classic":
            return taken_out(action, self._evidence.registered_states(action.target, _done(action)))
        return emptied(action, self._evidence.container_instances(action.target, action.subjects))


VERIFIED_KINDS = frozenset({"detach", "deregister", "containers", *COMMAND_KINDS})
"""What ``nodes`` came to is known when it ends; ``complete`` comes after the last look."""
OUT_OF_SERVICE = "OutOfService"


def _is_looked_at(action: Action) -> bool:
    """A classic load balancer tells draining from drained, but not from serving: there only the end shows."""
    return action.kind in VERIFIED_KINDS or (action.kind == "deregister-classic" and _to_the_end(action))


def _to_the_end(action: Action) -> bool:
    return action.payload.get("until") == "drained"


def _decided(action: Action) -> bool:
    return action.verdict is not None and action.verdict.state != "waiting"


def _done(action: Action) -> list[str]:
    return [s for s in action.subjects if action.outcome_of(s)[0] == "succeeded"]


def detached(action: Action, groups: Mapping[str, Group], now: float) -> Verdict:
    """Gone from the group, and as many in service as the group wants; not attached again, to any of these
    groups: EC2 takes it all the same, and the group counts on it."""
    again = _attached_again(action, groups) if now - action.finished_at > DETACHED_SECONDS else {}
    if again:
        return Verdict("contradicted", f"attached again: {', '.join(again)}", again)
    group = groups.get(action.target)
    if group is None:
        return Verdict("confirmed", "the group itself is gone")
    still = [instance for instance in _done(action) if instance in group.members]
    if still:
        return Verdict("waiting", f"still in {group.name}: {', '.join(still)}")
    in_service = sum(state == "InService" for state in group.members.values())
    if in_service < group.desired:
        return Verdict("waiting", f"{in_service} of {group.desired} in service in {group.name}")
    return Verdict("confirmed", f"{in_service} of {group.desired} in service in {group.name}")


def _attached_again(action: Action, groups: Mapping[str, Group]) -> dict[str, str]:
    return {
        instance: f"attached again: {group.members[instance]} in {group.name}"
        for group in groups.values()
        for instance in _done(action)
        if instance in group.members and not group.members[instance].startswith(ON_ITS_WAY_OUT)
    }


def drained(action: Action, states: dict[str, str]) -> Verdict:
    """Every target drains, or is none any more. Where a hook waits for it, draining must be over."""
    to_the_end = _to_the_end(action)
    enough = NO_TARGET if to_the_end else DRAINED
    still = [i for i in _done(action) if states.get(i, "unused") not in enough]
    if still:
        return Verdict("waiting", f"not {'drained' if to_the_end else 'draining'}: {', '.join(still)}")
    return Verdict("confirmed")


def taken_out(action: Action, states: dict[str, str]) -> Verdict:
    """No instance is in service at the classic load balancer any more: it is, as long as it drains.

    Source: "Configure connection draining", User Guide for Classic Load Balancers.
    """
    still = [i for i in _done(action) if states.get(i, OUT_OF_SERVICE) != OUT_OF_SERVICE]
    return Verdict("waiting", f"not drained: {', '.join(still)}") if still else Verdict("confirmed")


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
    ended = {i: states[i] for i in subjects if states.get(i, "Pending") not in COMMAND_PENDING}
    failed = {i: f"the command ended {status}" for i, status in ended.items() if status != "Success"}
    open_ = [instance for instance in subjects if instance not in ended]
    if open_:
        unanswered = dict.fromkeys(open_, "the command was not answered")
        return Verdict("waiting", f"no answer yet from: {', '.join(open_)}", failed | unanswered)
    if failed:
        return Verdict("contradicted", f"the command failed on {len(failed)}", failed)
    return Verdict("confirmed")
