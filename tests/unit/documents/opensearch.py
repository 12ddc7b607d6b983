"""OpenSearch in memory, as far as the index asks of it: held to the same suite as its adapter."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from signalbox.documents.opensearch_index import ROWS, Action, Hit, Item
from signalbox.errors import NotFoundError


class Kept(NamedTuple):
    """The newest write of an id; ``source`` is None of a delete, whose version is remembered."""

    version: int
    source: Mapping[str, Any] | None


class FakeCluster:
    """What is written is found at once. External versions are kept as ``external_gte`` says.

    Attributes:
        broken: index/id → the item that a write of it ends with, before it has any effect.
    """

    def __init__(self) -> None:
        self.indices: dict[str, dict[str, Kept]] = {}
        self.broken: dict[str, Item] = {}
        self.bulks: list[int] = []

    def create(self, index: str, fields: Mapping[str, Any]) -> None:
        json.dumps(fields)
        self.indices.setdefault(index, {})

    def bulk(self, actions: Sequence[Action], *, found: bool = False) -> list[Item]:
        self.bulks.append(len(actions))
        return [self._write(action) for action in actions]

    def get(self, index: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        kept = self._index(index)
        return {id_: kept[id_].source or {} for id_ in ids if id_ in kept and kept[id_].source is not None}

    def search(self, index: str, body: Mapping[str, Any]) -> list[Hit]:
        first = body.get("from", 0)
        found = sorted(
            (
                Hit(id=id_, score=score, source=kept.source if body.get("_source", True) else {})
                for id_, kept in self._index(index).items()
                if kept.source is not None and (score := _score(body["query"]["bool"], kept.source))
            ),
            key=lambda hit: (-hit.score, self._index(index)[hit.id].source["key"], hit.id),  # type: ignore[index]  # it is there
        )
        return found[first : first + body["size"]]

    def _index(self, index: str) -> dict[str, Kept]:
        if index not in self.indices:
            raise NotFoundError(f"OpenSearch: 404: no such index [{index}]")
        return self.indices[index]

    def _write(self, action: Action) -> Item:
        kept = self._index(action.index)
        if broken := self.broken.get(f"{action.index}/{action.id}"):
            return broken
        before = kept.get(action.id)
        if before is not None and before.version > action.generation:
            return Item(status=409, kind="version_conflict_engine_exception", reason="version conflict")
        source = None if action.source is None else json.loads(action.source)
        kept[action.id] = Kept(action.generation, source)
        absent = before is None or before.source is None
        if source is None:
            return Item(status=404 if absent else 200)
        return Item(status=201 if absent else 200)

    @property
    def texts(self) -> list[str]:
        """Of all rows, whether they count or not."""
        kept = self.indices.get(ROWS, {}).values()
        return sorted(each.source["text"] for each in kept if each.source is not None)


def _score(query: Mapping[str, Any], source: Mapping[str, Any]) -> float:
    """0 where it does not match."""
    filters: dict[str, Callable[[Any, Any], bool]] = {
        "term": lambda had, asked: asked in had if isinstance(had, list) else had == asked,
        "prefix": lambda had, asked: had.startswith(asked),
        "range": lambda had, asked: had < asked["lt"],
    }
    for each in query.get("filter", []):
        [(kind, [(field, asked)])] = [(kind, list(what.items())) for kind, what in each.items()]
        if not filters[kind](source[field], asked):
            return 0.0
    words = [word for each in query.get("must", []) for word in each["multi_match"]["query"].split()]
    held = f"{source['text']} {' '.join(source['label_names'])}".lower().split()
    if any(word not in held for word in words):
        return 0.0
    return 1.0 + sum(held.count(word) for word in words)
