"""What the Packages domain reports: a log line for a person, a metric for an alarm."""

import logging
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from signalbox.intake import Message
from signalbox.ledger.records import Rejection
from signalbox.packages import telemetry
from signalbox.packages.findings import Finding, Level, Objection
from signalbox.packages.intake import Admission
from signalbox.packages.outcomes import Outcome
from signalbox.packages.releases import Reason
from signalbox.packages.repositories import Copied
from signalbox.packages.settlement import Settled
from signalbox.packages.telemetry import (
    Built,
    Taken,
    report_admission,
    report_builds,
    report_inspection,
    report_plan,
    report_promotion,
    report_rebuild,
    report_settlement,
    report_wave,
)
from signalbox.telemetry import tracer
from signalbox.telemetry.metrics import Metric
from tests.unit.packages.settlements import DENIED, NOON
from tests.unit.telemetry.embedded_metrics import dimensions_of, metrics_in, values_of

type Values = dict[str, tuple[list[float], str]]
type Reported = Callable[[], Values]

REJECTION = Rejection(
    domain="packages", id="m1", code="stale", where="$.time", what="too old", body="{}", at=NOON
)
WARNED = Objection("license-missing", Level.WARN, "@acme/ui 1.1.0 names no licence")


@pytest.fixture
def annotations(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    found: dict[str, object] = {}
    monkeypatch.setattr(tracer, "put_annotation", found.__setitem__)
    return found


@pytest.fixture
def reported(capsys: pytest.CaptureFixture[str]) -> Reported:
    """The metrics of the one line that was written, or of none."""

    def read() -> Values:
        lines = metrics_in(capsys.readouterr().out)
        assert len(lines) <= 1
        assert all(dimensions_of(line) == [{"Domain": "packages"}] for line in lines)
        return values_of(lines[0]) if lines else {}

    return read


def extra(record: logging.LogRecord, *names: str) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in names)


def admitted(batch: Taken, **changes: Any) -> Admission:
    """The same of the intake of versions."""
    return Admission(**msgspec.structs.asdict(batch) | changes)


class TestBatches:
    BATCH = Taken(
        admitted=3,
        echoed=2,
        ignored=4,
        rejections=(REJECTION,),
        returned=("m2", "m3"),
        errors=("DescribePackageVersion: no",),
        oldest=7.5,
    )
    MESSAGES = (Message("m2", ""), Message("m3", "", receives=2), Message("m4", ""))
    COUNTED: Values = {  # noqa: RUF012 - read only
        "EventsAdmitted": ([3], "Count"),
        "EventsEchoed": ([2], "Count"),
        "EventsIgnored": ([4], "Count"),
        "EventsRejected": ([1], "Count"),
        "EventsReturned": ([1], "Count"),
        "EventAge": ([7.5], "Seconds"),
    }

    def test_events_of_versions_are_counted_with_what_they_led_to(
        self, reported: Reported, caplog: pytest.LogCaptureFixture, annotations: dict[str, object]
    ) -> None:
        report_admission(admitted(self.BATCH, begun=2, indexed=1), self.MESSAGES)
        also = {"ReleasesBegun": ([2], "Count"), "PackagesIndexed": ([1], "Count")}
        assert reported() == self.COUNTED | also
        rejected, returned = caplog.records
        assert extra(rejected, "code", "where", "what", "message_id") == ("stale", "$.time", "too old", "m1")
        assert (rejected.levelno, returned.levelno) == (logging.WARNING, logging.ERROR)
        assert extra(returned, "error") == ("DescribePackageVersion: no",)
        assert annotations == {"outcome": "returned"}

    def test_what_it_passed_over_and_what_it_found_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        finding = Finding("unparsable-version", "npm/acme/ui", "npm/acme/ui: no rule of npm reads 1.x.y.z")
        report_admission(Admission(ignored=1, reasons={"entered-elsewhere": 1}, findings=(finding,)), [])
        passed, found = caplog.records
        assert extra(passed, "reasons") == ({"entered-elsewhere": 1},)
        assert (found.levelno, *extra(found, "code", "what")) == (
            logging.WARNING,
            finding.code,
            finding.text,
        )

    def test_events_of_builds_are_counted_with_how_they_ended(self, reported: Reported) -> None:
        report_builds(
            self.BATCH, self.MESSAGES, Built(started=3, succeeded=2, failed=1, seconds=(61.5, 12.0, -0.5))
        )
        assert reported() == self.COUNTED | {
            "BuildsStarted": ([3], "Count"),
            "BuildsSucceeded": ([2], "Count"),
            "BuildsFailed": ([1], "Count"),
            "BuildSeconds": ([61.5, 12.0, 0.0], "Seconds"),
        }

    @pytest.mark.parametrize(
        ("batch", "outcome"),
        [
            (Taken(admitted=1, ignored=1, rejections=(REJECTION,)), "rejected"),
            (Taken(admitted=1, echoed=1), "admitted"),
            (Taken(echoed=1, ignored=1), "echoed"),
            (Taken(ignored=1), "ignored"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_trace_is_found_by_the_worst(
        self, batch: Taken, outcome: str, annotations: dict[str, object]
    ) -> None:
        report_admission(admitted(batch), [])
        assert annotations == {"outcome": outcome}

    def test_of_nothing_nothing_is_written(self, reported: Reported, annotations: dict[str, object]) -> None:
        report_admission(Admission(), [])
        report_builds(Taken(), [], Built())
        assert (reported(), annotations) == ({}, {})

    def test_an_event_of_a_sender_whose_clock_is_ahead(self, reported: Reported) -> None:
        report_admission(Admission(admitted=1, oldest=-0.4), [])
        assert reported()["EventAge"] == ([0.0], "Seconds")


class TestSteps:
    @pytest.mark.parametrize(
        ("report", "values", "outcome"),
        [
            (lambda: report_inspection(Level.ALLOW), {}, "allow"),
            (lambda: report_inspection(Level.DENY, [DENIED]), {}, "deny"),
            (lambda: report_inspection(None), {}, "passed-over"),
            (lambda: report_plan(Level.WARN, [WARNED], affected=9, waves=2), {}, "warn"),
            (lambda: report_plan(None), {}, "passed-over"),
            (lambda: report_wave(Built(started=3)), {"BuildsStarted": ([3], "Count")}, "started"),
            (
                lambda: report_wave(Built(started=3, failed=1)),
                {"BuildsStarted": ([3], "Count"), "BuildsFailed": ([1], "Count")},
                "refused",
            ),
            (lambda: report_wave(Built()), {}, "waiting"),
            (lambda: report_promotion(Copied.COPIED), {}, "copied"),
            (lambda: report_promotion(Copied.DIFFERS, "another one is there"), {}, "differs"),
            (lambda: report_promotion(""), {}, "passed-over"),
            (
                lambda: report_rebuild(40, 12.5),
                {"IndexRebuilt": ([1], "Count"), "PackagesIndexed": ([40], "Count")},
                "rebuilt",
            ),
            (lambda: report_rebuild(0, 1.0), {"IndexRebuilt": ([1], "Count")}, "rebuilt"),
        ],
    )
    def test_each_says_what_it_came_to(
        self,
        report: Callable[[], None],
        values: Values,
        outcome: str,
        reported: Reported,
        annotations: dict[str, object],
    ) -> None:
        report()
        assert (reported(), annotations["outcome"]) == (values, outcome)

    @pytest.mark.parametrize("report", [report_inspection, report_plan])
    def test_what_the_policy_says_is_logged(
        self, report: Callable[..., None], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        report(Level.DENY, [DENIED])
        assert extra(caplog.records[-1], "code", "verdict", "what") == (DENIED.code, "deny", DENIED.text)

    def test_a_plan_is_logged_with_its_size(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        report_plan(Level.ALLOW, affected=9, waves=2)
        [record] = caplog.records
        assert extra(record, "affected", "waves") == (9, 2)

    def test_a_promotion_that_was_refused_is_an_error(self, caplog: pytest.LogCaptureFixture) -> None:
        report_promotion(Copied.DIFFERS, "another one is there")
        [record] = caplog.records
        assert record.levelno == logging.ERROR
        assert extra(record, "outcome", "detail") == (Copied.DIFFERS, "another one is there")

    def test_what_the_index_leaves_out_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        report_rebuild(1, 0.5, [Finding("unknown-format", "swift//x", "swift//x: no format that is read")])
        [record] = caplog.records
        assert (record.levelno, *extra(record, "code", "what")) == (
            logging.WARNING,
            "unknown-format",
            "swift//x: no format that is read",
        )


class TestSettlement:
    @pytest.mark.parametrize(
        ("settled", "values"),
        [
            (
                Settled(outcome=Outcome.PROMOTED, counts=True, seconds=90.0),
                {"ReleasesPromoted": ([1], "Count"), "PublishToPromotion": ([90.0], "Seconds")},
            ),
            (
                Settled(outcome=Outcome.PROMOTED, counts=True, seconds=-0.5),
                {"ReleasesPromoted": ([1], "Count"), "PublishToPromotion": ([0.0], "Seconds")},
            ),
            (Settled(outcome=Outcome.PROMOTED, seconds=90.0), {}),
            (Settled(outcome=Outcome.PLANNED, counts=True), {"ReleasesPlanned": ([1], "Count")}),
            (Settled(outcome=Outcome.SUPERSEDED, counts=True), {"ReleasesSuperseded": ([1], "Count")}),
            (Settled(outcome=Outcome.STUCK, reason="E", counts=True), {"ReleasesStuck": ([1], "Count")}),
            (Settled(outcome=Outcome.FAILED, reason="policy"), {}),
            (Settled(outcome=Outcome.OUTDATED), {}),
        ],
        ids=str,
    )
    def test_is_counted_once(self, settled: Settled, values: Values, reported: Reported) -> None:
        report_settlement(settled)
        assert reported() == values

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STOPPED])
    @pytest.mark.parametrize("reason", Reason)
    def test_what_was_not_promoted_is_counted_by_reason(
        self, outcome: Outcome, reason: Reason, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report_settlement(Settled(outcome=outcome, reason=reason, counts=True))
        [line] = metrics_in(capsys.readouterr().out)
        assert values_of(line) == {"ReleasesFailed": ([1], "Count")}
        assert dimensions_of(line) == [{"Domain": "packages", "Reason": reason}]

    @pytest.mark.parametrize(
        ("settled", "level", "harm"),
        [
            (Settled(outcome=Outcome.PROMOTED), logging.INFO, False),
            (Settled(outcome=Outcome.STOPPED, reason="withdrawn"), logging.INFO, False),
            (Settled(outcome=Outcome.FAILED, reason="policy"), logging.ERROR, True),
            (Settled(outcome=Outcome.STUCK, reason="E"), logging.ERROR, True),
            (Settled(outcome=Outcome.SUPERSEDED, unstopped=("b: no",)), logging.ERROR, False),
        ],
        ids=str,
    )
    def test_what_somebody_should_look_at_stands_out(
        self,
        settled: Settled,
        level: int,
        harm: bool,  # noqa: FBT001 - pytest passes it by name
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        annotate = Mock()
        monkeypatch.setattr(tracer, "put_annotation", annotate)
        caplog.set_level(logging.INFO)
        report_settlement(settled)
        [record] = caplog.records
        assert record.levelno == level
        assert extra(record, "outcome", "reason", "unstopped") == (
            settled.outcome,
            settled.reason,
            settled.unstopped,
        )
        assert (("harm",) in [call.args for call in annotate.call_args_list]) is harm


def test_every_metric_has_a_name_of_its_own() -> None:
    assert len({metric.name for metric in telemetry.METRICS}) == len(telemetry.METRICS)
    assert {metric.dimensions for metric in telemetry.METRICS} == {("Domain",), ("Domain", "Reason")}


def test_all_metrics_are_listed() -> None:
    named = {value for value in vars(telemetry).values() if isinstance(value, Metric)}
    assert named == set(telemetry.METRICS)


def test_every_end_is_counted_somewhere() -> None:
    by_reason = {Outcome.FAILED, Outcome.STOPPED}
    assert set(telemetry.OUTCOMES) | by_reason | {Outcome.OUTDATED} == set(Outcome)
