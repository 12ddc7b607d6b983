"""The Spot domain's metrics and log lines. Business figures first."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from signalbox.errors import SignalboxError
from signalbox.intake import Message
from signalbox.ledger.actions import Action, Progress
from signalbox.ledger.records import Plan
from signalbox.ledger.sweeping import Sweep
from signalbox.ledger.windows import WindowKey
from signalbox.spot.alerts import Settlement
from signalbox.spot.closing import Closing
from signalbox.spot.intake import Admission, Joined
from signalbox.spot.late_look import Found
from signalbox.spot.verification import Verification
from signalbox.telemetry import logger
from signalbox.telemetry.metrics import Metric, counted, emit
from signalbox.telemetry.steps import annotate, conclude, correlate, log_refusals, span

OUTCOMES = {
    "handled": Metric("InterruptionsHandled", "Count", "instances handled in time"),
    "late": Metric("InterruptionsLate", "Count", "instances handled, but after the deadline"),
    "failed": Metric("InterruptionsFailed", "Count", "instances for which something failed"),
    "observed": Metric("InterruptionsObserved", "Count", "instances only observed, as their mode says"),
    "ignored": Metric("InterruptionsIgnored", "Count", "instances with nothing to do, or to be ignored"),
}
"""By the outcome of a settlement."""
NOTICE_SECONDS_LEFT = Metric(
    "NoticeSecondsLeft",
    "Seconds",
    "between an instance's last action and its deadline; 0 when late",
)
SECONDS_LATE = Metric("SecondsLate", "Seconds", "between a late instance's deadline and its last action")
NOTICE_TO_ACTION = Metric(
    "NoticeToAction",
    "Seconds",
    "from the notice until an instance's action of that kind had succeeded",
    ("Domain", "Kind"),
)
ACTIONS_FAILED = Metric(
    "ActionsFailed", "Count", "actions of that kind that failed for good", ("Domain", "Kind")
)
EVENTS_ADMITTED = Metric("EventsAdmitted", "Count", "notices that said something new")
EVENTS_DEFERRED = Metric("EventsDeferred", "Count", "notices that are due later")
EVENTS_ECHOED = Metric("EventsEchoed", "Count", "news that said nothing new, or nothing that concerns us")
EVENTS_REJECTED = Metric("EventsRejected", "Count", "bad input")
EVENTS_RETURNED = Metric("EventsReturned", "Count", "messages sent back to the queue, the first time only")
EPISODES_CLOSED = Metric(
    "EpisodesClosed", "Count", "instances that have ended, or whose notice was withdrawn"
)
NOTICE_AGE = Metric("NoticeAge", "Seconds", "age of the oldest notice of a batch when it was admitted")
INSTANCES_PLANNED = Metric("InstancesPlanned", "Count", "instances decided about")
WINDOWS_RESTARTED = Metric("WindowsRestarted", "Count", "windows that the sweeper gave a new execution")
WINDOWS_GIVEN_UP = Metric("WindowsGivenUp", "Count", "windows of which every execution has failed")
INSTANCES_FOUND_RUNNING = Metric(
    "InstancesFoundRunning",
    "Count",
    "instances that had left their group and ran on after the deadline",
)
METRICS = (
    *OUTCOMES.values(),
    NOTICE_SECONDS_LEFT,
    SECONDS_LATE,
    NOTICE_TO_ACTION,
    ACTIONS_FAILED,
    EVENTS_ADMITTED,
    EVENTS_DEFERRED,
    EVENTS_ECHOED,
    EVENTS_REJECTED,
    EVENTS_RETURNED,
    EPISODES_CLOSED,
    NOTICE_AGE,
    INSTANCES_PLANNED,
    WINDOWS_RESTARTED,
    WINDOWS_GIVEN_UP,
    INSTANCES_FOUND_RUNNING,
)
"""All that this domain can emit. No value is negative: CloudWatch would not tell percentiles."""
DIMENSIONS = {"Domain": "spot"}
ADMISSION_OUTCOMES = {
    EVENTS_RETURNED: "returned",
    EVENTS_REJECTED: "rejected",
    EVENTS_ADMITTED: "admitted",
    EVENTS_DEFERRED: "deferred",
    EPISODES_CLOSED: "closed",
    EVENTS_ECHOED: "echoed",
}
"""What a trace is found by, the first that there is any of."""
SETTLED_OUTCOMES = {outcome: outcome for outcome in ("failed", "late", "handled", "observed", "ignored")}
"""The worst first."""


def report_admission(admission: Admission, messages: Sequence[Message]) -> None:
    """One batch taken in. A message that comes again is not counted twice as unreadable."""
    first = {message.id for message in messages if message.first}
    for joined in admission.joined:
        _report_joined(joined)
    log_refusals(admission.rejections, admission.errors)
    counts = {
        EVENTS_ADMITTED: admission.admitted,
        EVENTS_DEFERRED: admission.deferred,
        EPISODES_CLOSED: admission.closed,
        EVENTS_ECHOED: admission.echoes,
        EVENTS_REJECTED: len(admission.rejections),
        EVENTS_RETURNED: len(first.intersection(admission.returned)),
    }
    ages = [max(admission.oldest, 0.0)] if admission.admitted else []
    conclude(_first_of(counts, ADMISSION_OUTCOMES))
    emit(DIMENSIONS, {**counted(counts), NOTICE_AGE: ages})


def _report_joined(joined: Joined) -> None:
    """What one batch put into one window: from here an event's id and an instance lead to the window."""
    window, notices = joined.window, joined.notices
    with span("JoinWindow", window=str(window), account=window.account, region=window.region):
        annotate(instance=_only(notice.instance for notice in notices))
        logger.info(
            "notices joined a window",
            extra={
                "events": [notice.event_id for notice in notices],
                "instances": [notice.instance for notice in notices],
                "messages": list(dict.fromkeys(joined.messages)),
            },
        )


def report_plan(plan: Plan) -> None:
    """One window planned."""
    correlate(plan=plan.id)
    conclude("planned")
    annotate(
        group=_only(decision.get("group", "") for decision in plan.decisions),
        instance=_only(decision.get("instance", "") for decision in plan.decisions),
    )
    logger.info("window planned", extra={"instances": len(plan.decisions), **plan.summary})
    emit(DIMENSIONS, counted({INSTANCES_PLANNED: len(plan.decisions)}))


def report_progress(progress: Progress) -> None:
    """One pass of a worker: the worst that it came to."""
    worst = next((status for status in ("failed", "skipped") if getattr(progress, status)), "succeeded")
    conclude("unfinished" if progress.unfinished else worst)


def report_look(verification: Verification) -> None:
    """One look at what was done."""
    conclude("verified" if verification.verified else "waiting")


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
    emit({**DIMENSIONS, "Kind": action.kind}, {ACTIONS_FAILED: [1]})


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
    """One window settled: instances by outcome, how long each step took, how much of the notice was left.

    Settled once more it counts nothing.
    """
    if not closing.first:
        logger.info("window was settled already", extra={"outcomes": closing.outcomes})
        return
    seconds = _seconds_by_kind(closing.settlements)
    slowest = max((max(numbers) for numbers in seconds.values()), default=None)
    logger.info(
        "window settled",
        extra={"outcomes": closing.outcomes, "alerts": closing.alerts, "slowest_seconds": slowest},
    )
    conclude(_first_of(closing.outcomes, SETTLED_OUTCOMES))
    left = [s.seconds_left for s in closing.settlements if s.seconds_left is not None]
    counts = {OUTCOMES[outcome]: count for outcome, count in closing.outcomes.items()}
    times = {
        NOTICE_SECONDS_LEFT: [max(seconds, 0.0) for seconds in left],
        SECONDS_LATE: [-seconds for seconds in left if seconds < 0],
    }
    emit(DIMENSIONS, {**counted(counts), **times})
    for kind, numbers in seconds.items():
        emit({**DIMENSIONS, "Kind": kind}, {NOTICE_TO_ACTION: numbers})


def report_sweep(sweep: Sweep) -> None:
    """What the backstop found; nothing, as a rule."""
    for window in sweep.restarted:
        with span("RestartWindow", window=str(window), account=window.account, region=window.region):
            logger.warning("window given a new execution")
    for window in sweep.given_up:
        with span("GiveWindowUp", window=str(window), account=window.account, region=window.region):
            logger.error("every execution of the window has failed")
    conclude("given-up" if sweep.given_up else "restarted" if sweep.restarted else "quiet")
    emit(
        DIMENSIONS,
        counted({WINDOWS_RESTARTED: len(sweep.restarted), WINDOWS_GIVEN_UP: len(sweep.given_up)}),
    )


def _first_of[T](counts: Mapping[T, int], names: Mapping[T, str]) -> str:
    return next((name for key, name in names.items() if counts.get(key)), "")


def _only(names: Iterable[str]) -> str:
    """The name, where there is one and no other."""
    found: Collection[str] = set(names)
    return next(iter(found)) if len(found) == 1 else ""


def report_unseen(key: WindowKey, error: SignalboxError) -> None:
    """An account and Region that could not be looked at; the next sweep tries again."""
    logger.error("late look failed", extra={"key": str(key), "reason": f"{error.code}: {error}"})


def report_late_looks(found: Sequence[Found]) -> None:
    """What runs on in no group; nothing, as a rule."""
    for each in found:
        logger.warning(
            "instances found running in no group",
            extra={"window": str(each.window), "instances": [s.instance for s in each.survivors]},
        )
    count = sum(len(each.survivors) for each in found)
    emit(DIMENSIONS, counted({INSTANCES_FOUND_RUNNING: count}))


def _seconds_by_kind(settlements: Iterable[Settlement]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for settlement in settlements:
        for kind, seconds in settlement.seconds_to.items():
            found[kind].append(max(seconds, 0.0))
    return found
