"""The Documents domain's metrics and log lines. Business figures first."""

from typing import TYPE_CHECKING

import msgspec

from signalbox.documents.compaction import Compaction
from signalbox.documents.entries import TRIES_USED_UP, TRY_FAILED, UNCHANGED
from signalbox.documents.models import (
    QUARANTINED,
    Entities,
    Labels,
    Loaded,
    Outcome,
    Text,
    Verdict,
)
from signalbox.telemetry import logger
from signalbox.telemetry.metrics import Metric, counted, emit
from signalbox.telemetry.steps import conclude, log_refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signalbox.documents.intake import Admission
    from signalbox.documents.settlement import Settled
    from signalbox.intake import Message

OUTCOMES = {
    Outcome.INDEXED: Metric("DocumentsIndexed", "Count", "documents that became searchable as they are now"),
    Outcome.DELETED: Metric("DocumentsRemoved", "Count", "documents that the index has no more"),
    Outcome.SUPERSEDED: Metric("DocumentsSuperseded", "Count", "executions that a later one made needless"),
}
"""By the outcome of a settlement; the others count as quarantined."""
DOCUMENTS_UNCHANGED = Metric("DocumentsUnchanged", "Count", "executions that found the index as it should be")
DOCUMENTS_QUARANTINED = Metric(
    "DocumentsQuarantined", "Count", "documents that ended for good with that outcome", ("Domain", "Outcome")
)
UPLOAD_TO_INDEX = Metric(
    "UploadToIndex", "Seconds", "from the change of an object until it was indexed and settled"
)
TRIES_FAILED = Metric(
    "TriesFailed", "Count", "executions that failed: the message comes again, or is given up"
)
EVENTS_ADMITTED = Metric("EventsAdmitted", "Count", "events that had an object looked at")
EVENTS_ECHOED = Metric("EventsEchoed", "Count", "events that said nothing new")
EVENTS_IGNORED = Metric("EventsIgnored", "Count", "events of objects that no route asks for")
EVENTS_REJECTED = Metric("EventsRejected", "Count", "bad input")
EVENTS_RETURNED = Metric("EventsReturned", "Count", "messages sent back to the queue, the first time only")
EVENT_AGE = Metric("EventAge", "Seconds", "age of the oldest event of a batch when it was admitted")
CONVERSION_SECONDS = Metric("ConversionSeconds", "Seconds", "from an object's bytes to its text")
PAGES_CONVERTED = Metric("PagesConverted", "Count", "pages of documents that have pages")
PAGES_RECOGNISED = Metric("PagesRecognised", "Count", "scanned pages that Textract read")
COMPREHEND_CALLS = Metric("ComprehendCalls", "Count", "calls of Comprehend")
IMAGES_LABELLED = Metric("ImagesLabelled", "Count", "images that Rekognition looked at")
ANALYSES_REFUSED = Metric(
    "AnalysesRefused", "Count", "documents indexed without an analysis that AWS refused for good"
)
ROWS_LOADED = Metric("RowsLoaded", "Count", "rows that the index was given")
METRICS = (
    *OUTCOMES.values(),
    DOCUMENTS_UNCHANGED,
    DOCUMENTS_QUARANTINED,
    UPLOAD_TO_INDEX,
    TRIES_FAILED,
    EVENTS_ADMITTED,
    EVENTS_ECHOED,
    EVENTS_IGNORED,
    EVENTS_REJECTED,
    EVENTS_RETURNED,
    EVENT_AGE,
    CONVERSION_SECONDS,
    PAGES_CONVERTED,
    PAGES_RECOGNISED,
    COMPREHEND_CALLS,
    IMAGES_LABELLED,
    ANALYSES_REFUSED,
    ROWS_LOADED,
)
"""All that this domain can emit. No value is negative: CloudWatch would not tell percentiles."""
DIMENSIONS = {"Domain": "documents"}
HARMFUL = frozenset({None, Outcome.FAILED})
"""What somebody should look at; for the rest the document itself is to blame."""
ADMISSION_OUTCOMES = {
    EVENTS_RETURNED: "returned",
    EVENTS_REJECTED: "rejected",
    EVENTS_ADMITTED: "admitted",
    EVENTS_ECHOED: "echoed",
    EVENTS_IGNORED: "ignored",
}
"""What a trace is found by, the first that there is any of."""


def report_admission(admission: "Admission", messages: "Sequence[Message]") -> None:
    """One batch taken in. A message that comes again is not counted twice as returned."""
    first = {message.id for message in messages if message.first}
    log_refusals(admission.rejections, admission.errors)
    counts = {
        EVENTS_ADMITTED: admission.admitted,
        EVENTS_ECHOED: admission.echoes,
        EVENTS_IGNORED: admission.ignored,
        EVENTS_REJECTED: len(admission.rejections),
        EVENTS_RETURNED: len(first.intersection(admission.returned)),
    }
    conclude(next((name for metric, name in ADMISSION_OUTCOMES.items() if counts[metric]), ""))
    ages = [max(admission.oldest, 0.0)] if admission.admitted else []
    emit(DIMENSIONS, {**counted(counts), EVENT_AGE: ages})


def report_inspection(verdict: Verdict | None) -> None:
    """One object looked at."""
    _report_verdict(verdict, "found")


def report_conversion(text: Text | None, verdict: Verdict | None, seconds: float) -> None:
    """One object made into text, in so many seconds."""
    _report_verdict(verdict, "converted")
    counts = {PAGES_CONVERTED: text.pages if text else 0}
    emit(DIMENSIONS, {**counted(counts), CONVERSION_SECONDS: [max(seconds, 0.0)]})


def report_recognition(text: Text | None, verdict: Verdict | None) -> None:
    """One scan read."""
    _report_verdict(verdict, "recognised")
    emit(DIMENSIONS, counted({PAGES_RECOGNISED: text.pages if text else 0}))


def report_analysis(entities: Entities) -> None:
    """One text analysed."""
    _report_note(entities.note, "analysed")
    emit(DIMENSIONS, counted({COMPREHEND_CALLS: entities.calls, ANALYSES_REFUSED: int(bool(entities.note))}))


def report_labels(labels: Labels | None, verdict: Verdict | None) -> None:
    """One image looked at."""
    note = labels.note if labels else ""
    _report_verdict(verdict, "labelled")
    _report_note(note, "labelled" if verdict is None else "")
    seen = labels is not None and not note
    emit(DIMENSIONS, counted({IMAGES_LABELLED: int(seen), ANALYSES_REFUSED: int(bool(note))}))


def report_loading(loaded: Loaded) -> None:
    """One document loaded into the index, or taken out of it."""
    conclude(shown(loaded.outcome))
    emit(DIMENSIONS, counted({ROWS_LOADED: loaded.rows}))


def report_compaction(run: Compaction) -> None:
    """One run over the index's files."""
    conclude("merged" if run.merged else "looked")
    logger.info("index compacted", extra=msgspec.to_builtins(run))
    if run.too_large:
        logger.warning("shards of the index are too large to be merged", extra={"shards": run.too_large})


def report_settlement(settled: "Settled") -> None:
    """One execution that has ended. What an earlier try of the step told already is not counted again."""
    outcome = shown(settled.outcome) if settled.outcome else "failed"
    conclude(outcome)
    write = logger.error if settled.outcome in HARMFUL else logger.info
    write(
        "document settled" if settled.outcome else "try failed",
        extra={"outcome": outcome, "reason": settled.reason, "detail": settled.detail, "told": settled.told},
    )
    if settled.reason in {TRY_FAILED, TRIES_USED_UP}:
        emit(DIMENSIONS, {TRIES_FAILED: [1]})
    if settled.reason == UNCHANGED:
        emit(DIMENSIONS, {DOCUMENTS_UNCHANGED: [1]})
    elif settled.told and settled.outcome in QUARANTINED:
        emit({**DIMENSIONS, "Outcome": settled.outcome}, {DOCUMENTS_QUARANTINED: [1]})
    elif settled.outcome in OUTCOMES and (settled.told or settled.outcome is Outcome.SUPERSEDED):
        seconds = [] if settled.seconds is None else [max(settled.seconds, 0.0)]
        emit(DIMENSIONS, {OUTCOMES[settled.outcome]: [1], UPLOAD_TO_INDEX: seconds})


def shown(outcome: str) -> str:
    """An outcome as traces have it: ``too-large``."""
    return outcome.lower().replace("_", "-")


def _report_verdict(verdict: Verdict | None, otherwise: str) -> None:
    conclude(shown(verdict.outcome) if verdict else otherwise)
    if verdict is not None:
        logger.info("verdict reached", extra=msgspec.to_builtins(verdict))


def _report_note(note: str, otherwise: str) -> None:
    conclude("refused" if note else otherwise)
    if note:
        logger.error("analysis refused", extra={"reason": note})
