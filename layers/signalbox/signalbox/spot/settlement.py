"""Judging a window afterwards: each instance's outcome, from its actions and what the estate showed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from signalbox.ledger.actions import Action
from signalbox.spot.alerts import Settlement
from signalbox.spot.commands import COMMAND_KINDS
from signalbox.spot.planning import Decision

OUTCOMES = ("handled", "late", "failed", "observed", "ignored")
"""The worse of two comes later, as far as there is a worse."""
MUST_ANSWER = frozenset(COMMAND_KINDS)
"""Kinds that have failed where nothing confirms them; replacing and draining may outlast our looking."""
UNTOUCHED = {"observe": "observed", "ignore": "ignored"}


def settle(decisions: Iterable[Decision], actions: Iterable[Action]) -> list[Settlement]:
    """One settlement a decision, in the same order."""
    by_instance: dict[str, list[Action]] = defaultdict(list)
    for action in actions:
        for subject in action.subjects:
            by_instance[subject].append(action)
    return [_settlement(decision, by_instance[decision.instance]) for decision in decisions]


def _settlement(decision: Decision, actions: Sequence[Action]) -> Settlement:
    acted = actions if decision.mode == "act" else ()
    finished = [action.finished_at for action in acted if action.finished_at]
    left = round(decision.deadline - max(finished), 1) if finished else None
    return Settlement(
        instance=decision.instance,
        group=decision.group,
        outcome=_outcome(decision, acted, left),
        reasons=tuple(reason.text for reason in decision.reasons),
        steps=_steps(decision, acted),
        seconds_to=_seconds_to(decision, acted),
        noticed_at=decision.noticed_at,
        deadline=decision.deadline,
        seconds_left=left,
    )


def _outcome(decision: Decision, actions: Sequence[Action], left: float | None) -> str:
    if decision.undecided:
        return "failed"
    if decision.mode in UNTOUCHED:
        return UNTOUCHED[decision.mode]
    if not actions:
        return "ignored"
    if any(_trouble(action, decision.instance) for action in actions):
        return "failed"
    return "late" if left is not None and left < 0 else "handled"


def _trouble(action: Action, instance: str) -> str:
    """What went wrong with the action for this instance, or ""."""
    status, reason = action.outcome_of(instance)
    if status == "failed":
        return reason or "failed"
    if status in ("pending", "running"):
        return "not finished"
    verdict = action.verdict
    if status != "succeeded" or verdict is None:
        return ""
    counts = verdict.state == "contradicted" or action.kind in MUST_ANSWER
    return verdict.subjects.get(instance, "") if counts else ""


def _steps(decision: Decision, actions: Sequence[Action]) -> dict[str, str]:
    steps = {}
    for action in actions:
        status, reason = action.outcome_of(decision.instance)
        trouble = _trouble(action, decision.instance)
        if trouble:
            steps[action.kind] = f"failed: {trouble}"
        elif status == "skipped":
            steps[action.kind] = f"skipped: {reason}"
        else:
            seconds = action.finished_at - decision.noticed_at
            seen = action.verdict.state if action.verdict else "not looked at"
            steps[action.kind] = f"succeeded {seconds:.1f} s after the notice ({seen})"
    return steps


def _seconds_to(decision: Decision, actions: Sequence[Action]) -> dict[str, float]:
    """Actions that succeeded for this instance, whatever the estate showed afterwards."""
    finished: dict[str, float] = {}
    for action in actions:
        if action.outcome_of(decision.instance)[0] == "succeeded":
            finished[action.kind] = max(action.finished_at, finished.get(action.kind, 0.0))
    return {kind: round(at - decision.noticed_at, 1) for kind, at in finished.items()}
