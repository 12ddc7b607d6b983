"""Ending an instance through its group."""

from collections.abc import Sequence

import pytest

from signalbox.errors import RefusedError
from signalbox.ledger.actions import Action
from signalbox.spot.terminations import TerminateInstances
from tests.unit.spot.doubles import action, instance_id

ME = instance_id(0)


class FakeGroup:
    def __init__(self, state: str = "InService", group: str = "web") -> None:
        self.members = {ME: (group, state)} if state else {}
        self.terminated: list[str] = []
        self.looks = 0

    def terminate(self, instance: str) -> None:
        if self.members.get(instance, ("", ""))[1] != "InService":
            raise RefusedError("ValidationError")
        self.terminated.append(instance)
        self.members[instance] = (self.members[instance][0], "Terminating")

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        self.looks += 1
        return {i: self.members[i] for i in instances if i in self.members}


def terminate(attempts: int = 1) -> Action:
    return action("terminate", of=(0,), target="web", attempts=attempts)


def test_it_is_ended_once_without_a_look() -> None:
    group = FakeGroup()
    assert TerminateInstances(group).perform(terminate()).status == "succeeded"
    assert (group.terminated, group.looks) == ([ME], 0)


@pytest.mark.parametrize("state", ["Terminating:Wait", "Terminated", ""])
def test_who_takes_over_looks_first(state: str) -> None:
    group = FakeGroup(state)
    assert TerminateInstances(group).perform(terminate(attempts=2)).status == "succeeded"
    assert group.terminated == []


def test_one_that_has_left_already_is_skipped_with_the_reason() -> None:
    result = TerminateInstances(FakeGroup("")).perform(terminate())
    assert (result.status, "web" in result.reason) == ("skipped", True)


def test_a_refusal_for_another_reason_is_passed_on() -> None:
    with pytest.raises(RefusedError):
        TerminateInstances(FakeGroup("Standby")).perform(terminate())
