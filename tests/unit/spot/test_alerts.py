"""What people and other programs are told."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalbox.ledger.actions import Action
from signalbox.spot.alerts import (
    ALERT_LIFETIME_SECONDS,
    EVENT_INSTANCES,
    EVENT_SOURCE,
    LISTED_INSTANCES,
    SETTLED_EVENT,
    Settlement,
    notice_alerts,
    settlement_messages,
)
from signalbox.spot.settlement import OUTCOMES
from tests.unit.spot.doubles import ACCOUNT, NOON, PLAN, REGION, decision, instance_id, window

PUT_EVENTS_BYTES = 256 * 1024  # one entry, EventBridge User Guide


def settlement(number: int = 0, **changes: Any) -> Settlement:
    fields: dict[str, Any] = {
        "instance": instance_id(number),
        "group": "web",
        "outcome": "handled",
        "reasons": ("because",),
        "steps": {"detach": "succeeded 3.2 s after the notice (confirmed)"},
        "noticed_at": NOON,
        "deadline": NOON + 120,
        "seconds_left": 27.5,
    }
    return Settlement(**fields | changes)


def messages(*settlements: Settlement) -> tuple[list[Action], list[Action]]:
    """The alerts and the events."""
    found = settlement_messages(PLAN, window(7), settlements, NOON + 130)
    return [a for a in found if a.kind == "alert"], [a for a in found if a.kind == "event"]


def lines(alert: Action) -> list[str]:
    """Those about an instance."""
    return [line for line in alert.payload["message"].splitlines() if line.startswith("- ")]


def test_a_notice_is_told_once_per_group_and_mode() -> None:
    alerts = notice_alerts(
        PLAN,
        window(7),
        [
            *(decision(n) for n in range(3)),
            decision(3, mode="observe"),
            decision(4, group="api"),
            decision(5, group="", mode="observe"),
            decision(6, mode="ignore"),
        ],
    )
    told = {
        (a.payload["attributes"]["group"], a.payload["attributes"]["outcome"]): len(lines(a)) for a in alerts
    }
    assert told == {("web", "act"): 3, ("web", "observe"): 1, ("api", "act"): 1, ("(none)", "observe"): 1}
    assert len({a.id for a in alerts}) == len(alerts)


def test_a_notice_says_what_will_be_done_and_why() -> None:
    [alert] = notice_alerts(PLAN, window(7), [decision(deadline=NOON + 90)])
    assert (
        alert.payload["subject"]
        == "[Signalbox] Spot: interruption notice for 1 instance of group web: acting"
    )
    [line] = lines(alert)
    assert "will detach, deregister, command" in line
    assert "signalbox:spot=act on the instance" in line
    assert f"Account {ACCOUNT}, Region {REGION}, window 7." in alert.payload["message"]
    assert alert.deadline == NOON + 90


def test_what_would_be_done_is_told_as_such() -> None:
    [alert] = notice_alerts(PLAN, window(), [decision(mode="observe"), decision(1, mode="observe", kinds=())])
    first, second = lines(alert)
    assert "would detach" in first
    assert "nothing to do" in second
    assert "2 instances" in alert.payload["subject"]


def test_an_outcome_is_told_once_per_group_as_alert_and_as_event() -> None:
    alerts, events = messages(
        settlement(0),
        settlement(1),
        settlement(2, outcome="failed"),
        settlement(3, group="api"),
        settlement(4, outcome="observed"),
        settlement(5, outcome="ignored"),
    )
    expected = {("web", "handled"): 2, ("web", "failed"): 1, ("api", "handled"): 1}
    assert {
        (a.payload["attributes"]["group"], a.payload["attributes"]["outcome"]): len(lines(a)) for a in alerts
    } == expected
    assert {
        (a.payload["detail"]["group"], a.payload["detail"]["outcome"]): len(a.payload["detail"]["instances"])
        for a in events
    } == expected | {("web", "observed"): 1}


@pytest.mark.parametrize("outcome", sorted(set(OUTCOMES) - {"observed", "ignored"}))
def test_each_outcome_of_acting_has_a_headline(outcome: str) -> None:
    [alert], _ = messages(settlement(outcome=outcome))
    assert alert.payload["attributes"] == {
        "domain": "spot",
        "stage": "settled",
        "outcome": outcome,
        "group": "web",
        "account": ACCOUNT,
        "region": REGION,
    }
    assert outcome in alert.payload["subject"]


def test_a_settlement_tells_its_steps_or_else_its_reasons() -> None:
    [alert], _ = messages(settlement(0), settlement(1, steps={}))
    first, second = lines(alert)
    assert "detach succeeded 3.2 s" in first
    assert second.endswith("because")


def test_the_domain_event_has_what_a_program_needs() -> None:
    _, [event] = messages(settlement(seconds_left=None))
    assert (event.payload["source"], event.payload["detail_type"]) == (EVENT_SOURCE, SETTLED_EVENT)
    assert json.loads(json.dumps(event.payload["detail"])) == {
        "version": 1,
        "account": ACCOUNT,
        "region": REGION,
        "window": 7,
        "group": "web",
        "outcome": "handled",
        "settled_at": "2026-05-28T20:28:50Z",
        "instances": [
            {
                "instance_id": instance_id(0),
                "noticed_at": "2026-05-28T20:26:40Z",
                "deadline": "2026-05-28T20:28:40Z",
                "seconds_left": None,
            }
        ],
    }
    assert event.deadline == NOON + 130 + ALERT_LIFETIME_SECONDS


def test_a_long_list_is_cut_and_says_so() -> None:
    [alert], _ = messages(*(settlement(n) for n in range(LISTED_INSTANCES + 7)))
    assert len(lines(alert)) == LISTED_INSTANCES
    assert alert.payload["message"].splitlines()[-1] == "and 7 more, see the ledger"
    assert f"{LISTED_INSTANCES + 7} instances" in alert.payload["subject"]
    [exact], _ = messages(*(settlement(n) for n in range(LISTED_INSTANCES)))
    assert "more" not in exact.payload["message"].splitlines()[-1]


def test_an_event_never_outgrows_the_bus() -> None:
    group = "g" * 255
    _, events = messages(*(settlement(n, group=group) for n in range(2 * EVENT_INSTANCES + 1)))
    told = [each["instance_id"] for event in events for each in event.payload["detail"]["instances"]]
    assert told == [instance_id(n) for n in range(2 * EVENT_INSTANCES + 1)]
    assert len({event.id for event in events}) == 3
    assert all(len(json.dumps(event.payload["detail"])) < PUT_EVENTS_BYTES for event in events)


@example("g" * 255, "observed", 1)
@example("grüppe", "failed", 1)
@given(
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=255),
    st.sampled_from(OUTCOMES),
    st.integers(1, 3),
)
def test_a_subject_is_one_that_sns_takes(group: str, outcome: str, count: int) -> None:
    alerts, _ = messages(*(settlement(n, group=group, outcome=outcome) for n in range(count)))
    alerts += notice_alerts(PLAN, window(), [decision(n, group=group) for n in range(count)])
    for alert in alerts:
        subject = alert.payload["subject"]
        assert 0 < len(subject) < 100
        assert subject.isascii()
        assert subject.isprintable()
        assert all(alert.payload["attributes"].values())  # SNS refuses an empty value


def test_the_same_settlements_are_told_under_the_same_ids() -> None:
    several = [settlement(n, group=group) for n, group in enumerate(("web", "api", "web"))]
    ids = [
        [a.id for a in settlement_messages(PLAN, window(), order, NOON)] for order in (several, several[::-1])
    ]
    assert sorted(ids[0]) == sorted(ids[1])
    assert not set(ids[0]) & {a.id for a in notice_alerts(PLAN, window(), [decision()])}
