"""What is decided for one instance, and how that is cut into calls."""

from collections import Counter
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.ledger.actions import Action
from signalbox.spot.commands import ALLOWED, GroupCommands
from signalbox.spot.configuration import (
    COMMANDS_TAG,
    ECS_TAG,
    EKS_TAG,
    INVALID,
    MODE_TAG,
    REBALANCE_TAG,
    TARGETS_TAG,
    Reason,
)
from signalbox.spot.episodes import Episode
from signalbox.spot.estate import GONE, Group, Instance, Snapshot, TargetGroup
from signalbox.spot.notices import Hook, Severity
from signalbox.spot.planning import (
    COMMAND_CHUNK,
    COMMAND_SLOT_SECONDS,
    DETACH_CHUNK,
    FLEET_TAGS,
    OWN_DEADLINE_SECONDS,
    TARGETS_CHUNK,
    Decision,
    Policy,
    actions_of,
    commands_due,
    decide,
    parse_all_commands,
)
from signalbox.spot.target_groups import NETWORK_PROTOCOLS
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
    return actions_of(PLAN, [aimed(found, policy) for found in decisions], ALL_COMMANDS, policy)


def aimed(found: Decision, policy: Policy) -> Decision:
    """The decision with the targets of its group and the time of its commands, as `decide` has them."""
    arns = SNAPSHOT.groups[found.group].target_groups
    kinds = tuple(kind for kind in found.kinds if kind != "deregister" or arns)
    due = commands_due(found.deadline, found.instance_action, policy)
    return msgspec.structs.replace(found, kinds=kinds, targets={"deregister": arns}, commands_due=due)


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
    assert list(action.payload["script"]) == ["systemctl stop web"]
    assert (action.payload["timeout_seconds"], action.payload["instance_action"]) == (25, "stop")


def test_commands_go_out_ahead_of_the_deadline_and_of_the_lead() -> None:
    [action] = planned(decision(kinds=("command",), deadline=NOON + 123), policy=Policy(command_lead=40))
    assert action.due_at == NOON + 83
    assert action.deadline == NOON + 123


def test_commands_due_soon_after_the_first_share_its_call() -> None:
    seconds = (0, COMMAND_SLOT_SECONDS / 2, COMMAND_SLOT_SECONDS, COMMAND_SLOT_SECONDS + 1)
    drawn = [decision(n, kinds=("command",), deadline=NOON + 120 + s) for n, s in enumerate(seconds)]
    actions = planned(*drawn)
    assert [len(action.subjects) for action in actions] == [3, 1]
    assert [action.due_at for action in actions] == [drawn[n].deadline - POLICY.command_lead for n in (0, 3)]


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
            assert all(at - COMMAND_SLOT_SECONDS <= action.due_at <= at for at in wanted)


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


def decided_of(
    found: Episode,
    instance: Instance,
    group: Group | None = None,
    commands: GroupCommands | Reason = COMMANDS,
    target_groups: dict[str, TargetGroup] | None = None,
) -> Decision:
    groups = {group.name: group} if group else {}
    snapshot = Snapshot({instance.id: instance}, groups, target_groups or {})
    return decide(found, snapshot, {"web": commands, "shop": commands}, POLICY)


FLOWS = TargetGroup(arn=target_group("flows"), name="flows", protocol="TCP")


def alone(**changes: Any) -> Instance:
    fields: dict[str, Any] = {
        "id": instance_id(1),
        "state": "running",
        "lifecycle": "spot",
        "tags": {MODE_TAG: "act"},
    }
    return Instance(**fields | changes)


def member(**changes: Any) -> Instance:
    return alone(**{"lifecycle": "unknown", "group": "web", "member_state": "InService", **changes})


def web(**changes: Any) -> Group:
    return Group(**{"name": "web", "tags": {MODE_TAG: "act"}, **changes})


class TestOutsideGroups:
    def test_a_stand_alone_instance_is_drained_and_told_but_not_detached(self) -> None:
        tags = {MODE_TAG: "act", ECS_TAG: "jobs", COMMANDS_TAG: "shop"}
        found = decided_of(episode(1), alone(tags=tags))
        assert (found.kinds, found.targets["containers"]) == (("containers", "command"), ("jobs",))
        assert (found.group, codes(found)) == ("", {"mode-by-tag", "no-group", "no-target-groups"})

    def test_one_whose_tag_names_target_groups_is_drained_from_them(self) -> None:
        tags = {MODE_TAG: "act", TARGETS_TAG: "flows gone"}
        found = decided_of(episode(1), alone(tags=tags), target_groups={"flows": FLOWS})
        assert (found.kinds, found.targets["deregister"]) == (("deregister",), (FLOWS.arn,))
        assert codes(found) == {"mode-by-tag", "no-group", "target-groups-invalid"}

    @pytest.mark.parametrize("tag", FLEET_TAGS)
    def test_an_instance_of_a_fleet_is_replaced_by_it(self, tag: str) -> None:
        found = decided_of(episode(1), alone(tags={MODE_TAG: "act", tag: "fleet-1"}))
        assert "fleet" in codes(found)
        assert "detach" not in found.kinds

    def test_a_spot_warning_for_an_on_demand_instance_is_observed(self) -> None:
        found = decided_of(episode(1), alone(lifecycle=""))
        assert (found.mode, "on-demand" in codes(found)) == ("observe", True)

    def test_a_scheduled_change_of_an_on_demand_instance_is_acted_on(self) -> None:
        found = decided_of(episode(1, severity=Severity.SCHEDULED), alone(lifecycle=""))
        assert found.mode == "act"


class TestHealthChecks:
    """Behind a Network Load Balancer the health check is made to fail, where a group has a command for it."""

    FAILING = GroupCommands(shutdown=("stop",), fail_health_check=("touch /run/unhealthy",))

    def found(self, *protocols: str, commands: GroupCommands = FAILING) -> Decision:
        known = [
            TargetGroup(arn=target_group(f"g{n}"), name=f"g{n}", protocol=protocol)
            for n, protocol in enumerate(protocols)
        ]
        group = web(target_groups=tuple(each.arn for each in known))
        return decided_of(episode(1), member(), group, commands, {each.arn: each for each in known})

    @pytest.mark.parametrize("protocol", sorted(NETWORK_PROTOCOLS))
    def test_it_fails_at_once_beside_deregistering_and_the_plan_says_why(self, protocol: str) -> None:
        found = self.found("HTTP", protocol)
        assert found.kinds == ("detach", "deregister", "fail-health-check", "command")
        [why] = [r.text for r in found.reasons if r.code == "network-load-balancer"]
        assert f"g1 ({protocol})" in why
        assert "g0" not in why
        actions = actions_of(PLAN, [found], {"web": self.FAILING}, POLICY)
        [failing] = [a for a in actions if a.kind == "fail-health-check"]
        assert (failing.due_at, failing.target) == (0, DOCUMENT)
        assert failing.payload["script"] == ["touch /run/unhealthy"]
        assert sum(a.kind == "deregister" for a in actions) == 2

    @pytest.mark.parametrize("protocols", [(), ("HTTP",), ("HTTPS", "GENEVE")])
    def test_elsewhere_it_is_left_alone_and_the_plan_says_so(self, protocols: tuple[str, ...]) -> None:
        found = self.found(*protocols)
        assert "fail-health-check" not in found.kinds
        assert "command" in found.kinds
        assert "no-network-load-balancer" in codes(found)

    def test_without_a_command_for_it_nothing_is_said(self) -> None:
        assert codes(self.found("TCP", commands=COMMANDS)) == {"mode-by-tag"}


class TestConfiguration:
    """A value that makes no sense is named, with its place and what is allowed; what it configures is not
    done, and the rest is."""

    @pytest.mark.parametrize(
        ("tags", "group", "code", "parts"),
        [
            ({ECS_TAG: "a b"}, {}, "cluster-invalid", (ECS_TAG, "'a b'", "the instance")),
            ({}, {ECS_TAG: "jobs!"}, "cluster-invalid", (ECS_TAG, "'jobs!'", "the group web")),
            ({EKS_TAG: "-blue"}, {}, "cluster-invalid", (EKS_TAG, "'-blue'", "the instance")),
            ({}, {EKS_TAG: "x" * 101}, "cluster-invalid", (EKS_TAG, "the group web")),
            ({TARGETS_TAG: "gone"}, {}, "target-groups-invalid", (TARGETS_TAG, "'gone'", "the instance")),
            ({}, {TARGETS_TAG: "a,b"}, "target-groups-invalid", (TARGETS_TAG, "'a,b'", "the group web")),
            ({COMMANDS_TAG: "gone"}, {}, "commands-invalid", (COMMANDS_TAG, "'gone'", "/p/gone/commands")),
            ({COMMANDS_TAG: "a b"}, {}, "commands-invalid", (COMMANDS_TAG, "'a b'", "the instance")),
            ({COMMANDS_TAG: "bad"}, {}, "commands-invalid", ("/p/bad/commands $.shutdown", ALLOWED)),
        ],
    )
    def test_a_tag(
        self, tags: dict[str, str], group: dict[str, str], code: str, parts: tuple[str, ...]
    ) -> None:
        names = ["web", "gone", "a b", "bad"]
        parameters = {"/p/web/commands": '{"shutdown": ["x"]}', "/p/bad/commands": '{"shutdown": []}'}
        commands = parse_all_commands(names, parameters, "/p")
        each, its_group = member(tags=tags), web(tags={MODE_TAG: "act"} | group, target_groups=("arn",))
        snapshot = Snapshot({each.id: each}, {"web": its_group})
        found = decide(episode(1), snapshot, commands, POLICY)
        assert code in INVALID
        [reason] = [r for r in found.reasons if r.code in INVALID]
        assert (reason.code, [part for part in parts if part not in reason.text]) == (code, [])
        kept = {"detach", "deregister"} | ({"command"} if code != "commands-invalid" else set())
        assert (found.mode, set(found.kinds)) == ("act", kept)

    @pytest.mark.parametrize(
        ("own", "group", "places"),
        [
            ({REBALANCE_TAG: "yes"}, {REBALANCE_TAG: "act"}, ("the instance",)),
            ({}, {REBALANCE_TAG: "ignore"}, ("the group web",)),
            ({REBALANCE_TAG: ""}, {REBALANCE_TAG: "Act"}, ("the instance", "the group web")),
        ],
    )
    def test_the_rebalance_tag(
        self, own: dict[str, str], group: dict[str, str], places: tuple[str, ...]
    ) -> None:
        known = episode(1, severity=Severity.REBALANCE, deadline=None)
        found = decided_of(known, member(tags=own), web(tags={MODE_TAG: "act"} | group))
        told = [r.text for r in found.reasons if r.code == "rebalance-invalid"]
        assert found.mode == "observe"
        assert [
            all(word in text for word in (REBALANCE_TAG, place, "act, observe"))
            for place, text in zip(places, told, strict=True)
        ] == [True] * len(places)

    def test_an_empty_tag_of_a_cluster_is_as_none(self) -> None:
        assert codes(decided_of(episode(1), member(tags={ECS_TAG: ""}), web())) == {"mode-by-tag"}


class TestMoreKinds:
    def test_classic_load_balancers_are_drained_beside_target_groups(self) -> None:
        group = web(target_groups=("arn",), load_balancers=("old", "older"))
        found = decided_of(episode(1), member(), group)
        assert (found.targets["deregister"], found.targets["deregister-classic"]) == (
            ("arn",),
            ("old", "older"),
        )

    @pytest.mark.parametrize(("tag", "kind"), [(ECS_TAG, "containers"), (EKS_TAG, "nodes")])
    @pytest.mark.parametrize(
        ("on_instance", "on_group", "cluster"),
        [("a", "b", "a"), ("", "b", "b"), ("a", "", "a"), ("", "", "")],
    )
    def test_the_instances_cluster_goes_before_the_groups(
        self, tag: str, kind: str, on_instance: str, on_group: str, cluster: str
    ) -> None:
        own = {tag: on_instance} if on_instance else {}
        groups = {tag: on_group} if on_group else {}
        found = decided_of(episode(1), member(tags=own), web(tags={MODE_TAG: "act"} | groups))
        assert found.targets.get(kind, ()) == ((cluster,) if cluster else ())

    def test_a_checkpoint_runs_at_once_and_the_shutdown_at_its_time(self) -> None:
        both = GroupCommands(shutdown=("stop",), checkpoint=("save",), timeout_seconds=20)
        found = decided_of(episode(1), member(), web(), both)
        checkpoint, command = (
            a for a in actions_of(PLAN, [found], {"web": both}, POLICY) if a.kind in ("checkpoint", "command")
        )
        assert (checkpoint.due_at, checkpoint.payload["script"]) == (0, ["save"])
        assert (command.due_at, command.payload["script"]) == (NOON + 90, ["stop"])
        assert checkpoint.target == command.target == DOCUMENT


class TestHooks:
    HOOK = Hook("web", "drain", "token-1")

    def found(self, hook: Hook = HOOK) -> Decision:
        known = episode(1, severity=Severity.LIFECYCLE, deadline=None, hooks=(hook,))
        group = web(target_groups=("arn",))
        return decided_of(known, member(member_state="Terminating:Wait"), group)

    def test_a_hook_is_completed_after_a_full_drain_and_commands_at_once(self) -> None:
        found = self.found()
        assert (found.kinds, codes(found)) == (
            ("deregister", "command", "complete"),
            {"mode-by-tag", "already-leaving"},
        )
        drain, command, complete = actions_of(PLAN, [found], {"web": COMMANDS}, POLICY)
        assert (drain.payload, command.due_at) == ({"until": "drained"}, 0)
        assert (complete.target, complete.payload, complete.subjects) == (
            "drain",
            {"token": "token-1"},
            (instance_id(1),),
        )
        assert complete.deadline == NOON + OWN_DEADLINE_SECONDS

    def test_a_group_that_did_not_opt_in_completes_its_hooks_itself(self) -> None:
        known = episode(1, severity=Severity.LIFECYCLE, deadline=None, hooks=(self.HOOK,))
        found = decided_of(known, member(), web(tags={}))
        assert ("complete" in found.kinds, "group-not-opted-in" in codes(found)) == (False, True)

    def test_a_hook_of_another_group_is_not_ours_to_complete(self) -> None:
        assert "complete" not in self.found(Hook("api", "drain", "token-2")).kinds


class TestRebalance:
    KNOWN = episode(1, severity=Severity.REBALANCE, deadline=None)
    TAGS: ClassVar = {MODE_TAG: "act", REBALANCE_TAG: "act"}

    def test_it_is_observed_whatever_the_mode(self) -> None:
        found = decided_of(self.KNOWN, member(), web())
        assert (found.mode, codes(found)) == ("observe", {"mode-by-tag", "rebalance-observed"})
        assert found.kinds == ("command", "terminate")  # what would be done
        assert found.deadline == NOON + OWN_DEADLINE_SECONDS

    def test_it_is_observed_outside_a_group_even_with_its_own_tag(self) -> None:
        assert decided_of(self.KNOWN, alone(tags=self.TAGS)).mode == "observe"

    @pytest.mark.parametrize("mode", ["observe", "ignore"])
    def test_its_own_tag_does_not_go_beyond_the_mode(self, mode: str) -> None:
        tags = {MODE_TAG: mode, REBALANCE_TAG: "act"}
        assert decided_of(self.KNOWN, member(tags=tags), web()).mode == mode

    @pytest.mark.parametrize(
        ("own", "group"),
        [
            ({REBALANCE_TAG: "act"}, {MODE_TAG: "act"}),
            ({REBALANCE_TAG: "observe"}, {MODE_TAG: "act", REBALANCE_TAG: "act"}),
            ({MODE_TAG: "act"}, {REBALANCE_TAG: "act"}),
            ({}, {MODE_TAG: "act", REBALANCE_TAG: "yes"}),
        ],
        ids=["group-lacks-it", "instance-opts-out", "group-does-not-act", "no-such-word"],
    )
    def test_the_group_opts_in_and_the_instance_may_opt_out(
        self, own: dict[str, str], group: dict[str, str]
    ) -> None:
        assert decided_of(self.KNOWN, member(tags=own), web(tags=group)).mode == "observe"

    def test_acting_drains_at_once_and_ends_the_instance_last(self) -> None:
        found = decided_of(self.KNOWN, member(), web(tags=self.TAGS, target_groups=("arn",)))
        assert (found.mode, found.kinds) == ("act", ("deregister", "command", "terminate"))
        drain, command, terminate = actions_of(PLAN, [found], {"web": COMMANDS}, POLICY)
        assert (drain.payload, command.due_at) == ({"until": "drained"}, 0)
        assert (terminate.target, terminate.subjects) == ("web", (instance_id(1),))

    @pytest.mark.parametrize(
        ("state", "changes"),
        [
            ("Standby", {}),
            ("Warmed:Stopped", {}),
            ("Pending:Wait", {}),
            ("InService", {"suspended": frozenset({"Launch"})}),
        ],
    )
    def test_one_that_nothing_would_end_stays_in_service(self, state: str, changes: dict[str, Any]) -> None:
        found = decided_of(self.KNOWN, member(member_state=state), web(tags=self.TAGS, **changes))
        assert (found.mode, codes(found) & {"rebalance-stays"}) == ("observe", {"rebalance-stays"})

    @pytest.mark.parametrize(
        ("state", "changes"), [("Terminating:Wait", {}), ("InService", {"capacity_rebalance": True})]
    )
    def test_one_that_its_group_ends_by_itself_is_drained(self, state: str, changes: dict[str, Any]) -> None:
        group = web(tags=self.TAGS, target_groups=("arn",), **changes)
        found = decided_of(self.KNOWN, member(member_state=state), group)
        assert (found.mode, found.kinds) == ("act", ("deregister", "command"))

    def test_an_interruption_detaches_whatever_was_recommended(self) -> None:
        assert "detach" in decided_of(episode(1), member(), web(tags=self.TAGS)).kinds


def test_an_instance_that_was_detached_meanwhile_keeps_its_groups_name() -> None:
    assert decided_of(episode(1, group="web"), alone()).group == "web"
