"""Lifecycle hooks: completed when it is time, kept open until then."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from signalbox.errors import AccessDeniedError, RefusedError, SignalboxError, ThrottledError, UnavailableError
from signalbox.ledger.actions import Action
from signalbox.spot.hooks import KEEPING_SECONDS, CompleteHooks, KeepHooks
from tests.unit.spot.doubles import PAYLOADS, MovableClock, action, instance_id

HELD = ("web", "Terminating:Wait")
TOKEN = PAYLOADS["complete"]["token"]


class FakeHooks:
    """The hook ``drain`` of the group ``web``. ``open`` are the instances it still waits for."""

    def __init__(self, *held: int) -> None:
        self.members: dict[str, tuple[str, str]] = {instance_id(number): HELD for number in held}
        self.open = set(self.members)
        self.beats: list[str] = []

    def complete(self, group: str, hook: str, instance: str, token: str) -> None:
        self._check(group, hook, instance, token)
        self.open.remove(instance)
        self.members[instance] = (group, "Terminating:Proceed")

    def heartbeat(self, group: str, hook: str, instance: str, token: str) -> None:
        self._check(group, hook, instance, token)
        self.beats.append(instance)

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        return {instance: self.members[instance] for instance in instances if instance in self.members}

    def _check(self, group: str, hook: str, instance: str, token: str) -> None:
        if (group, hook, token) != ("web", "drain", TOKEN) or instance not in self.open:
            raise RefusedError(f"ValidationError: No active Lifecycle Action found with token {token}")


def complete(hooks: Any, **changes: Any) -> Any:
    return CompleteHooks(hooks).perform(action("complete", **changes))


def test_the_hook_is_completed() -> None:
    hooks = FakeHooks(0, 1)
    assert (complete(hooks).status, hooks.open) == ("succeeded", {instance_id(1)})


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (None, "no member of web any more"),
        (("web", "Terminating:Proceed"), "Terminating:Proceed in web"),
        (("other", "Terminating:Wait"), "Terminating:Wait in other"),
    ],
)
def test_a_hook_that_waits_for_nobody_is_nothing_to_do(member: tuple[str, str] | None, said: str) -> None:
    hooks = FakeHooks()
    if member:
        hooks.members[instance_id(0)] = member
    result = complete(hooks)
    assert (result.status, said in result.reason) == ("skipped", True)


def test_who_takes_over_after_it_was_completed_has_done_it() -> None:
    hooks = FakeHooks(0)
    complete(hooks)
    assert complete(hooks, attempts=2).status == "succeeded"


@pytest.mark.parametrize("state", ["Terminating:Wait", "Warmed:Terminating:Wait"])
def test_a_refusal_while_the_instance_is_still_held_is_passed_on(state: str) -> None:
    hooks = FakeHooks()
    hooks.members[instance_id(0)] = ("web", state)
    for attempts in (1, 2):
        with pytest.raises(RefusedError):
            complete(hooks, attempts=attempts)


def test_a_lack_of_permission_is_told_even_where_no_instance_is_held() -> None:
    class Closed(FakeHooks):
        def complete(self, *_: str) -> None:
            raise AccessDeniedError("not authorized to perform: autoscaling:CompleteLifecycleAction")

    with pytest.raises(AccessDeniedError):
        complete(Closed())


@pytest.mark.parametrize("error", [ThrottledError("slow"), UnavailableError("lost")])
def test_what_may_work_later_is_for_the_worker_to_try_again(error: SignalboxError) -> None:
    class Failing(FakeHooks):
        def complete(self, *_: str) -> None:
            raise error

    with pytest.raises(type(error)):
        complete(Failing(0))


# Keeping


class Notes:
    """What was noted."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, each: Action, error: SignalboxError) -> None:
        self.all.append((each.subjects[0], error.code))


def keep(hooks: FakeHooks, *actions: Action, clock: Callable[[], float] | None = None) -> Notes:
    notes = Notes()
    KeepHooks(hooks, clock or MovableClock(), notes).keep(actions)
    return notes


def test_each_open_hook_gets_a_heartbeat() -> None:
    hooks = FakeHooks(0, 1)
    notes = keep(hooks, *(action("complete", number, of=(number,)) for number in range(2)))
    assert (hooks.beats, notes.all) == ([instance_id(0), instance_id(1)], [])


@pytest.mark.parametrize(
    "each",
    [
        action("detach"),
        action("complete", status="succeeded"),
        action("complete", status="skipped"),
        action("complete", status="failed"),
    ],
)
def test_nothing_else_does(each: Action) -> None:
    hooks = FakeHooks(0)
    assert (keep(hooks, each).all, hooks.beats) == ([], [])


def test_a_heartbeat_that_fails_is_noted_and_the_others_go_out() -> None:
    hooks = FakeHooks(1)
    notes = keep(hooks, *(action("complete", number, of=(number,)) for number in range(2)))
    assert (notes.all, hooks.beats) == ([(instance_id(0), "refused")], [instance_id(1)])


@pytest.mark.parametrize(
    ("error", "tried"),
    [(ThrottledError("slow"), 1), (UnavailableError("lost"), 3), (AccessDeniedError("no"), 3)],
)
def test_being_throttled_is_heard_at_once(error: SignalboxError, tried: int) -> None:
    class Failing(FakeHooks):
        def heartbeat(self, *_: str) -> None:
            raise error

    notes = keep(Failing(), *(action("complete", number, of=(number,)) for number in range(3)))
    assert [code for _, code in notes.all] == [error.code] * tried


def test_heartbeats_take_no_more_than_their_share_of_a_look() -> None:
    clock = MovableClock()

    class Slow(FakeHooks):
        def heartbeat(self, *arguments: str) -> None:
            super().heartbeat(*arguments)
            clock.sleep(KEEPING_SECONDS / 2)

    hooks = Slow(0, 1, 2)
    keep(hooks, *(action("complete", number, of=(number,)) for number in range(3)), clock=clock)
    assert hooks.beats == [instance_id(0), instance_id(1)]
