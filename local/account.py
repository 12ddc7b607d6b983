"""What the ledger says, read as it is stored: windows, decisions, actions, documents, releases, rejections,
queues."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Self

import msgspec

from signalbox.documents.entries import DOMAIN as DOCUMENTS
from signalbox.documents.entries import Entry, entry_key
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.windows import Pointer, Window
from signalbox.packages.entries import DOMAIN as PACKAGES
from signalbox.packages.entries import Entry as Release
from signalbox.packages.entries import release_key
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.intake import DOMAIN as SPOT
from signalbox.spot.planning import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from local.embedded import EmbeddedAws
    from signalbox.ledger.actions import Action
    from signalbox.ledger.records import Plan, Rejection


DOCUMENT_ROWS = f"RECORD#{entry_key('', '').removesuffix('/')}"
RELEASE_ROWS = f"RECORD#{release_key('')}"
"""What the keys of their rows begin with."""
_ENTRY = msgspec.json.Decoder(Entry)
_RELEASE = msgspec.json.Decoder(Release)


@dataclass(frozen=True, slots=True)
class WindowAccount:
    """One window: how far it is, what was decided, what was done."""

    window: Window
    pointer: Pointer
    plan: Plan | None
    decisions: tuple[Decision, ...]
    actions: tuple[Action, ...]
    episodes: Mapping[str, Episode]

    @property
    def state(self) -> str:
        """``open``, ``closed`` (not planned yet), ``planned`` or ``settled``."""
        if self.plan is not None:
            return "settled" if self.plan.settled else "planned"
        newest = self.window.number == self.pointer.number
        return "open" if newest and self.pointer.open else "closed"


@dataclass(frozen=True, slots=True)
class DocumentsAccount:
    """Objects, and how many more there are than are named.

    Attributes:
        settled: those whose outcome came last, oldest first.
        under_way: those that have been longest on their way.
    """

    objects: int
    objects_under_way: int
    settled: Sequence[Entry]
    under_way: Sequence[Entry]

    @classmethod
    def of(cls, entries: Sequence[Entry], most: int) -> Self:
        """With at most so many of each named."""
        settled = [entry for entry in entries if entry.settled >= entry.generation]
        under_way = [entry for entry in entries if entry.settled < entry.generation]
        newest = sorted(settled, key=lambda entry: entry.settled_at, reverse=True)[:most]
        longest = sorted(under_way, key=lambda entry: entry.generation)[:most]
        return cls(len(entries), len(under_way), newest[::-1], longest)


@dataclass(frozen=True, slots=True)
class Depth:
    """A queue's messages: waiting, and in somebody's hands."""

    name: str
    visible: int
    in_flight: int


class Account:
    """Reads a deployed stack's account of itself."""

    def __init__(self, aws: EmbeddedAws, outputs: Mapping[str, str]) -> None:
        self._sqs = aws.client("sqs")
        self._stepfunctions = aws.client("stepfunctions")
        self._outputs = outputs
        self._dynamodb = aws.client("dynamodb")
        self._table = outputs["LedgerTableName"]
        self._ledger = DynamoLedger(self._dynamodb, self._table, time.time)

    def windows(self, most: int) -> list[WindowAccount]:
        """The newest windows of every account and Region, oldest first."""
        return [
            self._window(Window(key.domain, key.account, key.region, number), pointer)
            for key, pointer in self._ledger.pointers(SPOT)
            for number in range(max(1, pointer.number - most + 1), pointer.number + 1)
        ]

    def windows_of(self, instance: str) -> list[Window]:
        """Those that planned something for the instance, or took it on last, oldest first."""
        keys = {episode_key(key.account, key.region, instance): key for key, _ in self._ledger.pointers(SPOT)}
        found = set[Window]()
        for key, record in self._ledger.records(sorted(keys)).items():
            episode, of = msgspec.convert(record.body, Episode), keys[key]
            numbers = {episode.window, *episode.planned.values()} - {0}
            found |= {Window(of.domain, of.account, of.region, number) for number in numbers}
        return sorted(found)

    def documents(self, most: int) -> DocumentsAccount:
        """Of all objects that the ledger knows.

        By a scan of the whole table: the program never asks for all of them, and here it is small.
        """
        return DocumentsAccount.of([_ENTRY.decode(body) for body in self._bodies(DOCUMENT_ROWS)], most)

    def releases(self, most: int) -> list[Release]:
        """Of versions, those that changed last, oldest first. By a scan, likewise."""
        found = [_RELEASE.decode(body) for body in self._bodies(RELEASE_ROWS)]
        return sorted(found, key=lambda entry: entry.changed_at)[-most:] if most else []

    def _bodies(self, prefix: str) -> Iterator[str]:
        """Of all records whose keys begin so."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
            ConsistentRead=True,
        )
        return (item["body"]["S"] for page in pages for item in page["Items"])

    def rejections(self, *domains: str) -> list[Rejection]:
        """Today's, UTC; of all domains where none is named."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        found = [self._ledger.rejections(domain, day) for domain in domains or (SPOT, DOCUMENTS, PACKAGES)]
        return sorted(chain.from_iterable(found), key=lambda rejection: rejection.at)

    def executions(self, window: Window) -> list[str]:
        """How each execution of the window stands, recoveries included: as ``FAILED ActionsFailed``."""
        machine = self._outputs["SpotStateMachineArn"]
        pages = self._stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine)
        arns = [
            execution["executionArn"]
            for page in pages
            for execution in page["executions"]
            if execution["name"].startswith(window.execution_name)
        ]
        found = [self._stepfunctions.describe_execution(executionArn=arn) for arn in arns]
        return [" ".join(filter(None, (each["status"], each.get("error")))) for each in found]

    def queues(self) -> list[Depth]:
        """Every queue that the stack's outputs name."""
        urls = sorted((key, url) for key, url in self._outputs.items() if key.endswith("QueueUrl"))
        return [self._depth(key.removesuffix("Url"), url) for key, url in urls]

    def _window(self, window: Window, pointer: Pointer) -> WindowAccount:
        plan = self._ledger.plan(window)
        decisions = tuple(msgspec.convert(d, Decision) for d in plan.decisions) if plan else ()
        actions = tuple(self._ledger.actions(window, plan.id)) if plan else ()
        return WindowAccount(window, pointer, plan, decisions, actions, self._episodes(window, decisions))

    def _episodes(self, window: Window, decisions: Sequence[Decision]) -> dict[str, Episode]:
        keys = [episode_key(window.account, window.region, decision.instance) for decision in decisions]
        episodes = (msgspec.convert(r.body, Episode) for r in self._ledger.records(keys).values())
        return {episode.instance: episode for episode in episodes}

    def _depth(self, name: str, url: str) -> Depth:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return Depth(name, *(int(found[attribute]) for attribute in names))
