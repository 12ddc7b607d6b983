"""How an instance is to be treated, and who said so: instance tag > group tag > parameter > default."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import msgspec

type Mode = Literal["act", "observe", "ignore"]

MODES: tuple[Mode, ...] = get_args(Mode.__value__)
MODE_TAG = "signalbox:spot"
COMMANDS_TAG = "signalbox:commands"
"""Whose commands run on the instance; its group's where there is no such tag."""
REBALANCE_TAG = "signalbox:spot-rebalance"
"""``act`` on an instance or its group: rebalance recommendations are acted on too."""
REBALANCE_MODES = ("act", "observe")
ECS_TAG = "signalbox:ecs-cluster"
EKS_TAG = "signalbox:eks-cluster"
TARGETS_TAG = "signalbox:target-groups"
"""Names or ARNs of target groups, separated by spaces: those that the instance's group does not name."""
INVALID = frozenset(
    {"mode-invalid", "rebalance-invalid", "cluster-invalid", "target-groups-invalid", "commands-invalid"}
)
"""Codes of reasons that name a value which makes no sense. What it configures is not done; the rest is."""


class Reason(msgspec.Struct, frozen=True):
    """Why something was decided: a stable code, and a sentence for a person."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


def mode_of(
    instance_tags: Mapping[str, str],
    group: str | None,
    group_tags: Mapping[str, str],
    default: Mode,
    *,
    dry_run: bool,
) -> tuple[Mode, tuple[Reason, ...]]:
    """The mode that holds, with the reasons. A value that is no mode counts as ``observe``."""
    mode, reasons = _tagged_mode(instance_tags, group, group_tags, default)
    if dry_run and mode == "act":
        held = Reason("dry-run", "the stack runs with SpotDryRun=true: nothing is done")
        return "observe", (*reasons, held)
    return mode, reasons


def _tagged_mode(
    instance_tags: Mapping[str, str], group: str | None, group_tags: Mapping[str, str], default: Mode
) -> tuple[Mode, tuple[Reason, ...]]:
    said = settings_of(MODE_TAG, instance_tags, group, group_tags)
    if not said:
        text = f"no tag {MODE_TAG}; the stack's SpotDefaultMode is {default}"
        return default, (Reason("mode-by-default", text),)
    invalid = invalid_among(said, "mode-invalid", MODES)
    for mode in MODES:
        if said[0].value == mode:
            return mode, (Reason("mode-by-tag", f"{MODE_TAG}={mode} on {said[0].place}"), *invalid)
    return "observe", invalid


class Setting(NamedTuple):
    """What a tag says, and where."""

    tag: str
    value: str
    place: str

    def __str__(self) -> str:
        return f"{self.tag}={self.value!r} on {self.place}"


def settings_of(
    tag: str, instance_tags: Mapping[str, str], group: str | None, group_tags: Mapping[str, str]
) -> list[Setting]:
    """What a tag says, the place that counts first: the instance, then its group."""
    places = (("the instance", instance_tags), (f"the group {group}", group_tags))
    return [Setting(tag, tags[tag], place) for place, tags in places if tag in tags]


def invalid_among(said: Iterable[Setting], code: str, allowed: Sequence[str]) -> tuple[Reason, ...]:
    """A reason for each value that is none of those allowed."""
    text = f"is not one of: {', '.join(allowed)}; treated as observe"
    return tuple(Reason(code, f"{each} {text}") for each in said if each.value not in allowed)
