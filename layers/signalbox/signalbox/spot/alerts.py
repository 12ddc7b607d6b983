"""What people and other programs are told: one message per group and outcome, never one per instance."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import batched
from typing import Any

import msgspec

from signalbox.clock import iso
from signalbox.ledger.actions import Action
from signalbox.ledger.windows import Window
from signalbox.spot.configuration import INVALID
from signalbox.spot.notices import Severity
from signalbox.spot.planning import Decision

SUBJECT_CHARACTERS = 99  # SNS takes fewer than 100 ASCII characters
LISTED_INSTANCES = 50
LISTED_VALUES = 20
EVENT_INSTANCES = 1_000  # some 60 KB of an event's 256 KB
SETTLED_EVENT = "Spot Interruption Settled v1"
FOUND_RUNNING_EVENT = "Spot Instances Found Running v1"
EVENT_SOURCE = "signalbox.spot"
ALERT_LIFETIME_SECONDS = 3_600.0


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How one instance's interruption ended.

    Attributes:
        outcome: ``handled``, ``late``, ``failed``, ``observed`` or ``ignored``.
        steps: kind of action → ``succeeded in 3.2 s``, ``failed: …``.
        seconds_to: kind of action → seconds from the notice until it had succeeded; the last of several.
        seconds_left: between the last step and the deadline; negative when late; None without a step.
    """

    instance: str
    group: str
    outcome: str
    reasons: tuple[str, ...] = ()
    steps: dict[str, str] = {}
    seconds_to: dict[str, float] = {}
    noticed_at: float
    deadline: float
    seconds_left: float | None = None


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that has left its group and runs on after its deadline.

    Attributes:
        group: the one it has left.
        left_by: the kind of action: ``detach``, ``terminate`` or ``complete``.
        left_at: when that was done; seconds since 1970.
        deadline: when EC2 was to have taken it; seconds since 1970.
    """

    instance: str
    group: str
    left_by: str
    left_at: float
    deadline: float


HEADLINES = {
    "act": "{what} for {n} of group {group}: acting",
    "observe": "{what} for {n} of group {group}: observed, nothing is done",
    "handled": "{n} of group {group} handled in time",
    "late": "{n} of group {group} handled, but late",
    "failed": "{n} of group {group}: something failed",
    "running": "{n} of group {group} still running, in no group",
    "given-up": "a window was given up, every execution of it failed",
}
NOTICES = {
    Severity.REBALANCE: "rebalance recommendation",
    Severity.SCHEDULED: "scheduled change",
    Severity.LIFECYCLE: "lifecycle hook",
    Severity.INTERRUPTION: "interruption notice",
}
"""What an alert calls the gravest notice of those it is about."""


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
            lines=[*_invalid_lines(members), *_listed(members, _decision_line)],
            headline=_headline(mode, group, len(members), NOTICES[max(d.severity for d in members)]),
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
                    headline=_headline(outcome, group, len(members)),
                )
            )
        messages.extend(
            _event(f"{plan}#event#settled{number:04d}-{part:03d}", window, group, outcome, chunk, now)
            for part, chunk in enumerate(batched(members, EVENT_INSTANCES, strict=False))
        )
    return messages


def running_messages(plan: str, window: Window, survivors: Iterable[Survivor], now: float) -> list[Action]:
    """One alert and one domain event per group for what should be gone and runs on.

    They are named after the group: should the look come again, a group that was told of is not told twice,
    whatever became of the others.
    """
    by_group = _grouped(survivors, lambda s: (s.group, "running"), skip=())
    messages: list[Action] = []
    for (group, outcome), members in sorted(by_group.items()):
        messages.append(
            _alert(
                f"{plan}#alert#running#{group}",
                window,
                group,
                outcome,
                stage="late-look",
                deadline=now + ALERT_LIFETIME_SECONDS,
                lines=[*_listed(members, _survivor_line), "", *_what_to_do(window, group, members)],
                headline=_headline(outcome, group, len(members)),
            )
        )
        messages.extend(
            _found_running_event(f"{plan}#event#running#{group}#{part:03d}", window, group, chunk, now)
            for part, chunk in enumerate(batched(members, EVENT_INSTANCES, strict=False))
        )
    return messages


def given_up_alert(plan: str, window: Window, now: float) -> Action:
    """What nobody will do any more, unless a person starts it."""
    return _alert(
        f"{plan}#alert#given-up",
        window,
        "",
        "given-up",
        stage="sweep",
        deadline=now + ALERT_LIFETIME_SECONDS,
        lines=[
            "Its instances may not have been handled, and their account is missing.",
            f"Why, the executions say: {window.execution_name}, and the same with -r1, -r2 and -r3.",
            "Mend the cause, then start it by hand: docs/runbook.md, SpotWindowsGivenUpAlarm.",
        ],
        headline=_headline("given-up", "", 0),
    )


def _grouped[T](
    items: Iterable[T], key: Callable[[T], tuple[str, str]], skip: tuple[str, ...]
) -> dict[tuple[str, str], list[T]]:
    groups: dict[tuple[str, str], list[T]] = defaultdict(list)
    for item in items:
        if key(item)[1] not in skip:
            groups[key(item)].append(item)
    return groups


def _headline(outcome: str, group: str, count: int, what: str = "") -> str:
    instances = f"{count} instance{'s' if count != 1 else ''}"
    return HEADLINES[outcome].format(n=instances, group=group or "(none)", what=what)


def _alert(
    action_id: str,
    window: Window,
    group: str,
    outcome: str,
    *,
    stage: str,
    deadline: float,
    lines: Sequence[str],
    headline: str,
) -> Action:
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
                "seconds_to": s.seconds_to,
            }
            for s in members
        ],
    }
    return _put(action_id, group, SETTLED_EVENT, detail, now)


def _found_running_event(
    action_id: str, window: Window, group: str, members: Sequence[Survivor], now: float
) -> Action:
    detail: dict[str, Any] = {
        "version": 1,
        "account": window.account,
        "region": window.region,
        "window": window.number,
        "group": group,
        "found_at": iso(now),
        "instances": [
            {
                "instance_id": s.instance,
                "left_by": s.left_by,
                "left_at": iso(s.left_at),
                "deadline": iso(s.deadline),
            }
            for s in members
        ],
    }
    return _put(action_id, group, FOUND_RUNNING_EVENT, detail, now)


def _put(action_id: str, group: str, detail_type: str, detail: dict[str, Any], now: float) -> Action:
    return Action(
        id=action_id,
        kind="event",
        group=group,
        target="",
        subjects=(),
        payload={"source": EVENT_SOURCE, "detail_type": detail_type, "detail": detail},
        deadline=now + ALERT_LIFETIME_SECONDS,
    )


def _listed[T](members: Sequence[T], line: Callable[[T], str]) -> list[str]:
    lines = [line(member) for member in members[:LISTED_INSTANCES]]
    if len(members) > LISTED_INSTANCES:
        lines.append(f"and {len(members) - LISTED_INSTANCES} more, see the ledger")
    return lines


def _invalid_lines(members: Iterable[Decision]) -> list[str]:
    """What is configured that makes no sense, each value once, however many instances it concerns."""
    found: dict[str, list[str]] = defaultdict(list)
    for decision in members:
        for reason in decision.reasons:
            if reason.code in INVALID:
                found[reason.text].append(decision.instance)
    lines = [f"! {text} ({instances[0]}{_and_more(instances)})" for text, instances in found.items()]
    hidden = len(lines) - LISTED_VALUES
    cut = [*lines[:LISTED_VALUES], f"! and {hidden} more, see the ledger"] if hidden > 0 else lines
    head = "1 configured value makes" if len(lines) == 1 else f"{len(lines)} configured values make"
    return [f"{head} no sense:", *cut, ""] if lines else []


def _and_more(instances: Sequence[str]) -> str:
    return f" and {len(instances) - 1} more" if len(instances) > 1 else ""


def _decision_line(decision: Decision) -> str:
    verb = "will" if decision.mode == "act" else "would"
    plan = f"{verb} {', '.join(decision.kinds)}" if decision.kinds else "nothing to do"
    why = "; ".join(reason.text for reason in decision.reasons)
    return f"- {decision.instance}: {decision.instance_action} at {iso(decision.deadline)}; {plan} ({why})"


def _settlement_line(settlement: Settlement) -> str:
    steps = "; ".join(f"{kind} {what}" for kind, what in settlement.steps.items())
    return f"- {settlement.instance}: {steps or '; '.join(settlement.reasons)}"


LEFT_BY = {"detach": "detached", "terminate": "ended through its group", "complete": "let go by its hook"}


def _survivor_line(survivor: Survivor) -> str:
    left = f"{LEFT_BY[survivor.left_by]} at {iso(survivor.left_at)}"
    return f"- {survivor.instance}: {left}; EC2 was to take it by {iso(survivor.deadline)}"


def _what_to_do(window: Window, group: str, members: Sequence[Survivor]) -> list[str]:
    ids = " ".join(survivor.instance for survivor in members[:LISTED_INSTANCES])
    where = f"--region {window.region}"
    return [
        "EC2 takes instances on a best-effort basis and has not taken these. They run on and are billed;",
        "nothing ends or replaces them. This is said once.",
        "To end them:",
        f"aws ec2 terminate-instances {where} --instance-ids {ids}",
        "To keep one, put it back:",
        f"aws autoscaling attach-instances {where} --auto-scaling-group-name {group} --instance-ids i-...",
    ]
