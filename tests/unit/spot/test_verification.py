"""Looking at the estate afterwards."""

from itertools import pairwise
from typing import Any

import pytest

from signalbox.clock import from_iso
from signalbox.errors import NotFoundError, ThrottledError
from signalbox.ledger.actions import Action, Deviation, Verdict
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan
from signalbox.spot.containers import LEAVING, ContainerInstance
from signalbox.spot.estate import Group
from signalbox.spot.hooks import KeepHooks
from signalbox.spot.verification import (
    COMMAND_PENDING,
    DETACHED_SECONDS,
    DRAINED,
    GRACE_SECONDS,
    KEEPING_PAUSE_SECONDS,
    LONGEST_SECONDS,
    PAUSES_SECONDS,
    Phase,
    Verification,
    VerifyWindow,
    commanded,
    detached,
    drained,
    emptied,
    taken_out,
)
from tests.unit.spot.doubles import (
    NOON,
    PLAN,
    FakeEvidence,
    MovableClock,
    action,
    instance_id,
    target_group,
    window,
)

A, B, NEW = (instance_id(number) for number in (0, 1, 9))
SKIPPED = {B: Deviation("skipped", "why")}
VERIFIED = Verification(verified=True, check_again=None)
SOON = NOON + 3 + DETACHED_SECONDS
LONG_AFTER = SOON + 1


def done(kind: str = "detach", **changes: Any) -> Action:
    fields: dict[str, Any] = {
        "of": (0, 1),
        "status": "succeeded",
        "finished_at": NOON + 3,
        "reference": "c-1",
    }
    return action(kind, **fields | changes)


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (Group(name="web", desired=2, members={A: "InService", NEW: "InService"}), "waiting", A),
        (Group(name="web", desired=2, members={A: "Detaching", NEW: "InService"}), "waiting", A),
        (Group(name="web", desired=2, members={NEW: "InService"}), "waiting", "1 of 2"),
        (Group(name="web", desired=2, members={NEW: "InService", "i-8": "Pending"}), "waiting", "1 of 2"),
        (Group(name="web", desired=2, members={NEW: "InService", "i-8": "InService"}), "confirmed", "2 of 2"),
        (Group(name="web", desired=0), "confirmed", "0 of 0"),
        (None, "confirmed", "gone"),
    ],
)
def test_a_detach_is_confirmed_by_the_replacements(found: Group | None, state: str, said: str) -> None:
    verdict = detached(done(), {"web": found} if found else {}, SOON)
    assert verdict.state == state
    assert said in verdict.note


def test_who_was_not_detached_may_stay() -> None:
    staying = Group(name="web", desired=2, members={B: "InService", NEW: "InService"})
    assert detached(done(deviations=SKIPPED), {"web": staying}, SOON).state == "confirmed"
    assert detached(done(), {"web": staying}, SOON).state == "waiting"


@pytest.mark.parametrize("state", ["InService", "Pending", "Pending:Wait", "Standby"])
@pytest.mark.parametrize("place", ["web", "other"])
def test_who_is_a_member_again_long_after_was_attached_again(place: str, state: str) -> None:
    """The group counts on an instance that is about to go."""
    groups = {name: Group(name=name, desired=1, members={NEW: "InService"}) for name in ("web", "other")}
    groups[place].members[A] = state
    assert detached(done(), groups, SOON).state == ("waiting" if place == "web" else "confirmed")
    verdict = detached(done(), groups, LONG_AFTER)
    assert (verdict.state, verdict.subjects) == ("contradicted", {A: f"attached again: {state} in {place}"})


@pytest.mark.parametrize("state", ["Detaching", "Terminating", "Terminating:Wait"])
def test_who_is_on_its_way_out_was_not_attached_again(state: str) -> None:
    leaving = Group(name="web", desired=1, members={A: state, NEW: "InService"})
    assert detached(done(), {"web": leaving}, LONG_AFTER).state == "waiting"


@pytest.mark.parametrize("state", sorted(DRAINED))
def test_a_target_that_drains_or_is_none_is_drained(state: str) -> None:
    assert drained(done("deregister"), {A: state}).state == "confirmed"


@pytest.mark.parametrize("state", ["healthy", "unhealthy", "initial"])
def test_a_target_that_still_serves_is_waited_for(state: str) -> None:
    verdict = drained(done("deregister"), {A: "draining", B: state})
    assert (verdict.state, B in verdict.note, A in verdict.note) == ("waiting", True, False)
    assert drained(done("deregister", deviations=SKIPPED), {A: "draining", B: state}).state == "confirmed"


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({A: "unused"}, "confirmed"),
        ({}, "confirmed"),
        ({A: "draining"}, "waiting"),
        ({A: "unused", B: "draining"}, "waiting"),
        ({A: "healthy"}, "waiting"),
        ({A: "unavailable"}, "waiting"),
    ],
)
def test_where_a_hook_waits_draining_must_be_over(states: dict[str, str], verdict: str) -> None:
    found = drained(done("deregister", payload={"until": "drained"}), states)
    assert (found.state, "not drained" in found.note) == (verdict, verdict == "waiting")


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({A: "OutOfService", B: "OutOfService"}, "confirmed"),
        ({}, "confirmed"),
        ({A: "OutOfService", B: "InService"}, "waiting"),
        ({B: "Unknown"}, "waiting"),
    ],
)
def test_a_classic_load_balancer_keeps_in_service_what_it_drains(
    states: dict[str, str], verdict: str
) -> None:
    found = taken_out(done("deregister-classic"), states)
    assert (found.state, B in found.note) == (verdict, verdict == "waiting")
    assert taken_out(done("deregister-classic", deviations=SKIPPED), {B: "InService"}).state == "confirmed"


def container(number: int, status: str = "DRAINING", tasks: int = 0) -> ContainerInstance:
    return ContainerInstance(
        arn=f"arn-{number}", instance=instance_id(number), status=status, running_tasks=tasks
    )


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        ([], "confirmed", ""),
        ([container(0), container(1)], "confirmed", ""),
        ([container(0), container(1, tasks=2)], "waiting", "2 tasks"),
        ([container(0, "ACTIVE")], "waiting", f"not draining: {A}"),
        *(([container(0, status, 1)], "confirmed", "") for status in sorted(LEAVING)),
    ],
)
def test_a_container_instance_is_drained_once_it_runs_no_task(
    found: list[ContainerInstance], state: str, said: str
) -> None:
    verdict = emptied(done("containers"), found)
    assert (verdict.state, said in verdict.note) == (state, True)


def test_a_container_instance_that_was_not_drained_is_not_waited_for() -> None:
    assert emptied(done("containers", deviations=SKIPPED), [container(1, "ACTIVE", 3)]).state == "confirmed"


@pytest.mark.parametrize("state", sorted(COMMAND_PENDING))
def test_a_command_without_an_end_is_waited_for(state: str) -> None:
    assert commanded(done("command"), {A: "Success", B: state}).state == "waiting"
    assert commanded(done("command"), {A: "Failed", B: state}).state == "waiting"


def test_a_command_nobody_answered_yet_is_waited_for() -> None:
    verdict = commanded(done("command"), {A: "Success"})
    assert (verdict.state, B in verdict.note) == ("waiting", True)


@pytest.mark.parametrize("state", ["Failed", "TimedOut", "Cancelled", "Undeliverable", "Terminated"])
def test_a_command_that_ended_badly_is_contradicted_for_that_instance(state: str) -> None:
    verdict = commanded(done("command"), {A: "Success", B: state})
    assert (verdict.state, verdict.subjects) == ("contradicted", {B: f"the command ended {state}"})


def test_a_command_that_ended_well_is_confirmed() -> None:
    assert commanded(done("command"), {A: "Success", B: "Success"}) == Verdict("confirmed")
    assert commanded(done("command", deviations=SKIPPED), {A: "Success"}) == Verdict("confirmed")


class FakeHeartbeats:
    """Notes for whom a heartbeat was recorded."""

    def __init__(self) -> None:
        self.beats: list[str] = []
        self.throttled = False

    def heartbeat(self, group: str, hook: str, instance: str, token: str) -> None:
        if self.throttled:
            raise ThrottledError("slow")
        self.beats.append(instance)


class Looking:
    """A window whose actions are done, and the estate to look at."""

    def __init__(self, *actions: Action) -> None:
        self.clock = MovableClock(NOON + 3)
        self.ledger = MemoryLedger()
        self.ledger.commit_plan(window(), Plan(id=PLAN, planned_at=NOON, summary={}), actions)
        self.evidence = FakeEvidence()
        self.heartbeats = FakeHeartbeats()
        hooks = KeepHooks(self.heartbeats, self.clock, lambda each, error: None)
        self.verifier = VerifyWindow(self.ledger, self.evidence, hooks, self.clock)

    def look(self, phase: Phase = "verify") -> Verification:
        return self.verifier.look(window(), PLAN, phase)

    def verdicts(self) -> dict[str, Verdict | None]:
        return {each.kind: each.verdict for each in self.ledger.actions(window(), PLAN)}

    def stay(self) -> None:
        """What was done has no effect for now."""
        self.evidence.all_groups["web"] = Group(name="web", desired=2, members={A: "Detaching"})

    def settle_down(self) -> None:
        self.evidence.all_groups["web"] = Group(
            name="web", desired=2, members={NEW: "InService", "i-8": "InService"}
        )


def test_without_actions_there_is_nothing_to_wait_for() -> None:
    looking = Looking()
    assert (looking.look(), looking.evidence.looks) == (VERIFIED, {})


@pytest.mark.parametrize(
    "each",
    [
        done("alert"),
        done("event"),
        done("nodes"),
        done("deregister-classic"),
        done("complete"),
        done(status="failed"),
        done(status="skipped"),
        done(status="pending"),
        done(verdict=Verdict("confirmed")),
        done("command", verdict=Verdict("contradicted")),
    ],
)
def test_only_what_was_done_and_is_undecided_is_looked_at(each: Action) -> None:
    looking = Looking(each)
    assert (looking.look(), looking.evidence.looks) == (VERIFIED, {})


def test_everything_seen_is_verified_and_recorded() -> None:
    looking = Looking(
        done(),
        done("deregister"),
        done("containers"),
        done("fail-health-check"),
        done("checkpoint"),
        done("command", reference="c-1,c-2"),
    )
    looking.settle_down()
    looking.evidence.targets[target_group("web")] = {A: "draining"}
    looking.evidence.containers["cluster"] = [container(0)]
    looking.evidence.invocations = {"c-1": {A: "Success", B: "Success"}, "c-2": {}}
    assert looking.look() == VERIFIED
    states = {kind: verdict.state for kind, verdict in looking.verdicts().items() if verdict}
    assert states == dict.fromkeys(
        ("detach", "deregister", "containers", "fail-health-check", "checkpoint", "command"), "confirmed"
    )


def test_a_classic_load_balancer_is_looked_at_where_a_hook_waits_for_it() -> None:
    looking = Looking(done("deregister-classic", payload={"until": "drained"}))
    looking.evidence.registered["classic"] = {A: "OutOfService", B: "InService"}
    assert not looking.look().verified
    looking.evidence.registered["classic"] = {A: "OutOfService", B: "OutOfService"}
    looking.clock.now += 2
    assert (looking.look(), looking.evidence.looks) == (VERIFIED, {"registered": 2})


def test_many_detachments_need_one_look_at_the_groups() -> None:
    looking = Looking(*(done(number=number) for number in range(5)))
    looking.settle_down()
    assert looking.look() == VERIFIED
    assert looking.evidence.looks == {"groups": 1}


def test_one_that_is_waited_for_keeps_the_window_open_and_the_rest_is_not_asked_again() -> None:
    looking = Looking(done(), done("deregister"))
    looking.stay()
    first = looking.look()
    assert (first.verified, first.check_again is not None) == (False, True)
    looking.settle_down()
    looking.clock.now += 2
    assert looking.look() == VERIFIED
    assert looking.evidence.looks == {"groups": 2, "targets": 1}


def test_a_contradiction_is_a_decision() -> None:
    looking = Looking(done("command"))
    looking.evidence.invocations = {"c-1": {A: "Success", B: "Failed"}}
    assert looking.look() == VERIFIED


def test_an_instance_that_was_attached_again_is_seen() -> None:
    looking = Looking(done())
    looking.evidence.all_groups["web"] = Group(name="web", desired=1, members={A: "InService"})
    assert not looking.look().verified
    looking.clock.now = LONG_AFTER
    assert looking.look() == VERIFIED
    verdict = looking.verdicts()["detach"]
    assert verdict is not None
    assert (verdict.state, list(verdict.subjects)) == ("contradicted", [A])


def test_the_looks_grow_rarer_and_end_just_after_the_deadline() -> None:
    looking = Looking(done(), done("deregister", finished_at=NOON + 1))
    looking.stay()
    times = [looking.clock.now]
    while (found := looking.look()).check_again is not None:
        assert not found.verified
        looking.clock.now = from_iso(found.check_again)
        times.append(looking.clock.now)
    assert not found.verified
    assert times[-1] == NOON + 120 + GRACE_SECONDS
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert tuple(pauses[: len(PAUSES_SECONDS)]) == PAUSES_SECONDS
    assert set(pauses[len(PAUSES_SECONDS) : -1]) == {PAUSES_SECONDS[-1]}
    assert pauses[-1] <= PAUSES_SECONDS[-1]


def test_a_look_that_comes_late_is_followed_by_a_pause_all_the_same() -> None:
    looking = Looking(done())
    looking.stay()
    looking.clock.now = NOON + 4.9
    again = looking.look().check_again
    assert again is not None
    assert from_iso(again) >= NOON + 5.9


def test_after_the_deadline_there_is_one_look_and_no_more() -> None:
    looking = Looking(done())
    looking.stay()
    looking.clock.now = NOON + 120 + GRACE_SECONDS
    assert looking.look() == Verification(verified=False, check_again=None)
    verdict = looking.verdicts()["detach"]
    assert verdict is not None
    assert verdict.state == "waiting"


def test_no_look_comes_later_than_the_state_machine_allows_however_far_the_deadline() -> None:
    looking = Looking(done(deadline=NOON + 7_200))
    looking.stay()
    looks = 1
    while (found := looking.look()).check_again is not None:
        looking.clock.now = from_iso(found.check_again)
        looks += 1
    assert looking.clock.now == NOON + 3 + LONGEST_SECONDS
    assert looks < 100


@pytest.mark.parametrize("kind", ["deregister", "containers"])
def test_what_is_gone_altogether_is_drained(kind: str) -> None:
    class Gone(FakeEvidence):
        def target_states(self, *_: object) -> dict[str, str]:
            raise NotFoundError("TargetGroupNotFound: gone")

    looking = Looking(done(kind))
    looking.verifier = VerifyWindow(
        looking.ledger, Gone(), KeepHooks(looking.heartbeats, looking.clock, lambda *_: None), looking.clock
    )
    assert looking.look() == VERIFIED
    verdict = looking.verdicts()[kind]
    assert verdict is not None
    assert (verdict.state, "gone" in verdict.note) == ("confirmed", True)


def test_hooks_that_are_still_to_be_completed_are_kept_open_at_every_look() -> None:
    looking = Looking(done(), action("complete", of=(0,)), done("complete", number=1, of=(1,)))
    looking.stay()
    looking.look()
    looking.look()
    assert looking.heartbeats.beats == [A, A]


def test_a_hook_that_cannot_be_kept_open_stops_nothing() -> None:
    looking = Looking(done(), action("complete"))
    looking.heartbeats.throttled = True
    looking.settle_down()
    assert looking.look() == VERIFIED


def test_hooks_alone_are_nothing_to_wait_for() -> None:
    assert Looking(action("complete")).look() == VERIFIED


def keeping(*actions: Action) -> Looking:
    """A window with a hook, still acting."""
    return Looking(action("complete", of=(9,)), *actions)


def test_hooks_are_kept_open_while_the_window_acts_and_nothing_is_looked_at() -> None:
    looking = keeping(done(), action("command", due_at=NOON + 90))
    found = looking.look(phase="act")
    assert (found.verified, looking.heartbeats.beats, looking.evidence.looks) == (False, [NEW], {})
    assert found.check_again is not None
    looking.clock.now = from_iso(found.check_again)
    looking.look(phase="act")
    assert looking.heartbeats.beats == [NEW, NEW]


def test_once_it_has_acted_the_looks_go_on_with_the_hooks() -> None:
    looking = keeping(done(), done("command", status="failed"))
    assert looking.look(phase="act") == VERIFIED
    assert looking.heartbeats.beats == []


@pytest.mark.parametrize(("since", "pause"), [(0, PAUSES_SECONDS[0]), (60, KEEPING_PAUSE_SECONDS)])
def test_what_is_done_at_once_is_not_waited_for_long(since: int, pause: float) -> None:
    looking = keeping(done("deregister", status="running", started_at=NOON, finished_at=0))
    looking.clock.now = NOON + since
    found = looking.look(phase="act")
    assert found.check_again is not None
    assert from_iso(found.check_again) == NOON + since + pause


def test_a_hook_of_the_shortest_timeout_outlives_a_heartbeat_that_fails() -> None:
    assert 2 * KEEPING_PAUSE_SECONDS < 30  # PutLifecycleHook's least HeartbeatTimeout
