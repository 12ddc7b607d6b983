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
    FOUND_RUNNING_EVENT,
    LISTED_INSTANCES,
    LISTED_VALUES,
    SETTLED_EVENT,
    Settlement,
    Survivor,
    notice_alerts,
    running_messages,
    settlement_messages,
)
from signalbox.spot.configuration import INVALID, Reason
from signalbox.spot.notices import Severity
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
        "seconds_to": {"detach": 3.2},
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


@pytest.mark.parametrize(
    ("severities", "called"),
    [
        ([Severity.REBALANCE], "rebalance recommendation"),
        ([Severity.SCHEDULED], "scheduled change"),
        ([Severity.LIFECYCLE], "lifecycle hook"),
        ([Severity.REBALANCE, Severity.INTERRUPTION, Severity.SCHEDULED], "interruption notice"),
    ],
)
def test_a_notice_is_called_after_the_gravest(severities: list[Severity], called: str) -> None:
    found = [decision(number, severity=severity) for number, severity in enumerate(severities)]
    [alert] = notice_alerts(PLAN, window(7), found)
    assert alert.payload["subject"].startswith(f"[Signalbox] Spot: {called} for ")


def test_what_would_be_done_is_told_as_such() -> None:
    [alert] = notice_alerts(PLAN, window(), [decision(mode="observe"), decision(1, mode="observe", kinds=())])
    first, second = lines(alert)
    assert "would detach" in first
    assert "nothing to do" in second
    assert "2 instances" in alert.payload["subject"]


@pytest.mark.parametrize("code", sorted(INVALID))
def test_what_is_configured_wrongly_is_told_once_above_the_instances(code: str) -> None:
    reasons = (Reason("mode-by-tag", "fine"), Reason(code, "no such word"))
    [alert] = notice_alerts(PLAN, window(), [decision(n, reasons=reasons) for n in range(60)])
    told = [line for line in alert.payload["message"].splitlines() if line.startswith("!")]
    assert told == [f"! no such word ({decision(0).instance} and 59 more)"]
    assert "1 configured value makes no sense:" in alert.payload["message"]


def test_many_values_that_make_no_sense_are_cut_and_it_says_so() -> None:
    found = [decision(n, reasons=(Reason("cluster-invalid", f"value {n}"),)) for n in range(25)]
    [alert] = notice_alerts(PLAN, window(), found)
    told = [line for line in alert.payload["message"].splitlines() if line.startswith("!")]
    assert (len(told), told[-1]) == (LISTED_VALUES + 1, "! and 5 more, see the ledger")
    assert "25 configured values make no sense:" in alert.payload["message"]


def test_where_all_makes_sense_nothing_is_said_of_it() -> None:
    [alert] = notice_alerts(PLAN, window(), [decision()])
    assert "make" not in alert.payload["message"]


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
                "seconds_to": {"detach": 3.2},
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


def survivor(number: int = 0, **changes: Any) -> Survivor:
    fields: dict[str, Any] = {
        "instance": instance_id(number),
        "group": "web",
        "left_by": "detach",
        "left_at": NOON + 4,
        "deadline": NOON + 120,
    }
    return Survivor(**fields | changes)


def test_what_runs_on_is_told_by_group_with_since_when_and_what_to_do() -> None:
    found = [survivor(0), survivor(1, left_by="complete"), survivor(2, group="api")]
    told = running_messages(PLAN, window(7), found, NOON + 1_020)
    alerts = {a.group: a for a in told if a.kind == "alert"}
    assert sorted(alerts) == ["api", "web"]
    text = alerts["web"].payload["message"]
    since = "at 2026-05-28T20:26:44Z; EC2 was to take it by 2026-05-28T20:28:40Z"
    assert lines(alerts["web"]) == [
        f"- {instance_id(0)}: detached {since}",
        f"- {instance_id(1)}: let go by its hook {since}",
    ]
    assert f"terminate-instances --region {REGION} --instance-ids {instance_id(0)} {instance_id(1)}" in text
    assert "--auto-scaling-group-name web" in text
    assert alerts["web"].payload["attributes"]["outcome"] == "running"
    assert [e.payload["detail_type"] for e in told if e.kind == "event"] == [FOUND_RUNNING_EVENT] * 2


def test_a_group_is_told_of_under_the_same_name_whoever_else_is() -> None:
    """A look that comes again after a crash finds its messages there, though a group may be missing."""
    both = running_messages(PLAN, window(7), [survivor(0), survivor(1, group="api")], NOON)
    one = running_messages(PLAN, window(7), [survivor(0)], NOON + 60)
    assert {message.id for message in one} < {message.id for message in both}


def test_many_that_run_on_fit_into_one_alert() -> None:
    found = [survivor(number) for number in range(5_000)]
    told = running_messages(PLAN, window(7), found, NOON)
    [alert] = [a for a in told if a.kind == "alert"]
    assert len(json.dumps(alert.payload)) < PUT_EVENTS_BYTES
    assert "and 4950 more" in alert.payload["message"]
    assert len(told) == 1 + 5
