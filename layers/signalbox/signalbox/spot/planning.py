"""Deciding what to do about each instance, and cutting that into AWS calls: pure data in, pure data out."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import batched
from typing import Any, NamedTuple

import msgspec

from signalbox.errors import RejectedError
from signalbox.ledger.actions import Action
from signalbox.spot.commands import (
    COMMAND_KINDS,
    GroupCommands,
    commands_name,
    parameter_name,
    parse_commands,
)
from signalbox.spot.configuration import (
    COMMANDS_TAG,
    ECS_TAG,
    EKS_TAG,
    MODE_TAG,
    REBALANCE_MODES,
    REBALANCE_TAG,
    TARGETS_TAG,
    Mode,
    Reason,
    Setting,
    invalid_among,
    mode_of,
    settings_of,
)
from signalbox.spot.episodes import Episode
from signalbox.spot.estate import GONE, Group, Instance, Snapshot
from signalbox.spot.hooks import AFTER_DRAIN
from signalbox.spot.notices import Severity
from signalbox.spot.target_groups import Behind, behind

DETACH_CHUNK = 20  # DetachInstances, Auto Scaling API Reference
TARGETS_CHUNK = 100
CONTAINERS_CHUNK = 100  # DescribeContainerInstances, Amazon ECS API Reference
COMMAND_CHUNK = 50  # SendCommand InstanceIds, Systems Manager API Reference
NODES_CHUNK = 1_000  # one action a cluster: its performer works on many nodes at once
CHUNKS = {
    "detach": DETACH_CHUNK,
    "deregister": TARGETS_CHUNK,
    "deregister-classic": TARGETS_CHUNK,
    "containers": CONTAINERS_CHUNK,
    "nodes": NODES_CHUNK,
    **dict.fromkeys(COMMAND_KINDS, COMMAND_CHUNK),
    "complete": 1,  # CompleteLifecycleAction, Auto Scaling API Reference
    "terminate": 1,  # TerminateInstanceInAutoScalingGroup, ditto
}
"""Kind of action → how many instances one action takes; in the order in which they are planned."""

COMMAND_SLOT_SECONDS = 8.0
"""Commands that are due so soon after the first of their slot go out with it, so that they share calls."""
OWN_DEADLINE_SECONDS = 900.0
"""Where AWS names no time, as for a lifecycle hook: by then everything should be done."""
LEAVES_ANYWAY = frozenset({"already-leaving", "capacity-rebalance"})
"""Why its group is not asked to let an instance go: it does so by itself."""
DRAIN_KINDS = frozenset({"deregister", "deregister-classic"})
CLUSTER_NAMES = {
    ECS_TAG: re.compile(r"(arn:[a-z-]+:ecs:[a-z0-9-]+:\d{12}:cluster/)?[A-Za-z0-9_-]{1,255}"),
    EKS_TAG: re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"),
}
"""CreateCluster, Amazon ECS API Reference and Amazon EKS API Reference."""
FLEET_TAGS = ("aws:ec2:fleet-id", "aws:ec2spot:fleet-request-id")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The stack's own settings.

    Attributes:
        default_mode: for an instance that neither its own nor its group's tags say anything about.
        dry_run: plan and record, but never act.
        command_lead: seconds before the deadline at which the commands go out.
        command_prefix: where in Parameter Store the groups' commands lie.
    """

    default_mode: Mode = "observe"
    dry_run: bool = False
    command_lead: float = 30.0
    command_prefix: str = "/signalbox/spot"
    command_document: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is to happen to one instance, and why.

    Attributes:
        mode: only ``act`` leads to actions; the others say what would have been done.
        kinds: the kinds of action that apply, in any mode.
        targets: kind → what is called for it: target groups, load balancers, a cluster, hooks. A kind that
            is not here has the group for its target.
        reasons: for the mode, and for each kind that does not apply.
        deadline: AWS's, or our own where AWS names none.
        commands_due: when the shutdown commands go out; 0 for at once.
        undecided: the estate could not be read: nothing is done, and that is a failure.
    """

    instance: str
    group: str
    severity: Severity = Severity.INTERRUPTION
    mode: Mode
    kinds: tuple[str, ...]
    targets: dict[str, tuple[str, ...]] = {}
    reasons: tuple[Reason, ...]
    instance_action: str
    noticed_at: float
    deadline: float
    commands_due: float = 0.0
    undecided: bool = False


type Rule = Callable[[Instance, Group], Reason | None]
type Commands = Mapping[str, GroupCommands | Reason]


def decide(episode: Episode, snapshot: Snapshot, commands: Commands, policy: Policy) -> Decision:
    """One instance's decision. ``commands`` are by the name that `commands_name` answers."""
    instance = snapshot.instances.get(episode.instance)
    if instance is None:
        return _decision(episode, policy, Reason("unknown-instance", "EC2 knows no such instance here"))
    group = snapshot.groups.get(instance.group)
    name = instance.group or episode.group  # it may have been detached in the meantime
    if instance.state in GONE:
        gone = Reason("already-gone", f"the instance is {instance.state}")
        return _decision(episode, policy, gone, group=name)
    mode, reasons = _mode(episode, instance, group, policy)
    found = behind(instance, group, snapshot.target_groups)
    steps = _steps(episode, instance, group, found, commands, mode, policy)
    return _decision(
        episode,
        policy,
        *reasons,
        *steps.reasons,
        group=name,
        mode=mode,
        kinds=tuple(kind for kind in CHUNKS if kind in steps.targets),
        targets={kind: targets for kind, targets in steps.targets.items() if targets},
    )


def undecided(episode: Episode, why: Reason, policy: Policy) -> Decision:
    """What stands in for a decision where nothing could be read to decide by."""
    return _decision(episode, policy, why, group=episode.group, undecided=True)


def _decision(episode: Episode, policy: Policy, *reasons: Reason, **fields: Any) -> Decision:
    deadline = episode.deadline
    usual = {"group": "", "mode": "ignore", "kinds": ()}
    return Decision(
        instance=episode.instance,
        severity=episode.severity,
        reasons=reasons,
        instance_action=episode.instance_action,
        noticed_at=episode.opened_at,
        deadline=episode.opened_at + OWN_DEADLINE_SECONDS if deadline is None else deadline,
        commands_due=commands_due(deadline, episode.instance_action, policy),
        **usual | fields,
    )


def commands_due(deadline: float | None, instance_action: str, policy: Policy) -> float:
    """When the shutdown commands go out; 0 for at once: where AWS names no time, or leaves none."""
    if deadline is None or instance_action == "hibernate":
        return 0.0
    return deadline - policy.command_lead


def _mode(
    episode: Episode, instance: Instance, group: Group | None, policy: Policy
) -> tuple[Mode, tuple[Reason, ...]]:
    mode, reasons = mode_of(
        instance.tags,
        instance.group or None,
        group.tags if group else {},
        policy.default_mode,
        dry_run=policy.dry_run,
    )
    held_back = _held_back(episode, instance, group, policy)
    return ("observe", (*reasons, *held_back)) if held_back and mode == "act" else (mode, reasons)


def _held_back(
    episode: Episode, instance: Instance, group: Group | None, policy: Policy
) -> tuple[Reason, ...]:
    """Why nothing is done although acting is asked for."""
    if episode.severity is Severity.REBALANCE:
        return _recommendation_held_back(instance, group, policy)
    if episode.severity is Severity.INTERRUPTION and not instance.lifecycle:
        text = "a Spot warning for an on-demand instance: observed, in case the event is not what it seems"
        return (Reason("on-demand", text),)
    return ()


def _recommendation_held_back(instance: Instance, group: Group | None, policy: Policy) -> tuple[Reason, ...]:
    if not _acts_on_recommendations(instance, group):
        text = f"a recommendation is a risk; acting takes {MODE_TAG}=act and {REBALANCE_TAG}=act on the group"
        said = _said(REBALANCE_TAG, instance, group)
        invalid = invalid_among(said, "rebalance-invalid", REBALANCE_MODES)
        return (Reason("rebalance-observed", text), *invalid)
    stays = _why_not_detached(instance, group, "act", policy)
    if stays and stays.code not in LEAVES_ANYWAY:
        text = f"drained, it would stay, out of service and billed, since nothing would end it: {stays.text}"
        return (Reason("rebalance-stays", text),)
    return ()


def _acts_on_recommendations(instance: Instance, group: Group | None) -> bool:
    """The group itself must opt in, to both, as the role that ends instances demands; an instance may opt
    out."""
    if group is None or group.tags.get(MODE_TAG) != "act" or group.tags.get(REBALANCE_TAG) != "act":
        return False
    return instance.tags.get(REBALANCE_TAG, "act") == "act"


def _said(tag: str, instance: Instance, group: Group | None) -> list[Setting]:
    return settings_of(tag, instance.tags, instance.group or None, group.tags if group else {})


class _Steps(NamedTuple):
    """Kind of action → its targets (none: the group), and the reasons for the kinds that are left out."""

    targets: dict[str, tuple[str, ...]]
    reasons: list[Reason]


def _steps(
    episode: Episode,
    instance: Instance,
    group: Group | None,
    found: Behind,
    commands: Commands,
    mode: Mode,
    policy: Policy,
) -> _Steps:
    steps = _Steps({}, [])
    # Nobody takes an instance that is only at risk: detached, it would run and bill on.
    leaves_by = "terminate" if episode.severity is Severity.REBALANCE else "detach"
    not_leaving = _why_not_detached(instance, group, mode, policy)
    if not_leaving:
        steps.reasons.append(not_leaving)
    else:
        steps.targets[leaves_by] = ()
    targets = {
        "deregister": found.arns,
        "deregister-classic": group.load_balancers if group else (),
        "containers": _cluster(ECS_TAG, instance, group, steps.reasons),
        "nodes": _cluster(EKS_TAG, instance, group, steps.reasons),
        "complete": tuple(hook_target(h.name, h.token) for h in episode.hooks if h.group == instance.group),
    }
    steps.targets.update({kind: names for kind, names in targets.items() if names})
    steps.reasons.extend(found.reasons)
    if group is None and not found.arns and not found.reasons:
        text = (
            f"Elastic Load Balancing can't be asked for an instance's target groups: {TARGETS_TAG} names them"
        )
        steps.reasons.append(Reason("no-target-groups", text))
    if "complete" in steps.targets and group and mode == "act":
        not_opted_in = _group_not_opted_in(group, policy)
        if not_opted_in:
            del steps.targets["complete"]
            steps.reasons.append(not_opted_in)
    _add_commands(steps, instance, found, commands)
    return steps


def hook_target(name: str, token: str) -> str:
    """A hook and the token that completes it, as one target."""
    return f"{name} {token}"


def _cluster(tag: str, instance: Instance, group: Group | None, reasons: list[Reason]) -> tuple[str, ...]:
    """The cluster that a tag names; an empty value is as none."""
    said = next((each for each in _said(tag, instance, group) if each.value), None)
    if said is None:
        return ()
    if CLUSTER_NAMES[tag].fullmatch(said.value):
        return (said.value,)
    reasons.append(
        Reason("cluster-invalid", f"{said} is no name that a cluster can have; nothing is drained")
    )
    return ()


def _add_commands(steps: _Steps, instance: Instance, found: Behind, commands: Commands) -> None:
    name = commands_name(instance)
    said = commands.get(name)
    if isinstance(said, Reason):
        steps.reasons.append(_whose(instance, said))
    elif said is not None:
        kinds = [kind for kind in COMMAND_KINDS if said.script(kind)]
        if said.fail_health_check:
            steps.reasons.append(_about_health_checks(found))
            kinds = kinds if found.network else [kind for kind in kinds if kind != "fail-health-check"]
        steps.targets.update(dict.fromkeys(kinds, (name,)))


def _whose(instance: Instance, missing: Reason) -> Reason:
    """A tag that names commands which are not there makes no sense; a group without any does."""
    said = instance.tags.get(COMMANDS_TAG)
    if not said:
        return missing
    return Reason("commands-invalid", f"{COMMANDS_TAG}={said!r} on the instance: {missing.text}")


def _about_health_checks(found: Behind) -> Reason:
    if not found.network:
        text = "no target group of its passes on TCP, UDP or TLS: its health check is left alone"
        return Reason("no-network-load-balancer", text)
    passed_on = ", ".join(f"{each.name} ({each.protocol})" for each in found.network)
    text = (
        f"{passed_on}: new flows come for some two minutes after deregistering, so its health check is failed"
    )
    return Reason("network-load-balancer", text)


def _why_not_detached(instance: Instance, group: Group | None, mode: Mode, policy: Policy) -> Reason | None:
    if group is None:
        fleet = next((instance.tags[tag] for tag in FLEET_TAGS if tag in instance.tags), None)
        if fleet:
            return Reason("fleet", f"the instance is of {fleet}, which replaces it by itself")
        return Reason("no-group", "the instance is a member of no Auto Scaling group")
    found = next((reason for rule in DETACH_RULES if (reason := rule(instance, group))), None)
    return found or (_group_not_opted_in(group, policy) if mode == "act" else None)


def _already_leaving(instance: Instance, group: Group) -> Reason | None:
    if instance.member_state.startswith(("Terminating", "Detaching", "Terminated", "Detached")):
        return Reason("already-leaving", f"{instance.member_state} in {group.name}: the group is at it")
    return None


def _warm_pool(instance: Instance, group: Group) -> Reason | None:
    if instance.member_state.startswith("Warmed"):
        return Reason("warm-pool", f"{instance.member_state}: {group.name} refills its warm pool by itself")
    return None


def _not_in_service(instance: Instance, group: Group) -> Reason | None:
    if instance.member_state == "Standby":
        text = f"Standby in {group.name}: detaching it may end other instances"
        return Reason("standby", text)
    if instance.member_state != "InService":
        return Reason("not-in-service", f"{instance.member_state or 'no state'} in {group.name}")
    return None


def _capacity_rebalance(_: Instance, group: Group) -> Reason | None:
    if group.capacity_rebalance:
        text = f"{group.name} has CapacityRebalance on and replaces the instance itself"
        return Reason("capacity-rebalance", text)
    return None


def _launch_suspended(_: Instance, group: Group) -> Reason | None:
    if "Launch" in group.suspended:
        return Reason("launch-suspended", f"{group.name} has Launch suspended: nothing would replace it")
    return None


def _group_not_opted_in(group: Group, policy: Policy) -> Reason | None:
    """The role of the function that detaches is held to the same condition by its policy."""
    said = group.tags.get(MODE_TAG, policy.default_mode)
    if said != "act":
        text = f"detaching changes {group.name}, which has no {MODE_TAG}=act itself"
        return Reason("group-not-opted-in", text)
    return None


DETACH_RULES: tuple[Rule, ...] = (
    _already_leaving,
    _warm_pool,
    _not_in_service,
    _capacity_rebalance,
    _launch_suspended,
)
"""Each tells why an instance is not detached. Scale-in protection does not stand against a detach."""


def parse_all_commands(
    names: Iterable[str], parameters: Mapping[str, str], prefix: str
) -> dict[str, GroupCommands | Reason]:
    """Each name's commands, or why there are none."""
    found: dict[str, GroupCommands | Reason] = {}
    for name in names:
        parameter = parameter_name(prefix, name)
        if parameter is None or parameter not in parameters:
            text = f"no parameter {parameter}" if parameter else f"Parameter Store can't hold {name!r}"
            found[name] = Reason("no-commands", text)
            continue
        try:
            found[name] = parse_commands(parameter, parameters[parameter])
        except RejectedError as error:
            found[name] = Reason(error.code, str(error))
    return found


class _Call(NamedTuple):
    """What the instances of one call have in common."""

    group: str
    target: str
    due_at: float
    instance_action: str
    drains_fully: bool


def actions_of(plan: str, decisions: Iterable[Decision], commands: Commands, policy: Policy) -> list[Action]:
    """The calls that the decisions come to, as few as AWS's caps allow."""
    acting = [decision for decision in decisions if decision.mode == "act"]
    return [action for kind in CHUNKS for action in _actions(plan, kind, acting, commands, policy)]


def _actions(
    plan: str, kind: str, acting: list[Decision], commands: Commands, policy: Policy
) -> Iterable[Action]:
    number = 0
    for call, members in _grouped(kind, acting).items():
        urgent_first = sorted(members, key=lambda d: (d.deadline, d.instance))
        for chunk in batched(urgent_first, CHUNKS[kind], strict=False):
            yield Action(
                id=f"{plan}#{kind}#{number:05d}",
                kind=kind,
                group=call.group,
                subjects=tuple(d.instance for d in chunk),
                due_at=call.due_at,
                deadline=min(d.deadline for d in chunk),
                **_target_and_payload(kind, call, commands, policy),
            )
            number += 1


def _grouped(kind: str, acting: list[Decision]) -> dict[_Call, list[Decision]]:
    calls: dict[_Call, list[Decision]] = defaultdict(list)
    slots = _slots(decision.commands_due for decision in acting)
    for decision in acting:
        if kind in decision.kinds:
            scripted = kind in COMMAND_KINDS
            for target in decision.targets.get(kind) or (decision.group,):
                call = _Call(
                    group=decision.group,
                    target=target,
                    due_at=slots[decision.commands_due] if kind == "command" else 0.0,
                    instance_action=decision.instance_action if scripted else "",
                    drains_fully=kind in DRAIN_KINDS and bool(AFTER_DRAIN & set(decision.kinds)),
                )
                calls[call].append(decision)
    return calls


def _slots(dues: Iterable[float]) -> dict[float, float]:
    """When due → when to start: with the first of the same slot."""
    slots: dict[float, float] = {}
    start = -math.inf
    for due in sorted(set(dues)):
        if due - start > COMMAND_SLOT_SECONDS:
            start = due
        slots[due] = start
    return slots


def _target_and_payload(kind: str, call: _Call, commands: Commands, policy: Policy) -> dict[str, Any]:
    if kind in COMMAND_KINDS:
        found = commands[call.target]
        if not isinstance(found, GroupCommands):
            raise ValueError(f"{call.target} has no commands, yet a {kind} is planned")
        payload = {
            "script": list(found.script(kind) or ()),
            "timeout_seconds": found.timeout_seconds,
            "instance_action": call.instance_action,
        }
        return {"target": policy.command_document, "payload": payload}
    if kind == "complete":
        name, _, token = call.target.partition(" ")
        return {"target": name, "payload": {"token": token}}
    if kind == "nodes":
        return {"target": call.target, "payload": {"force": False}}
    return {"target": call.target, "payload": {"until": "drained"} if call.drains_fully else {}}
