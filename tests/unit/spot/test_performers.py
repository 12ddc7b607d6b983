"""One action done, whatever state its instances turn out to be in."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.clock import iso
from signalbox.errors import AccessDeniedError, NotBegunError, RefusedError, ThrottledError
from signalbox.ledger.actions import Action, Deviation
from signalbox.spot.commands import COMMAND_KINDS
from signalbox.spot.performers import (
    ANSWER_SECONDS,
    DELIVERY_TIMEOUT_SECONDS,
    DeregisterInstances,
    DeregisterTargets,
    DetachInstances,
    InvalidInstancesError,
    NotRegisteredError,
    PublishAlert,
    PutEvent,
    SendCommands,
    command_parameters,
)
from tests.unit.spot.balancers import FakeClassicLoadBalancing
from tests.unit.spot.doubles import (
    DOCUMENT,
    NOON,
    Failing,
    FakeAutoScaling,
    FakeLoadBalancing,
    FakeRunCommand,
    MovableClock,
    action,
    instance_id,
    target_group,
)


def ids(numbers: Iterable[int]) -> list[str]:
    return [instance_id(number) for number in numbers]


def resumed(kind: str, **changes: Any) -> Action:
    return action(kind, **changes, attempts=2)


# Detaching


def test_all_are_detached_in_one_call() -> None:
    groups = FakeAutoScaling(ids(range(20)))
    result = DetachInstances(groups).perform(action(of=range(20)))
    assert (result.status, result.deviations) == ("succeeded", {})
    assert groups.detached == ids(range(20))
    assert groups.calls == [("detach", 20)]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("web", "Standby"), "Standby in web"),
        (("web", "Terminating:Wait"), "Terminating:Wait in web"),
        (("api", "InService"), "in api, not web"),
        (None, "no member of web any more"),
    ],
)
def test_one_that_cant_be_detached_holds_up_no_other(member: tuple[str, str] | None, reason: str) -> None:
    groups = FakeAutoScaling(ids(range(3)))
    del groups.members[instance_id(1)]
    if member:
        groups.members[instance_id(1)] = member
    result = DetachInstances(groups).perform(action(of=range(3)))
    assert groups.detached == ids((0, 2))
    assert (result.status, result.deviations) == (
        "succeeded",
        {instance_id(1): Deviation("skipped", reason)},
    )
    assert groups.calls == [("detach", 3), ("member_states", 3), ("detach", 2)]


def test_where_nobody_is_left_there_is_nothing_to_do() -> None:
    groups = FakeAutoScaling()
    result = DetachInstances(groups).perform(action(of=range(2)))
    assert (result.status, groups.detached) == ("skipped", [])
    assert result.deviations.keys() == set(ids(range(2)))


def test_one_that_the_group_is_detaching_already_counts_as_done() -> None:
    groups = FakeAutoScaling(ids(range(2)))
    groups.members[instance_id(1)] = ("web", "Detaching")
    result = DetachInstances(groups).perform(action(of=range(2)))
    assert (result.status, result.deviations, groups.detached) == ("succeeded", {}, ids([0]))


@pytest.mark.parametrize("error", [RefusedError("ScalingActivity"), AccessDeniedError("no permission")])
def test_a_refusal_for_another_reason_is_passed_on(error: Exception) -> None:
    groups: Any = Failing(FakeAutoScaling(ids(range(2))), detach=[error])
    with pytest.raises(type(error)) as caught:
        DetachInstances(groups).perform(action(of=range(2)))
    assert caught.value is error


def test_an_instance_that_leaves_between_the_look_and_the_call_is_left_out() -> None:
    groups = FakeAutoScaling(ids(range(3)))

    class Leaving(FakeAutoScaling):
        def member_states(self, instances: Any) -> dict[str, tuple[str, str]]:
            found = groups.member_states(instances)
            groups.members.pop(instance_id(len(groups.calls) - 2), None)
            return found

        detach = groups.detach

    groups.members[instance_id(2)] = ("web", "Standby")
    result = DetachInstances(Leaving()).perform(action(of=range(3)))
    assert groups.detached == ids([1])
    assert result.deviations.keys() == set(ids((0, 2)))


def test_a_detach_that_was_throttled_has_begun_nothing() -> None:
    class Busy(FakeAutoScaling):
        def detach(self, group: str, instances: Any) -> None:
            raise ThrottledError("Throttling: Rate exceeded")

    with pytest.raises(NotBegunError, match="Rate exceeded"):
        DetachInstances(Busy(ids(range(2)))).perform(action(of=range(2)))


def test_who_takes_over_looks_first_and_detaches_only_what_is_left() -> None:
    groups = FakeAutoScaling(ids((1, 2)))  # 0 was detached before the crash
    result = DetachInstances(groups).perform(resumed("detach", of=range(3)))
    assert groups.calls == [("member_states", 3), ("detach", 2)]
    assert (result.status, result.deviations) == ("succeeded", {})


def test_who_takes_over_when_all_is_done_calls_nothing() -> None:
    groups = FakeAutoScaling()
    result = DetachInstances(groups).perform(resumed("detach", of=range(3)))
    assert (result.status, result.deviations, groups.calls) == ("succeeded", {}, [("member_states", 3)])


def test_what_was_detached_before_the_crash_stays_detached_where_the_rest_is_skipped() -> None:
    groups = FakeAutoScaling()
    groups.members[instance_id(1)] = ("web", "Terminating")
    result = DetachInstances(groups).perform(resumed("detach", of=range(2)))
    assert result.status == "succeeded"
    assert result.deviations == {instance_id(1): Deviation("skipped", "Terminating in web")}


STATES = st.sampled_from(
    (("web", "InService"), ("web", "Standby"), ("web", "Terminating"), ("api", "InService"), None)
)


@given(st.lists(STATES, min_size=1, max_size=20))
def test_exactly_those_in_service_are_detached(states: list[tuple[str, str] | None]) -> None:
    groups = FakeAutoScaling()
    groups.members = {instance_id(n): state for n, state in enumerate(states) if state}
    attachable = [i for i, state in groups.members.items() if state == ("web", "InService")]
    each = action(of=range(len(states)))
    result = DetachInstances(groups).perform(each)
    assert groups.detached == attachable
    assert result.deviations.keys() == set(each.subjects) - set(attachable)
    assert result.status == ("succeeded" if attachable else "skipped")


# Draining


def test_the_targets_are_deregistered() -> None:
    balancing = FakeLoadBalancing({target_group("web"): set(ids(range(3)))})
    result = DeregisterTargets(balancing).perform(action("deregister", of=(0, 2, 7)))
    assert (result.status, balancing.targets) == ("succeeded", {target_group("web"): {instance_id(1)}})


def test_a_target_group_that_is_gone_is_skipped() -> None:
    result = DeregisterTargets(FakeLoadBalancing({})).perform(action("deregister"))
    assert result.status == "skipped"
    assert "gone" in result.reason


def test_another_refusal_of_a_target_group_is_passed_on() -> None:
    balancing: Any = Failing(FakeLoadBalancing({}), deregister=[AccessDeniedError("no permission")])
    with pytest.raises(AccessDeniedError):
        DeregisterTargets(balancing).perform(action("deregister"))


# Draining, classic


def classic(*targets: int, strangers: Iterable[int] = ()) -> FakeClassicLoadBalancing:
    """A load balancer with these instances; strangers are known to EC2, and were never registered."""
    return FakeClassicLoadBalancing({"classic": ids(targets)}, ids(strangers))


def test_the_instances_are_deregistered_in_one_call() -> None:
    balancing = classic(0, 1, 2)
    result = DeregisterInstances(balancing).perform(action("deregister-classic", of=(0, 2)))
    assert (result.status, result.deviations) == ("succeeded", {})
    assert balancing.registered == {"classic": {instance_id(1)}}
    assert balancing.calls == 1


def test_deregistering_once_more_changes_nothing() -> None:
    balancing = classic(0, 1)
    for each in (action("deregister-classic"), resumed("deregister-classic")):
        assert DeregisterInstances(balancing).perform(each).status == "succeeded"
    assert balancing.registered == {"classic": {instance_id(1)}}


@given(st.integers(1, 100), st.sets(st.integers(0, 99)))
def test_who_was_never_registered_holds_up_no_other(number: int, strangers: set[int]) -> None:
    strangers = {each for each in strangers if each < number}
    balancing = classic(*(set(range(number)) - strangers), strangers=strangers)
    result = DeregisterInstances(balancing).perform(action("deregister-classic", of=range(number)))
    assert balancing.registered == {"classic": set()}
    skipped = Deviation("skipped", "not registered with classic")
    assert result.deviations == dict.fromkeys(ids(strangers), skipped)
    assert result.status == ("skipped" if len(strangers) == number else "succeeded")


def test_a_load_balancer_that_is_gone_is_skipped() -> None:
    result = DeregisterInstances(FakeClassicLoadBalancing({})).perform(action("deregister-classic"))
    assert (result.status, "gone" in result.reason) == ("skipped", True)


@pytest.mark.parametrize("error", [AccessDeniedError("no permission"), ThrottledError("slow")])
def test_another_refusal_of_a_load_balancer_is_passed_on(error: Exception) -> None:
    balancing: Any = Failing(classic(0), deregister=[error])
    with pytest.raises(type(error)):
        DeregisterInstances(balancing).perform(action("deregister-classic"))


def test_not_registered_has_a_code_of_its_own() -> None:
    assert NotRegisteredError.code not in {RefusedError.code, InvalidInstancesError.code}


# Commands


def send(run_command: Any, each: Action) -> Any:
    return SendCommands(run_command, MovableClock(NOON + 90)).perform(each)


@pytest.mark.parametrize("kind", COMMAND_KINDS)
def test_one_command_reaches_all(kind: str) -> None:
    systems_manager = FakeRunCommand(ids(range(50)))
    result = send(systems_manager, action(kind, of=range(50)))
    [command] = systems_manager.commands
    assert (result.status, result.reference, result.deviations) == ("succeeded", command["id"], {})
    assert (command["document"], command["instances"]) == (DOCUMENT, ids(range(50)))
    assert systems_manager.calls == {"send": 1}


@given(st.integers(1, 50), st.sets(st.integers(0, 49)))
def test_instances_that_cant_take_it_are_found_by_halving(number: int, unmanaged: set[int]) -> None:
    unmanaged = {each for each in unmanaged if each < number}
    systems_manager = FakeRunCommand(ids(set(range(number)) - unmanaged))
    result = send(systems_manager, action("command", of=range(number)))
    assert systems_manager.reached() == dict.fromkeys(systems_manager.managed, 1)
    assert result.deviations.keys() == set(ids(unmanaged))
    assert {deviation.status for deviation in result.deviations.values()} <= {"failed"}
    assert (result.status == "failed") == (len(unmanaged) == number)
    assert [id_ for id_ in result.reference.split(",") if id_] == [c["id"] for c in systems_manager.commands]


def test_one_that_cant_take_it_among_fifty_costs_few_calls() -> None:
    systems_manager = FakeRunCommand(ids(range(49)))
    result = send(systems_manager, action("command", of=range(50)))
    assert systems_manager.calls["send"] <= 13  # two for each halving of fifty, and the first
    reason = result.deviations[instance_id(49)].reason
    assert reason.startswith("not-managed: InvalidInstanceId")


def test_who_takes_over_finds_what_was_sent_by_its_comment() -> None:
    systems_manager = FakeRunCommand(ids(range(4)))
    send(systems_manager, action("command", of=(0, 1)))
    send(systems_manager, action("command", 7, of=(3,)))  # another action's
    result = send(systems_manager, resumed("command", of=range(4)))
    assert systems_manager.commands[-1]["instances"] == ids((2, 3))
    assert result.reference == "command-0,command-2"
    assert {command["comment"] for command in systems_manager.commands} == {
        "signalbox plan1#command#00000",
        "signalbox plan1#command#00007",
    }


def test_who_takes_over_when_all_was_sent_sends_nothing() -> None:
    systems_manager = FakeRunCommand(ids(range(2)))
    send(systems_manager, action("command", of=range(2)))
    result = send(systems_manager, resumed("command", of=range(2)))
    assert systems_manager.calls == {"send": 2 - 1, "sent": 1}
    assert (result.status, result.reference) == ("succeeded", "command-0")


def test_the_first_try_does_not_look() -> None:
    systems_manager = FakeRunCommand(ids([0]))
    send(systems_manager, action("command"))
    assert systems_manager.calls["sent"] == 0


def test_a_throttled_half_comes_again_and_nothing_is_sent_twice() -> None:
    systems_manager = FakeRunCommand(ids(range(3)))
    unreliable = Failing(systems_manager, send=[InvalidInstancesError("no")])
    send(unreliable, action("command", of=range(2)))
    unreliable = Failing(systems_manager, send=[ThrottledError("slow")])
    with pytest.raises(ThrottledError):
        send(unreliable, resumed("command", of=range(3)))
    send(systems_manager, resumed("command", of=range(3)))
    assert systems_manager.reached() == dict.fromkeys(ids(range(3)), 1)


def test_another_refusal_of_a_command_is_passed_on() -> None:
    systems_manager = Failing(FakeRunCommand([]), send=[AccessDeniedError("no permission")])
    with pytest.raises(AccessDeniedError):
        send(systems_manager, action("command", of=range(2)))


def test_the_parameters_keep_script_and_event_apart() -> None:
    each = action("command", payload={"script": ["a", "b"], "timeout_seconds": 25, "instance_action": "stop"})
    assert command_parameters(each, NOON + 90) == {
        "Commands": ["a\nb"],
        "InstanceAction": ["stop"],
        "Deadline": [iso(NOON + 120)],
        "TimeoutSeconds": ["25"],
    }


@given(st.floats(0, 300), st.integers(1, 110))
def test_a_command_ends_before_the_instance_goes(after_noon: float, timeout: int) -> None:
    payload = {"script": ["a"], "timeout_seconds": timeout, "instance_action": "stop"}
    each = action("command", payload=payload)
    [text] = command_parameters(each, NOON + after_noon)["TimeoutSeconds"]
    left = each.deadline - (NOON + after_noon) - ANSWER_SECONDS
    assert 1 <= int(text) <= timeout
    assert int(text) <= left or left < 1  # too late: it gets its chance all the same
    assert int(text) in (timeout, int(left))


def test_the_delivery_timeout_is_one_that_aws_takes() -> None:
    assert DELIVERY_TIMEOUT_SECONDS >= 30


# Telling


class FakeTopic:
    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str:
        return f"{subject}|{message}|{attributes}"


class FakeBus:
    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        return f"{source}|{detail_type}|{detail}"


def test_an_alert_is_published_as_planned() -> None:
    payload = {"subject": "s", "message": "m", "attributes": {"a": "b"}}
    result = PublishAlert(FakeTopic()).perform(action("alert", payload=payload))
    assert (result.status, result.reference) == ("succeeded", "s|m|{'a': 'b'}")


def test_an_event_is_put_as_planned() -> None:
    payload = {"source": "s", "detail_type": "t", "detail": {"a": 1}}
    result = PutEvent(FakeBus()).perform(action("event", payload=payload))
    assert (result.status, result.reference) == ("succeeded", "s|t|{'a': 1}")
