"""The Packages domain's metrics and log lines. Business figures first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from signalbox.ledger.records import Rejection
from signalbox.packages.findings import Finding, Level, Objection
from signalbox.telemetry import logger
from signalbox.telemetry.metrics import Metric, counted, emit
from signalbox.telemetry.steps import conclude, log_refusals

if TYPE_CHECKING:
    from signalbox.intake import Message
    from signalbox.packages.intake import Admission
    from signalbox.packages.settlement import Settled

EVENTS_ADMITTED = Metric("EventsAdmitted", "Count", "events and requests that said something new")
EVENTS_ECHOED = Metric("EventsEchoed", "Count", "events that said nothing new, or came late")
EVENTS_IGNORED = Metric("EventsIgnored", "Count", "events of what this domain does not release or build")
EVENTS_REJECTED = Metric("EventsRejected", "Count", "bad input")
EVENTS_RETURNED = Metric(
    "EventsReturned", "Count", "messages sent back because something did not answer, the first time only"
)
EVENT_AGE = Metric("EventAge", "Seconds", "age of the oldest event of a batch when it was admitted")
RELEASES_BEGUN = Metric("ReleasesBegun", "Count", "executions begun: first tries and later ones")
RELEASES_PLANNED = Metric("ReleasesPlanned", "Count", "dry runs that ended with a plan")
RELEASES_PROMOTED = Metric("ReleasesPromoted", "Count", "versions that the shared repository has now")
RELEASES_FAILED = Metric(
    "ReleasesFailed", "Count", "tries that ended without a promotion, by reason", ("Domain", "Reason")
)
RELEASES_SUPERSEDED = Metric("ReleasesSuperseded", "Count", "releases that another version has made needless")
RELEASES_STUCK = Metric("ReleasesStuck", "Count", "executions that failed: the release stands where it was")
BUILDS_STARTED = Metric("BuildsStarted", "Count", "builds begun")
BUILDS_SUCCEEDED = Metric("BuildsSucceeded", "Count", "builds that ended well")
BUILDS_FAILED = Metric("BuildsFailed", "Count", "builds that failed, were stopped or could not be begun")
BUILD_SECONDS = Metric("BuildSeconds", "Seconds", "from a build's begin to its end, its queue included")
PUBLISH_TO_PROMOTION = Metric(
    "PublishToPromotion", "Seconds", "from the newest event of a version until it was promoted and settled"
)
PACKAGES_INDEXED = Metric("PackagesIndexed", "Count", "packages read into the index of dependents")
INDEX_REBUILT = Metric("IndexRebuilt", "Count", "rebuilds of the index that went through")
OUTCOMES = {
    "planned": RELEASES_PLANNED,
    "promoted": RELEASES_PROMOTED,
    "superseded": RELEASES_SUPERSEDED,
    "stuck": RELEASES_STUCK,
}
"""By `signalbox.packages.outcomes.Outcome`; failed and stopped count by their reason."""
METRICS = (
    EVENTS_ADMITTED,
    EVENTS_ECHOED,
    EVENTS_IGNORED,
    EVENTS_REJECTED,
    EVENTS_RETURNED,
    EVENT_AGE,
    RELEASES_BEGUN,
    RELEASES_PLANNED,
    RELEASES_PROMOTED,
    RELEASES_FAILED,
    RELEASES_SUPERSEDED,
    RELEASES_STUCK,
    BUILDS_STARTED,
    BUILDS_SUCCEEDED,
    BUILDS_FAILED,
    BUILD_SECONDS,
    PUBLISH_TO_PROMOTION,
    PACKAGES_INDEXED,
    INDEX_REBUILT,
)
"""All that this domain can emit. No value is negative: CloudWatch would not tell percentiles."""
DIMENSIONS = {"Domain": "packages"}


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch of messages, of either queue.

    Attributes:
        admitted: events and requests that said something new.
        echoed: those that said nothing new.
        ignored: those of what is no affair of this domain.
        rejections: bad input, recorded.
        returned: the ids of the messages that come again because of ``errors``; those that only wait for a
            version to be quiet are none of them.
        errors: why they do, for the log.
        oldest: the age in seconds of the oldest event admitted.
    """

    admitted: int = 0
    echoed: int = 0
    ignored: int = 0
    rejections: tuple[Rejection, ...] = ()
    returned: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    oldest: float = 0.0


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What became of builds.

    Attributes:
        seconds: of each that ended, where its event says so.
    """

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    seconds: tuple[float, ...] = ()


def report_admission(admission: "Admission", messages: "Sequence[Message]") -> None:
    """One batch of versions' events taken in; executions begun and packages indexed by it."""
    batch = msgspec.convert(admission, Taken, from_attributes=True)
    _conclude_batch(batch)
    if admission.reasons:
        logger.info("events passed over", extra={"reasons": dict(admission.reasons)})
    for finding in admission.findings:
        logger.warning("package read", extra={"code": finding.code, "what": finding.text})
    counts = {RELEASES_BEGUN: admission.begun, PACKAGES_INDEXED: admission.indexed}
    emit(DIMENSIONS, _of_batch(batch, messages) | counted(counts))


def report_builds(batch: Taken, messages: "Sequence[Message]", built: Built) -> None:
    """One batch of builds' events taken in, and the builds begun by it."""
    _conclude_batch(batch)
    emit(DIMENSIONS, _of_batch(batch, messages) | _of_builds(built))


def report_inspection(verdict: Level | None, objections: Sequence[Objection] = ()) -> None:
    """One version judged; None where there was nothing to be judged any more."""
    conclude(verdict or "passed-over")
    _log_objections("version judged", objections)


def report_plan(
    verdict: Level | None, objections: Sequence[Objection] = (), *, affected: int = 0, waves: int = 0
) -> None:
    """One release planned; None where there was nothing to be planned any more."""
    conclude(verdict or "passed-over")
    if verdict is not None:
        logger.info("release planned", extra={"affected": affected, "waves": waves})
    _log_objections("plan judged", objections)


def report_wave(built: Built) -> None:
    """One look at a wave, and the builds begun by it."""
    conclude("refused" if built.failed else "started" if built.started else "waiting")
    emit(DIMENSIONS, _of_builds(built))


def report_promotion(outcome: str, detail: str = "") -> None:
    """One try to promote.

    Args:
        outcome: as `signalbox.packages.repositories.Copied`; "" where there was nothing to promote any more.
        detail: what CodeArtifact said, where nothing was copied.
    """
    conclude(outcome or "passed-over")
    if detail:
        logger.error("promotion refused", extra={"outcome": outcome, "detail": detail})


def report_settlement(settled: "Settled") -> None:
    """One try that has ended. What an earlier run of the step told already is not counted again."""
    conclude(settled.outcome)
    write = logger.error if settled.is_harmful else logger.info
    write(
        "release settled",
        extra={
            "outcome": settled.outcome,
            "reason": settled.reason,
            "detail": settled.detail,
            "told": settled.told,
            "stopped": settled.stopped,
            "unstopped": settled.unstopped,
        },
    )
    if not settled.counts:
        return
    if metric := OUTCOMES.get(settled.outcome):
        seconds = [] if settled.seconds is None else [max(settled.seconds, 0.0)]
        emit(DIMENSIONS, {metric: [1], PUBLISH_TO_PROMOTION: seconds})
    else:
        emit({**DIMENSIONS, "Reason": settled.reason}, {RELEASES_FAILED: [1]})


def report_rebuild(packages: int, seconds: float, findings: Sequence[Finding] = ()) -> None:
    """The index made anew, of so many packages, in so many seconds."""
    conclude("rebuilt")
    logger.info("index rebuilt", extra={"packages": packages, "seconds": round(seconds, 3)})
    for finding in findings:
        logger.warning("package left out", extra={"code": finding.code, "what": finding.text})
    emit(DIMENSIONS, counted({INDEX_REBUILT: 1, PACKAGES_INDEXED: packages}))


def _conclude_batch(batch: Taken) -> None:
    """A trace is found by the worst that there is any of."""
    log_refusals(batch.rejections, batch.errors)
    found = {
        "returned": batch.returned,
        "rejected": batch.rejections,
        "admitted": batch.admitted,
        "echoed": batch.echoed,
        "ignored": batch.ignored,
    }
    conclude(next((name for name, any_ in found.items() if any_), ""))


def _of_batch(batch: Taken, messages: "Sequence[Message]") -> dict[Metric, Sequence[float]]:
    """A message that comes again is not counted twice as returned."""
    first = {message.id for message in messages if message.first}
    counts = {
        EVENTS_ADMITTED: batch.admitted,
        EVENTS_ECHOED: batch.echoed,
        EVENTS_IGNORED: batch.ignored,
        EVENTS_REJECTED: len(batch.rejections),
        EVENTS_RETURNED: len(first.intersection(batch.returned)),
    }
    return counted(counts) | {EVENT_AGE: [max(batch.oldest, 0.0)] if batch.admitted else []}


def _of_builds(built: Built) -> dict[Metric, Sequence[float]]:
    counts = {BUILDS_STARTED: built.started, BUILDS_SUCCEEDED: built.succeeded, BUILDS_FAILED: built.failed}
    return counted(counts) | {BUILD_SECONDS: [max(seconds, 0.0) for seconds in built.seconds]}


def _log_objections(message: str, objections: Sequence[Objection]) -> None:
    for each in objections:
        logger.info(message, extra={"code": each.code, "verdict": each.level, "what": each.text})
