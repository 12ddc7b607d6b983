"""What has left its group and runs on: found, told once, and left to a person."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import RefusedError, SignalboxError, ThrottledError
from signalbox.ledger.actions import Action, Worker
from signalbox.ledger.deferrals import Deferral, due
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan, Record
from signalbox.ledger.windows import Window, WindowKey
from signalbox.spot.announcing import Announcer
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.late_look import LOOKS_A_RUN, PATIENCE_SECONDS, Found, LookLate, late_look
from signalbox.spot.performers import PublishAlert, PutEvent
from tests.stepping import CrashedError
from tests.unit.spot.doubles import (
    ACCOUNT,
    NOON,
    PLAN,
    REGION,
    MovableClock,
    action,
    episode,
    instance_id,
    window,
)

DELAY = 900.0
DUE = NOON + 120 + DELAY


class FakeEstate:
    """Instances that run, some of them in groups; counts the calls."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.members: dict[str, tuple[str, str]] = {}
        self.errors: list[SignalboxError] = []
        self.calls: Counter[str] = Counter()

    def running(self, instances: Collection[str]) -> set[str]:
        self.calls["running"] += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.alive & set(instances)

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        self.calls["member_states"] += 1
        return {i: self.members[i] for i in instances if i in self.members}


class Said:
    """The topic and the bus."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str]] = []
        self.events: list[dict[str, Any]] = []
        self.crash = False

    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str:
        self.alerts.append((attributes["group"], message))
        return "m-1"

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail})
        if self.crash:
            raise CrashedError("put")
        return "e-1"


class Looking:
    """Windows that were settled, and what became of their instances."""

    def __init__(self) -> None:
        self.clock = MovableClock(DUE)
        self.ledger = MemoryLedger()
        self.estate = FakeEstate()
        self.said = Said()
        self.failures: list[tuple[WindowKey, str]] = []
        self._owners = 0

    def settle(self, number: int, *actions: Action) -> None:
        plan = Plan(id=PLAN, planned_at=NOON, summary={})
        self.ledger.commit_plan(window(number), plan, actions)
        look = late_look(window(number), PLAN, actions, DELAY)
        assert look is not None
        self.ledger.defer(look)

    def know(self, number: int, **changes: Any) -> None:
        fields: dict[str, Any] = {"planned": {"detach": 1}, "status": "settled", "outcome": "handled"}
        body = msgspec.to_builtins(episode(number, **fields | changes))
        assert not self.ledger.put_records([Record(key(number), body)])

    def run_on(self, *numbers: int) -> None:
        self.estate.alive |= {instance_id(number) for number in numbers}

    def look(self) -> list[Found]:
        worker = Worker(
            self.ledger,
            {"alert": PublishAlert(self.said), "event": PutEvent(self.said)},
            self.clock,
            self.clock.sleep,
            lambda _action, _reason, _error: None,
        )
        announcer = Announcer(self.ledger, worker, self.clock, self._owner)
        late = LookLate(self.ledger, self._estate_of, announcer, self.clock, self._note)
        return late.look(due(self.ledger, "spot", self.clock()))

    def _owner(self) -> str:
        self._owners += 1
        return f"owner-{self._owners}"

    def _estate_of(self, each: Window) -> FakeEstate:
        assert (each.account, each.region) == (ACCOUNT, REGION)
        return self.estate

    def _note(self, key: WindowKey, error: SignalboxError) -> None:
        self.failures.append((key, error.code))

    def episode(self, number: int) -> Episode:
        return msgspec.convert(self.ledger.records([key(number)])[key(number)].body, Episode)

    def looks(self) -> list[Deferral]:
        return self.ledger.deferrals("spot")


def key(number: int) -> str:
    return episode_key(ACCOUNT, REGION, instance_id(number))


def left(*numbers: int, kind: str = "detach", group: str = "web", **changes: Any) -> Action:
    fields: dict[str, Any] = {"of": numbers, "status": "succeeded", "finished_at": NOON + 4, "group": group}
    return action(kind, numbers[0], **fields | changes)


def one(**changes: Any) -> Looking:
    """A window that detached one instance; it runs on."""
    looking = Looking()
    looking.settle(1, left(0))
    looking.know(0, **changes)
    looking.run_on(0)
    return looking


def instances(found: list[Found]) -> list[str]:
    return sorted(survivor.instance for each in found for survivor in each.survivors)


def test_what_runs_on_in_no_group_is_told_with_what_to_do_and_noted() -> None:
    looking = one()
    assert instances(looking.look()) == [instance_id(0)]
    [(group, message)] = looking.said.alerts
    assert group == "web"
    assert f"{instance_id(0)}: detached at" in message
    assert f"terminate-instances --region {REGION} --instance-ids {instance_id(0)}" in message
    [event] = looking.said.events
    assert event["detail"]["instances"][0]["left_by"] == "detach"
    assert looking.episode(0).found_running_at == DUE
    assert looking.episode(0).outcome == "handled"
    assert looking.looks() == []


def test_before_it_is_due_nobody_looks() -> None:
    looking = one()
    looking.clock.now = DUE - 1
    assert looking.look() == []
    assert (looking.estate.calls, len(looking.looks())) == ({}, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"ended": {"terminated": NOON + 130}},
        {"ended": {"stopping": NOON + 130}},
        {"found_running_at": NOON + 500},
        {"planned": {"detach": 7}},  # another interruption of the same instance, since
        {"planned": {}},
    ],
)
def test_what_is_accounted_for_costs_no_call(changes: dict[str, Any]) -> None:
    looking = one(**changes)
    assert looking.look() == []
    assert (looking.estate.calls, looking.said.alerts, looking.looks()) == ({}, [], [])


def test_an_instance_that_ec2_has_taken_or_stopped_is_nothing_to_tell() -> None:
    looking = one()
    looking.estate.alive.clear()
    assert looking.look() == []
    assert (looking.said.alerts, looking.looks(), looking.episode(0).found_running_at) == ([], [], 0)


@pytest.mark.parametrize("state", [("web", "InService"), ("other", "InService"), ("web", "Terminating:Wait")])
def test_what_is_in_a_group_is_that_groups_to_look_after(state: tuple[str, str]) -> None:
    looking = one()
    looking.estate.members[instance_id(0)] = state
    assert looking.look() == []
    assert looking.looks() == []


@pytest.mark.parametrize(
    ("status", "found"), [("succeeded", 1), ("failed", 1), ("running", 1), ("skipped", 0), ("pending", 0)]
)
def test_a_detach_that_failed_may_have_had_its_effect(status: Any, found: int) -> None:
    looking = Looking()
    looking.settle(1, left(1), left(0, status=status))
    looking.know(0)
    looking.run_on(0)
    assert len(instances(looking.look())) == found


@pytest.mark.parametrize("kind", ["detach", "terminate", "complete"])
def test_every_way_out_of_a_group_is_looked_at(kind: str) -> None:
    looking = Looking()
    looking.settle(1, left(0, kind=kind))
    looking.know(0, planned={kind: 1})
    looking.run_on(0)
    assert [s.left_by for each in looking.look() for s in each.survivors] == [kind]


def test_it_is_told_once_a_group() -> None:
    looking = Looking()
    looking.settle(1, left(0, 1), left(2, group="api"), left(3))
    for number in range(4):
        looking.know(number)
    looking.run_on(0, 1, 2)
    assert instances(looking.look()) == [instance_id(n) for n in range(3)]
    assert sorted(group for group, _ in looking.said.alerts) == ["api", "web"]
    assert looking.look() == []
    assert len(looking.said.alerts) == len(looking.said.events) == 2


def test_all_windows_that_are_due_share_their_calls() -> None:
    looking = Looking()
    for number in range(1, 6):
        looking.settle(number, left(number))
        looking.know(number, planned={"detach": number})
        looking.run_on(number)
    assert len(looking.look()) == 5
    assert looking.estate.calls == {"running": 1, "member_states": 1}


def test_a_run_takes_so_many_windows_and_the_next_one_the_others() -> None:
    looking = Looking()
    for number in range(1, LOOKS_A_RUN + 3):
        looking.settle(number, left(number))
        looking.know(number, planned={"detach": number})
    looking.look()
    assert len(looking.looks()) == 2
    looking.look()
    assert looking.looks() == []


def test_a_crash_after_the_telling_tells_nothing_twice() -> None:
    looking = one()
    put_records = looking.ledger.put_records

    def crash(_: Any) -> set[str]:
        looking.ledger.put_records = put_records  # type: ignore[method-assign]  # once
        raise CrashedError

    looking.ledger.put_records = crash  # type: ignore[assignment,method-assign]  # once
    with pytest.raises(CrashedError):
        looking.look()
    assert instances(looking.look()) == [instance_id(0)]
    assert (len(looking.said.alerts), len(looking.said.events)) == (1, 1)
    assert looking.episode(0).found_running_at


def test_what_another_sweep_is_telling_is_left_to_it_for_now() -> None:
    looking = one()
    looking.said.crash = True
    with pytest.raises(CrashedError):
        looking.look()
    looking.said.crash = False
    assert looking.look() == []  # the claim of the one that died still stands
    assert (len(looking.looks()), looking.episode(0).found_running_at) == (1, 0)
    looking.clock.now += 60
    assert instances(looking.look()) == [instance_id(0)]
    assert len(looking.said.alerts) == 1


def test_a_look_that_fails_is_tried_again_for_a_day() -> None:
    looking = one()
    looking.estate.errors = [ThrottledError("slow"), RefusedError("no")]
    assert looking.look() == []
    assert (looking.failures, len(looking.looks())) == ([(window().key, "throttled")], 1)
    looking.clock.now = DUE + PATIENCE_SECONDS + 1
    looking.look()
    assert looking.looks() == []


def test_an_account_that_cant_be_looked_at_holds_up_no_other() -> None:
    looking = one()
    other = Window("spot", ACCOUNT, "eu-west-1", 1)
    plan = Plan(id=PLAN, planned_at=NOON, summary={})
    looking.ledger.commit_plan(other, plan, [left(5)])
    look = late_look(other, PLAN, [left(5)], DELAY)
    assert look is not None
    looking.ledger.defer(msgspec.structs.replace(look, due_at=NOON))
    body = msgspec.to_builtins(episode(5, region="eu-west-1", planned={"detach": 1}))
    looking.ledger.put_records([Record(episode_key(ACCOUNT, "eu-west-1", instance_id(5)), body)])
    estate_of = looking._estate_of

    def closed(each: Window) -> FakeEstate:
        if each == other:
            raise RefusedError("the member does not let us in")
        return estate_of(each)

    looking._estate_of = closed  # type: ignore[method-assign]  # for this test
    assert instances(looking.look()) == [instance_id(0)]
    assert looking.failures == [(other.key, "refused")]
    assert [deferral.key for deferral in looking.looks()] == [other.key]


@given(
    alive=st.sets(st.integers(0, 5)),
    grouped=st.sets(st.integers(0, 5)),
    ended=st.sets(st.integers(0, 5)),
)
def test_told_is_what_runs_in_no_group_and_has_no_end(
    alive: set[int], grouped: set[int], ended: set[int]
) -> None:
    looking = Looking()
    looking.settle(1, left(0, 1, 2), left(3, 4, 5, group="api"))
    for number in range(6):
        looking.know(number, ended={"terminated": NOON + 125} if number in ended else {})
    looking.run_on(*alive)
    looking.estate.members = {instance_id(n): ("web", "InService") for n in grouped}
    expected = sorted(instance_id(n) for n in alive - grouped - ended)
    assert instances(looking.look()) == expected
    told = [i["instance_id"] for event in looking.said.events for i in event["detail"]["instances"]]
    assert sorted(told) == expected
    assert looking.look() == []
