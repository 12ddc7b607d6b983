"""Queries of CloudWatch Logs Insights, as far as the template uses them: the emulator knows fewer.

    SOURCE 'group' | fields a, b.c | filter x = 'y' and z like /re/ or z like 'text' | sort f desc | limit 10

Source: "CloudWatch Logs Insights language query syntax", Amazon CloudWatch Logs User Guide. `and` binds
before `or`; there are no parentheses. Anything else is refused, not passed over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

type Record = dict[str, Any]
type Test = Callable[[Record], bool]

FIELD = r"[@\w.]+"
TEXT = r"'([^']*)'"
STAGE = re.compile(r"(?s)(SOURCE|fields|filter|sort|limit)\s+(.+)")


class QueryError(ValueError):
    """A query that is not understood here; says which part."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query, read."""

    sources: tuple[str, ...]
    fields: tuple[str, ...]
    tests: tuple[Test, ...]
    order: tuple[str, bool] | None
    limit: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises QueryError."""
        stages = [_stage(part.strip()) for part in _split(text)]
        orders = [_order(rest) for name, rest in stages if name == "sort"]
        return cls(
            sources=tuple(_source(rest) for name, rest in stages if name == "SOURCE"),
            fields=tuple(f.strip() for name, rest in stages if name == "fields" for f in rest.split(",")),
            tests=tuple(_condition(rest) for name, rest in stages if name == "filter"),
            order=orders[-1] if orders else None,
            limit=min([int(rest) for name, rest in stages if name == "limit"], default=10_000),
        )

    def rows(self, records: Iterable[Record]) -> list[list[str]]:
        """The fields of what is found, as text; "" for a field that is not there."""
        found = [record for record in records if all(test(record) for test in self.tests)]
        if self.order:
            field, descending = self.order
            found = [record for record in found if record.get(field) is not None]
            found.sort(key=lambda record: record[field], reverse=descending)
        return [[_text(record.get(field)) for field in self.fields] for record in found[: self.limit]]


def record(at: float, message: str) -> Record:
    """A log event as Insights sees it: its own fields, and those of a JSON message, nested ones with dots.

    `at` is in seconds since 1970.
    """
    moment = datetime.fromtimestamp(at, UTC)
    own: Record = {
        "@timestamp": f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}",
        "@message": message,
    }
    try:
        content = json.loads(message)
    except ValueError:
        return own
    return {**(_flat(content, "") if isinstance(content, dict) else {}), **own}


def _flat(content: Mapping[str, Any], prefix: str) -> Record:
    found: Record = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _split(text: str) -> list[str]:
    """At each bar that is in no text and no pattern."""
    return re.findall(r"(?:'[^']*'|/(?:[^/\\]|\\.)*/|[^|'/])+", text)


def _stage(part: str) -> tuple[str, str]:
    found = STAGE.fullmatch(part)
    if found is None:
        raise QueryError(f"{part!r} is not understood here")
    return found[1], found[2].strip()


def _source(rest: str) -> str:
    found = re.fullmatch(TEXT, rest)
    if found is None:
        raise QueryError(f"SOURCE {rest} is not understood here")
    return found[1]


def _order(rest: str) -> tuple[str, bool]:
    found = re.fullmatch(rf"({FIELD})(?:\s+(asc|desc))?", rest)
    if found is None:
        raise QueryError(f"sort {rest} is not understood here")
    return found[1], found[2] == "desc"


def _condition(rest: str) -> Test:
    alternatives = [
        [_comparison(part.strip()) for part in re.split(r"\band\b", alternative)]
        for alternative in re.split(r"\bor\b", rest)
    ]
    return lambda record: any(all(test(record) for test in tests) for tests in alternatives)


def _comparison(part: str) -> Test:
    if found := re.fullmatch(rf"({FIELD})\s*=\s*{TEXT}", part):
        field, text = found[1], found[2]
        return lambda record: record.get(field) == text
    if found := re.fullmatch(rf"({FIELD})\s+in\s+\[([^\]]*)\]", part):
        field, texts = found[1], re.findall(TEXT, found[2])
        return lambda record: record.get(field) in texts
    if found := re.fullmatch(rf"({FIELD})\s+like\s+/((?:[^/\\]|\\.)*)/", part):
        field, pattern = found[1], re.compile(found[2])
        return lambda record: pattern.search(_text(record.get(field))) is not None
    if found := re.fullmatch(rf"({FIELD})\s+like\s+{TEXT}", part):
        field, text = found[1], found[2]
        return lambda record: text in _text(record.get(field))
    raise QueryError(f"filter {part!r} is not understood here")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def found_in(query: Query, groups: Mapping[str, Sequence[Record]]) -> list[list[str]]:
    """The rows of a query that names its log groups. Raises QueryError for a group that is not there."""
    missing = [source for source in query.sources if source not in groups]
    if missing:
        raise QueryError(f"no log group {', '.join(missing)}")
    return query.rows(each for source in query.sources for each in groups[source])
