"""How an instance is to be treated, and who said so: instance tag > group tag > parameter > default."""

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

type Mode = Literal["act", "observe", "ignore"]

MODES: tuple[Mode, ...] = get_args(Mode.__value__)
MODE_TAG = "signalbox:spot"
COMMANDS_TAG = "signalbox:commands"
"""Whose commands run on the instance; its group's where there is no such tag."""
REBALANCE_TAG = "signalbox:spot-rebalance"
"""``act`` on an instance or its group: rebalance recommendations are acted on too."""
ECS_TAG = "signalbox:ecs-cluster"
EKS_TAG = "signalbox:eks-cluster"


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
    mode, reason = _tagged_mode(instance_tags, group, group_tags, default)
    if dry_run and mode == "act":
        return "observe", (reason, Reason("dry-run", "the stack runs with SpotDryRun=true: nothing is done"))
    return mode, (reason,)


def _tagged_mode(
    instance_tags: Mapping[str, str], group: str | None, group_tags: Mapping[str, str], default: Mode
) -> tuple[Mode, Reason]:
    for place, tags in (("the instance", instance_tags), (f"the group {group}", group_tags)):
        if MODE_TAG not in tags:
            continue
        value = tags[MODE_TAG]
        for mode in MODES:
            if value == mode:
                return mode, Reason("mode-by-tag", f"{MODE_TAG}={value} on {place}")
        allowed = ", ".join(MODES)
        text = f"{MODE_TAG}={value!r} on {place} is not one of: {allowed}; treated as observe"
        return "observe", Reason("mode-invalid", text)
    return default, Reason("mode-by-default", f"no tag {MODE_TAG}; the stack's SpotDefaultMode is {default}")


def setting(tag: str, instance_tags: Mapping[str, str], group_tags: Mapping[str, str]) -> str:
    """What a tag says, on the instance before the group; "" where neither has it."""
    return instance_tags.get(tag) or group_tags.get(tag, "")
