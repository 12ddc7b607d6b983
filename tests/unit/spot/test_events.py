"""From the other events' envelopes to news."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from signalbox.errors import RejectedError
from signalbox.eventbridge import parse_envelope
from signalbox.spot.events import PARSERS, parse_event
from signalbox.spot.events.detail import INSTANCE_ACTIONS
from signalbox.spot.events.state_change import ENDING
from signalbox.spot.notices import End, Hook, News, Notice, Severity, Withdrawal
from tests.unit.spot.doubles import ACCOUNT, NOON, REGION, body, instance_id, warning

INSTANCE = instance_id(1)
EC2_KINDS = [kind for source, kind in PARSERS if source == "aws.ec2"]


def event(detail_type: str, detail: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return warning(INSTANCE) | {"id": "e1", "detail-type": detail_type, "detail": detail} | changes


def news(detail_type: str, detail: dict[str, Any], **changes: Any) -> tuple[News, ...]:
    return parse_event(parse_envelope(body(event(detail_type, detail, **changes))))


def rejected(detail_type: str, detail: dict[str, Any], **changes: Any) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        news(detail_type, detail, **changes)
    return caught.value


def a_notice(**changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "event_id": "e1",
        "account": ACCOUNT,
        "region": REGION,
        "instance": INSTANCE,
        "severity": Severity.INTERRUPTION,
        "instance_action": "terminate",
        "noticed_at": NOON,
        "deadline": None,
    }
    return Notice(**fields | changes)


@pytest.mark.parametrize("detail_type", EC2_KINDS)
def test_an_event_without_an_instance_says_so(detail_type: str) -> None:
    error = rejected(detail_type, {"instance-action": "stop", "state": "stopped"})
    assert (error.code, error.where) == ("missing-instance-id", "$.detail.instance-id")


@pytest.mark.parametrize("detail_type", EC2_KINDS)
@pytest.mark.parametrize("value", ["i-xyz", "i-123; reboot", ["i-12345678"], 7])
def test_what_is_no_instance_id_is_named(detail_type: str, value: object) -> None:
    error = rejected(detail_type, {"instance-id": value, "instance-action": "stop", "state": "stopped"})
    assert (error.code, error.where) == ("malformed", "$.detail.instance-id")
    assert repr(value) in error.what


class TestRebalance:
    KIND = "EC2 Instance Rebalance Recommendation"

    def test_it_names_no_time(self) -> None:
        expected = a_notice(severity=Severity.REBALANCE)
        assert news(self.KIND, {"instance-id": INSTANCE}) == (expected,)


class TestStateChange:
    KIND = "EC2 Instance State-change Notification"

    @pytest.mark.parametrize("state", sorted(ENDING))
    def test_an_ending_state_is_an_end(self, state: str) -> None:
        [found] = news(self.KIND, {"instance-id": INSTANCE, "state": state})
        assert isinstance(found, End)
        assert (found.instance, found.state, found.at) == (INSTANCE, state, NOON)

    @pytest.mark.parametrize("state", ["pending", "running", "something new"])
    def test_any_other_state_is_of_no_concern(self, state: str) -> None:
        assert news(self.KIND, {"instance-id": INSTANCE, "state": state}) == ()

    def test_no_state_is_malformed(self) -> None:
        assert rejected(self.KIND, {"instance-id": INSTANCE}).where == "$.detail"


@pytest.mark.parametrize(
    "kind",
    [
        "EC2 Capacity Reservation Instance Interruption Warning",
        "EC2 Interruptible Capacity Reservation Instance Interruption Warning",
    ],
)
class TestCapacity:
    def detail(self, **changes: Any) -> dict[str, Any]:
        usual = {
            "instance-id": INSTANCE,
            "instance-action": "terminate",
            "instance-termination-time": "2026-05-28T21:00:00Z",
        }
        return usual | changes

    def test_the_deadline_is_the_events(self, kind: str) -> None:
        deadline = datetime(2026, 5, 28, 21, tzinfo=UTC).timestamp()
        assert news(kind, self.detail()) == (a_notice(deadline=deadline),)

    @pytest.mark.parametrize("resources", ["arn:aws:ec2:us-east-1:123456789012:instance/i-1", [], None])
    def test_resources_may_be_text(self, kind: str, resources: object) -> None:
        assert len(news(kind, self.detail(), resources=resources)) == 1

    def test_a_time_that_is_none_is_named(self, kind: str) -> None:
        error = rejected(kind, self.detail(**{"instance-termination-time": "soon"}))
        assert (error.code, error.where) == ("malformed", "$.detail.instance-termination-time")

    def test_an_unknown_action_is_named_with_the_known_ones(self, kind: str) -> None:
        error = rejected(kind, self.detail(**{"instance-action": "explode"}))
        assert error.code == "unknown-action"
        assert all(word in error.what for word in ("explode", *INSTANCE_ACTIONS))


class TestLifecycle:
    KIND = "EC2 Instance-terminate Lifecycle Action"

    def detail(self, **changes: Any) -> dict[str, Any]:
        usual = {
            "EC2InstanceId": INSTANCE,
            "AutoScalingGroupName": "web",
            "LifecycleHookName": "drain",
            "LifecycleActionToken": "token-1",
        }
        return usual | changes

    def test_it_brings_its_hook(self) -> None:
        found = news(self.KIND, self.detail(), source="aws.autoscaling")
        hook = Hook("web", "drain", "token-1")
        assert found == (a_notice(severity=Severity.LIFECYCLE, hook=hook),)

    @pytest.mark.parametrize(("destination", "count"), [("EC2", 1), ("WarmPool", 0)])
    def test_a_move_to_a_warm_pool_ends_nothing(self, destination: str, count: int) -> None:
        found = news(self.KIND, self.detail(Destination=destination), source="aws.autoscaling")
        assert len(found) == count

    def test_a_hook_without_a_token_is_malformed(self) -> None:
        detail = self.detail()
        del detail["LifecycleActionToken"]
        error = rejected(self.KIND, detail, source="aws.autoscaling")
        assert (error.code, "LifecycleActionToken" in error.what) == ("malformed", True)


class TestHealth:
    KIND = "AWS Health Event"
    ARN = "arn:aws:health:us-east-1::event/EC2/RETIREMENT/1"
    STARTS = NOON + 86_400

    def found(self, *instances: str, **changes: Any) -> tuple[News, ...]:
        return news(self.KIND, self.detail(*instances, **changes), source="aws.health")

    def detail(self, *instances: str, **changes: Any) -> dict[str, Any]:
        starts = format_datetime(datetime.fromtimestamp(self.STARTS, UTC), usegmt=True)
        usual = {
            "eventArn": self.ARN,
            "service": "EC2",
            "eventTypeCategory": "scheduledChange",
            "startTime": starts,
            "affectedEntities": [{"entityValue": instance} for instance in instances],
        }
        return usual | changes

    def test_each_instance_of_a_page_has_a_notice_of_its_own(self) -> None:
        found = self.found(instance_id(1), instance_id(2))
        assert [item.instance for item in found] == [instance_id(1), instance_id(2)]
        assert all(isinstance(item, Notice) and item.deadline == self.STARTS for item in found)
        assert {item.severity for item in found if isinstance(item, Notice)} == {Severity.SCHEDULED}

    def test_pages_in_any_order_come_to_all_instances_once(self) -> None:
        pages = [self.found(instance_id(n), page=str(n), totalPages="3") for n in (3, 1, 2, 1)]
        notices = {item.instance: item.event_id for page in pages for item in page}
        assert set(notices) == {instance_id(1), instance_id(2), instance_id(3)}
        assert len(set(notices.values())) == 1  # one change, so that a copy says nothing new

    def test_closed_withdraws(self) -> None:
        [found] = self.found(instance_id(1), statusCode="closed")
        assert isinstance(found, Withdrawal)
        assert (found.instance, found.cause) == (instance_id(1), self.ARN)

    @pytest.mark.parametrize("changes", [{"service": "RDS"}, {"eventTypeCategory": "issue"}])
    def test_another_service_or_category_is_of_no_concern(self, changes: dict[str, str]) -> None:
        assert self.found(instance_id(1), **changes) == ()

    def test_the_resources_name_the_instances_where_the_detail_does_not(self) -> None:
        found = news(self.KIND, self.detail(), source="aws.health", resources=[INSTANCE, "vol-1"])
        assert [item.instance for item in found] == [INSTANCE]

    def test_no_instance_at_all_is_said(self) -> None:
        error = rejected(self.KIND, self.detail(), source="aws.health", resources=["vol-1"])
        assert (error.code, error.where) == ("missing-instance-id", "$.detail.affectedEntities")

    def test_a_start_that_is_no_time_is_named(self) -> None:
        error = rejected(self.KIND, self.detail(INSTANCE, startTime="soon"), source="aws.health")
        assert (error.code, error.where) == ("malformed", "$.detail.startTime")
