"""The worker: each action in its own time, none blocking another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.clock import from_iso
from signalbox.errors import NotBegunError, RefusedError, ThrottledError, UnavailableError
from signalbox.ledger.actions import (
    FINAL,
    LEASE_SECONDS,
    LONGEST_BACKOFF_SECONDS,
    Action,
    Deviation,
    Performer,
    Progress,
    Result,
    Worker,
)
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Plan
from tests.unit.spot.doubles import NOON, PLAN, MovableClock, action, instance_id, window

UNTIL = NOON + 110
DONE = Result(status="succeeded", reference="r-1")


class Script:
    """A performer that does what it was told, call by call, and then succeeds."""

    def __init__(self, clock: MovableClock, *steps: Exception | Callable[[], Result]) -> None:
        self._clock = clock
        self._steps = list(steps)
        self.seen: list[tuple[str, float, int]] = []

    def perform(self, action: Action) -> Result:
        self.seen.append((action.id, self._clock.now, action.attempts))
        step = self._steps.pop(0) if self._steps else lambda: DONE
        if isinstance(step, Exception):
            raise step
        return step()


class Shop:
    """A ledger with a plan, and workers for it."""

    def __init__(self, *actions: Action) -> None:
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.failures: list[tuple[str, str, Exception | None]] = []
        self.pauses: list[float] = []
        self.ledger.commit_plan(window(), Plan(id=PLAN, planned_at=NOON, summary={}), actions)

    def work(self, performers: dict[str, Performer], owner: str = "one", until: float = UNTIL) -> Progress:
        worker = Worker(self.ledger, performers, self.clock, self.sleep, self.note)
        return worker.work(window(), PLAN, owner, until)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.sleep(seconds)

    def note(self, action: Action, reason: str, error: Exception | None) -> None:
        self.failures.append((action.id, reason, error))

    def all(self) -> dict[str, Action]:
        return {each.id: each for each in self.ledger.actions(window(), PLAN)}

    def only(self) -> Action:
        [found] = self.all().values()
        return found


def test_what_is_due_is_done_and_accounted_for() -> None:
    shop = Shop(action())
    script = Script(shop.clock)
    assert shop.work({"detach": script}) == Progress(succeeded=1)
    found = shop.only()
    assert (found.status, found.reference, found.attempts, found.finished_at) == ("succeeded", "r-1", 1, NOON)
    assert script.seen == [(found.id, NOON, 1)]


def test_working_again_does_nothing_and_reports_the_same() -> None:
    shop = Shop(action(), action(number=1))
    script = Script(shop.clock, RefusedError("no"))
    first = shop.work({"detach": script})
    assert first == Progress(succeeded=1, failed=1) == shop.work({"detach": script})
    assert len(script.seen) == 2


def test_a_pool_works_side_by_side_and_one_failure_is_its_own() -> None:
    shop = Shop(*(action(number=n) for n in range(3)))
    together = Barrier(3)

    class Together:
        def perform(self, action: Action) -> Result:
            together.wait(timeout=10)  # one after the other would never get past it
            if action.id.endswith("#00001"):
                raise RefusedError("no")
            return DONE

    with ThreadPoolExecutor(3) as pool:
        worker = Worker(shop.ledger, {"detach": Together()}, shop.clock, shop.sleep, shop.note, pool.map)
        assert worker.work(window(), PLAN, "one", UNTIL) == Progress(succeeded=2, failed=1)
    assert [id_ for id_, _, _ in shop.failures] == [f"{PLAN}#detach#00001"]


def test_kinds_are_worked_through_in_the_performers_order_and_others_left() -> None:
    shop = Shop(action("alert"), action("event"), action("detach"))
    script = Script(shop.clock)
    assert shop.work({"event": script, "alert": script}).succeeded == 2
    assert [id_.split("#")[1] for id_, _, _ in script.seen] == ["event", "alert"]
    assert shop.all()[f"{PLAN}#detach#00000"].status == "pending"


@pytest.mark.parametrize("error", [RefusedError("no"), ValueError("a bug"), ThrottledError("slow")])
def test_an_action_that_fails_blocks_no_other(error: Exception) -> None:
    shop = Shop(*(action(number=n, deadline=NOON + 3) for n in range(3)))

    class FirstFails:
        def perform(self, action: Action) -> Result:
            if action.id.endswith("#00000"):
                raise error
            return DONE

    assert shop.work({"detach": FirstFails()}) == Progress(succeeded=2, failed=1)
    failed = shop.all()[f"{PLAN}#detach#00000"]
    assert shop.failures == [(failed.id, failed.reason, error)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefusedError("not in service"), "refused: not in service"),
        (KeyError("tags"), "KeyError: 'tags'"),
    ],
)
def test_a_failure_is_not_tried_again_and_says_why(error: Exception, reason: str) -> None:
    shop = Shop(action())
    script = Script(shop.clock, error)
    assert shop.work({"detach": script}).failed == 1
    assert (shop.only().status, shop.only().reason, len(script.seen)) == ("failed", reason, 1)


def test_a_failed_result_is_told_as_well() -> None:
    shop = Shop(action())
    deviations = {instance_id(0): Deviation("failed", "why")}
    result = Result(status="failed", reason="nobody took it", deviations=deviations)
    shop.work({"detach": Script(shop.clock, lambda: result)})
    assert shop.failures == [(shop.only().id, "nobody took it", None)]
    assert shop.only().outcome_of(instance_id(0)) == ("failed", "why")
    assert shop.only().outcome_of(instance_id(1)) == ("failed", "nobody took it")


def test_a_skipped_result_is_no_failure() -> None:
    shop = Shop(action())
    result = Result(status="skipped", reason="gone")
    assert shop.work({"detach": Script(shop.clock, lambda: result)}) == Progress(skipped=1)
    assert (shop.failures, shop.only().reason) == ([], "gone")


def test_what_is_transient_is_tried_again_and_the_performer_is_told() -> None:
    shop = Shop(action())
    script = Script(shop.clock, ThrottledError("slow"), UnavailableError("no answer"))
    assert shop.work({"detach": script}) == Progress(succeeded=1)
    assert [attempts for _, _, attempts in script.seen] == [1, 2, 3]
    assert (shop.only().status, shop.failures) == ("succeeded", [])


def test_what_had_no_effect_is_no_try_to_look_after() -> None:
    shop = Shop(action())
    script = Script(shop.clock, NotBegunError("slow"), UnavailableError("no answer"), NotBegunError("slow"))
    assert shop.work({"detach": script}) == Progress(succeeded=1)
    assert [attempts for _, _, attempts in script.seen] == [1, 1, 2, 2]


@given(st.integers(0, 200), st.integers(5, 150))
def test_tries_end_in_time_with_pauses_that_grow_to_a_limit(deadline_in: int, until_in: int) -> None:
    shop = Shop(action(deadline=NOON + deadline_in))
    script = Script(shop.clock, *[ThrottledError("slow")] * 10_000)
    assert shop.work({"detach": script}, until=NOON + until_in).failed == 1
    end = NOON + (min(deadline_in, until_in) if deadline_in else until_in)
    assert shop.only().finished_at < end
    assert shop.only().reason == "throttled: slow"
    assert shop.clock.now + LONGEST_BACKOFF_SECONDS >= end  # it did not give up early
    assert all(0 <= pause <= min(0.25 * 2**n, LONGEST_BACKOFF_SECONDS) for n, pause in enumerate(shop.pauses))


def test_the_pauses_are_jittered() -> None:
    shop = Shop(action())
    shop.work({"detach": Script(shop.clock, *[ThrottledError("slow")] * 8)})
    ceilings = [min(0.25 * 2**n, LONGEST_BACKOFF_SECONDS) for n in range(8)]
    assert len(shop.pauses) == 8
    assert len({pause / ceiling for pause, ceiling in zip(shop.pauses, ceilings, strict=True)}) > 4


def test_past_its_deadline_an_action_still_has_the_workers_time() -> None:
    shop = Shop(action(deadline=NOON - 60))
    script = Script(shop.clock, ThrottledError("slow"))
    assert shop.work({"detach": script}).succeeded == 1


def test_an_action_is_left_until_it_is_due() -> None:
    shop = Shop(action("command", due_at=NOON + 90), action("command", 1, due_at=NOON + 60))
    script = Script(shop.clock)
    first = shop.work({"command": script})
    assert (first.succeeded, first.unfinished, script.seen) == (0, False, [])
    assert first.next_due is not None
    assert from_iso(first.next_due) == NOON + 60
    shop.clock.now = NOON + 60
    assert shop.work({"command": script}, until=UNTIL + 60).succeeded == 1
    shop.clock.now = NOON + 90
    assert shop.work({"command": script}, until=UNTIL + 90) == Progress(succeeded=2)
    assert [at for _, at, _ in script.seen] == [NOON + 60, NOON + 90]


def test_a_worker_whose_time_is_up_hands_back() -> None:
    shop = Shop(action(), action(number=1))

    def slow() -> Result:
        shop.clock.now = UNTIL
        return DONE

    assert shop.work({"detach": Script(shop.clock, slow)}) == Progress(succeeded=1, unfinished=True)
    assert shop.work({"detach": Script(shop.clock)}, until=UNTIL + 110) == Progress(succeeded=2)


def test_a_claim_of_another_owner_is_respected_for_its_lease() -> None:
    shop = Shop(action())
    shop.ledger.claim(window(), shop.only().id, "two", NOON, LEASE_SECONDS)
    script = Script(shop.clock)
    progress = shop.work({"detach": script})
    assert (progress.succeeded, progress.unfinished, script.seen) == (0, False, [])
    assert progress.next_due is not None
    assert from_iso(progress.next_due) == NOON + LEASE_SECONDS
    shop.clock.now = NOON + LEASE_SECONDS
    assert shop.work({"detach": script}, until=UNTIL + 90) == Progress(succeeded=1)
    assert [attempts for _, _, attempts in script.seen] == [2]


def test_a_claim_whose_answer_was_lost_is_its_owners_all_the_same() -> None:
    shop = Shop(action())
    shop.ledger.claim(window(), shop.only().id, "one", NOON, LEASE_SECONDS)
    script = Script(shop.clock)
    assert shop.work({"detach": script}) == Progress(succeeded=1)
    assert [attempts for _, _, attempts in script.seen] == [2]


def test_who_tries_for_long_keeps_its_claim() -> None:
    """Longer than the lease, and nobody else gets a turn meanwhile."""
    shop = Shop(action(deadline=NOON + 100))
    others: list[Action | None] = []

    def throttled() -> Result:
        others.append(shop.ledger.claim(window(), shop.only().id, "two", shop.clock.now, LEASE_SECONDS))
        raise ThrottledError("slow")

    script = Script(shop.clock, *[throttled] * 60)
    progress = shop.work({"detach": script})
    assert (progress.failed, others) == (1, [None] * len(others))
    assert shop.clock.now > NOON + LEASE_SECONDS
    assert [attempts for _, _, attempts in script.seen] == list(range(1, len(script.seen) + 1))


def test_who_finds_its_claim_lost_before_another_try_stops() -> None:
    shop = Shop(action())

    def overtaken() -> Result:
        shop.clock.now += LEASE_SECONDS + 1
        shop.ledger.claim(window(), shop.only().id, "two", shop.clock.now, LEASE_SECONDS)
        raise UnavailableError("lost")

    script = Script(shop.clock, overtaken)
    progress = shop.work({"detach": script})
    assert (len(script.seen), progress.failed, shop.failures) == (1, 0, [])
    assert progress.next_due is not None
    assert (shop.only().status, shop.only().owner) == ("running", "two")


def test_who_lost_the_claim_cant_finish() -> None:
    shop = Shop(action())

    def overtaken() -> Result:
        shop.clock.now += LEASE_SECONDS + 1
        shop.work({"detach": Script(shop.clock)}, owner="two", until=shop.clock.now + 60)
        return Result(status="failed", reason="too slow")

    shop.work({"detach": Script(shop.clock, overtaken)})
    found = shop.only()
    assert (found.status, found.owner, found.reason) == ("succeeded", "two", "")


def test_who_lost_the_claim_cant_finish_while_the_other_is_at_it() -> None:
    shop = Shop(action())
    id_ = shop.only().id
    shop.ledger.claim(window(), id_, "one", NOON, LEASE_SECONDS)
    shop.ledger.claim(window(), id_, "two", NOON + LEASE_SECONDS, LEASE_SECONDS)
    assert not shop.ledger.finish(window(), id_, "one", DONE, NOON + 91)
    assert (shop.only().status, shop.only().owner) == ("running", "two")


def test_finishing_twice_keeps_the_first_result() -> None:
    shop = Shop(action())
    id_ = shop.only().id
    shop.ledger.claim(window(), id_, "one", NOON, LEASE_SECONDS)
    assert shop.ledger.finish(window(), id_, "one", DONE, NOON + 1)
    assert not shop.ledger.finish(window(), id_, "one", Result(status="failed"), NOON + 2)
    assert (shop.only().status, shop.only().finished_at) == ("succeeded", NOON + 1)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_what_is_final_is_claimed_by_nobody(status: Any) -> None:
    shop = Shop(action(status=status))
    assert shop.ledger.claim(window(), shop.only().id, "one", NOON, LEASE_SECONDS) is None
