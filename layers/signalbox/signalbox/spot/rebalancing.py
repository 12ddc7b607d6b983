"""Acting on rebalance recommendations without thrash: a cooldown, a share of the group, a minimum age.

A recommendation is a risk, not an interruption; most are followed by none, and they come in swarms. So
acting on them is opted in to apart, by the tag ``signalbox:spot-rebalance=act``, and held to limits by group.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from signalbox.spot.configuration import Reason
from signalbox.spot.estate import Snapshot
from signalbox.spot.notices import Severity
from signalbox.spot.planning import Decision


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Per group.

    Attributes:
        cooldown: seconds between two windows that act on recommendations.
        maximum_share: percent of the desired capacity that one window replaces; one instance at least.
        minimum_age: seconds that an instance must have run: a new one that is at risk too says that moving
            does not help.
    """

    cooldown: float = 600.0
    maximum_share: float = 20.0
    minimum_age: float = 300.0


class LastRebalance(msgspec.Struct, frozen=True, kw_only=True):
    """When a group's recommendations were acted on last (seconds since 1970), and by which window."""

    at: float
    window: int


def rebalance_key(account: str, region: str, group: str) -> str:
    """The key of a group's record in the ledger."""
    return f"spot-rebalance#{account}#{region}#{group}"


def groups_to_rebalance(decisions: Iterable[Decision]) -> set[str]:
    """The groups in which something is to be done because of a recommendation alone."""
    return {d.group for d in decisions if _acts_on_recommendation(d)}


def limit_rebalances(
    decisions: Sequence[Decision],
    snapshot: Snapshot,
    last: Mapping[str, LastRebalance],
    limits: Limits,
    window: int,
    now: float,
) -> list[Decision]:
    """The decisions, in their order; those beyond the limits are observed instead, each with its reason."""
    candidates: dict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        if _acts_on_recommendation(decision):
            candidates[decision.group].append(decision)
    held: dict[str, Reason] = {}
    for group, members in candidates.items():
        held |= _held_back(members, snapshot, last.get(group), limits, window, now)
    return [_observed(d, held[d.instance]) if d.instance in held else d for d in decisions]


def _acts_on_recommendation(decision: Decision) -> bool:
    return decision.mode == "act" and decision.severity is Severity.REBALANCE


def _held_back(
    members: Sequence[Decision],
    snapshot: Snapshot,
    last: LastRebalance | None,
    limits: Limits,
    window: int,
    now: float,
) -> dict[str, Reason]:
    group = snapshot.groups[members[0].group]
    if last is not None and last.window != window and now - last.at < limits.cooldown:
        text = (
            f"{group.name} was rebalanced {now - last.at:.0f} s ago; the cooldown is {limits.cooldown:.0f} s"
        )
        return dict.fromkeys((d.instance for d in members), Reason("rebalance-cooldown", text))
    young = {
        d.instance: Reason("rebalance-too-young", f"it runs for less than {limits.minimum_age:.0f} s")
        for d in members
        if now - snapshot.instances[d.instance].launched_at < limits.minimum_age
    }
    old = sorted((d for d in members if d.instance not in young), key=lambda d: (d.noticed_at, d.instance))
    most = max(1, math.floor(group.desired * limits.maximum_share / 100))
    text = f"{most} of {group.desired} of {group.name} at a time ({limits.maximum_share:.0f} %)"
    return young | dict.fromkeys((d.instance for d in old[most:]), Reason("rebalance-share", text))


def _observed(decision: Decision, reason: Reason) -> Decision:
    return msgspec.structs.replace(decision, mode="observe", reasons=(*decision.reasons, reason))
