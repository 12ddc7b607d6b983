"""Taking in a batch: each message for itself, whatever the others are like."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.clock import iso
from signalbox.errors import ConflictError, ThrottledError, UnavailableError
from signalbox.eventbridge import Scope
from signalbox.intake import KEPT_CHARACTERS, Message
from signalbox.ledger.deferrals import AdmitDeferred, Deferral, due
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Record
from signalbox.ledger.windows import OVERDUE_SECONDS, WindowKey, Windows, close_and_read
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.intake import AdmitEvents
from signalbox.spot.notices import Severity
from tests.unit.spot.doubles import (
    ACCOUNT,
    NOON,
    REGION,
    SCOPE,
    Failing,
    FakeExecutions,
    MovableClock,
    body,
    episode,
    instance_id,
    warning,
    window,
)

KEY = WindowKey("spot", ACCOUNT, REGION)
OPEN_SECONDS = 2.0
LEAD = 3_600.0


class Intake:
    """The intake over a ledger in memory, which a test may put something before."""

    def __init__(self, scope: Scope = SCOPE, **errors: list[Exception]) -> None:
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.executions = FakeExecutions()
        before: Any = Failing(self.ledger, **errors)
        starter: Any = Failing(self.executions, **errors)
        windows = Windows(before, starter, self.clock, open_seconds=OPEN_SECONDS)
        self.admit = AdmitEvents(windows, before, scope, self.clock, scheduled_lead=LEAD).admit

    def know(self, *episodes: Episode) -> None:
        records = [
            Record(episode_key(e.account, e.region, e.instance), msgspec.to_builtins(e)) for e in episodes
        ]
        assert not self.ledger.put_records(records)

    def gathered(self, number: int = 1, key: WindowKey = KEY) -> list[str]:
        """The instances in a window."""
        found = window(number)
        found = msgspec.structs.replace(found, account=key.account, region=key.region)
        return sorted(entry["instance"] for entry in close_and_read(self.ledger, found))


def messages(events: Iterable[dict[str, Any] | str]) -> list[Message]:
    return [
        Message(f"m{number}", event if isinstance(event, str) else body(event))
        for number, event in enumerate(events)
    ]


def good(number: int) -> dict[str, Any]:
    return warning(instance_id(number))


REJECTED = {
    "malformed": body(good(8) | {"detail": "none"}),
    "missing-instance-id": body(good(8) | {"detail": {"instance-action": "stop"}}),
    "unknown-action": body(warning(instance_id(8), action="explode")),
    "foreign-account": body(good(8) | {"account": "999999999999"}),
    "foreign-region": body(good(8) | {"region": "eu-west-1"}),
    "from-future": body(warning(instance_id(8), at=NOON + 3_600)),
    "stale": body(warning(instance_id(8), at=NOON - 7_200)),
    "unexpected-event": body(good(8) | {"detail-type": "EC2 Fleet Instance Change"}),
}


def test_a_batch_goes_into_one_window_whose_execution_is_started_once() -> None:
    intake = Intake()
    admission = intake.admit(messages([good(1), good(2), good(3)]))
    assert (admission.admitted, admission.echoes, admission.returned) == (3, 0, ())
    assert intake.executions.starts == {window(1).execution_name: 1}
    assert intake.gathered() == [instance_id(1), instance_id(2), instance_id(3)]


def test_an_empty_batch_opens_no_window() -> None:
    intake = Intake()
    assert intake.admit([]).admitted == 0
    assert intake.ledger.pointer(KEY) is None


@pytest.mark.parametrize(("code", "text"), REJECTED.items(), ids=REJECTED)
def test_bad_input_is_kept_and_holds_up_nobody(code: str, text: str) -> None:
    intake = Intake()
    admission = intake.admit(messages([good(1), text, good(2)]))
    assert (admission.admitted, admission.returned) == (2, ())
    assert intake.gathered() == [instance_id(1), instance_id(2)]
    kept = intake.ledger.rejections("spot", iso(NOON)[:10])
    assert tuple(kept) == admission.rejections
    [rejection] = kept
    assert (rejection.id, rejection.code, rejection.body, rejection.at) == ("m1", code, text, NOON)
    assert rejection.where.startswith("$")
    assert rejection.what


@pytest.mark.parametrize("text", ["", "no json", body(good(1))[:-1], '{"more": ' + "[" * 200_000])
def test_what_cant_be_read_is_returned_for_the_dead_letter_queue(text: str) -> None:
    intake = Intake()
    admission = intake.admit(messages([good(1), text, good(2)]))
    assert (admission.admitted, admission.returned, admission.rejections) == (2, ("m1",), ())
    assert admission.errors


def test_a_kept_body_is_cut() -> None:
    intake = Intake()
    long = body(good(8) | {"detail": {"instance-action": "x" * 20_000}})
    assert len(intake.admit(messages([long])).rejections[0].body) == KEPT_CHARACTERS


@given(st.lists(st.sampled_from(["good", "echo", "bad", "unreadable"]), max_size=12))
def test_every_message_is_accounted_for(kinds: list[str]) -> None:
    intake = Intake()
    texts: dict[str, Any] = {"echo": good(99), "bad": REJECTED["stale"], "unreadable": "{"}
    admission = intake.admit(
        messages(texts[kind] if kind in texts else good(n) for n, kind in enumerate(kinds))
    )
    echoes = max(0, kinds.count("echo") - 1)  # the first of them is news
    assert admission.echoes == echoes
    assert admission.admitted == kinds.count("good") + kinds.count("echo") - echoes
    assert len(admission.rejections) == kinds.count("bad")
    assert admission.returned == tuple(f"m{n}" for n, kind in enumerate(kinds) if kind == "unreadable")


def test_an_echo_within_the_batch_is_dropped() -> None:
    intake = Intake()
    admission = intake.admit(messages([good(1), good(1), warning(instance_id(1), event_id="other")]))
    assert (admission.admitted, admission.echoes, admission.returned) == (1, 2, ())


def test_an_echo_of_what_the_ledger_knows_is_dropped() -> None:
    intake = Intake()
    intake.know(episode(1))
    admission = intake.admit(messages([good(1), warning(instance_id(1), at=NOON - 5)]))
    assert (admission.admitted, admission.echoes) == (1, 1)
    assert intake.gathered() == [instance_id(1)]


def test_echoes_alone_open_no_window() -> None:
    intake = Intake()
    intake.know(episode(1))
    assert intake.admit(messages([good(1)])).echoes == 1
    assert intake.ledger.pointer(KEY) is None


def test_news_of_a_known_instance_is_taken() -> None:
    intake = Intake()
    intake.know(episode(1))
    assert intake.admit(messages([warning(instance_id(1), action="hibernate")])).admitted == 1


def test_the_oldest_notice_tells_how_late_the_batch_is() -> None:
    intake = Intake()
    batch = messages([warning(instance_id(n), at=NOON - age) for n, age in enumerate((3, 60, 7))])
    assert intake.admit(batch).oldest == 60
    assert intake.admit([]).oldest == 0


THROTTLED = ThrottledError("BatchGetItem: ThrottlingException")


def test_where_the_ledger_cant_be_read_all_but_the_rejected_come_again() -> None:
    intake = Intake(records=[THROTTLED])
    batch = messages([good(1), REJECTED["stale"], good(2), "{"])
    admission = intake.admit(batch)
    assert (admission.admitted, admission.echoes, len(admission.rejections)) == (0, 0, 1)
    assert set(admission.returned) == {"m0", "m2", "m3"}
    assert str(THROTTLED) in admission.errors
    again = intake.admit([message for message in batch if message.id in admission.returned])
    assert (again.admitted, again.returned) == (2, ("m3",))


def test_where_a_rejection_cant_be_kept_it_alone_comes_again() -> None:
    intake = Intake(reject=[THROTTLED])
    admission = intake.admit(messages([good(1), REJECTED["stale"], REJECTED["malformed"]]))
    assert (admission.admitted, admission.returned) == (1, ("m1",))
    assert [rejection.id for rejection in admission.rejections] == ["m2"]


@pytest.mark.parametrize("method", ["pointer", "append", "start", "mark_started"])
@pytest.mark.parametrize("error", [THROTTLED, UnavailableError("no answer")])
def test_where_the_window_cant_be_joined_the_news_come_again(method: str, error: Exception) -> None:
    errors: Any = {method: [error]}
    intake = Intake(**errors)
    intake.know(episode(1))
    batch = messages([good(1), good(2), good(3), REJECTED["stale"]])
    admission = intake.admit(batch)
    assert (admission.admitted, admission.echoes, admission.returned) == (0, 1, ("m1", "m2"))
    assert admission.errors == (str(error),)
    again = intake.admit(batch[1:3])
    assert (again.admitted, again.returned) == (2, ())
    assert intake.gathered() == [instance_id(2), instance_id(3)]
    assert list(intake.executions.states) == [window(1).execution_name]


def test_windows_that_close_all_the_time_send_the_news_back() -> None:
    intake = Intake(append=[ConflictError("closed")])
    assert intake.admit(messages([good(1)])).returned == ("m0",)


def test_each_account_and_region_has_a_window_of_its_own() -> None:
    places = [(account, region) for account in (ACCOUNT, "222222222222") for region in (REGION, "eu-west-1")]
    intake = Intake(Scope(frozenset(places), 900.0))
    events = [
        warning(instance_id(n), account=account, region=region) for n, (account, region) in enumerate(places)
    ]
    assert intake.admit(messages([*events, good(9)])).admitted == 5
    assert len(intake.executions.states) == 4
    assert intake.gathered() == [instance_id(0), instance_id(9)]
    for number, (account, region) in enumerate(places[1:], start=1):
        assert intake.gathered(key=WindowKey("spot", account, region)) == [instance_id(number)]


def test_one_window_that_cant_be_joined_leaves_the_others_alone() -> None:
    places = frozenset((ACCOUNT, region) for region in (REGION, "eu-west-1"))
    intake = Intake(Scope(places, 900.0), append=[THROTTLED])
    admission = intake.admit(messages([good(1), warning(instance_id(2), region="eu-west-1"), good(3)]))
    assert (admission.admitted, admission.returned) == (1, ("m0", "m2"))


def test_a_joiner_starts_the_execution_where_the_leader_died() -> None:
    intake = Intake()
    assert intake.ledger.open_next(KEY, None, NOON)  # and then the leader dies
    assert intake.admit(messages([good(1)])).admitted == 1
    assert intake.executions.starts == {window(1).execution_name: 1}


def test_a_joiner_starts_nothing_where_the_execution_runs() -> None:
    intake = Intake()
    intake.admit(messages([good(1)]))
    intake.admit(messages([good(2)]))
    assert intake.executions.starts == {window(1).execution_name: 1}
    assert intake.gathered() == [instance_id(1), instance_id(2)]


def test_after_a_close_the_next_window_opens() -> None:
    intake = Intake()
    intake.admit(messages([good(1)]))
    intake.ledger.close(window(1))
    intake.admit(messages([good(2)]))
    assert (intake.gathered(1), intake.gathered(2)) == ([instance_id(1)], [instance_id(2)])
    assert set(intake.executions.states) == {window(1).execution_name, window(2).execution_name}


@pytest.mark.parametrize(("seconds", "number"), [(0, 1), (1, 2)])
def test_a_window_whose_execution_is_overdue_takes_no_more(seconds: int, number: int) -> None:
    intake = Intake()
    intake.admit(messages([good(1)]))
    intake.clock.now += OPEN_SECONDS + OVERDUE_SECONDS + seconds
    intake.admit(messages([good(2)]))
    assert instance_id(2) in intake.gathered(number)


def state_change(number: int, state: str = "terminated", at: float = NOON + 5) -> dict[str, Any]:
    detail = {"instance-id": instance_id(number), "state": state}
    kind = "EC2 Instance State-change Notification"
    return warning(instance_id(number), at=at) | {"detail-type": kind, "detail": detail, "id": f"s{number}"}


def scheduled(*numbers: int, starts: str, status: str = "open", cause: str = "h1") -> dict[str, Any]:
    detail = {
        "eventArn": cause,
        "service": "EC2",
        "eventTypeCategory": "scheduledChange",
        "startTime": starts,
        "statusCode": status,
        "affectedEntities": [{"entityValue": instance_id(number)} for number in numbers],
    }
    kind = {"source": "aws.health", "detail-type": "AWS Health Event"}
    return warning(instance_id(0)) | kind | {"detail": detail, "id": f"{cause}-{status}-{numbers}"}


FAR, NEAR = "Thu, 28 May 2026 23:26:40 GMT", "Thu, 28 May 2026 20:56:40 GMT"  # 3 h and 30 min after NOON


def stored(intake: Intake, number: int) -> Episode:
    key = episode_key(ACCOUNT, REGION, instance_id(number))
    return msgspec.convert(intake.ledger.records([key])[key].body, Episode)


def test_the_end_of_an_instance_closes_its_episode_and_opens_no_window() -> None:
    intake = Intake()
    intake.know(episode(1))
    admission = intake.admit(messages([state_change(1)]))
    assert (admission.closed, admission.admitted, admission.echoes) == (1, 0, 0)
    assert stored(intake, 1).ended == {"terminated": NOON + 5}
    assert intake.executions.starts == {}


def test_the_end_of_an_instance_that_nobody_warned_of_is_an_echo() -> None:
    admission = Intake().admit(messages([state_change(1), state_change(2, "running")]))
    assert (admission.closed, admission.echoes, admission.returned) == (0, 2, ())


def test_an_end_that_meets_a_change_looks_again() -> None:
    intake = Intake()
    intake.know(episode(1))
    changed = msgspec.structs.replace(episode(1), group="api")
    put = intake.ledger.put_records

    def overtaken(records: Any) -> set[str]:
        intake.ledger.put_records = put  # type: ignore[method-assign]  # once
        key = episode_key(ACCOUNT, REGION, instance_id(1))
        put([Record(key, msgspec.to_builtins(changed), 1)])
        return put(records)

    intake.ledger.put_records = overtaken  # type: ignore[method-assign]  # once
    assert intake.admit(messages([state_change(1)])).closed == 1
    assert (stored(intake, 1).group, stored(intake, 1).ended) == ("api", {"terminated": NOON + 5})


def test_what_is_scheduled_far_ahead_is_deferred_and_comes_in_when_it_is_due() -> None:
    intake = Intake()
    admission = intake.admit(messages([scheduled(1, 2, starts=FAR)]))
    assert (admission.deferred, admission.admitted) == (2, 0)
    deferrals = intake.ledger.deferrals("spot")
    assert {deferral.due_at for deferral in deferrals} == {NOON + 3 * 3_600 - LEAD}
    windows: Any = Windows(intake.ledger, intake.executions, intake.clock, open_seconds=OPEN_SECONDS)
    deferred = AdmitDeferred(intake.ledger, windows)
    assert due(intake.ledger, "spot", intake.clock()) == []
    intake.clock.now = NOON + 3 * 3_600 - LEAD
    assert deferred.admit(due(intake.ledger, "spot", intake.clock())) == 2
    assert intake.gathered() == [instance_id(1), instance_id(2)]
    assert intake.ledger.deferrals("spot") == []


def test_what_is_deferred_for_somebody_else_is_left_to_them() -> None:
    intake = Intake()
    windows: Any = Windows(intake.ledger, intake.executions, intake.clock, open_seconds=OPEN_SECONDS)
    other = Deferral(key=window().key, id="a", due_at=NOON, entry={}, kind="another")
    intake.ledger.defer(other)
    assert AdmitDeferred(intake.ledger, windows).admit([other]) == 0
    assert intake.ledger.deferrals("spot") == [other]
    assert intake.gathered() == []


def test_what_is_scheduled_soon_goes_into_a_window_at_once() -> None:
    intake = Intake()
    admission = intake.admit(messages([scheduled(1, starts=NEAR)]))
    assert (admission.deferred, admission.admitted) == (0, 1)


def test_a_withdrawal_drops_what_was_deferred_and_nothing_else() -> None:
    intake = Intake()
    intake.admit(messages([scheduled(1, 2, starts=FAR), scheduled(1, starts=FAR, cause="h2")]))
    intake.admit(messages([scheduled(1, starts=FAR, status="closed")]))
    left = [(d.entry["instance"], d.entry["cause"]) for d in intake.ledger.deferrals("spot")]
    assert sorted(left) == [(instance_id(1), "h2"), (instance_id(2), "h1")]


def test_a_withdrawal_closes_an_episode_that_is_only_scheduled() -> None:
    intake = Intake()
    intake.know(episode(1, severity=Severity.SCHEDULED, cause="h1"), episode(2, cause="h1"))
    admission = intake.admit(messages([scheduled(1, 2, starts=FAR, status="closed")]))
    assert (admission.closed, admission.echoes) == (1, 1)
    assert (stored(intake, 1).status, stored(intake, 2).status) == ("withdrawn", "open")


def test_a_change_of_schedule_replaces_the_deferral() -> None:
    intake = Intake()
    intake.admit(messages([scheduled(1, starts=FAR)]))
    intake.admit(messages([scheduled(1, starts="Fri, 29 May 2026 20:26:40 GMT")]))
    [left] = intake.ledger.deferrals("spot")
    assert left.due_at == NOON + 86_400 - LEAD
