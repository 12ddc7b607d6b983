"""Lifecycle hooks: kept from running out while an instance drains, completed once it has.

Source: "Complete a lifecycle action", Amazon EC2 Auto Scaling User Guide.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from signalbox.clock import Clock
from signalbox.errors import AccessDeniedError, RefusedError, SignalboxError, ThrottledError
from signalbox.ledger.actions import FINAL, Action, Result

HELD = "Terminating:Wait"
"""The lifecycle state of an instance that a hook holds; from a warm pool it has a prefix."""
AFTER_DRAIN = frozenset({"complete", "terminate"})
"""Kinds that come last, when nothing is served by the instance any more."""
KEEPING_SECONDS = 20.0
"""The longest that one look spends on heartbeats: the rest of them go with the next one."""


class Heartbeats(Protocol):
    def heartbeat(self, group: str, hook: str, instance: str, token: str) -> None:
        """Starts the hook's timeout anew."""
        ...


class LifecycleHooks(Protocol):
    def complete(self, group: str, hook: str, instance: str, token: str) -> None:
        """Lets the group go on ending the instance.

        Raises:
            RefusedError: no such lifecycle action is open, for one.
        """
        ...

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Instance → (group, lifecycle state), of those that are in a group."""
        ...


class CompleteHooks:
    """Completes one lifecycle action. One that is no longer open is nothing to do."""

    def __init__(self, hooks: LifecycleHooks) -> None:
        self._hooks = hooks

    def perform(self, action: Action) -> Result:
        [instance] = action.subjects
        try:
            self._hooks.complete(action.group, action.target, instance, action.payload["token"])
        except AccessDeniedError:
            raise  # says nothing about the instance
        except RefusedError:
            member_of, state = self._hooks.member_states([instance]).get(instance, ("", ""))
            if member_of == action.group and state.endswith(HELD):
                raise  # it still waits: the refusal has another cause
            reason = f"{state} in {member_of}" if member_of else f"no member of {action.group} any more"
            if not action.resumed:
                return Result(status="skipped", reason=f"no hook holds the instance: {reason}")
        return Result(status="succeeded")


class KeepHooks:
    """Keeps open hooks from running out. What fails is noted and never stops anything: the next look tries
    again, and a hook that runs out all the same ends the instance as its group says.

    Args:
        hooks: Auto Scaling.
        clock: seconds since 1970.
        note: told of each heartbeat that failed, and why.
    """

    def __init__(
        self, hooks: Heartbeats, clock: Clock, note: Callable[[Action, SignalboxError], None]
    ) -> None:
        self._hooks = hooks
        self._clock = clock
        self._note = note

    def keep(self, actions: Iterable[Action]) -> None:
        """One heartbeat for each hook among the actions that is still to be completed."""
        until = self._clock() + KEEPING_SECONDS
        for action in actions:
            if action.kind != "complete" or action.status in FINAL:
                continue
            if self._clock() >= until:
                return
            try:
                token = action.payload["token"]
                self._hooks.heartbeat(action.group, action.target, action.subjects[0], token)
            except ThrottledError as error:
                self._note(action, error)
                return  # all of Auto Scaling shares one request bucket: the others would fare no better
            except SignalboxError as error:
                self._note(action, error)
