"""The project's property: no event falls between two windows, and none is acted on twice.

Intake and planning run as they are, several at a time, over a ledger whose every operation is a step that
the test orders; processes crash before or after any of them and come again.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from signalbox.errors import ConflictError
from signalbox.eventbridge import Scope
from signalbox.intake import Message
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.sweeping import SweepWindows
from signalbox.ledger.windows import ExecutionState, Window, WindowKey, Windows
from signalbox.spot.intake import AdmitEvents
from signalbox.spot.planning import Policy
from signalbox.spot.window import PlanWindow
from tests.adapters.tables import create_ledger_table
from tests.stepping import Fate, Scheduler, Stepped
from tests.unit.spot.doubles import (
    ACCOUNT,
    NOON,
    REGION,
    MovableClock,
    body,
    fleet,
    instance_id,
    warning,
)

INSTANCES = 3
OPEN_SECONDS = 2.0
MAXIMUM_AGE = 86_400.0  # so that the clock may jump as often as the test likes
KEY = WindowKey("spot", ACCOUNT, REGION)


class FakeExecutions:
    """Step Functions, as far as a window's execution goes: it plans the window, and is retried until it
    has."""

    def __init__(self) -> None:
        self.started: dict[str, Window] = {}
        self.on_start: Callable[[str, Window], None] = lambda _name, _window: None

    def start(self, window: Window, suffix: str = "") -> None:
        name = window.execution_name + suffix
        if name not in self.started:
            self.started[name] = window
            self.on_start(name, window)

    def state(self, window: Window, suffix: str = "") -> ExecutionState:
        return "running" if window.execution_name + suffix in self.started else "absent"


class System:
    """Intake, planning and the sweeper over one ledger."""

    def __init__(self, ledger: object) -> None:
        self.clock = MovableClock()
        self.executions = FakeExecutions()
        self.ledger: MemoryLedger = ledger  # type: ignore[assignment]  # stands for either kind
        self.estate = fleet("web", range(INSTANCES))
        self._plans = 0

    def intake(self) -> AdmitEvents:
        windows = Windows(self.ledger, self.executions, self.clock, open_seconds=OPEN_SECONDS)
        scope = Scope(frozenset({(ACCOUNT, REGION)}), MAXIMUM_AGE)
        return AdmitEvents(windows, self.ledger, scope, self.clock, scheduled_lead=3_600.0)

    def deliver(self, messages: list[Message]) -> None:
        """As SQS does: what is returned comes again."""
        while messages:
            returned = set(self.intake().admit(messages).returned)
            messages = [message for message in messages if message.id in returned]

    def plan(self, window: Window) -> None:
        while True:
            try:
                PlanWindow(self.ledger, self.estate, Policy(), self.clock, self._new_id).plan(window)
            except ConflictError:
                continue  # the state machine tries again
            return

    def sweep(self) -> None:
        self.clock.now += 120
        sweeper = SweepWindows(
            self.ledger, self.executions, lambda _window: True, self.clock, open_seconds=OPEN_SECONDS
        )
        while sweeper.sweep("spot").restarted:
            pass

    def _new_id(self) -> str:
        self._plans += 1
        return f"plan{self._plans}"

    def planned(self) -> Counter[tuple[str, str]]:
        """How often each (kind, instance) stands in a committed plan."""
        counts: Counter[tuple[str, str]] = Counter()
        pointer = self.ledger.pointer(KEY)
        for number in range(1, (pointer.number if pointer else 0) + 1):
            window = Window(KEY.domain, KEY.account, KEY.region, number)
            plan = self.ledger.plan(window)
            for action in self.ledger.actions(window, plan.id) if plan else ():
                counts.update((action.kind, subject) for subject in action.subjects)
        return counts


type Deliveries = list[list[dict[str, Any]]]

events = st.builds(
    lambda number, age, copy: warning(instance_id(number), at=NOON - age, event_id=f"{number}-{age}-{copy}"),
    st.integers(0, INSTANCES - 1),
    st.sampled_from((0, 5)),
    st.integers(0, 1),
)
batches = st.lists(st.lists(events, min_size=1, max_size=4), min_size=1, max_size=4)


def run(system: System, data: st.DataObject, deliveries: Deliveries, crashes: int, planners: int) -> None:
    def fate() -> Fate:
        nonlocal crashes
        if crashes == 0:
            return "go"
        drawn: Fate = data.draw(st.sampled_from(("go", "go", "go", "go", "crash-before", "crash-after")))
        crashes -= drawn != "go"
        return drawn

    def choose(among: int) -> int:
        if data.draw(st.integers(0, 19)) == 19:
            system.clock.now += OPEN_SECONDS + 31  # a window without an execution is overdue
        return data.draw(st.integers(0, among - 1))

    scheduler = Scheduler(choose, fate)

    def execute(name: str, window: Window) -> None:
        for attempt in range(planners):  # the first may live on when it is tried again
            scheduler.add(f"{name}-{attempt}", lambda: system.plan(window))

    system.executions.on_start = execute
    for number, batch in enumerate(deliveries):
        messages = [Message(f"m{number}-{i}", body(event)) for i, event in enumerate(batch)]
        scheduler.add(f"intake-{number}", lambda messages=messages: system.deliver(messages))  # type: ignore[misc]  # binds now
    scheduler.run()
    system.executions.on_start = lambda _name, window: system.plan(window)
    system.sweep()


def check(system: System, deliveries: Deliveries) -> None:
    warned = {event["detail"]["instance-id"] for batch in deliveries for event in batch}
    expected = Counter((kind, i) for kind in ("detach", "deregister", "command") for i in warned)
    assert system.planned() == expected


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), deliveries=batches, crashes=st.integers(0, 4), planners=st.integers(1, 2))
def test_in_memory(data: st.DataObject, deliveries: Deliveries, crashes: int, planners: int) -> None:
    system = System(Stepped(MemoryLedger()))
    run(system, data, deliveries, crashes, planners)
    check(system, deliveries)


DYNAMODB_CALLS = frozenset(
    {
        "get_item",
        "put_item",
        "update_item",
        "query",
        "batch_get_item",
        "batch_write_item",
        "transact_write_items",
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), deliveries=batches, crashes=st.integers(0, 4), planners=st.integers(1, 2))
def test_on_dynamodb(data: st.DataObject, deliveries: Deliveries, crashes: int, planners: int) -> None:
    """Every DynamoDB call is a step: a crash may come between any two of them."""
    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )
        create_ledger_table(client, "ledger")
        clock = MovableClock()
        system = System(DynamoLedger(Stepped(client, DYNAMODB_CALLS), "ledger", clock))  # type: ignore[arg-type]  # wraps one
        run(system, data, deliveries, crashes, planners)
        check(system, deliveries)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
