"""Merging notices: a join, whatever the order."""

from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.spot.episodes import (
    NEW_INTERRUPTION_SECONDS,
    REBALANCE_SECONDS,
    Episode,
    end,
    episode_key,
    merge,
    withdraw,
)
from signalbox.spot.notices import End, Hook, Notice, Severity, Withdrawal
from tests.unit.spot.doubles import ACCOUNT, NOON, REGION, episode, instance_id, notice

# Of one interruption: all deadlines lie close together.
notices_of_one = st.lists(
    st.builds(
        lambda severity, at, ahead, number: notice(
            at=NOON + at,
            severity=severity,
            deadline=NOON + at + ahead,
            event_id=f"{severity}-{at}-{ahead}-{number}",
        ),
        st.sampled_from(Severity),
        st.integers(0, 300),
        st.sampled_from((0, 120, 300)),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)


def merged(notices: list[Notice], start: Episode | None = None) -> Episode:
    found = reduce(lambda known, each: merge(known, each, window=1), notices, start)
    assert found is not None
    return found


@given(notices_of_one, st.data())
def test_neither_order_nor_duplicates_matter(notices: list[Notice], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(notices), max_size=4))
    shuffled = data.draw(st.permutations(notices + again))
    one, other = merged(notices), merged(shuffled)
    assert (one.severity, one.deadline) == (other.severity, other.deadline)
    assert one.severity == max(each.severity for each in notices)
    assert one.deadline == min(each.deadline for each in notices if each.deadline is not None)


@given(notices_of_one, st.data())
def test_what_is_known_changes_nothing(notices: list[Notice], data: st.DataObject) -> None:
    known = merged(notices)
    again = data.draw(st.lists(st.sampled_from(notices), min_size=1))
    assert all(merge(known, each, window=2) is known for each in again)


def test_the_first_notice_opens_an_episode() -> None:
    assert merge(None, notice(3), window=7) == episode(3, window=7)


def test_a_graver_notice_raises_the_severity_and_brings_its_action() -> None:
    known = merge(None, notice(severity=Severity.REBALANCE, instance_action="", event_id="r"), window=1)
    after = merge(known, notice(at=NOON + 5, event_id="w", deadline=NOON + 500), window=2)
    assert (after.severity, after.instance_action) == (Severity.INTERRUPTION, "terminate")
    assert (after.deadline, after.opened_at) == (NOON + 120, NOON)
    assert (after.notices, after.window) == (("r", "w"), 2)


def test_a_lesser_notice_with_a_nearer_deadline_leaves_severity_and_action() -> None:
    after = merge(
        episode(),
        notice(event_id="x", severity=Severity.SCHEDULED, instance_action="stop", deadline=NOON + 60),
        window=2,
    )
    assert (after.severity, after.instance_action) == (Severity.INTERRUPTION, "terminate")
    assert (after.deadline, after.window) == (NOON + 60, 2)


def test_the_same_threat_again_under_another_id_is_an_echo() -> None:
    known = episode()
    assert merge(known, notice(event_id="another", at=NOON), window=2) is known
    assert merge(known, notice(event_id="later", at=NOON + 30), window=2) is known


def test_news_opens_a_settled_episode_again_and_keeps_what_was_planned() -> None:
    known = episode(status="settled", outcome="observed", planned={"detach": 1})
    after = merge(known, notice(event_id="x", deadline=NOON + 60), window=2)
    assert (after.status, after.outcome, after.planned) == ("open", "", {"detach": 1})


def test_once_decided_a_nearer_deadline_is_no_news() -> None:
    known = episode(mode="observe")
    assert merge(known, notice(event_id="x", deadline=NOON + 60), window=2) is known


def test_once_decided_something_graver_is_to_be_decided_again() -> None:
    known = episode(mode="act", severity=Severity.REBALANCE, planned={"detach": 1})
    after = merge(known, notice(event_id="x"), window=2)
    assert (after.mode, after.window, after.planned) == ("", 2, {"detach": 1})
    assert merge(msgspec.structs.replace(after, mode="act"), notice(event_id="y"), window=3).window == 2


def test_a_much_later_deadline_is_a_new_interruption() -> None:
    known = episode(planned={"detach": 1}, status="settled", outcome="handled", timings={"seconds_left": 9})
    later = notice(at=NOON + NEW_INTERRUPTION_SECONDS + 1)
    assert merge(known, later, window=5) == merge(None, later, window=5)


@pytest.mark.parametrize("seconds", [1, NEW_INTERRUPTION_SECONDS])
def test_a_deadline_not_much_later_is_the_same_interruption(seconds: float) -> None:
    known = episode()
    assert merge(known, notice(at=NOON + seconds), window=5) is known


def test_a_notice_of_an_earlier_interruption_does_not_reach_into_this_one() -> None:
    old, new = notice(at=NOON), notice(at=NOON + NEW_INTERRUPTION_SECONDS + 1)
    assert merged([old, new]) == merged([new, old]) == merged([new])


def test_the_key_tells_instances_accounts_and_regions_apart() -> None:
    keys = {
        episode_key(account, region, instance)
        for account in (ACCOUNT, "999999999999")
        for region in (REGION, "eu-west-1")
        for instance in (instance_id(1), instance_id(2))
    }
    assert len(keys) == 8


def ended(state: str = "terminated", at: float = NOON + 130) -> End:
    return End(event_id="end", account=ACCOUNT, region=REGION, instance=instance_id(0), state=state, at=at)


def withdrawal(cause: str = "health-1") -> Withdrawal:
    return Withdrawal(
        event_id="w", account=ACCOUNT, region=REGION, instance=instance_id(0), cause=cause, at=NOON
    )


class TestWithoutADeadline:
    def test_one_that_names_a_time_gives_it(self) -> None:
        rebalance = notice(severity=Severity.REBALANCE, deadline=None, event_id="r")
        warned = notice(at=NOON + 500, deadline=NOON + 620)
        for order in ((rebalance, warned), (warned, rebalance)):
            found = merged(list(order))
            assert (found.severity, found.deadline) == (Severity.INTERRUPTION, NOON + 620)

    @pytest.mark.parametrize(
        ("later", "new"), [(REBALANCE_SECONDS - 1, False), (REBALANCE_SECONDS + 1, True)]
    )
    def test_a_recommendation_long_after_the_last_is_a_new_one(self, later: float, *, new: bool) -> None:
        first = merged([notice(severity=Severity.REBALANCE, deadline=None)])
        again = notice(at=NOON + later, severity=Severity.REBALANCE, deadline=None)
        found = merge(first, again, window=2)
        assert (found is first, found.window) == (not new, 2 if new else 1)


class TestHooks:
    HOOK = Hook("web", "drain", "token-1")

    def test_a_hook_is_news_although_it_is_less_grave_and_all_is_decided(self) -> None:
        known = episode(0, mode="act", planned={"detach": 1})
        lifecycle = notice(0, severity=Severity.LIFECYCLE, deadline=None, event_id="l", hook=self.HOOK)
        found = merge(known, lifecycle, window=2)
        assert (found.hooks, found.window, found.severity) == ((self.HOOK,), 2, Severity.INTERRUPTION)
        assert found.planned == {"detach": 1}

    def test_the_same_hook_again_is_none(self) -> None:
        known = episode(0, hooks=(self.HOOK,))
        again = notice(0, severity=Severity.LIFECYCLE, deadline=None, event_id="l2", hook=self.HOOK)
        assert merge(known, again, window=2) is known


class TestEnds:
    def test_an_end_is_noted_with_its_time_after_the_notice(self) -> None:
        found = end(episode(0), ended())
        assert (found.ended, found.timings) == ({"terminated": NOON + 130}, {"terminated": 130.0})
        assert (found.window, found.status) == (episode(0).window, episode(0).status)

    def test_the_same_end_again_changes_nothing(self) -> None:
        found = end(episode(0), ended())
        assert end(found, ended(at=NOON + 200)) is found

    def test_an_end_before_the_episode_is_of_an_earlier_one(self) -> None:
        known = episode(0)
        assert end(known, ended(at=NOON - 1)) is known

    def test_what_comes_after_the_end_is_a_new_interruption(self) -> None:
        over = end(episode(0, mode="act"), ended("stopped"))
        assert merge(over, notice(0, at=NOON + 100, event_id="echo"), window=2) is over
        again = merge(over, notice(0, at=NOON + 200, event_id="again"), window=2)
        assert (again.window, again.mode, again.ended) == (2, "", {})


class TestWithdrawals:
    def scheduled(self, **changes: Any) -> Episode:
        return episode(0, severity=Severity.SCHEDULED, cause="health-1", **changes)

    def test_a_scheduled_change_is_withdrawn_by_its_own_cause(self) -> None:
        found = withdraw(self.scheduled(), withdrawal())
        assert (found.status, found.outcome) == ("withdrawn", "ignored")

    @pytest.mark.parametrize(
        "known",
        [
            episode(0, severity=Severity.SCHEDULED, cause="health-2"),
            episode(0, severity=Severity.INTERRUPTION, cause="health-1"),
            episode(0, severity=Severity.SCHEDULED, cause="health-1", status="settled"),
        ],
        ids=["another-cause", "graver", "settled"],
    )
    def test_anything_else_stands(self, known: Episode) -> None:
        assert withdraw(known, withdrawal()) is known
