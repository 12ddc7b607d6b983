"""What the Spot domain reports: a log line for a person, a metric for an alarm."""

import logging
from collections.abc import Callable

import pytest

from signalbox.errors import RefusedError
from signalbox.intake import Message
from signalbox.ledger.records import Plan, Rejection
from signalbox.ledger.sweeping import Sweep
from signalbox.spot import telemetry
from signalbox.spot.alerts import Settlement, Survivor
from signalbox.spot.closing import Closing
from signalbox.spot.intake import Admission
from signalbox.spot.late_look import Found
from signalbox.spot.settlement import OUTCOMES
from signalbox.spot.telemetry import (
    report_admission,
    report_closing,
    report_failure,
    report_late_looks,
    report_plan,
    report_sweep,
    report_unseen,
)
from signalbox.telemetry.metrics import Metric
from tests.unit.spot.doubles import NOON, PLAN, action, window
from tests.unit.telemetry.embedded_metrics import dimensions_of, metrics_in, values_of

type Values = dict[str, tuple[list[float], str]]

REJECTION = Rejection(
    domain="spot", id="m1", code="stale", where="$.time", what="too old", body="{}", at=NOON
)


@pytest.fixture
def reported(capsys: pytest.CaptureFixture[str]) -> Callable[[], Values]:
    """The metrics of the one line that was written, or of none."""

    def read() -> Values:
        lines = metrics_in(capsys.readouterr().out)
        assert len(lines) <= 1
        assert all(dimensions_of(line)[0]["Domain"] == "spot" for line in lines)
        return values_of(lines[0]) if lines else {}

    return read


def extra(record: logging.LogRecord, *names: str) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in names)


def test_an_admission_is_counted(reported: Callable[[], Values], caplog: pytest.LogCaptureFixture) -> None:
    admission = Admission(
        admitted=3,
        echoes=2,
        rejections=(REJECTION,),
        returned=("m2", "m3"),
        errors=("no JSON",),
        oldest=7.5,
    )
    report_admission(admission, [Message("m2", ""), Message("m3", "", receives=2), Message("m4", "")])
    assert reported() == {
        "EventsAdmitted": ([3], "Count"),
        "EventsEchoed": ([2], "Count"),
        "EventsRejected": ([1], "Count"),
        "EventsReturned": ([1], "Count"),
        "NoticeAge": ([7.5], "Seconds"),
    }
    rejected, returned = caplog.records
    assert extra(rejected, "code", "where", "what", "message_id") == ("stale", "$.time", "too old", "m1")
    assert (rejected.levelno, returned.levelno) == (logging.WARNING, logging.ERROR)
    assert extra(returned, "error") == ("no JSON",)


def test_an_admission_of_nothing_writes_nothing(reported: Callable[[], Values]) -> None:
    report_admission(Admission(), [])
    assert reported() == {}


def test_what_comes_again_is_counted_once(reported: Callable[[], Values]) -> None:
    report_admission(Admission(returned=("m2",)), [Message("m2", "", receives=2)])
    assert reported() == {}


@pytest.mark.parametrize(("decisions", "expected"), [(2, {"InstancesPlanned": ([2], "Count")}), (0, {})])
def test_a_plan_is_counted_by_instance(
    decisions: int, expected: Values, reported: Callable[[], Values], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    summary = {"actions": {"detach": 1}, "command_due": None, "deadline": None}
    report_plan(Plan(id=PLAN, planned_at=NOON, summary=summary, decisions=({},) * decisions))
    assert reported() == expected
    [record] = caplog.records
    assert extra(record, "instances", "actions") == (decisions, {"detach": 1})


def test_a_failure_is_counted_by_kind_and_says_what_and_why(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    each = action(of=(0, 1))
    report_failure(each, "refused: no", RefusedError("no"))
    [line] = metrics_in(capsys.readouterr().out)
    assert values_of(line) == {"ActionsFailed": ([1], "Count")}
    assert dimensions_of(line) == [{"Domain": "spot", "Kind": "detach"}]
    [record] = caplog.records
    assert extra(record, "action", "group", "subjects", "reason") == (
        each.id,
        "web",
        list(each.subjects),
        "refused: no",
    )
    assert record.exc_info


def test_a_failure_without_an_error_is_told_too(
    reported: Callable[[], Values], caplog: pytest.LogCaptureFixture
) -> None:
    report_failure(action("command"), "nobody took it", None)
    assert reported() == {"ActionsFailed": ([1], "Count")}
    assert not caplog.records[0].exc_info


def settlement(left: float | None, **seconds_to: float) -> Settlement:
    return Settlement(
        instance="i-1",
        group="web",
        outcome="handled",
        noticed_at=NOON,
        deadline=NOON,
        seconds_left=left,
        seconds_to=seconds_to,
    )


def test_a_closing_counts_outcomes_and_tells_each_instances_time(reported: Callable[[], Values]) -> None:
    outcomes = dict.fromkeys(OUTCOMES, 0) | {"handled": 2, "failed": 1}
    settlements = tuple(settlement(left) for left in (30.0, None, -4.5))
    report_closing(Closing(outcomes=outcomes, alerts=3, settlements=settlements))
    assert reported() == {
        "InterruptionsHandled": ([2], "Count"),
        "InterruptionsFailed": ([1], "Count"),
        "NoticeSecondsLeft": ([30.0, 0.0], "Seconds"),
        "SecondsLate": ([4.5], "Seconds"),
    }


def test_a_closing_tells_by_kind_how_long_it_took(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settlements = (settlement(30.0, detach=3.2, command=90.0), settlement(28.0, detach=-0.5))
    report_closing(Closing(outcomes={"handled": 2}, alerts=0, settlements=settlements))
    _, *lines = metrics_in(capsys.readouterr().out)
    assert [(dimensions_of(line), values_of(line)) for line in lines] == [
        ([{"Domain": "spot", "Kind": "detach"}], {"NoticeToAction": ([3.2, 0.0], "Seconds")}),
        ([{"Domain": "spot", "Kind": "command"}], {"NoticeToAction": ([90.0], "Seconds")}),
    ]
    assert extra(caplog.records[0], "slowest_seconds") == (90.0,)


def test_a_closing_of_nothing_writes_nothing(reported: Callable[[], Values]) -> None:
    report_closing(Closing(outcomes=dict.fromkeys(OUTCOMES, 0), alerts=0, settlements=(settlement(None),)))
    assert reported() == {}


def test_a_sweep_counts_what_it_found(
    reported: Callable[[], Values], caplog: pytest.LogCaptureFixture
) -> None:
    report_sweep(Sweep(restarted=(window(1), window(2)), given_up=(window(3),)))
    assert reported() == {"WindowsRestarted": ([2], "Count"), "WindowsGivenUp": ([1], "Count")}
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2 + [logging.ERROR]
    report_sweep(Sweep())
    assert reported() == {}


def test_there_is_a_metric_for_every_outcome() -> None:
    assert tuple(telemetry.OUTCOMES) == OUTCOMES


def test_metrics_have_a_name_of_their_own_and_few_dimensions() -> None:
    assert len({metric.name for metric in telemetry.METRICS}) == len(telemetry.METRICS)
    assert {metric.dimensions for metric in telemetry.METRICS} == {("Domain",), ("Domain", "Kind")}


def test_every_metric_of_the_module_is_listed() -> None:
    named = {value for value in vars(telemetry).values() if isinstance(value, Metric)}
    assert named | set(telemetry.OUTCOMES.values()) == set(telemetry.METRICS)


def test_a_window_that_was_settled_already_counts_nothing(reported: Callable[[], Values]) -> None:
    outcomes = dict.fromkeys(OUTCOMES, 0) | {"handled": 2}
    report_closing(Closing(outcomes=outcomes, alerts=3, settlements=(settlement(30.0),), first=False))
    assert reported() == {}


def test_what_runs_on_is_counted_and_named(
    reported: Callable[[], Values], caplog: pytest.LogCaptureFixture
) -> None:
    survivors = tuple(
        Survivor(instance=instance, group="web", left_by="detach", left_at=NOON, deadline=NOON)
        for instance in ("i-1", "i-2")
    )
    report_late_looks([Found(window=window(), survivors=survivors)])
    assert reported() == {"InstancesFoundRunning": ([2], "Count")}
    [record] = caplog.records
    assert extra(record, "instances") == (["i-1", "i-2"],)


def test_a_look_that_finds_nothing_writes_nothing(reported: Callable[[], Values]) -> None:
    report_late_looks([])
    assert reported() == {}


def test_a_look_that_fails_says_where_and_why(caplog: pytest.LogCaptureFixture) -> None:
    report_unseen(window().key, RefusedError("no way in"))
    [record] = caplog.records
    assert extra(record, "key", "reason") == (str(window().key), "refused: no way in")
