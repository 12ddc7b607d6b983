"""A queue that hears what the stack tells the world: the alert topic and the domain events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.embedded import EmbeddedAws

MOST_POLLS = 200


@dataclass(frozen=True, slots=True)
class Heard:
    """What arrived: alerts as SNS delivers them, domain events as EventBridge does."""

    alerts: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]


class Inbox:
    """Two queues of the test's own, subscribed to the topic and the bus of a stack.

    The spine delivers before it answers the publisher: what was said is there, and nobody need wait for it.
    """

    def __init__(self, aws: EmbeddedAws, alerts_url: str, events_url: str) -> None:
        self._sqs = aws.client("sqs")
        self._alerts_url = alerts_url
        self._events_url = events_url

    @classmethod
    def open(cls, aws: EmbeddedAws, outputs: Mapping[str, str], name: str = "inbox") -> Self:
        """Makes and subscribes the queues; what was said before is not heard."""
        alerts_url, alerts_arn = _queue(aws, f"{name}-alerts", "sns.amazonaws.com")
        events_url, events_arn = _queue(aws, f"{name}-events", "events.amazonaws.com")
        aws.client("sns").subscribe(
            TopicArn=outputs["AlertTopicArn"], Protocol="sqs", Endpoint=alerts_arn, ReturnSubscriptionArn=True
        )
        events = aws.client("events")
        bus = outputs["EventBusName"]
        pattern = json.dumps({"source": [{"prefix": "signalbox."}]})
        events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern, State="ENABLED")
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": events_arn}])
        return cls(aws, alerts_url, events_url)

    def drain(self) -> Heard:
        """Everything that has arrived since the last time."""
        return Heard(
            tuple(json.loads(body) for body in self._bodies(self._alerts_url)),
            tuple(json.loads(body) for body in self._bodies(self._events_url)),
        )

    def _bodies(self, url: str) -> list[str]:
        bodies: list[str] = []
        for _ in range(MOST_POLLS):
            messages = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get(
                "Messages", []
            )
            if not messages:
                break
            for message in messages:
                bodies.append(message["Body"])
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


def _queue(aws: EmbeddedAws, name: str, sender: str) -> tuple[str, str]:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": sender},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn
