"""What a minute of the sweeper costs, in calls to DynamoDB, Step Functions, EC2 and Auto Scaling."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from signalbox.ledger.actions import Action, Worker
from signalbox.ledger.deferrals import due
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.records import Plan, Record
from signalbox.ledger.sweeping import RECOVERIES, SweepWindows
from signalbox.ledger.windows import Window, WindowKey
from signalbox.spot.announcing import Announcer
from signalbox.spot.aws_estate import AwsSurvivors
from signalbox.spot.episodes import episode_key
from signalbox.spot.late_look import Found, LookLate, late_look
from signalbox.spot.performers import PublishAlert, PutEvent
from tests.adapters.tables import create_ledger_table
from tests.unit.spot.doubles import (
    ACCOUNT,
    NOON,
    PLAN,
    REGION,
    FakeExecutions,
    MovableClock,
    action,
    episode,
    instance_id,
    window,
)

KEY = WindowKey("spot", ACCOUNT, REGION)
OPEN_SECONDS = 2.0
LATER = 3_600.0


class Silent:
    """The topic and the bus."""

    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str:
        return "m-1"

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        return "e-1"


class Minute:
    """The sweeper over DynamoDB and the estate, each call counted."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.clock = MovableClock(NOON)
        self.executions = FakeExecutions()
        dynamodb = self.client("dynamodb")
        create_ledger_table(dynamodb, "ledger")
        self.ledger = DynamoLedger(dynamodb, "ledger", self.clock)
        worker = Worker(
            self.ledger,
            {"alert": PublishAlert(Silent()), "event": PutEvent(Silent())},
            self.clock,
            self.clock.sleep,
            lambda _action, _reason, _error: None,
        )
        self._announcer = Announcer(self.ledger, worker, self.clock, lambda: "owner")
        self._survivors = AwsSurvivors(self)
        self.calls.clear()

    def client(self, service: str, *, attempts: int = 1) -> Any:
        made = boto3.client(  # type: ignore[call-overload]  # any service
            service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )
        made.meta.events.register("before-call.*.*", lambda model, **_: self.calls.update([model.name]))
        return made

    def windows(self, number: int, *, settled: bool) -> None:
        for _ in range(number):
            pointer = self.ledger.pointer(KEY)
            self.ledger.open_next(KEY, pointer, NOON)
            opened = window((pointer.number if pointer else 0) + 1)
            decisions = tuple({"reasons": ["r" * 500]} for _ in range(600))  # two items
            self.ledger.commit_plan(
                opened, Plan(id=PLAN, planned_at=NOON, summary={}, decisions=decisions), []
            )
            if settled:
                self.ledger.settle_plan(opened, {"outcomes": {}, "alerts": 0})

    def sweep(self) -> list[Found]:
        """One run, as the handler does it; the calls are counted from here."""
        self.calls.clear()
        deferrals = due(self.ledger, "spot", self.clock())
        sweeper = SweepWindows(
            self.ledger,
            self.executions,
            self._announcer.given_up,
            self.clock,
            open_seconds=OPEN_SECONDS,
        )
        sweeper.sweep("spot")
        late = LookLate(self.ledger, lambda _window: self._survivors, self._announcer, self.clock, self._fail)
        return late.look(deferrals)

    def _fail(self, key: WindowKey, error: Exception) -> None:
        raise error


@pytest.fixture
def minute() -> Iterator[Minute]:
    with mock_aws():
        yield Minute()


IDLE = {"Query": 2}
"""What is due; the newest windows."""


def test_an_idle_minute_reads_two_short_queries(minute: Minute) -> None:
    minute.windows(40, settled=True)
    minute.clock.now = NOON + LATER
    minute.sweep()
    assert minute.calls == {**IDLE, "BatchGetItem": 1, "UpdateItem": 1}  # they were finished since the last
    minute.sweep()
    assert minute.calls == IDLE


def test_a_busy_minute_reads_no_decisions(minute: Minute) -> None:
    minute.windows(30, settled=True)
    minute.windows(30, settled=False)
    for number in range(31, 61):
        minute.executions.states[window(number).execution_name] = "running"
    minute.clock.now = NOON + LATER
    minute.sweep()
    assert minute.calls == {**IDLE, "BatchGetItem": 2, "UpdateItem": 1}
    minute.sweep()
    assert minute.calls == {**IDLE, "BatchGetItem": 1}


def test_a_window_that_is_given_up_costs_that_minute_only(minute: Minute) -> None:
    minute.windows(1, settled=False)
    for suffix in RECOVERIES:
        minute.executions.states[window(1).execution_name + suffix] = "failed"
    minute.clock.now = NOON + LATER
    minute.sweep()
    # The alert is added, found, claimed and ended; the window marked; the pointer moved on.
    told = Counter({"PutItem": 2, "Query": 2, "UpdateItem": 3, "BatchGetItem": 1})
    assert minute.calls == told + Counter(IDLE)
    minute.sweep()
    assert minute.calls == IDLE


class Detached:
    """Instances that a window has detached."""

    def __init__(self, minute: Minute, ids: list[str]) -> None:
        self._minute = minute
        self.ids = ids

    @classmethod
    def run(cls, minute: Minute, count: int) -> "Detached":
        """Instances that EC2 knows, and that run."""
        ec2 = minute.client("ec2")
        image = ec2.describe_images(Owners=["amazon"], MaxResults=5)["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=count, MaxCount=count)
        return cls(minute, [each["InstanceId"] for each in made["Instances"]])

    def settle(self, *, closed: bool) -> None:
        actions = [self._detached(start) for start in range(0, len(self.ids), 20)]
        window_ = Window("spot", ACCOUNT, REGION, 1)
        self._minute.ledger.commit_plan(window_, Plan(id=PLAN, planned_at=NOON, summary={}), actions)
        look = late_look(window_, PLAN, actions, 900.0)
        assert look is not None
        self._minute.ledger.defer(look)
        ended = {"terminated": NOON + 121} if closed else {}
        known = [
            Record(
                episode_key(ACCOUNT, REGION, id_),
                msgspec.to_builtins(
                    msgspec.structs.replace(episode(planned={"detach": 1}, ended=ended), instance=id_)
                ),
            )
            for id_ in self.ids
        ]
        assert not self._minute.ledger.put_records(known)
        self._minute.clock.now = NOON + LATER

    def _detached(self, start: int) -> Action:
        done = action("detach", start, status="succeeded", finished_at=NOON + 4)
        return msgspec.structs.replace(done, subjects=tuple(self.ids[start : start + 20]))


def test_a_late_look_costs_what_no_event_has_closed(minute: Minute) -> None:
    Detached(minute, [instance_id(number) for number in range(420)]).settle(closed=True)
    assert minute.sweep() == []
    # Its actions, three kinds; its episodes, a hundred a call.
    assert minute.calls == {"Query": 2 + 3, "BatchGetItem": 5, "DeleteItem": 1}


def test_a_late_look_at_a_storm_nobody_was_taken_in(minute: Minute) -> None:
    detached = Detached.run(minute, 205)
    minute.client("ec2").stop_instances(InstanceIds=detached.ids[:5])
    detached.settle(closed=False)
    [found] = minute.sweep()
    assert {survivor.instance for survivor in found.survivors} == set(detached.ids[5:])
    assert minute.calls["DescribeInstances"] == 2  # 199 ids a call
    assert minute.calls["DescribeAutoScalingInstances"] == 4  # 50 ids a call
    assert minute.sweep() == []
    assert minute.calls == IDLE


def test_what_was_attached_again_is_not_told(minute: Minute) -> None:
    detached = Detached.run(minute, 2)
    auto_scaling = minute.client("autoscaling")
    auto_scaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=3,
        InstanceId=detached.ids[0],
        DesiredCapacity=0,
        AvailabilityZones=[f"{REGION}a"],
    )
    auto_scaling.attach_instances(AutoScalingGroupName="web", InstanceIds=[detached.ids[1]])
    detached.settle(closed=False)
    [found] = minute.sweep()
    assert [survivor.instance for survivor in found.survivors] == [detached.ids[0]]


def test_an_id_that_ec2_does_not_know_is_no_obstacle(minute: Minute) -> None:
    detached = Detached.run(minute, 2)
    minute.client("ec2").terminate_instances(InstanceIds=[detached.ids[0]])
    asked = [*detached.ids, instance_id(99)]
    assert AwsSurvivors(minute).running(asked) == {detached.ids[1]}
