"""Deciding what to do about each instance, and cutting that into AWS calls: pure data in, pure data out."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import batched
from typing import Any

import msgspec

from signalbox.errors import RejectedError
from signalbox.ledger.actions import Action
from signalbox.spot.commands import GroupCommands, parameter_name, parse_commands
from signalbox.spot.configuration import MODE_TAG, Mode, Reason, mode_of
from signalbox.spot.episodes import Episode
from signalbox.spot.estate import GONE, Group, Instance, Snapshot

DETACH_CHUNK = 20  # DetachInstances, Auto Scaling API Reference
TARGETS_CHUNK = 100
COMMAND_CHUNK = 50  # SendCommand InstanceIds, Systems Manager API Reference
COMMAND_SLOT_SECONDS = 5.0
"""Instances whose commands are due within the same slot share a call; the slot's start counts."""


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
        reasons: for the mode, and for each kind that does not apply.
    """

    instance: str
    group: str
    mode: Mode
    kinds: tuple[str, ...]
    reasons: tuple[Reason, ...]
    instance_action: str
    noticed_at: float
    deadline: float


type Rule = Callable[[Instance, Group], Reason | None]


def decide(
    episode: Episode, snapshot: Snapshot, commands: Mapping[str, GroupCommands | Reason], policy: Policy
) -> Decision:
    """One instance's decision."""
    instance = snapshot.instances.get(episode.instance)
    if instance is None:
        return _untouched(episode, Reason("unknown-instance", "EC2 knows no such instance in this Region"))
    group = snapshot.groups.get(instance.group)
    mode, reasons = mode_of(
        instance.tags,
        instance.group or None,
        group.tags if group else {},
        policy.default_mode,
        dry_run=policy.dry_run,
    )
    if instance.state in GONE:
        return _untouched(
            episode, Reason("already-gone", f"the instance is {instance.state}"), instance.group
        )
    if not instance.lifecycle and mode == "act":
        text = "a Spot warning for an on-demand instance: observed, in case the event is not what it seems"
        mode, reasons = "observe", (*reasons, Reason("on-demand", text))
    applicable, why_not = _kinds(instance, group, commands, mode, policy)
    return Decision(
        instance=episode.instance,
        group=instance.group or episode.group,  # it may have been detached in the meantime
        mode=mode,
        kinds=applicable,
        reasons=(*reasons, *why_not),
        instance_action=episode.instance_action,
        noticed_at=episode.opened_at,
        deadline=episode.deadline,
    )


def _untouched(episode: Episode, reason: Reason, group: str = "") -> Decision:
    return Decision(
        instance=episode.instance,
        group=group,
        mode="ignore",
        kinds=(),
        reasons=(reason,),
        instance_action=episode.instance_action,
        noticed_at=episode.opened_at,
        deadline=episode.deadline,
    )


def _kinds(
    instance: Instance,
    group: Group | None,
    commands: Mapping[str, GroupCommands | Reason],
    mode: Mode,
    policy: Policy,
) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    if group is None:
        return (), (Reason("no-group", "the instance is a member of no Auto Scaling group"),)
    kinds, reasons = [], []
    not_detached = next((r for rule in DETACH_RULES if (r := rule(instance, group))), None)
    if mode == "act" and not_detached is None:
        not_detached = _group_not_opted_in(group, policy)
    if not_detached:
        reasons.append(not_detached)
    else:
        kinds.append("detach")
    if group.target_groups:
        kinds.append("deregister")
    found = commands.get(group.name)
    if isinstance(found, GroupCommands):
        kinds.append("command")
    elif found is not None:
        reasons.append(found)
    return tuple(kinds), tuple(reasons)


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
    groups: Iterable[str], parameters: Mapping[str, str], prefix: str
) -> dict[str, GroupCommands | Reason]:
    """Each group's commands, or why there are none."""
    found: dict[str, GroupCommands | Reason] = {}
    for group in groups:
        name = parameter_name(prefix, group)
        if name is None or name not in parameters:
            missing = f"no parameter {name}" if name else f"Parameter Store can't hold the name {group!r}"
            found[group] = Reason("no-commands", missing)
            continue
        try:
            found[group] = parse_commands(name, parameters[name])
        except RejectedError as error:
            found[group] = Reason(error.code, str(error))
    return found


def actions_of(
    plan: str,
    decisions: Iterable[Decision],
    snapshot: Snapshot,
    commands: Mapping[str, GroupCommands | Reason],
    policy: Policy,
) -> list[Action]:
    """The calls that the decisions come to, as few as AWS's caps allow."""
    acting = [d for d in decisions if d.mode == "act"]
    return [
        *_detachments(plan, acting),
        *_deregistrations(plan, acting, snapshot),
        *_commands(plan, acting, commands, policy),
    ]


def _detachments(plan: str, acting: list[Decision]) -> Iterable[Action]:
    by_group = _grouped(acting, "detach", lambda d: d.group)
    return _chunked(plan, "detach", by_group, DETACH_CHUNK, lambda group: {"group": group, "target": group})


def _deregistrations(plan: str, acting: list[Decision], snapshot: Snapshot) -> Iterable[Action]:
    by_target: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for decision in acting:
        if "deregister" in decision.kinds:
            for arn in snapshot.groups[decision.group].target_groups:
                by_target[decision.group, arn].append(decision)
    return _chunked(
        plan, "deregister", by_target, TARGETS_CHUNK, lambda key: {"group": key[0], "target": key[1]}
    )


def _commands(
    plan: str, acting: list[Decision], commands: Mapping[str, GroupCommands | Reason], policy: Policy
) -> Iterable[Action]:
    def due(decision: Decision) -> float:
        if decision.instance_action == "hibernate":
            return 0.0
        at = decision.deadline - policy.command_lead
        return math.floor(at / COMMAND_SLOT_SECONDS) * COMMAND_SLOT_SECONDS

    def fields(key: tuple[str, float, str]) -> dict[str, Any]:
        group, due_at, instance_action = key
        payload = msgspec.to_builtins(commands[group]) | {"instance_action": instance_action}
        return {"group": group, "target": policy.command_document, "due_at": due_at, "payload": payload}

    by_due = _grouped(acting, "command", lambda d: (d.group, due(d), d.instance_action))
    return _chunked(plan, "command", by_due, COMMAND_CHUNK, fields)


def _grouped[K](
    decisions: Iterable[Decision], kind: str, key: Callable[[Decision], K]
) -> dict[K, list[Decision]]:
    groups: dict[K, list[Decision]] = defaultdict(list)
    for decision in decisions:
        if kind in decision.kinds:
            groups[key(decision)].append(decision)
    return groups


def _chunked[K](
    plan: str,
    kind: str,
    groups: Mapping[K, list[Decision]],
    size: int,
    fields: Callable[[K], dict[str, Any]],
) -> Iterable[Action]:
    number = 0
    for key, members in groups.items():
        urgent_first = sorted(members, key=lambda d: (d.deadline, d.instance))
        for chunk in batched(urgent_first, size, strict=False):
            yield Action(
                id=f"{plan}#{kind}#{number:05d}",
                kind=kind,
                subjects=tuple(d.instance for d in chunk),
                deadline=min(d.deadline for d in chunk),
                **fields(key),
            )
            number += 1
