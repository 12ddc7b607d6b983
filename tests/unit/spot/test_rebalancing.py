"""What holds back acting on rebalance recommendations."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.spot.estate import Snapshot
from signalbox.spot.notices import Severity
from signalbox.spot.planning import Decision
from signalbox.spot.rebalancing import LastRebalance, Limits, groups_to_rebalance, limit_rebalances
from tests.unit.spot.doubles import NOON, decision, fleet, instance_id

LIMITS = Limits(cooldown=600, maximum_share=20, minimum_age=300)


def at_risk(number: int, **changes: Any) -> Decision:
    return decision(number, **{"severity": Severity.REBALANCE, **changes})


def snapshot(size: int, age: float = 3_600.0) -> Snapshot:
    found = fleet("web", range(size)).snapshot([instance_id(number) for number in range(size)])
    instances = {
        key: msgspec.structs.replace(instance, launched_at=NOON - age)
        for key, instance in found.instances.items()
    }
    return Snapshot(instances, found.groups)


def limited(
    decisions: list[Decision], estate: Snapshot, last: LastRebalance | None = None, window: int = 5
) -> list[Decision]:
    known = {"web": last} if last else {}
    return limit_rebalances(decisions, estate, known, LIMITS, window, NOON)


def acting(decisions: list[Decision]) -> list[str]:
    return [d.instance for d in decisions if d.mode == "act"]


@pytest.mark.parametrize(("size", "most"), [(1, 1), (4, 1), (9, 1), (10, 2), (50, 10)])
def test_a_share_of_the_group_at_a_time_and_one_at_least(size: int, most: int) -> None:
    found = limited([at_risk(number) for number in range(size)], snapshot(size))
    assert len(acting(found)) == most
    assert {d.reasons[-1].code for d in found if d.mode == "observe"} <= {"rebalance-share"}


def test_those_that_were_recommended_first_go_first() -> None:
    found = limited([at_risk(n, noticed_at=NOON - n) for n in range(5)], snapshot(5))
    assert acting(found) == [instance_id(4)]


@pytest.mark.parametrize(("ago", "window", "acts"), [(599, 4, 0), (601, 4, 1), (1, 5, 1)])
def test_the_cooldown_is_of_other_windows(ago: float, window: int, acts: int) -> None:
    found = limited([at_risk(0)], snapshot(3), LastRebalance(at=NOON - ago, window=window))
    assert len(acting(found)) == acts
    assert acts or found[0].reasons[-1].code == "rebalance-cooldown"


def test_a_young_instance_stays() -> None:
    [found] = limited([at_risk(0)], snapshot(3, age=299))
    assert (found.mode, found.reasons[-1].code) == ("observe", "rebalance-too-young")


def test_interruptions_are_held_back_by_nothing() -> None:
    decisions = [decision(number) for number in range(5)]
    assert groups_to_rebalance(decisions) == set()
    recent = LastRebalance(at=NOON, window=4)
    assert limited(decisions, snapshot(5, age=0), recent) == decisions


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(("act", "observe", "ignore"))), max_size=40))
def test_order_stays_and_nothing_is_added(drawn: list[tuple[bool, Any]]) -> None:
    severities = {True: Severity.REBALANCE, False: Severity.INTERRUPTION}
    decisions = [decision(n, severity=severities[risk], mode=m) for n, (risk, m) in enumerate(drawn)]
    found = limited(decisions, snapshot(40))
    assert [d.instance for d in found] == [d.instance for d in decisions]
    assert set(acting(found)) <= set(acting(decisions))
    held = [before for before, after in zip(decisions, found, strict=True) if before != after]
    assert all(d.severity is Severity.REBALANCE for d in held)
