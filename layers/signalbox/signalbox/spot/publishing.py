"""Publishing a window's messages, wired to the topic and the bus."""

import time
from typing import Protocol

from signalbox.aws.clients import client
from signalbox.aws.messaging import EventBus, SnsTopic
from signalbox.ledger.actions import ActionStore, Worker
from signalbox.spot.announcing import Announcer, Store
from signalbox.spot.performers import PublishAlert, PutEvent
from signalbox.spot.tasks import new_owner, worker


class Ledger(ActionStore, Store, Protocol):
    """What announcing asks of the ledger."""


def publisher(ledger: ActionStore, topic_arn: str, bus_name: str) -> Worker:
    """Publishes the alerts and the domain events among a window's actions."""
    topic = SnsTopic(client("sns"), topic_arn)
    bus = EventBus(client("events"), bus_name)
    return worker(ledger, {"alert": PublishAlert(topic), "event": PutEvent(bus)})


def announcer(ledger: Ledger, topic_arn: str, bus_name: str) -> Announcer:
    """Adds messages to a window's actions and publishes them."""
    return Announcer(ledger, publisher(ledger, topic_arn, bus_name), time.time, new_owner)
