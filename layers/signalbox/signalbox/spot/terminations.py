"""Ending an instance that is at risk, through its group, when nothing is served by it any more."""

from collections.abc import Sequence
from typing import Protocol

from signalbox.errors import RefusedError
from signalbox.ledger.actions import Action, Result

LEAVING = ("Terminating", "Terminated")


class Group(Protocol):
    def terminate(self, instance: str) -> None:
        """Has the group end the instance and start a replacement: the desired capacity stays."""
        ...

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Instance → (group, lifecycle state), of those that are in a group."""
        ...


class TerminateInstances:
    """Ends one instance through its group: lifecycle hooks, draining and the replacement are the group's."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def perform(self, action: Action) -> Result:
        [instance] = action.subjects
        if action.resumed and self._is_leaving(action.target, instance):
            return Result(status="succeeded")
        try:
            self._group.terminate(instance)
        except RefusedError:
            if not self._is_leaving(action.target, instance):
                raise
            return Result(status="skipped", reason=f"no member of {action.target} any more, or leaving it")
        return Result(status="succeeded")

    def _is_leaving(self, group: str, instance: str) -> bool:
        member_of, state = self._group.member_states([instance]).get(instance, ("", ""))
        return member_of != group or state.startswith(LEAVING)
