"""Settling a release through boto3, on moto: the ledger, the bus, and subscriptions with filter policies."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_owners import ParameterOwners
from signalbox.packages.entries import RETENTION_SECONDS, Releases
from signalbox.packages.settlement import SettleRelease
from tests.adapters.tables import create_ledger_table
from tests.unit.packages.settlements import ENTRIES, KEY, PLACE, SHOP, UI, StoppedBuilds, ended

OWNERS = "/signalbox/test/packages/owners/"


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


def inbox(name: str) -> tuple[str, str]:
    """A queue's URL and ARN."""
    url = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:123456789012:{name}"


def received(url: str) -> list[dict[str, Any]]:
    messages = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def subscribed(topic: str, name: str, policy: dict[str, Any]) -> str:
    url, arn = inbox(name)
    attributes = {"FilterPolicy": json.dumps(policy)}
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    return url


def use_case(topic: str) -> SettleRelease:
    create_ledger_table(client("dynamodb"), "ledger")
    ledger = DynamoLedger(client("dynamodb"), "ledger", time.time, retention=RETENTION_SECONDS)
    Releases(ledger).change(KEY, lambda _: ENTRIES["build-failed"])
    for name, package in (("team-ui", UI), ("team-shop", SHOP)):
        client("ssm").put_parameter(
            Name=f"{OWNERS}{name}", Value=json.dumps({"packages": [package]}), Type="String"
        )
    client("events").create_event_bus(Name="signalbox")
    return SettleRelease(
        ledger,
        ParameterOwners(client("ssm"), OWNERS, time.time),
        StoppedBuilds(),
        SnsTopic(client("sns"), topic),
        EventBus(client("events"), "signalbox"),
        time.time,
        PLACE,
    )


def test_each_gets_what_its_filter_policy_asks_for() -> None:
    topic = client("sns").create_topic(Name="alerts")["TopicArn"]
    shop = subscribed(topic, "shop", {"domain": ["packages"], "owner": ["team-shop"]})
    nobody = subscribed(topic, "nobody", {"domain": ["packages"], "owner": ["nobody"]})
    stuck = subscribed(topic, "stuck", {"outcome": ["stuck"]})
    other = subscribed(topic, "other", {"owner": ["team-ui"], "outcome": [{"anything-but": ["failed"]}]})
    settle = use_case(topic)
    assert settle.settle(ended("build-failed")).told == 3
    assert settle.settle(ended("build-failed")).told == 0
    [alert] = received(shop)
    assert alert["Subject"] == "[Signalbox] Packages: failed: @acme/ui 1.1.0 (1 of yours)"
    assert alert["Message"].startswith("Packages: @acme/ui 1.1.0 is not promoted")
    assert len(received(nobody)) == 1
    assert (received(stuck), received(other)) == ([], [])


def test_a_rule_of_the_bus_hears_of_it_once() -> None:
    topic = client("sns").create_topic(Name="alerts")["TopicArn"]
    settle = use_case(topic)
    url, arn = inbox("programs")
    events = client("events")
    pattern = {"source": ["signalbox.packages"], "detail": {"reason": ["build-failed"]}}
    events.put_rule(Name="failed", EventBusName="signalbox", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="failed", EventBusName="signalbox", Targets=[{"Id": "inbox", "Arn": arn}])
    for _ in range(2):
        settle.settle(ended("build-failed"))
    [event] = received(url)
    assert event["detail-type"] == "Package Release Failed v1"
    assert {each["package"]: each["owner"] for each in event["detail"]["failed"]} == {
        "npm/acme/forms": "nobody",
        SHOP: "team-shop",
    }
