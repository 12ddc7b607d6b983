"""What is decided for one instance, and how that is cut into calls."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.ledger.actions import Action
from signalbox.spot.commands import GroupCommands
from signalbox.spot.configuration import MODE_TAG, Reason
from signalbox.spot.estate import GONE, Group, Instance, Snapshot
from signalbox.spot.planning import (
    COMMAND_CHUNK,
    COMMAND_SLOT_SECONDS,
    DETACH_CHUNK,
    TARGETS_CHUNK,
    Decision,
    Policy,
    actions_of,
    decide,
    parse_all_commands,
)
from tests.unit.spot.doubles import DOCUMENT, NOON, PLAN, decision, episode, fleet, instance_id, target_group

ALL_KINDS = ("detach", "deregister", "command")
COMMANDS = GroupCommands(("systemctl stop web",))
POLICY = Policy(command_document=DOCUMENT)
CAPS = {"detach": DETACH_CHUNK, "deregister": TARGETS_CHUNK, "command": COMMAND_CHUNK}


def decided(
    instance: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    policy: Policy = POLICY,
    commands: GroupCommands | Reason = COMMANDS,
) -> Decision:
    """The decision for instance 1 of the group ``web``, which opts in, with these things changed."""
    estate = fleet("web", [1], **group or {})
    snapshot = estate.snapshot([instance_id(1)])
    changed = msgspec.structs.replace(snapshot.instances[instance_id(1)], **instance or {})
    return decide(episode(1), Snapshot({changed.id: changed}, snapshot.groups), {"web": commands}, policy)


def codes(found: Decision) -> set[str]:
    return {reason.code for reason in found.reasons}


def test_in_service_on_spot_in_a_group_that_opts_in_gets_everything() -> None:
    found = decided()
    assert (found.mode, found.kinds, codes(found)) == ("act", ALL_KINDS, {"mode-by-tag"})
    assert (found.instance, found.group) == (instance_id(1), "web")
    assert (found.noticed_at, found.deadline) == (NOON, NOON + 120)


@pytest.mark.parametrize(
    ("instance", "group", "code"),
    [
        ({"member_state": "Terminating"}, {}, "already-leaving"),
        ({"member_state": "Terminating:Wait"}, {}, "already-leaving"),
        ({"member_state": "Terminating:Proceed"}, {}, "already-leaving"),
        ({"member_state": "Terminated"}, {}, "already-leaving"),
        ({"member_state": "Detaching"}, {}, "already-leaving"),
        ({"member_state": "Detached"}, {}, "already-leaving"),
        ({"member_state": "Warmed:Stopped"}, {}, "warm-pool"),
        ({"member_state": "Warmed:Running"}, {}, "warm-pool"),
        ({"member_state": "Warmed:Pending:Wait"}, {}, "warm-pool"),
        ({"member_state": "Standby"}, {}, "standby"),
        ({"member_state": "EnteringStandby"}, {}, "not-in-service"),
        ({"member_state": "Pending"}, {}, "not-in-service"),
        ({"member_state": "Pending:Wait"}, {}, "not-in-service"),
        ({"member_state": ""}, {}, "not-in-service"),
        ({}, {"capacity_rebalance": True}, "capacity-rebalance"),
        ({}, {"suspended": frozenset({"Launch"})}, "launch-suspended"),
        ({"tags": {MODE_TAG: "act"}}, {"tags": {}}, "group-not-opted-in"),
        ({"tags": {MODE_TAG: "act"}}, {"tags": {MODE_TAG: "ignore"}}, "group-not-opted-in"),
    ],
)
def test_each_rule_against_a_detach_leaves_the_rest_and_says_why(
    instance: dict[str, Any], group: dict[str, Any], code: str
) -> None:
    found = decided(instance, group)
    assert (found.mode, found.kinds) == ("act", ("deregister", "command"))
    assert codes(found) == {"mode-by-tag", code}


def test_another_suspended_process_does_not_stand_against_a_detach() -> None:
    assert decided(group={"suspended": frozenset({"Terminate", "AZRebalance"})}).kinds == ALL_KINDS


def test_the_stacks_default_opts_an_untagged_group_in() -> None:
    found = decided(group={"tags": {}}, policy=Policy(default_mode="act"))
    assert (found.mode, found.kinds, codes(found)) == ("act", ALL_KINDS, {"mode-by-default"})


@pytest.mark.parametrize("mode", ["observe", "ignore"])
def test_a_group_need_not_opt_in_for_what_would_be_done(mode: str) -> None:
    found = decided({"tags": {MODE_TAG: mode}}, {"tags": {}})
    assert (found.kinds, codes(found)) == (ALL_KINDS, {"mode-by-tag"})


def test_an_instance_that_was_detached_meanwhile_is_still_told_of_its_group() -> None:
    alone = Instance(id=instance_id(1), state="running", lifecycle="spot", tags={MODE_TAG: "act"})
    found = decide(episode(1, group="web"), Snapshot({alone.id: alone}, {}), {}, POLICY)
    assert (found.group, found.kinds) == ("web", ())


def test_a_group_without_target_groups_drains_nothing() -> None:
    assert decided(group={"target_groups": ()}).kinds == ("detach", "command")


@pytest.mark.parametrize("code", ["no-commands", "commands-invalid"])
def test_a_group_without_usable_commands_says_why(code: str) -> None:
    found = decided(commands=Reason(code, "why"))
    assert (found.kinds, codes(found)) == (("detach", "deregister"), {"mode-by-tag", code})


def test_an_instance_that_ec2_does_not_know_is_ignored() -> None:
    found = decide(episode(1), Snapshot({}, {}), {}, POLICY)
    assert (found.mode, found.kinds, codes(found), found.group) == ("ignore", (), {"unknown-instance"}, "")


@pytest.mark.parametrize("state", sorted(GONE))
def test_an_instance_that_is_gone_is_ignored(state: str) -> None:
    found = decided({"state": state})
    assert (found.mode, found.kinds, codes(found), found.group) == ("ignore", (), {"already-gone"}, "web")


@pytest.mark.parametrize("tags", [{}, {MODE_TAG: "act"}])
def test_an_instance_in_no_group_gets_nothing(tags: dict[str, str]) -> None:
    alone = Instance(id=instance_id(1), state="running", lifecycle="spot", tags=tags)
    found = decide(episode(1), Snapshot({alone.id: alone}, {}), {}, POLICY)
    assert (found.kinds, found.group) == ((), "")
    assert "no-group" in codes(found)


def test_a_warning_for_an_on_demand_instance_is_only_observed() -> None:
    found = decided({"lifecycle": ""})
    assert (found.mode, codes(found)) == ("observe", {"mode-by-tag", "on-demand"})


@pytest.mark.parametrize(
    ("tags", "policy", "mode"),
    [
        ({MODE_TAG: "observe"}, POLICY, "observe"),
        ({MODE_TAG: "ignore"}, POLICY, "ignore"),
        ({}, Policy(dry_run=True), "observe"),
    ],
)
def test_without_acting_the_same_kinds_are_found(tags: dict[str, str], policy: Policy, mode: str) -> None:
    found = decided({"tags": tags}, policy=policy)
    assert (found.mode, found.kinds) == (mode, decided().kinds)


SNAPSHOT = Snapshot(
    {},
    {
        "web": Group(name="web", target_groups=(target_group("a"), target_group("b"))),
        "api": Group(name="api", target_groups=(target_group("c"),)),
        "batch": Group(name="batch"),
    },
)
ALL_COMMANDS: dict[str, GroupCommands | Reason] = dict.fromkeys(SNAPSHOT.groups, COMMANDS)


def planned(*decisions: Decision, policy: Policy = POLICY) -> list[Action]:
    return actions_of(PLAN, decisions, SNAPSHOT, ALL_COMMANDS, policy)


@pytest.mark.parametrize("mode", ["observe", "ignore"])
def test_without_acting_there_are_no_actions(mode: Any) -> None:
    assert planned(decision(mode=mode)) == []


@pytest.mark.parametrize(
    ("kind", "group", "sizes"),
    [
        ("detach", "batch", [20, 20, 20, 20, 20, 20, 1]),
        ("deregister", "api", [100, 21]),
        ("command", "batch", [50, 50, 21]),
    ],
)
def test_calls_are_as_large_as_aws_takes_them(kind: str, group: str, sizes: list[int]) -> None:
    actions = planned(*(decision(n, group=group, kinds=(kind,)) for n in range(121)))
    assert [len(action.subjects) for action in actions] == sizes


def test_each_target_group_of_the_group_is_drained() -> None:
    actions = planned(decision(kinds=("deregister",)))
    assert [(a.group, a.target) for a in actions] == [("web", target_group("a")), ("web", target_group("b"))]


def test_a_command_carries_what_the_document_needs() -> None:
    [action] = planned(decision(kinds=("command",), instance_action="stop"))
    assert (action.target, action.group) == (DOCUMENT, "web")
    assert list(action.payload["shutdown"]) == ["systemctl stop web"]
    assert (action.payload["timeout_seconds"], action.payload["instance_action"]) == (25, "stop")


def test_commands_go_out_ahead_of_the_deadline_and_of_the_lead() -> None:
    [action] = planned(decision(kinds=("command",), deadline=NOON + 123), policy=Policy(command_lead=40))
    assert action.due_at == NOON + 80  # the slot that holds NOON + 83
    assert action.deadline == NOON + 123


def test_commands_due_in_one_slot_share_a_call() -> None:
    actions = planned(*(decision(n, kinds=("command",), deadline=NOON + 120 + n) for n in range(6)))
    assert [len(action.subjects) for action in actions] == [5, 1]


def test_hibernation_does_not_wait_and_stands_apart() -> None:
    actions = planned(
        decision(1, kinds=("command",)),
        decision(2, kinds=("command",), instance_action="hibernate", deadline=NOON),
    )
    assert {action.subjects: action.due_at for action in actions} == {
        (instance_id(1),): NOON + 90,
        (instance_id(2),): 0,
    }


decisions = st.lists(
    st.builds(
        lambda group, mode, kinds, action, seconds: (group, mode, kinds, action, seconds),
        st.sampled_from(tuple(SNAPSHOT.groups)),
        st.sampled_from(("act", "act", "act", "observe", "ignore")),
        st.sets(st.sampled_from(ALL_KINDS)),
        st.sampled_from(("terminate", "stop", "hibernate")),
        st.integers(0, 300),
    ),
    max_size=130,
).map(
    lambda drawn: [
        decision(
            number,
            group=group,
            mode=mode,
            kinds=tuple(kinds),
            instance_action=action,
            deadline=NOON + seconds,
        )
        for number, (group, mode, kinds, action, seconds) in enumerate(drawn)
    ]
)


@given(decisions)
def test_every_acting_instance_is_in_one_call_per_kind_and_target(found: list[Decision]) -> None:
    actions = planned(*found)
    expected: Counter[tuple[str, str, str]] = Counter()
    for each in found:
        for kind in each.kinds if each.mode == "act" else ():
            targets = {
                "detach": (each.group,),
                "deregister": SNAPSHOT.groups[each.group].target_groups,
                "command": (DOCUMENT,),
            }[kind]
            expected.update((kind, target, each.instance) for target in targets)
    assert Counter((a.kind, a.target, subject) for a in actions for subject in a.subjects) == expected
    assert all(0 < len(action.subjects) <= CAPS[action.kind] for action in actions)
    assert len({action.id for action in actions}) == len(actions)
    assert all(action.id.startswith(f"{PLAN}#{action.kind}#") for action in actions)


@given(decisions)
def test_every_call_is_in_time_for_each_of_its_instances(found: list[Decision]) -> None:
    by_instance = {each.instance: each for each in found}
    for action in planned(*found):
        members = [by_instance[subject] for subject in action.subjects]
        assert {member.group for member in members} == {action.group}
        assert action.deadline == min(member.deadline for member in members)
        if action.kind != "command":
            assert action.due_at == 0
        elif action.payload["instance_action"] == "hibernate":
            assert action.due_at == 0
            assert {member.instance_action for member in members} == {"hibernate"}
        else:
            wanted = [member.deadline - POLICY.command_lead for member in members]
            assert all(at - COMMAND_SLOT_SECONDS < action.due_at <= at for at in wanted)


def test_the_most_urgent_are_in_the_first_call() -> None:
    late = [decision(n, group="batch", kinds=("detach",), deadline=NOON + 200) for n in range(20)]
    urgent = decision(99, group="batch", kinds=("detach",), deadline=NOON + 60)
    first, second = planned(*late, urgent)
    assert urgent.instance in first.subjects
    assert (first.deadline, second.deadline) == (NOON + 60, NOON + 200)


def test_the_commands_of_each_group_or_why_there_are_none() -> None:
    found = parse_all_commands(
        ["web", "api", "bad", "web blue"],
        {"/p/web/commands": '{"shutdown": ["sync"]}', "/p/bad/commands": '{"shutdown": []}'},
        "/p",
    )
    assert found["web"] == GroupCommands(("sync",))
    reasons = {group: reason for group, reason in found.items() if isinstance(reason, Reason)}
    assert {group: reason.code for group, reason in reasons.items()} == {
        "api": "no-commands",
        "bad": "commands-invalid",
        "web blue": "no-commands",
    }
    assert "/p/api/commands" in reasons["api"].text
    assert "/p/bad/commands $.shutdown" in reasons["bad"].text
    assert "web blue" in reasons["web blue"].text
