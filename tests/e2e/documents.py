"""The Documents domain on the deployed stack, as a scenario sees it: its own keys, what became of them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from local.inbox import Heard
from local.library import Library
from signalbox.documents.entries import Entry
from signalbox.documents.searching import Match, Query, words_of
from tests.e2e.stack import Stack, wait_until

ROUTES = [
    {
        "name": "analysed",
        "bucket": "*",
        "key": "*/analysed/*",
        "pipeline": "index",
        "options": {"entities": True, "labels": True, "ocr": True},
    },
    {"name": "left-alone", "bucket": "*", "key": "*/left-alone/*", "pipeline": "ignore"},
    {
        "name": "small",
        "bucket": "*",
        "key": "*/small/*",
        "pipeline": "index",
        "options": {"maximum_bytes": 64},
    },
    {"name": "plain", "bucket": "*", "pipeline": "index"},
]
"""What the stack of the end-to-end tests is told, before its first object."""


def declare_routes(stack: Stack) -> None:
    """Says which objects are documents. A function asks again after a minute only."""
    stack.aws.client("ssm").put_parameter(
        Name=stack.outputs["DocumentsRoutesParameter"],
        Value=msgspec.json.encode(ROUTES).decode(),
        Type="String",
        Overwrite=True,
    )


@dataclass(slots=True)
class Shelf:
    """One scenario's objects: their keys begin with a word of its own."""

    stack: Stack
    name: str = field(default_factory=lambda: f"shelf-{uuid.uuid4().hex[:12]}")

    @classmethod
    def begin(cls, stack: Stack) -> "Shelf":
        """When no object is on its way. What was said before is not heard, ordered faults are forgotten."""
        shelf = cls(stack)
        wait_until(shelf.is_quiet, "no object is on its way", shelf.depths)
        stack.inbox.drain()
        stack.guard.reset()
        return shelf

    @property
    def library(self) -> Library:
        return Library(self.stack.aws, self.stack.outputs)

    @property
    def bucket(self) -> str:
        return self.library.bucket

    @property
    def s3(self) -> Any:
        return self.stack.aws.client("s3")

    def key(self, name: str) -> str:
        """The whole key of one of this scenario's objects."""
        return f"{self.name}/{name}"

    def put(self, name: str, body: bytes, bucket: str = "") -> None:
        self.library.put(self.key(name), body, bucket)

    def delete(self, name: str) -> None:
        self.library.delete(self.key(name))

    def entries(self, names: Sequence[str], bucket: str = "") -> dict[str, Entry]:
        """What the ledger knows of those that it knows."""
        found = self.library.entries([self.key(name) for name in names], bucket)
        return {key.removeprefix(f"{self.name}/"): entry for key, entry in found.items()}

    def settled(self, *names: str, bucket: str = "", patience: float = 90.0) -> dict[str, Entry]:
        """Waits until no object is on its way and each of these has its outcome, told to the world."""

        def found() -> dict[str, Entry]:
            entries = self.entries(names, bucket) if self.is_quiet() else {}
            done = [e for e in entries.values() if e.settled == e.generation == e.told]
            return entries if len(done) == len(names) else {}

        return wait_until(found, f"{', '.join(names)} settled", self.depths, patience=patience)

    def outcomes(self, *names: str) -> dict[str, str]:
        """Waits; name → outcome."""
        return {name: str(entry.outcome) for name, entry in self.settled(*names).items()}

    def is_quiet(self) -> bool:
        return self.library.is_quiet()

    def depths(self) -> object:
        return self.stack.account.queues()

    def search(self, words: str, **filters: Any) -> tuple[Match, ...]:
        """What the index says about words, among this scenario's objects."""
        query = Query(words=words_of(words), **{"prefix": f"{self.name}/", "limit": 100, **filters})
        return self.library.search(query)

    def names_found(self, words: str, **filters: Any) -> list[str]:
        """The objects that a search finds, each once."""
        found = {match.key.removeprefix(f"{self.name}/") for match in self.search(words, **filters)}
        return sorted(found)

    def heard(self) -> Heard:
        """What the stack said of this scenario's objects since it began."""
        heard = self.stack.inbox.drain()
        return Heard(*(tuple(filter(self._is_mine, said)) for said in (heard.alerts, heard.events)))

    def _is_mine(self, said: dict[str, Any]) -> bool:
        return self.name in msgspec.json.encode(said).decode()
