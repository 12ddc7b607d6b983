"""Planning one window: claim the episodes, note what is planned, commit.

What several windows and crashes do to each other: tests/unit/ledger/test_no_event_is_lost.py."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import msgspec
import pytest

from signalbox.clock import iso
from signalbox.errors import ConflictError, MemberClosedError, ThrottledError
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan, Record
from signalbox.ledger.windows import Segment
from signalbox.spot.configuration import MODE_TAG
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.notices import Notice, Severity
from signalbox.spot.planning import Decision, Policy
from signalbox.spot.window import BRANCHES, CLAIM_ATTEMPTS, PlanWindow
from tests.unit.spot.doubles import (
    ACCOUNT,
    DOCUMENT,
    NOON,
    PLAN,
    REGION,
    Failing,
    FakeEstate,
    MovableClock,
    episode,
    fleet,
    instance_id,
    notice,
    window,
)

NO_ACTIONS = dict.fromkeys(BRANCHES, 0)


class Planning:
    """Windows with notices in them, over a ledger in memory that a test may put something before."""

    def __init__(self, estate: FakeEstate | None = None, **errors: list[Exception]) -> None:
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.estate = estate or fleet("web", range(3))
        ids = count(1)
        before: Any = Failing(self.ledger, **errors)
        self._plan_window = PlanWindow(
            before,
            self.estate,
            Policy(command_document=DOCUMENT),
            self.clock,
            lambda: f"plan{next(ids)}",
        )

    def gather(self, number: int, *notices: Notice) -> None:
        while (pointer := self.ledger.pointer(window().key)) is None or pointer.number < number:
            self.ledger.open_next(window().key, pointer, self.clock.now)
        entries = [msgspec.to_builtins(each) for each in notices]
        self.ledger.append(window(number), Segment.of(entries))

    def plan(self, number: int = 1) -> Plan:
        return self._plan_window.plan(window(number))

    def planned(self, number: int = 1) -> dict[str, list[tuple[str, ...]]]:
        """Kind → subjects of each of the committed plan's actions."""
        plan = self.ledger.plan(window(number))
        assert plan is not None
        found: dict[str, list[tuple[str, ...]]] = {}
        for action in self.ledger.actions(window(number), plan.id):
            found.setdefault(action.kind, []).append(action.subjects)
        return found

    def episode(self, number: int) -> Episode:
        key = episode_key(ACCOUNT, REGION, instance_id(number))
        return msgspec.convert(self.ledger.records([key])[key].body, Episode)


def decisions(plan: Plan) -> dict[str, Decision]:
    found = [msgspec.convert(each, Decision) for each in plan.decisions]
    return {each.instance: each for each in found}


def codes(found: Decision) -> set[str]:
    return {reason.code for reason in found.reasons}


def ids(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(instance_id(number) for number in numbers)


def test_a_plan_covers_every_instance_with_every_action() -> None:
    planning = Planning()
    planning.gather(1, notice(0), notice(1))
    plan = planning.plan()
    assert decisions(plan).keys() == set(ids((0, 1)))
    assert planning.planned() == {
        "detach": [ids((0, 1))],
        "deregister": [ids((0, 1))],
        "command": [ids((0, 1))],
        "alert": [()],
    }


def test_the_summary_is_what_the_state_machine_needs() -> None:
    planning = Planning()
    planning.gather(1, notice(0), notice(1, at=NOON + 3))
    assert planning.plan().summary == {
        "actions": NO_ACTIONS | {"detach": 1, "deregister": 1, "command": 1, "alert": 1},
        "command_due": iso(NOON + 90).replace("Z", ".000Z"),
        "deadline": iso(NOON + 123),
    }


def test_an_observed_instance_leads_to_an_alert_alone() -> None:
    planning = Planning(fleet("web", range(3), tags={MODE_TAG: "observe"}))
    planning.gather(1, notice(0))
    assert planning.plan().summary == {
        "actions": NO_ACTIONS | {"detach": 0, "deregister": 0, "command": 0, "alert": 1},
        "command_due": None,
        "deadline": iso(NOON + 120),
    }
    assert (planning.episode(0).planned, planning.episode(0).mode) == ({}, "observe")


def test_a_window_without_notices_has_an_empty_plan() -> None:
    planning = Planning()
    planning.gather(1)
    plan = planning.plan()
    assert (plan.decisions, plan.summary["deadline"], planning.planned()) == ((), None, {})


def test_planning_closes_the_window() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    planning.plan()
    pointer = planning.ledger.pointer(window().key)
    assert pointer is not None
    assert not pointer.open


def test_the_episode_says_what_was_planned_and_why() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    planning.plan()
    found = planning.episode(0)
    assert found.planned == {"detach": 1, "deregister": 1, "command": 1}
    assert (found.group, found.mode, found.window, found.status) == ("web", "act", 1, "open")
    assert [reason.partition(":")[0] for reason in found.reasons] == ["mode-by-tag"]


def test_notices_of_one_instance_are_one_decision() -> None:
    planning = Planning()
    planning.gather(1, notice(0), notice(0, at=NOON - 30), notice(0, instance_action="stop", event_id="x"))
    [found] = decisions(planning.plan()).values()
    assert (found.deadline, found.noticed_at) == (NOON + 90, NOON - 30)


def test_planning_again_answers_the_same_plan_and_adds_nothing() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    first, planned, known = planning.plan(), planning.planned(), planning.episode(0)
    planning.clock.now += 20
    planning.estate.all_instances.clear()
    assert planning.plan() == first
    assert (planning.planned(), planning.episode(0)) == (planned, known)


@pytest.mark.parametrize("method", ["close", "segments", "plan", "records", "put_records", "commit_plan"])
def test_a_failure_before_any_step_is_made_good_by_the_next_try(method: str) -> None:
    errors: Any = {method: [ThrottledError("throttled")]}
    planning = Planning(**errors)
    planning.gather(1, notice(0), notice(1))
    with pytest.raises(ThrottledError):
        planning.plan()
    planning.plan()
    assert planning.planned()["detach"] == [ids((0, 1))]


def test_a_crash_between_claim_and_note_loses_nothing() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    estate: Any = planning.estate
    estate.parameters, working = crash, estate.parameters
    with pytest.raises(ThrottledError):
        planning.plan()
    assert (planning.episode(0).window, planning.episode(0).planned) == (1, {})
    estate.parameters = working
    planning.plan()
    assert planning.planned()["detach"] == [ids((0,))]


def crash(_names: object) -> dict[str, str]:
    raise ThrottledError("GetParameters: ThrottlingException")


def test_a_crash_between_note_and_commit_loses_nothing() -> None:
    planning = Planning(commit_plan=[ThrottledError("throttled")])
    planning.gather(1, notice(0))
    with pytest.raises(ThrottledError):
        planning.plan()
    assert planning.episode(0).planned == {"detach": 1, "deregister": 1, "command": 1}
    planning.plan()
    assert planning.planned()["detach"] == [ids((0,))]


def test_an_echo_in_a_later_window_stays_with_the_earlier_one() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    planning.plan(1)
    planning.gather(2, notice(0), notice(1))
    assert decisions(planning.plan(2)).keys() == {instance_id(1)}
    assert planning.episode(0).window == 1


def test_an_echo_after_the_decision_is_no_news_even_if_it_is_dated_earlier() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    planning.plan(1)
    before = planning.episode(0)
    planning.gather(2, notice(0, event_id="sooner", deadline=NOON + 60))
    assert decisions(planning.plan(2)) == {}
    assert planning.episode(0) == before


def test_graver_news_in_a_later_window_are_decided_there_and_not_done_again() -> None:
    planning = Planning()
    planning.gather(1, notice(0, severity=Severity.LIFECYCLE))
    planning.plan(1)
    planning.gather(2, notice(0, event_id="graver"))
    [found] = decisions(planning.plan(2)).values()
    assert (found.kinds, codes(found)) == ((), {"mode-by-tag", "already-planned"})
    assert all("window 1" in reason.text for reason in found.reasons if reason.code == "already-planned")
    assert planning.planned(2).keys() == {"alert"}
    known = planning.episode(0)
    assert (known.window, known.planned) == (2, {"detach": 1, "deregister": 1, "command": 1})


def test_what_was_only_observed_may_be_done_by_a_later_window() -> None:
    planning = Planning(fleet("web", range(3), tags={MODE_TAG: "observe"}))
    planning.gather(1, notice(0, severity=Severity.REBALANCE))
    planning.plan(1)
    planning.estate.all_groups = fleet("web", range(3)).all_groups
    planning.gather(2, notice(0, event_id="graver"))
    planning.plan(2)
    assert planning.planned(2)["detach"] == [ids((0,))]


def test_a_later_window_that_takes_an_unplanned_episode_over_plans_it_alone() -> None:
    planning = Planning(commit_plan=[ThrottledError("throttled")])
    taken = episode(0, window=2, notices=("event-0-1780000000.0", "sooner"), deadline=NOON + 60)
    key = episode_key(ACCOUNT, REGION, instance_id(0))
    planning.gather(1, notice(0), notice(1))
    planning.ledger.put_records([Record(key, msgspec.to_builtins(taken))])
    with pytest.raises(ThrottledError):
        planning.plan(1)
    assert decisions(planning.plan(1)).keys() == {instance_id(1)}
    planning.gather(2, notice(0, event_id="sooner", deadline=NOON + 60))
    assert decisions(planning.plan(2)).keys() == {instance_id(0)}


def test_a_new_interruption_of_the_same_instance_is_handled_again() -> None:
    planning = Planning()
    planning.gather(1, notice(0))
    planning.plan(1)
    planning.gather(2, notice(0, at=NOON + 3_600))
    planning.plan(2)
    assert planning.planned(2)["detach"] == [ids((0,))]
    assert planning.episode(0).opened_at == NOON + 3_600


class Overtaken(MemoryLedger):
    """Somebody else changes the episode before each of the first so many writes to it."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def put_records(self, records: Sequence[Record]) -> set[str]:
        if self.times:
            self.times -= 1
            for record in records:
                known = self.records([record.key]).get(record.key, Record(record.key, {}))
                super().put_records(
                    [Record(record.key, msgspec.to_builtins(episode(0, window=2)), known.version)]
                )
        return super().put_records(records)


def overtaken(times: int) -> tuple[Overtaken, PlanWindow]:
    planning, ledger = Planning(), Overtaken(times)
    ledger.open_next(window().key, None, NOON)
    sooner = notice(0, event_id="sooner", deadline=NOON + 30)
    ledger.append(window(), Segment.of([msgspec.to_builtins(sooner)]))
    return ledger, PlanWindow(ledger, planning.estate, Policy(), planning.clock, lambda: PLAN)


@pytest.mark.parametrize("times", range(CLAIM_ATTEMPTS))
def test_an_episode_that_changes_meanwhile_is_read_again(times: int) -> None:
    _, planner = overtaken(times)
    [found] = decisions(planner.plan(window())).values()
    assert found.deadline == NOON + 30


def test_an_episode_that_never_holds_still_is_a_conflict_and_no_loss() -> None:
    ledger, planner = overtaken(CLAIM_ATTEMPTS)
    with pytest.raises(ConflictError, match="1 episodes changed under every attempt"):
        planner.plan(window())
    assert ledger.plan(window()) is None
    assert planner.plan(window()).decisions


def unreadable(*errors: Exception) -> FakeEstate:
    """An estate whose reading fails, one error after the other."""
    estate: Any = Failing(fleet("web", range(2)), snapshot=list(errors))
    found: FakeEstate = estate
    return found


def test_a_member_that_lets_nobody_in_fails_its_instances_and_says_why() -> None:
    closed = MemberClosedError("account 444455556666 does not let us in: deploy examples/member there")
    planning = Planning(unreadable(closed))
    planning.gather(1, notice(0), notice(1))
    plan = planning.plan()
    for found in decisions(plan).values():
        assert (found.mode, found.kinds, found.undecided) == ("ignore", (), True)
        assert [(reason.code, reason.text) for reason in found.reasons] == [("member-closed", str(closed))]
    assert len(decisions(plan)) == 2
    assert planning.planned() == {}
    assert plan.summary["actions"] == NO_ACTIONS
    assert planning.episode(0).reasons == (f"member-closed: {closed}",)
    assert planning.plan() == plan


def test_a_member_that_can_not_be_asked_right_now_is_asked_again() -> None:
    planning = Planning(unreadable(ThrottledError("AssumeRole: Throttling")))
    planning.gather(1, notice(0))
    with pytest.raises(ThrottledError):
        planning.plan()
    assert decisions(planning.plan())[instance_id(0)].undecided is False
