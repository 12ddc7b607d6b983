"""A window from verified to settled."""

from typing import Any

import msgspec
import pytest

from signalbox.errors import ConflictError, InvariantError, ThrottledError
from signalbox.ledger.actions import Action
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan, Record
from signalbox.spot.closing import Closing, SettleWindow
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.planning import Decision
from tests.unit.spot.doubles import (
    ACCOUNT,
    NOON,
    PLAN,
    REGION,
    Failing,
    MovableClock,
    action,
    decision,
    episode,
    instance_id,
    window,
)

LATE_LOOK = 900.0


def key(number: int) -> str:
    return episode_key(ACCOUNT, REGION, instance_id(number))


class Settling:
    """A window with a plan, its actions done, and the episodes it is about."""

    def __init__(self, decisions: list[Decision], *actions: Action, **errors: list[Exception]) -> None:
        self.clock = MovableClock(NOON + 125)
        self.ledger = MemoryLedger()
        plan = Plan(
            id=PLAN,
            planned_at=NOON,
            summary={},
            decisions=tuple(msgspec.to_builtins(each) for each in decisions),
        )
        self.ledger.commit_plan(window(), plan, actions)
        before: Any = Failing(self.ledger, **errors)
        self._settle_window = SettleWindow(before, self.clock, late_look=LATE_LOOK)

    def know(self, number: int, **changes: Any) -> None:
        body = msgspec.to_builtins(episode(number, **changes))
        assert not self.ledger.put_records([Record(key(number), body)])

    def settle(self, *errors: dict[str, Any]) -> Closing:
        return self._settle_window.settle(window(), errors)

    def episode(self, number: int) -> Episode:
        return msgspec.convert(self.ledger.records([key(number)])[key(number)].body, Episode)

    def told(self) -> list[Action]:
        return [a for a in self.ledger.actions(window(), PLAN) if a.kind in ("alert", "event")]

    def everything(self) -> Any:
        plan = self.ledger.plan(window())
        records = self.ledger.records([key(number) for number in range(5)])
        actions = self.ledger.actions(window(), PLAN)
        return plan, {k: r.body for k, r in records.items()}, actions, self.ledger.deferrals("spot")


def done(of: int, **changes: Any) -> Action:
    fields: dict[str, Any] = {"status": "succeeded", "finished_at": NOON + 4}
    return action(of=(of,), number=of, **fields | changes)


def test_each_episode_gets_its_outcome_and_the_window_its_counts() -> None:
    settling = Settling(
        [decision(0), decision(1), decision(2, mode="observe")], done(0), done(1, status="failed")
    )
    for number in range(3):
        settling.know(number, planned={"detach": 1})
    closing = settling.settle({"branch": "SendCommands", "error": {}})
    assert closing.outcomes == {"handled": 1, "late": 0, "failed": 1, "observed": 1, "ignored": 0}
    assert [settling.episode(n).outcome for n in range(3)] == ["handled", "failed", "observed"]
    assert {settling.episode(n).status for n in range(3)} == {"settled"}
    assert settling.episode(0).timings == {"detach": 4, "seconds_left": 116}
    assert settling.episode(2).timings == {}
    assert settling.episode(0).planned == {"detach": 1}
    plan = settling.ledger.plan(window())
    assert plan is not None
    assert plan.settled == {
        "outcomes": closing.outcomes,
        "alerts": 5,
        "errors": [{"branch": "SendCommands", "error": {}}],
        "settled_at": NOON + 125,
    }


def test_whoever_must_know_is_told() -> None:
    settling = Settling([decision(0), decision(1, mode="observe")], done(0))
    closing = settling.settle()
    told = settling.told()
    assert closing.alerts == len(told) == 3
    assert [each.status for each in told] == ["pending"] * 3


def test_settling_again_changes_nothing() -> None:
    settling = Settling([decision(0)], done(0))
    settling.know(0)
    first = settling.settle()
    before = settling.everything()
    settling.clock.now += 60
    again = settling.settle()
    assert (again.outcomes, again.alerts) == (first.outcomes, first.alerts)
    assert (first.first, again.first, again.settlements) == (True, False, ())
    assert settling.everything() == before


def test_of_two_that_settle_at_once_one_has_settled() -> None:
    settling = Settling([decision(0)], done(0))
    settling.know(0)
    settle_plan, others = settling.ledger.settle_plan, list[Closing]()

    def overtaken(*arguments: Any) -> bool:
        settling.ledger.settle_plan = settle_plan  # type: ignore[method-assign]  # once
        others.append(settling.settle())
        return settle_plan(*arguments)

    settling.ledger.settle_plan = overtaken  # type: ignore[assignment,method-assign]  # once
    closing = settling.settle()
    assert (closing.first, [other.first for other in others]) == (False, [True])
    assert closing.outcomes == others[0].outcomes


@pytest.mark.parametrize(
    "method", ["actions", "records", "put_records", "add_actions", "defer", "settle_plan"]
)
def test_a_failure_before_any_step_is_made_good_by_the_next_try(method: str) -> None:
    errors: Any = {method: [ThrottledError("slow")]}
    settling = Settling([decision(0)], done(0), **errors)
    settling.know(0)
    with pytest.raises(ThrottledError):
        settling.settle()
    untouched = Settling([decision(0)], done(0))
    untouched.know(0)
    untouched.settle()
    settling.settle()
    assert settling.everything() == untouched.everything()


def test_an_alert_that_went_out_stays_out() -> None:
    settling = Settling([decision(0)], done(0))
    settling.settle()
    sent = settling.told()[0]
    settling.ledger.claim(window(), sent.id, "one", NOON, 90)
    settling.settle()
    assert settling.told()[0].status == "running"


def test_an_episode_that_a_later_window_took_on_is_left_alone() -> None:
    settling = Settling([decision(0), decision(1)], done(0), done(1))
    settling.know(0, window=2)
    settling.know(1)
    assert settling.settle().outcomes["handled"] == 2
    assert (settling.episode(0).status, settling.episode(0).outcome) == ("open", "")
    assert settling.episode(1).status == "settled"


def test_an_episode_without_a_record_holds_up_nobody() -> None:
    settling = Settling([decision(0), decision(1)], done(0), done(1))
    settling.know(1)
    settling.settle()
    assert settling.episode(1).status == "settled"


def test_an_empty_plan_is_settled_too() -> None:
    closing = Settling([]).settle()
    assert (set(closing.outcomes.values()), closing.alerts) == ({0}, 0)


def test_a_window_without_a_plan_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="never planned"):
        SettleWindow(MemoryLedger(), MovableClock(), late_look=LATE_LOOK).settle(window(), [])


class Changing(MemoryLedger):
    """Somebody else changes the episode before each of the first writes to it."""

    changes = 0

    def put_records(self, records: Any) -> set[str]:
        if self.changes:
            self.changes -= 1
            for record in records:
                super().put_records([record])
        return super().put_records(records)


@pytest.mark.parametrize(("changes", "settled"), [(0, True), (4, True), (5, False)])
def test_an_episode_that_changes_meanwhile_is_read_again(changes: int, settled: bool) -> None:  # noqa: FBT001 - a case of the table
    ledger = Changing()
    ledger.commit_plan(
        window(),
        Plan(id=PLAN, planned_at=NOON, summary={}, decisions=(msgspec.to_builtins(decision(0)),)),
        [done(0)],
    )
    ledger.put_records([Record(key(0), msgspec.to_builtins(episode(0)))])
    ledger.changes = changes
    if settled:
        assert (
            SettleWindow(ledger, MovableClock(), late_look=LATE_LOOK).settle(window(), []).outcomes["handled"]
            == 1
        )
    else:
        with pytest.raises(ConflictError, match="every attempt"):
            SettleWindow(ledger, MovableClock(), late_look=LATE_LOOK).settle(window(), [])


@pytest.mark.parametrize(
    ("earlier", "now", "outcome"),
    [("", "succeeded", "handled"), ("failed", "succeeded", "failed"), ("handled", "failed", "failed")],
)
def test_where_two_windows_acted_the_worse_outcome_stands(earlier: str, now: Any, outcome: str) -> None:
    settling = Settling([decision(0)], action("detach", of=(0,), status=now, finished_at=NOON + 3))
    settling.know(0, window=2, planned={"detach": 1, "command": 2}, outcome=earlier)
    settling.settle()
    assert settling.episode(0).outcome == outcome


def test_who_planned_nothing_leaves_the_outcome_to_who_did() -> None:
    settling = Settling([decision(0, kinds=())])
    settling.know(0, window=1, planned={"detach": 7}, status="settled", outcome="failed")
    settling.settle()
    assert settling.episode(0).outcome == "failed"


@pytest.mark.parametrize(
    ("actions", "due_at"),
    [
        ([done(0)], NOON + 120 + LATE_LOOK),
        ([done(0, status="failed")], NOON + 120 + LATE_LOOK),  # it may have had its effect
        ([action("terminate", status="running", deadline=NOON + 900)], NOON + 900 + LATE_LOOK),
        ([done(0), action("complete", status="succeeded", deadline=NOON + 200)], NOON + 200 + LATE_LOOK),
        ([done(0, status="skipped"), action("command", status="succeeded")], None),
        ([action("detach")], None),
    ],
)
def test_what_may_have_left_its_group_is_looked_at_later(actions: list[Action], due_at: float | None) -> None:
    settling = Settling([decision(0)], *actions)
    settling.settle()
    deferrals = settling.ledger.deferrals("spot")
    assert [each.due_at for each in deferrals] == ([due_at] if due_at else [])
    assert all(each.kind == "late-look" and each.entry["plan"] == PLAN for each in deferrals)
