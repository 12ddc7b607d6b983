"""Which target groups an instance is behind, and which of them belong to a Network Load Balancer.

Elastic Load Balancing can't be asked for the target groups of an instance. Those of an Auto Scaling group
stand in the group; any others, and those of an instance outside groups, are named by a tag.
"""

import re
from collections.abc import Mapping

import msgspec

from signalbox.spot.commands import GroupCommands, commands_name
from signalbox.spot.configuration import TARGETS_TAG, Reason, Setting, settings_of
from signalbox.spot.estate import Group, Instance, Snapshot, TargetGroup

NETWORK_PROTOCOLS = frozenset({"TCP", "UDP", "TCP_UDP", "TLS", "QUIC", "TCP_QUIC"})
"""What a Network Load Balancer passes on; CreateTargetGroup, Elastic Load Balancing API Reference."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_ARN = re.compile(r"arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[A-Za-z0-9-]+/[0-9a-f]+")
ALLOWED = "names or ARNs of target groups with targets of type instance, separated by spaces"


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """Where an instance is registered, as far as group and tag say.

    Attributes:
        arns: of its target groups, each once.
        network: those among them that are known to be a Network Load Balancer's.
        reasons: what the tag names that makes no sense, one by one.
    """

    arns: tuple[str, ...]
    network: tuple[TargetGroup, ...] = ()
    reasons: tuple[Reason, ...] = ()


def behind(instance: Instance, group: Group | None, found: Mapping[str, TargetGroup]) -> Behind:
    """The target groups of an instance. ``found`` is what could be found of those `to_look_up` names."""
    known = {arn: found.get(arn) for arn in (group.target_groups if group else ())}
    reasons = []
    for said in named(instance, group):
        target_group = found.get(said.value)
        if target_group and target_group.target_type == "instance":
            known[target_group.arn] = target_group
        else:
            reasons.append(_invalid(said, target_group))
    network = tuple(each for each in known.values() if each and each.protocol in NETWORK_PROTOCOLS)
    return Behind(arns=tuple(known), network=network, reasons=tuple(reasons))


def named(instance: Instance, group: Group | None) -> list[Setting]:
    """The tag's target groups, one by one: those of the instance's own tag, or else its group's."""
    said = settings_of(TARGETS_TAG, instance.tags, instance.group, group.tags if group else {})
    first = next((each for each in said if each.value.strip()), None)
    return [first._replace(value=name) for name in first.value.split()] if first else []


def to_look_up(snapshot: Snapshot, commands: Mapping[str, GroupCommands | Reason]) -> set[str]:
    """Names and ARNs that must be looked up before anything is decided.

    All that tags name; and those of groups whose commands make a health check fail, since only a Network
    Load Balancer needs that. Nothing, where neither is used.
    """
    found: set[str] = set()
    for instance in snapshot.instances.values():
        group = snapshot.groups.get(instance.group)
        found |= {said.value for said in named(instance, group) if _is_target_group(said.value)}
        said_commands = commands.get(commands_name(instance))
        if group and isinstance(said_commands, GroupCommands) and said_commands.fail_health_check:
            found |= set(group.target_groups)
    return found


def _is_target_group(text: str) -> bool:
    return bool(_NAME.fullmatch(text) or _ARN.fullmatch(text))


def _invalid(said: Setting, found: TargetGroup | None) -> Reason:
    if found:
        what = f"which registers its targets by {found.target_type}"
    elif _is_target_group(said.value):
        what = "which Elastic Load Balancing does not know here"
    else:
        what = "which is neither"
    text = f"{said.tag} on {said.place} takes {ALLOWED}; not {said.value!r}, {what}"
    return Reason("target-groups-invalid", text)
