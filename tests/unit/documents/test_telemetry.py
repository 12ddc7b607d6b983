"""What the Documents domain reports: a log line for a person, a metric for an alarm."""

import logging
from collections.abc import Callable
from unittest.mock import Mock

import pytest

from signalbox.documents import telemetry
from signalbox.documents.intake import Admission
from signalbox.documents.models import (
    QUARANTINED,
    Entities,
    Label,
    Labels,
    Loaded,
    Outcome,
    Verdict,
)
from signalbox.documents.settlement import Settled
from signalbox.documents.telemetry import (
    report_admission,
    report_analysis,
    report_conversion,
    report_inspection,
    report_labels,
    report_loading,
    report_recognition,
    report_settlement,
)
from signalbox.intake import Message
from signalbox.ledger.records import Rejection
from signalbox.telemetry import tracer
from signalbox.telemetry.metrics import Metric
from tests.unit.documents.doubles import NOON, document, text_of
from tests.unit.telemetry.embedded_metrics import dimensions_of, metrics_in, values_of

type Values = dict[str, tuple[list[float], str]]

REJECTION = Rejection(
    domain="documents", id="m1", code="stale", where="$.time", what="too old", body="{}", at=NOON
)
VERDICT = Verdict(outcome=Outcome.TOO_LARGE, reason="too-many-pages", detail="It has 4,000 pages.")


@pytest.fixture
def annotations(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    found: dict[str, object] = {}
    monkeypatch.setattr(tracer, "put_annotation", found.__setitem__)
    return found


@pytest.fixture
def reported(capsys: pytest.CaptureFixture[str]) -> Callable[[], Values]:
    """The metrics of the one line that was written, or of none."""

    def read() -> Values:
        lines = metrics_in(capsys.readouterr().out)
        assert len(lines) <= 1
        assert all(dimensions_of(line) == [{"Domain": "documents"}] for line in lines)
        return values_of(lines[0]) if lines else {}

    return read


def extra(record: logging.LogRecord, *names: str) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in names)


class TestAdmission:
    def test_it_is_counted(
        self,
        reported: Callable[[], Values],
        caplog: pytest.LogCaptureFixture,
        annotations: dict[str, object],
    ) -> None:
        admission = Admission(
            admitted=3,
            echoed={"duplicate": 1, "stale": 1},
            ignored=4,
            rejections=(REJECTION,),
            waits={"m2": 10, "m3": 20},
            errors=("LoadDocument: no",),
            oldest=7.5,
        )
        messages = [Message("m2", ""), Message("m3", "", receives=2), Message("m4", "")]
        report_admission(admission, messages)
        assert reported() == {
            "EventsAdmitted": ([3], "Count"),
            "EventsEchoed": ([2], "Count"),
            "EventsIgnored": ([4], "Count"),
            "EventsRejected": ([1], "Count"),
            "EventsReturned": ([1], "Count"),
            "EventAge": ([7.5], "Seconds"),
        }
        rejected, returned = caplog.records
        assert extra(rejected, "code", "where", "what", "message_id") == ("stale", "$.time", "too old", "m1")
        assert (rejected.levelno, returned.levelno) == (logging.WARNING, logging.ERROR)
        assert extra(returned, "error") == ("LoadDocument: no",)
        assert annotations == {"outcome": "returned"}

    @pytest.mark.parametrize(
        ("admission", "outcome"),
        [
            (Admission(admitted=1, ignored=1, rejections=(REJECTION,)), "rejected"),
            (Admission(admitted=1, echoed={"stale": 1}), "admitted"),
            (Admission(echoed={"stale": 1}, ignored=1), "echoed"),
            (Admission(ignored=1), "ignored"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_its_trace_is_found_by_the_worst(
        self, admission: Admission, outcome: str, annotations: dict[str, object]
    ) -> None:
        report_admission(admission, [])
        assert annotations == {"outcome": outcome}

    def test_of_nothing_nothing_is_written(
        self, reported: Callable[[], Values], annotations: dict[str, object]
    ) -> None:
        report_admission(Admission(), [])
        assert (reported(), annotations) == ({}, {})

    def test_an_event_of_a_sender_whose_clock_is_ahead(self, reported: Callable[[], Values]) -> None:
        report_admission(Admission(admitted=1, oldest=-0.4), [])
        assert reported()["EventAge"] == ([0.0], "Seconds")


class TestSteps:
    @pytest.mark.parametrize(
        ("report", "values", "outcome"),
        [
            (lambda: report_inspection(None), {}, "found"),
            (lambda: report_inspection(VERDICT), {}, "too-large"),
            (
                lambda: report_conversion(text_of(document()), None, 1.25),
                {"PagesConverted": ([7], "Count"), "ConversionSeconds": ([1.25], "Seconds")},
                "converted",
            ),
            (
                lambda: report_conversion(None, VERDICT, 0.5),
                {"ConversionSeconds": ([0.5], "Seconds")},
                "too-large",
            ),
            (
                lambda: report_recognition(text_of(document()), None),
                {"PagesRecognised": ([7], "Count")},
                "recognised",
            ),
            (lambda: report_recognition(None, VERDICT), {}, "too-large"),
            (lambda: report_analysis(Entities(calls=4)), {"ComprehendCalls": ([4], "Count")}, "analysed"),
            (
                lambda: report_analysis(Entities(calls=1, note="access-denied: no")),
                {"ComprehendCalls": ([1], "Count"), "AnalysesRefused": ([1], "Count")},
                "refused",
            ),
            (
                lambda: report_labels(Labels(labels=(Label(name="Cat", confidence=99.0),)), None),
                {"ImagesLabelled": ([1], "Count")},
                "labelled",
            ),
            (
                lambda: report_labels(Labels(note="access-denied: no"), None),
                {"AnalysesRefused": ([1], "Count")},
                "refused",
            ),
            (lambda: report_labels(None, VERDICT), {}, "too-large"),
            (
                lambda: report_loading(Loaded(outcome=Outcome.INDEXED, rows=3)),
                {"RowsLoaded": ([3], "Count")},
                "indexed",
            ),
            (lambda: report_loading(Loaded(outcome=Outcome.SUPERSEDED)), {}, "superseded"),
        ],
    )
    def test_each_says_what_it_came_to(
        self,
        report: Callable[[], None],
        values: Values,
        outcome: str,
        reported: Callable[[], Values],
        annotations: dict[str, object],
    ) -> None:
        report()
        assert (reported(), annotations["outcome"]) == (values, outcome)

    def test_a_verdict_is_logged_with_its_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        report_inspection(VERDICT)
        [record] = caplog.records
        assert extra(record, "outcome", "reason", "detail") == ("TOO_LARGE", VERDICT.reason, VERDICT.detail)

    def test_an_analysis_that_was_refused_is_an_error(self, caplog: pytest.LogCaptureFixture) -> None:
        report_analysis(Entities(note="access-denied: no"))
        [record] = caplog.records
        assert (record.levelno, record.reason) == (logging.ERROR, "access-denied: no")  # type: ignore[attr-defined] # an extra


class TestSettlement:
    @pytest.mark.parametrize(
        ("settled", "values"),
        [
            (
                Settled(outcome=Outcome.INDEXED, reason="indexed", told=True, seconds=4.5),
                {"DocumentsIndexed": ([1], "Count"), "UploadToIndex": ([4.5], "Seconds")},
            ),
            (
                Settled(outcome=Outcome.INDEXED, reason="indexed", told=True, seconds=-0.5),
                {"DocumentsIndexed": ([1], "Count"), "UploadToIndex": ([0.0], "Seconds")},
            ),
            (Settled(outcome=Outcome.INDEXED, reason="indexed"), {}),
            (
                Settled(outcome=Outcome.INDEXED, reason="unchanged"),
                {"DocumentsUnchanged": ([1], "Count")},
            ),
            (
                Settled(outcome=Outcome.DELETED, reason="deleted", told=True),
                {"DocumentsRemoved": ([1], "Count")},
            ),
            (Settled(outcome=Outcome.DELETED, reason="folder-marker"), {}),
            (
                Settled(outcome=Outcome.SUPERSEDED, reason="newer-in-index"),
                {"DocumentsSuperseded": ([1], "Count")},
            ),
            (Settled(outcome=None, reason="try-failed"), {"TriesFailed": ([1], "Count")}),
            (Settled(outcome=Outcome.CORRUPT, reason="cut-off"), {}),
        ],
        ids=str,
    )
    def test_is_counted_once(self, settled: Settled, values: Values, reported: Callable[[], Values]) -> None:
        report_settlement(settled)
        assert reported() == values

    @pytest.mark.parametrize("outcome", sorted(QUARANTINED))
    def test_what_failed_for_good_is_counted_by_outcome(
        self, outcome: Outcome, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report_settlement(Settled(outcome=outcome, reason="some-reason", told=True))
        [line] = metrics_in(capsys.readouterr().out)
        assert values_of(line) == {"DocumentsQuarantined": ([1], "Count")}
        assert dimensions_of(line) == [{"Domain": "documents", "Outcome": outcome}]

    def test_the_last_try_counts_as_a_try_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        report_settlement(Settled(outcome=Outcome.FAILED, reason="tries-used-up", told=True))
        counted = [set(values_of(line)) for line in metrics_in(capsys.readouterr().out)]
        assert counted == [{"TriesFailed"}, {"DocumentsQuarantined"}]

    @pytest.mark.parametrize(
        ("outcome", "level", "harm"),
        [
            (Outcome.INDEXED, logging.INFO, None),
            (Outcome.CORRUPT, logging.INFO, None),
            (Outcome.FAILED, logging.ERROR, True),
            (None, logging.ERROR, True),
        ],
    )
    def test_what_somebody_should_look_at_stands_out(
        self,
        outcome: Outcome | None,
        level: int,
        harm: bool | None,  # noqa: FBT001 - pytest passes it by name
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        annotate = Mock()
        monkeypatch.setattr(tracer, "put_annotation", annotate)
        caplog.set_level(logging.INFO)
        report_settlement(Settled(outcome=outcome, reason="some-reason", detail="Why."))
        [record] = caplog.records
        assert record.levelno == level
        assert extra(record, "reason", "detail") == ("some-reason", "Why.")
        assert (("harm",) in [call.args for call in annotate.call_args_list]) is bool(harm)


def test_every_metric_has_a_name_of_its_own() -> None:
    assert len({metric.name for metric in telemetry.METRICS}) == len(telemetry.METRICS)
    assert {metric.dimensions for metric in telemetry.METRICS} == {("Domain",), ("Domain", "Outcome")}


def test_all_metrics_are_listed() -> None:
    named = {value for value in vars(telemetry).values() if isinstance(value, Metric)}
    assert named | set(telemetry.OUTCOMES.values()) == set(telemetry.METRICS)


def test_every_outcome_is_counted_somewhere() -> None:
    assert set(telemetry.OUTCOMES) | QUARANTINED == set(Outcome)
