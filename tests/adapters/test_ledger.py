"""One suite for every ledger: what holds for the one in memory holds on DynamoDB."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from signalbox.errors import ConflictError, NotFoundError
from signalbox.ledger.actions import Action, Deviation, Result, Verdict
from signalbox.ledger.deferrals import Deferral
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan, Record, Rejection
from signalbox.ledger.windows import Segment, Window, WindowKey
from tests.adapters.tables import create_ledger_table

NOW = 1_780_000_000.25
KEY = WindowKey("spot", "123456789012", "us-east-1")
WINDOW = Window("spot", "123456789012", "us-east-1", 1)
NEXT = Window("spot", "123456789012", "us-east-1", 2)
type Ledger = MemoryLedger | DynamoLedger


def dynamodb() -> Any:
    return boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    with mock_aws():
        client = dynamodb()
        create_ledger_table(client, "ledger")
        yield DynamoLedger(client, "ledger", lambda: NOW)


def action(number: int = 0, plan: str = "p1", kind: str = "detach", **changes: Any) -> Action:
    fields: dict[str, Any] = {
        "id": f"{plan}#{kind}#{number:05d}",
        "kind": kind,
        "group": "web",
        "target": "web",
        "subjects": (f"i-{number}",),
        "payload": {"shutdown": ["stop"], "timeout_seconds": 25},
        "due_at": NOW - 1.5,
        "deadline": NOW + 60.5,
    }
    return Action(**fields | changes)


def a_plan(plan_id: str = "p1", **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "id": plan_id,
        "planned_at": NOW,
        "summary": {"actions": {"detach": 1}, "deadline": None},
        "decisions": ({"instance": "i-0", "reasons": [{"code": "c", "text": "t"}]},),
    }
    return Plan(**fields | changes)


class TestWindows:
    def test_a_key_without_a_window_has_no_pointer(self, ledger: Ledger) -> None:
        assert ledger.pointer(KEY) is None
        assert ledger.pointers("spot") == []

    def test_the_first_window_opens_once(self, ledger: Ledger) -> None:
        assert ledger.open_next(KEY, None, NOW)
        assert not ledger.open_next(KEY, None, NOW + 1)
        pointer = ledger.pointer(KEY)
        assert pointer is not None
        assert (pointer.number, pointer.open, pointer.opened_at, pointer.started) == (1, True, NOW, False)

    def test_the_next_window_opens_after_the_newest_only(self, ledger: Ledger) -> None:
        ledger.open_next(KEY, None, NOW)
        first = ledger.pointer(KEY)
        assert ledger.open_next(KEY, first, NOW + 1)
        assert not ledger.open_next(KEY, first, NOW + 2)
        second = ledger.pointer(KEY)
        assert second is not None
        assert (second.number, second.opened_at) == (2, NOW + 1)

    def test_closing_and_starting_are_noted_and_harmless_again(self, ledger: Ledger) -> None:
        ledger.open_next(KEY, None, NOW)
        for _ in range(2):
            ledger.mark_started(WINDOW)
            ledger.close(WINDOW)
        pointer = ledger.pointer(KEY)
        assert pointer is not None
        assert (pointer.open, pointer.started) == (False, True)

    def test_an_old_window_leaves_the_newer_one_alone(self, ledger: Ledger) -> None:
        ledger.open_next(KEY, None, NOW)
        ledger.open_next(KEY, ledger.pointer(KEY), NOW + 1)
        ledger.close(WINDOW)
        ledger.mark_started(WINDOW)
        pointer = ledger.pointer(KEY)
        assert pointer is not None
        assert (pointer.number, pointer.open, pointer.started) == (2, True, False)

    def test_pointers_are_of_one_domain_in_order(self, ledger: Ledger) -> None:
        others = [WindowKey("spot", "2" * 12, "eu-west-1"), WindowKey("documents", "1" * 12, "us-east-1")]
        for key in (KEY, *others):
            ledger.open_next(key, None, NOW)
        assert [key for key, _ in ledger.pointers("spot")] == [KEY, others[0]]

    def test_segments_are_of_their_window_and_a_repeated_one_is_one(self, ledger: Ledger) -> None:
        one = Segment.of([{"a": 1, "nested": {"b": [1, 2.5, None, "ü"]}}])
        two = Segment.of([{"a": 2}])
        for segment in (one, two, one):
            ledger.append(WINDOW, segment)
        ledger.append(NEXT, two)
        assert sorted(ledger.segments(WINDOW), key=lambda s: s.id) == sorted([one, two], key=lambda s: s.id)
        assert ledger.segments(NEXT) == [two]

    def test_the_first_to_note_a_windows_contents_decides(self, ledger: Ledger) -> None:
        assert ledger.note_contents(WINDOW, ("s1", "s2")) == ("s1", "s2")
        assert ledger.note_contents(WINDOW, ("s1", "s2", "s3")) == ("s1", "s2")
        assert ledger.note_contents(NEXT, ()) == ()
        assert ledger.note_contents(NEXT, ("s1",)) == ()

    def test_a_segment_of_five_hundred_events_fits(self, ledger: Ledger) -> None:
        entries = [
            {"event_id": f"{n:036d}", "instance": f"i-{n:017x}", "deadline": NOW + n} for n in range(500)
        ]
        ledger.append(WINDOW, Segment.of(entries))
        assert list(ledger.segments(WINDOW)[0].entries) == entries


class TestActions:
    @pytest.fixture(autouse=True)
    def _planned(self, ledger: Ledger) -> None:
        ledger.commit_plan(WINDOW, a_plan(), [action(0), action(1), action(0, kind="command")])

    def test_they_come_back_as_planned_by_kind_and_in_order(self, ledger: Ledger) -> None:
        assert ledger.actions(WINDOW, "p1", "detach") == [action(0), action(1)]
        assert [a.kind for a in ledger.actions(WINDOW, "p1")] == ["command", "detach", "detach"]
        assert ledger.actions(WINDOW, "p2") == []

    def test_a_claim_notes_who_since_when_and_how_often(self, ledger: Ledger) -> None:
        claimed = ledger.claim(WINDOW, action(0).id, "me", NOW, 30.5)
        assert claimed is not None
        assert (claimed.status, claimed.owner, claimed.attempts) == ("running", "me", 1)
        assert (claimed.started_at, claimed.lease_until) == (NOW, NOW + 30.5)
        assert not claimed.resumed
        assert claimed.payload == action(0).payload
        assert ledger.actions(WINDOW, "p1", "detach")[0] == claimed

    def test_another_owner_waits_for_the_lease(self, ledger: Ledger) -> None:
        ledger.claim(WINDOW, action(0).id, "me", NOW, 30)
        assert ledger.claim(WINDOW, action(0).id, "you", NOW + 29.9, 30) is None
        taken = ledger.claim(WINDOW, action(0).id, "you", NOW + 30, 30)
        assert taken is not None
        assert (taken.owner, taken.attempts, taken.resumed, taken.started_at) == ("you", 2, True, NOW)

    def test_the_same_owner_claims_again_at_once(self, ledger: Ledger) -> None:
        ledger.claim(WINDOW, action(0).id, "me", NOW, 30)
        again = ledger.claim(WINDOW, action(0).id, "me", NOW + 1, 30)
        assert again is not None
        assert again.resumed

    def test_a_result_is_final(self, ledger: Ledger) -> None:
        ledger.claim(WINDOW, action(0).id, "me", NOW, 30)
        result = Result(
            status="succeeded", reason="r", reference="c-1", deviations={"i-0": Deviation("skipped", "why")}
        )
        assert ledger.finish(WINDOW, action(0).id, "me", result, NOW + 2.5)
        done = ledger.actions(WINDOW, "p1", "detach")[0]
        assert (done.status, done.reason, done.reference, done.finished_at) == (
            "succeeded",
            "r",
            "c-1",
            NOW + 2.5,
        )
        assert done.outcome_of("i-0") == ("skipped", "why")
        assert ledger.claim(WINDOW, action(0).id, "me", NOW + 99, 30) is None
        assert not ledger.finish(WINDOW, action(0).id, "me", Result(status="failed"), NOW + 3)

    def test_who_lost_the_claim_cannot_finish(self, ledger: Ledger) -> None:
        ledger.claim(WINDOW, action(0).id, "me", NOW, 30)
        ledger.claim(WINDOW, action(0).id, "you", NOW + 31, 30)
        assert not ledger.finish(WINDOW, action(0).id, "me", Result(status="failed"), NOW + 32)
        assert ledger.actions(WINDOW, "p1", "detach")[0].status == "running"

    def test_a_verdict_is_kept(self, ledger: Ledger) -> None:
        verdict = Verdict("contradicted", "one failed", {"i-0": "the command ended Failed"})
        ledger.verify(WINDOW, action(0).id, verdict)
        assert ledger.actions(WINDOW, "p1", "detach")[0].verdict == verdict

    def test_an_added_action_does_not_undo_what_was_done(self, ledger: Ledger) -> None:
        alert = action(0, kind="alert")
        ledger.add_actions(WINDOW, [alert])
        ledger.claim(WINDOW, alert.id, "me", NOW, 30)
        ledger.finish(WINDOW, alert.id, "me", Result(status="succeeded"), NOW)
        ledger.add_actions(WINDOW, [alert])
        assert ledger.actions(WINDOW, "p1", "alert")[0].status == "succeeded"


class TestPlans:
    def test_there_is_none_at_first(self, ledger: Ledger) -> None:
        assert ledger.plan(WINDOW) is None

    def test_the_first_one_committed_counts(self, ledger: Ledger) -> None:
        assert ledger.commit_plan(WINDOW, a_plan("p1"), [action(0)]) == a_plan("p1")
        assert ledger.commit_plan(WINDOW, a_plan("p2"), [action(0, "p2")]) == a_plan("p1")
        assert ledger.plan(WINDOW) == a_plan("p1")

    def test_thousands_of_decisions_and_actions(self, ledger: Ledger) -> None:
        decisions = tuple({"instance": f"i-{n}", "reasons": ["r" * 200]} for n in range(2_300))
        actions = [action(n) for n in range(120)]
        ledger.commit_plan(WINDOW, a_plan(decisions=decisions), actions)
        plan = ledger.plan(WINDOW)
        assert plan is not None
        assert plan.decisions == decisions
        assert ledger.actions(WINDOW, "p1") == actions

    def test_a_plan_is_settled(self, ledger: Ledger) -> None:
        ledger.commit_plan(WINDOW, a_plan(), [])
        settled = {"outcomes": {"handled": 2}, "settled_at": NOW}
        assert ledger.settle_plan(WINDOW, settled)
        assert ledger.plan(WINDOW) == a_plan(settled=settled)

    def test_the_first_to_settle_it_decides(self, ledger: Ledger) -> None:
        ledger.commit_plan(WINDOW, a_plan(), [])
        assert ledger.settle_plan(WINDOW, {"outcomes": {"handled": 2}})
        assert not ledger.settle_plan(WINDOW, {"outcomes": {"handled": 3}})
        assert ledger.plan(WINDOW) == a_plan(settled={"outcomes": {"handled": 2}})


class TestSweeping:
    def window(self, number: int) -> Window:
        return Window("spot", "123456789012", "us-east-1", number)

    def test_unfinished_is_what_is_neither_settled_nor_given_up(self, ledger: Ledger) -> None:
        windows = [self.window(number) for number in range(1, 61)]  # more than one call's keys
        for number in (1, 2, 60):
            ledger.commit_plan(self.window(number), a_plan(), [])
        for number in (2, 60):
            ledger.settle_plan(self.window(number), {"outcomes": {}})
        ledger.give_up(self.window(3))
        finished = {self.window(number) for number in (2, 3, 60)}
        assert ledger.unfinished(windows) == set(windows) - finished
        assert ledger.unfinished([self.window(2)]) == set()

    def test_a_window_is_given_up_once(self, ledger: Ledger) -> None:
        assert ledger.give_up(WINDOW)
        assert not ledger.give_up(WINDOW)
        assert ledger.give_up(NEXT)

    def test_what_is_swept_never_goes_back_and_outlives_the_next_window(self, ledger: Ledger) -> None:
        ledger.open_next(KEY, None, NOW)
        seen = []
        for number in (3, 2):
            ledger.note_swept(KEY, number)
            seen.append(ledger.pointer(KEY))
        ledger.open_next(KEY, ledger.pointer(KEY), NOW)
        seen.append(ledger.pointer(KEY))
        assert [pointer.swept for pointer in seen if pointer] == [3, 3, 3]


class TestRecords:
    def test_only_those_that_exist_come_back(self, ledger: Ledger) -> None:
        assert ledger.put_records([Record("a", {"n": 1.5}), Record("b", {"t": "ü"})]) == set()
        found = ledger.records(["a", "b", "c", "a"])
        assert found == {"a": Record("a", {"n": 1.5}, 1), "b": Record("b", {"t": "ü"}, 1)}

    def test_a_change_needs_the_version_it_read(self, ledger: Ledger) -> None:
        ledger.put_records([Record("a", {"n": 1})])
        assert ledger.put_records([Record("a", {"n": 2}, 1)]) == set()
        assert ledger.put_records([Record("a", {"n": 3}, 1)]) == {"a"}
        assert ledger.put_records([Record("a", {"n": 4})]) == {"a"}
        assert ledger.records(["a"])["a"] == Record("a", {"n": 2}, 2)

    def test_one_conflict_among_many_holds_up_itself_alone(self, ledger: Ledger) -> None:
        records = [Record(f"k{n:03d}", {"n": n}) for n in range(230)]
        ledger.put_records([records[7], records[150]])
        assert ledger.put_records(records) == {"k007", "k150"}
        assert len(ledger.records([record.key for record in records])) == 230

    def test_nothing_to_put(self, ledger: Ledger) -> None:
        assert ledger.put_records([]) == set()


class TestRejections:
    def rejection(self, number: int, at: float) -> Rejection:
        return Rejection(
            domain="spot", id=f"m{number}", code="stale", where="$.time", what="old", body="{}", at=at
        )

    def test_they_are_found_by_day_oldest_first(self, ledger: Ledger) -> None:
        late, early, other = (
            self.rejection(1, NOW),
            self.rejection(2, NOW - 5),
            self.rejection(3, NOW - 86_400),
        )
        for rejection in (late, early, other, late):
            ledger.reject(rejection)
        assert ledger.rejections("spot", "2026-05-28") == [early, late]
        assert ledger.rejections("documents", "2026-05-28") == []

    def test_a_message_that_comes_again_is_kept_once(self, ledger: Ledger) -> None:
        ledger.reject(self.rejection(1, NOW))
        ledger.reject(self.rejection(1, NOW + 40))
        assert ledger.rejections("spot", "2026-05-28") == [self.rejection(1, NOW + 40)]


class TestDeferrals:
    def deferral(self, name: str, due_at: float, domain: str = "spot") -> Deferral:
        key = WindowKey(domain, "123456789012", "us-east-1")
        entry = {"instance": name, "n": 1.5}
        return Deferral(key=key, id=name, due_at=due_at, entry=entry, kind="late-look")

    def test_they_come_back_the_earliest_due_first(self, ledger: Ledger) -> None:
        late, soon = self.deferral("a", NOW + 50.5), self.deferral("b", NOW + 20)
        for deferral in (late, soon, self.deferral("c", NOW, "documents")):
            ledger.defer(deferral)
        assert ledger.deferrals("spot") == [soon, late]

    def test_the_same_one_again_replaces_it(self, ledger: Ledger) -> None:
        ledger.defer(self.deferral("a", NOW + 50))
        ledger.defer(self.deferral("a", NOW + 10))
        assert ledger.deferrals("spot") == [self.deferral("a", NOW + 10)]

    def test_a_dropped_one_is_gone_and_dropping_again_is_harmless(self, ledger: Ledger) -> None:
        ledger.defer(self.deferral("a", NOW))
        for _ in range(2):
            ledger.drop_deferral("spot", "a")
        assert ledger.deferrals("spot") == []


class TestOnDynamoDbAlone:
    @pytest.fixture
    def client(self) -> Iterator[Any]:
        with mock_aws():
            client = dynamodb()
            create_ledger_table(client, "ledger")
            yield client

    def test_what_ages_carries_its_expiry_and_the_pointers_stay(self, client: Any) -> None:
        ledger = DynamoLedger(client, "ledger", lambda: NOW, retention=100.0)
        ledger.open_next(KEY, None, NOW)
        ledger.append(WINDOW, Segment.of([{"a": 1}]))
        ledger.commit_plan(WINDOW, a_plan(), [action(0)])
        ledger.put_records([Record("a", {})])
        expiries = {
            item["sk"]["S"].split("#")[0]: item.get("expires_at", {}).get("N")
            for item in client.scan(TableName="ledger")["Items"]
        }
        end, half = str(int(NOW + 100)), str(int(NOW + 50))
        assert expiries == {
            "123456789012": None,
            "SEGMENT": half,  # a window whose plan is gone has nothing left to plan
            "ACTION": end,
            "DECISIONS": end,
            "PLAN": end,
            "CURRENT": end,
        }

    def test_reads_are_strongly_consistent(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The window's protocol rests on it."""
        seen: list[tuple[str, bool]] = []

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            reads = list(params.get("RequestItems", {"": params}).values())
            seen.append((model.name, all(read.get("ConsistentRead") for read in reads)))

        for operation in ("GetItem", "Query", "BatchGetItem"):
            client.meta.events.register(f"provide-client-params.dynamodb.{operation}", note)
        ledger = DynamoLedger(client, "ledger", lambda: NOW)
        ledger.pointer(KEY)
        ledger.segments(WINDOW)
        ledger.plan(WINDOW)
        ledger.records(["a"])
        ledger.actions(WINDOW, "p1")
        assert [name for name, _ in seen] == ["GetItem", "Query", "GetItem", "BatchGetItem", "Query"]
        assert all(consistent for _, consistent in seen)

    def test_a_missing_table_is_named(self) -> None:
        with mock_aws(), pytest.raises(NotFoundError, match="ResourceNotFoundException"):
            DynamoLedger(dynamodb(), "elsewhere", lambda: NOW).pointer(KEY)

    def test_verifying_what_was_never_planned_is_a_conflict(self, client: Any) -> None:
        with pytest.raises(ConflictError):
            DynamoLedger(client, "ledger", lambda: NOW).verify(WINDOW, "p1#x#0", Verdict("confirmed"))
