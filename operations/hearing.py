"""Which buckets a stack hears of, by its parameters, and what follows for buckets and routes. No AWS here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from signalbox.documents.globs import STAR, Glob, UndecidedError
from signalbox.documents.routes import meets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.stacks import Stack
    from signalbox.documents.routes import Route, Routes


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whose events reach the stack's queue.

    Attributes:
        own: the stack's bucket.
        named: DocumentsExistingBuckets.
        prefix: DocumentsBucketPrefix; "" for none.
        calls: DocumentsCloudTrailEvents: what CloudTrail records is taken too.
    """

    own: str
    named: frozenset[str]
    prefix: str
    calls: bool

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """Raises StackError where the stack has no Documents."""
        said = stack.parameters
        return cls(
            stack.output("DocumentsBucketName"),
            frozenset(filter(None, said.get("DocumentsExistingBuckets", "").split(","))),
            said.get("DocumentsBucketPrefix", ""),
            said.get("DocumentsCloudTrailEvents") == "true",
        )

    def reason(self, bucket: str) -> str:
        """By what it hears of a bucket; "" where it does not."""
        if bucket == self.own:
            return "the stack's own"
        if bucket in self.named:
            return "DocumentsExistingBuckets"
        return "DocumentsBucketPrefix" if self.prefix and bucket.startswith(self.prefix) else ""

    def advice(self, bucket: str, routes: Routes) -> list[str]:
        """What is still to be done, so that a bucket's objects are indexed."""
        missing = []
        if not self.reason(bucket):
            missing.append(f"the stack does not hear of it: add {bucket} to DocumentsExistingBuckets")
        if not any(route.pipeline == "index" and route.bucket.matches(bucket) for route in routes.all):
            missing.append('no route takes its objects: make routes ARGS="put FILE"')
        return missing

    def deaf_routes(self, routes: Routes) -> Iterator[str]:
        """A line for each route that matches no bucket of which the stack hears."""
        for route in routes.all:
            if route.pipeline == "index" and not self._hears_for(route):
                yield (
                    f"Route {route.name}: the stack hears of no bucket like {route.bucket.text}. "
                    "Set DocumentsExistingBuckets or DocumentsBucketPrefix (docs/documents.md)."
                )

    def _hears_for(self, route: Route) -> bool:
        if any(route.bucket.matches(name) for name in {self.own, *self.named}):
            return True
        if not self.prefix:
            return False
        begins_so = Glob.of(f"{self.prefix}*", [[*self.prefix, STAR]])
        try:
            return meets(route, begins_so)
        except UndecidedError:
            return True
