"""The Spot domain's metrics and log lines. Business figures first."""

from collections.abc import Sequence

from signalbox.errors import SignalboxError
from signalbox.ledger.actions import Action
from signalbox.ledger.records import Plan
from signalbox.ledger.sweeping import Sweep
from signalbox.spot.closing import Closing
from signalbox.spot.intake import Admission, Message
from signalbox.telemetry import logger
from signalbox.telemetry.metrics import Unit, emit

DIMENSIONS = {"Domain": "spot"}


def report_admission(admission: Admission, messages: Sequence[Message]) -> None:
    """One batch taken in. A message that comes again is not counted twice as unreadable."""
    first = {message.id for message in messages if message.first}
    for rejection in admission.rejections:
        logger.warning(
            "event rejected",
            extra={
                "code": rejection.code,
                "where": rejection.where,
                "what": rejection.what,
                "message_id": rejection.id,
            },
        )
    for error in admission.errors:
        logger.error("messages returned to the queue", extra={"error": error})
    counts = {
        "EventsAdmitted": admission.admitted,
        "EventsDeferred": admission.deferred,
        "EpisodesClosed": admission.closed,
        "EventsEchoed": admission.echoes,
        "EventsRejected": len(admission.rejections),
        "EventsReturned": len(first.intersection(admission.returned)),
    }
    metrics: dict[str, tuple[float, Unit]] = {
        name: (count, "Count") for name, count in counts.items() if count
    }
    if admission.admitted:
        metrics["NoticeAge"] = (admission.oldest, "Seconds")
    emit(DIMENSIONS, metrics)


def report_plan(plan: Plan) -> None:
    """One window planned."""
    logger.info("window planned", extra={"instances": len(plan.decisions), **plan.summary})
    emit(DIMENSIONS, {"InstancesPlanned": (len(plan.decisions), "Count")} if plan.decisions else {})


def report_failure(action: Action, reason: str, error: Exception | None) -> None:
    """One action that failed for good."""
    logger.error(
        "action failed",
        extra={
            "action": action.id,
            "kind": action.kind,
            "group": action.group,
            "target": action.target,
            "subjects": list(action.subjects),
            "reason": reason,
        },
        exc_info=error,
    )
    emit({**DIMENSIONS, "Kind": action.kind}, {"ActionsFailed": (1, "Count")})


def report_heartbeat_failure(action: Action, error: SignalboxError) -> None:
    """One lifecycle hook that may run out before it is completed."""
    logger.warning(
        "hook not kept open",
        extra={
            "action": action.id,
            "group": action.group,
            "hook": action.target,
            "subjects": list(action.subjects),
            "reason": f"{error.code}: {error}",
        },
    )


def report_closing(closing: Closing) -> None:
    """One window settled: interruptions by outcome, and how much of the notice was left."""
    logger.info("window settled", extra={"outcomes": closing.outcomes, "alerts": closing.alerts})
    metrics: dict[str, tuple[float, Unit]] = {
        f"Interruptions{outcome.capitalize()}": (count, "Count")
        for outcome, count in closing.outcomes.items()
        if count
    }
    left = [s.seconds_left for s in closing.settlements if s.seconds_left is not None]
    if left:
        metrics["NoticeSecondsLeft"] = (min(left), "Seconds")
    emit(DIMENSIONS, metrics)


def report_sweep(sweep: Sweep) -> None:
    """What the backstop found; nothing, as a rule."""
    for window in sweep.restarted:
        logger.warning("window given a new execution", extra={"window": str(window)})
    for window in sweep.given_up:
        logger.error("every execution of the window has failed", extra={"window": str(window)})
    counts = {"WindowsRestarted": len(sweep.restarted), "WindowsGivenUp": len(sweep.given_up)}
    emit(DIMENSIONS, {name: (count, "Count") for name, count in counts.items() if count})
