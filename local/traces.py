"""Traces and the service map, rebuilt from segments as X-Ray builds them. Pure.

A segment with an origin is a service's own account of a request. A subsegment of namespace `aws` is a call
of another service: where that one sent a segment too, the call leads there; where not, X-Ray infers a node
from it ("AWS X-Ray segment documents", "Concepts", AWS X-Ray Developer Guide).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    type Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One segment or subsegment.

    Attributes:
        service: whose own account it is: the node of the service map; "" for a part of another span.
        called: the service that it calls, as in ``dynamodb``; "" where it is no call.
        request: the id of the request that a service served or made, where there is one.
        start, end: seconds since 1970; `end` is None for one that is still open.
    """

    id: str
    trace: str
    parent: str
    name: str
    service: str
    called: str
    request: str
    start: float
    end: float | None
    failed: bool
    annotations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """0 while it is open."""
        return (self.end or self.start) - self.start


@dataclass(frozen=True, slots=True)
class ServiceMap:
    """Who called whom, over any number of traces."""

    nodes: frozenset[str]
    edges: frozenset[tuple[str, str]]

    def reached_from(self, node: str) -> frozenset[str]:
        """The node, and all that it called, and so on."""
        seen, new = set[str](), {node}
        while new:
            seen |= new
            new = {to for caller, to in self.edges if caller in new} - seen
        return frozenset(seen)

    def mermaid(self) -> str:
        """The map as a Mermaid flowchart."""
        names = {node: f"n{number}" for number, node in enumerate(sorted(self.nodes))}
        lines = [f'    {name}["{node}"]' for node, name in names.items()]
        lines += [f"    {names[caller]} --> {names[called]}" for caller, called in sorted(self.edges)]
        return "\n".join(["flowchart LR", *lines])


class Traces:
    """All that was sent, in order.

    `nicknames` are shorter names for services, by the names they have in their segments.
    """

    def __init__(self, documents: Iterable[Document], nicknames: Mapping[str, str] | None = None) -> None:
        names = nicknames or {}
        found = (span for document in documents for span in _spans(document, "", "", names))
        self._spans = {span.id: span for span in found}  # one that was sent twice was open the first time
        self._children: dict[str, list[Span]] = {}
        for span in self._spans.values():
            self._children.setdefault(span.parent, []).append(span)

    def spans(self, trace: str | None = None) -> list[Span]:
        """Those of one trace, or all."""
        return [span for span in self._spans.values() if trace in (None, span.trace)]

    def roots(self, trace: str) -> list[Span]:
        """The spans of a trace that hang below none that was sent: one, where the trace is whole."""
        return [span for span in self.spans(trace) if span.parent not in self._spans]

    def children(self, span: Span) -> list[Span]:
        """In the order in which they began."""
        return sorted(self._children.get(span.id, []), key=lambda child: child.start)

    def annotated(self, **values: str) -> list[str]:
        """The traces that X-Ray would find by these annotations, wherever they stand; the oldest first."""
        found = (
            {span.trace for span in self._spans.values() if span.annotations.get(name) == value}
            for name, value in values.items()
        )
        traces = set.intersection(*found)
        return sorted(traces, key=lambda trace: min(span.start for span in self.spans(trace)))

    def service_map(self, *traces: str) -> ServiceMap:
        """Of these traces."""
        nodes, edges = set[str](), set[tuple[str, str]]()
        for span in (span for trace in traces for span in self.spans(trace)):
            node = span.service or (span.called if not self._answered(span) else "")
            caller = self._owner(span.parent)
            if node:
                nodes.add(node)
            if node and caller:
                edges.add((caller, node))
        return ServiceMap(frozenset(nodes), frozenset(edges))

    def _answered(self, call: Span) -> bool:
        """Whether the service that was called sent a segment of its own."""
        return any(child.service for child in self._children.get(call.id, []))

    def _owner(self, id_: str) -> str:
        """The service whose request a span belongs to; "" for none that was sent."""
        while span := self._spans.get(id_):
            if span.service:
                return span.service
            id_ = span.parent
        return ""


def _spans(document: Document, trace: str, parent: str, names: Mapping[str, str]) -> Iterator[Span]:
    trace = document.get("trace_id", trace)
    name = names.get(document["name"], document["name"])
    operation = document.get("aws", {}).get("operation", "")
    is_call = document.get("namespace") in ("aws", "remote")
    yield Span(
        id=document["id"],
        trace=trace,
        parent=document.get("parent_id", parent),
        name=f"{name} {operation}" if is_call else name,
        service=name if "origin" in document else "",
        called=name if is_call else "",
        request=document.get("aws", {}).get("request_id") or "",
        start=document["start_time"],
        end=document.get("end_time"),
        failed=any(document.get(flag, False) for flag in ("fault", "error", "throttle")),
        annotations=document.get("annotations", {}),
    )
    for subsegment in document.get("subsegments", ()):
        yield from _spans(subsegment, trace, document["id"], names)
