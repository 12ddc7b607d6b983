"""The intake between CodeArtifact, its queue, the ledger and the workflow, all in memory."""

import json
from typing import Any

from signalbox.eventbridge import Scope
from signalbox.intake import Message, Retries
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.admission import Rules
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.entries import Entry, Releases
from signalbox.packages.events import RETRY_REQUESTED
from signalbox.packages.index_store import IndexStore
from signalbox.packages.intake import Admission, AdmitEvents
from signalbox.packages.repositories import Repositories
from tests.fake_queue import FakeQueue
from tests.unit.packages.fake_codeartifact import ACCOUNT, DOMAIN, NOON, REGION, TEAM, FakeCodeArtifact
from tests.unit.packages.fake_codebuild import FakeTokens

MAXIMUM_RECEIVES = 8
QUIET = 60.0
SCOPE = Scope(frozenset({(ACCOUNT, REGION)}), maximum_age=14 * 86_400.0)


class MovableClock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class FakeExecutions:
    """The state machine: executions by name, each begun once.

    Attributes:
        begun: name → input.
        asked: how often one was asked for, also for nothing.
        failing: the errors that the next calls end with.
    """

    def __init__(self) -> None:
        self.begun: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self.failing: list[Exception] = []

    def start(self, name: str, content: dict[str, Any]) -> None:
        self.asked += 1
        if self.failing:
            raise self.failing.pop(0)
        self.begun.setdefault(name, content)


class Stack:
    """What is published is in the queue at once, as its events have it.

    Args:
        sources: where versions are released from.
    """

    def __init__(
        self,
        *sources: str,
        acts: bool = False,
        external: bool = False,
        ledger: Any = None,
        repositories: Repositories | None = None,
        clock: MovableClock | None = None,
    ) -> None:
        self.clock = clock or MovableClock()
        self.sources = sources or (TEAM,)
        self.codeartifact = FakeCodeArtifact(*self.sources, "shared", clock=self.clock)
        self.ledger = ledger or MemoryLedger()
        self.queue = FakeQueue(self.clock, maximum_receives=MAXIMUM_RECEIVES)
        self.executions = FakeExecutions()
        self.tokens = FakeTokens()
        self.rules = Rules(
            scope=SCOPE,
            domain=DOMAIN,
            owner=ACCOUNT,
            sources=self.sources,
            quiet_seconds=QUIET,
            acts=acts,
            external=external,
        )
        self.intake = self.make_intake(self.ledger, repositories or self.codeartifact, self.executions)
        self._sent = 0

    def make_intake(self, ledger: Any, repositories: Repositories, executions: Any) -> AdmitEvents:
        return AdmitEvents(
            ledger,
            repositories,
            executions,
            self.tokens,
            self.queue,
            self.rules,
            self.clock,
            Retries(MAXIMUM_RECEIVES, lambda: 1.0),
        )

    def send(self, *events: dict[str, Any] | str) -> None:
        self.queue.send(*(event if isinstance(event, str) else json.dumps(event) for event in events))

    def deliver(self) -> None:
        """What CodeArtifact has said since."""
        news = self.codeartifact.events[self._sent :]
        self._sent = len(self.codeartifact.events)
        rule = {"shared"}
        self.send(*(each for each in news if each["detail"]["repositoryName"] not in rule))

    def batch(self) -> Admission:
        """One invocation. What it does not return is gone."""
        messages = self.queue.receive(5)
        admission = self.intake.admit(messages)
        self.queue.delete({message.id for message in messages} - set(admission.waits))
        return admission

    def take(self, *events: dict[str, Any] | str) -> Admission:
        self.send(*events)
        return self.batch()

    def run(self) -> None:
        """What was published meanwhile, and all that waits, until no message is left."""
        self.deliver()
        self.run_queue()

    def run_queue(self) -> None:
        """Until no message is left; time passes as it must."""
        while (at := self.queue.next_at) is not None:
            self.clock.now = max(self.clock.now, at)
            self.batch()

    def entry(self, version: PackageVersion) -> Entry:
        return Releases(self.ledger).known(version.key)

    @property
    def index(self) -> IndexStore:
        return IndexStore(self.ledger, DOMAIN)


def requested(
    version: PackageVersion, round_: int = 1, tries: int = 0, *, acts: bool = False
) -> dict[str, Any]:
    """What an operator sends."""
    return {
        "id": "request-1",
        "source": "signalbox.operations",
        "detail-type": RETRY_REQUESTED,
        "account": ACCOUNT,
        "region": REGION,
        "time": "2026-05-28T20:26:40Z",
        "detail": {"release": version.key, "round": round_, "tries": tries, "acts": acts},
    }


def message(event: dict[str, Any], receives: int = 1) -> Message:
    return Message("m1", json.dumps(event), receives, f"m1-{receives}")
