"""What people and other programs are told: one message per group and outcome, never one per instance."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import batched
from typing import Any

import msgspec

from signalbox.clock import iso
from signalbox.ledger.actions import Action
from signalbox.ledger.windows import Window
from signalbox.spot.planning import Decision

SUBJECT_CHARACTERS = 99  # SNS takes fewer than 100 ASCII characters
LISTED_INSTANCES = 50
EVENT_INSTANCES = 1_000  # some 60 KB of an event's 256 KB
SETTLED_EVENT = "Spot Interruption Settled v1"
EVENT_SOURCE = "signalbox.spot"
ALERT_LIFETIME_SECONDS = 3_600.0


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How one instance's interruption ended.

    Attributes:
        outcome: ``handled``, ``late``, ``failed``, ``observed`` or ``ignored``.
        steps: kind of action → ``succeeded in 3.2 s``, ``failed: …``.
        seconds_left: between the last step and the deadline; negative when late; None without a step.
    """

    instance: str
    group: str
    outcome: str
    reasons: tuple[str, ...] = ()
    steps: dict[str, str] = {}
    noticed_at: float
    deadline: float
    seconds_left: float | None = None


HEADLINES = {
    "act": "interruption notice for {n} of group {group}: acting",
    "observe": "interruption notice for {n} of group {group}: observed, nothing is done",
    "handled": "{n} of group {group} handled in time",
    "late": "{n} of group {group} handled, but late",
    "failed": "{n} of group {group}: something failed",
}


def notice_alerts(plan: str, window: Window, decisions: Iterable[Decision]) -> list[Action]:
    """One alert per group and mode when the plan is made. What is ignored is not worth one."""
    by_group = _grouped(decisions, lambda d: (d.group, d.mode), skip=("ignore",))
    return [
        _alert(
            f"{plan}#alert#notice{number:04d}",
            window,
            group,
            mode,
            stage="notice",
            deadline=max(d.deadline for d in members),
            lines=_listed(members, _decision_line),
            count=len(members),
        )
        for number, ((group, mode), members) in enumerate(sorted(by_group.items()))
    ]


def settlement_messages(
    plan: str, window: Window, settlements: Iterable[Settlement], now: float
) -> list[Action]:
    """One alert and one domain event per group and outcome when the window is settled."""
    by_group = _grouped(settlements, lambda s: (s.group, s.outcome), skip=("ignored",))
    messages: list[Action] = []
    for number, ((group, outcome), members) in enumerate(sorted(by_group.items())):
        if outcome in HEADLINES:
            messages.append(
                _alert(
                    f"{plan}#alert#settled{number:04d}",
                    window,
                    group,
                    outcome,
                    stage="settled",
                    deadline=now + ALERT_LIFETIME_SECONDS,
                    lines=_listed(members, _settlement_line),
                    count=len(members),
                )
            )
        messages.extend(
            _event(f"{plan}#event#settled{number:04d}-{part:03d}", window, group, outcome, chunk, now)
            for part, chunk in enumerate(batched(members, EVENT_INSTANCES, strict=False))
        )
    return messages


def _grouped[T](
    items: Iterable[T], key: Callable[[T], tuple[str, str]], skip: tuple[str, ...]
) -> dict[tuple[str, str], list[T]]:
    groups: dict[tuple[str, str], list[T]] = defaultdict(list)
    for item in items:
        if key(item)[1] not in skip:
            groups[key(item)].append(item)
    return groups


def _alert(
    action_id: str,
    window: Window,
    group: str,
    outcome: str,
    *,
    stage: str,
    deadline: float,
    lines: Sequence[str],
    count: int,
) -> Action:
    instances = f"{count} instance{'s' if count != 1 else ''}"
    headline = HEADLINES[outcome].format(n=instances, group=group or "(none)")
    body = [
        f"Spot: {headline}.",
        f"Account {window.account}, Region {window.region}, window {window.number}.",
        "",
        *lines,
    ]
    attributes = {
        "domain": "spot",
        "stage": stage,
        "outcome": outcome,
        "group": group or "(none)",
        "account": window.account,
        "region": window.region,
    }
    subject = f"[Signalbox] Spot: {headline}".encode("ascii", "replace").decode()[:SUBJECT_CHARACTERS]
    payload = {"subject": subject, "message": "\n".join(body), "attributes": attributes}
    return Action(
        id=action_id, kind="alert", group=group, target="", subjects=(), payload=payload, deadline=deadline
    )


def _event(
    action_id: str, window: Window, group: str, outcome: str, members: Sequence[Settlement], now: float
) -> Action:
    detail: dict[str, Any] = {
        "version": 1,
        "account": window.account,
        "region": window.region,
        "window": window.number,
        "group": group,
        "outcome": outcome,
        "settled_at": iso(now),
        "instances": [
            {
                "instance_id": s.instance,
                "noticed_at": iso(s.noticed_at),
                "deadline": iso(s.deadline),
                "seconds_left": s.seconds_left,
            }
            for s in members
        ],
    }
    return Action(
        id=action_id,
        kind="event",
        group=group,
        target="",
        subjects=(),
        payload={"source": EVENT_SOURCE, "detail_type": SETTLED_EVENT, "detail": detail},
        deadline=now + ALERT_LIFETIME_SECONDS,
    )


def _listed[T](members: Sequence[T], line: Callable[[T], str]) -> list[str]:
    lines = [line(member) for member in members[:LISTED_INSTANCES]]
    if len(members) > LISTED_INSTANCES:
        lines.append(f"and {len(members) - LISTED_INSTANCES} more, see the ledger")
    return lines


def _decision_line(decision: Decision) -> str:
    verb = "will" if decision.mode == "act" else "would"
    plan = f"{verb} {', '.join(decision.kinds)}" if decision.kinds else "nothing to do"
    why = "; ".join(reason.text for reason in decision.reasons)
    return f"- {decision.instance}: {decision.instance_action} at {iso(decision.deadline)}; {plan} ({why})"


def _settlement_line(settlement: Settlement) -> str:
    steps = "; ".join(f"{kind} {what}" for kind, what in settlement.steps.items())
    return f"- {settlement.instance}: {steps or '; '.join(settlement.reasons)}"
