"""Telling what no window's own execution tells."""

from typing import Any

from signalbox.errors import RefusedError
from signalbox.ledger.actions import LEASE_SECONDS, Worker
from signalbox.ledger.memory import MemoryLedger
from signalbox.spot.alerts import given_up_alert
from signalbox.spot.announcing import SWEEP_PLAN, Announcer
from signalbox.spot.performers import PublishAlert
from tests.unit.spot.doubles import MovableClock, window


class Topic:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.published: list[dict[str, Any]] = []

    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str:
        if self.errors:
            raise self.errors.pop(0)
        self.published.append({"subject": subject, "message": message, **attributes})
        return "m-1"


class Announcing:
    def __init__(self, *errors: Exception) -> None:
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.topic = Topic(*errors)
        self.owner = "one"

    def given_up(self) -> bool:
        worker = Worker(
            self.ledger,
            {"alert": PublishAlert(self.topic)},
            self.clock,
            self.clock.sleep,
            lambda _action, _reason, _error: None,
        )
        return Announcer(self.ledger, worker, self.clock, lambda: self.owner).given_up(window(42))


def test_a_window_that_is_given_up_is_told_of_once_with_where_to_look() -> None:
    announcing = Announcing()
    assert announcing.given_up()
    assert announcing.given_up()
    [alert] = announcing.topic.published
    assert window(42).execution_name in alert["message"]
    assert (alert["stage"], alert["outcome"], alert["domain"]) == ("sweep", "given-up", "spot")
    assert len(alert["subject"]) < 100


def test_what_another_sweep_has_claimed_is_not_told_yet() -> None:
    other = Announcing()
    told = given_up_alert(SWEEP_PLAN, window(42), other.clock())
    other.ledger.add_actions(window(42), [told])
    assert other.ledger.claim(window(42), told.id, "two", other.clock(), LEASE_SECONDS)
    assert not other.given_up()
    other.clock.now += LEASE_SECONDS
    assert other.given_up()
    assert len(other.topic.published) == 1


def test_what_can_never_be_told_is_not_tried_for_ever() -> None:
    announcing = Announcing(RefusedError("no such topic"))
    assert announcing.given_up()
    assert announcing.topic.published == []
