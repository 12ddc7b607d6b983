"""The domains: what each emits and logs. A new one is a row in `DOMAINS`; its resources are held to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalbox.documents import telemetry as documents
from signalbox.documents.models import QUARANTINED
from signalbox.packages import telemetry as packages
from signalbox.packages.releases import Reason
from signalbox.spot import telemetry as spot
from signalbox.spot.window import BRANCHES
from signalbox.telemetry.metrics import Metric


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain.

    Attributes:
        metrics: all that it can emit.
        values: of each of their dimensions but Domain.
        logged: the fields of its log lines beside those that every domain's have.
    """

    metrics: Sequence[Metric]
    values: Mapping[str, frozenset[str]]
    logged: frozenset[str]


OUTCOMES = frozenset({"handled", "late", "failed", "observed", "ignored"})
DOMAINS = {
    "spot": Domain(
        metrics=spot.METRICS,
        values={"Kind": frozenset(kind for kinds in BRANCHES.values() for kind in kinds) | {"event"}},
        logged=frozenset({"window", "slowest_seconds", *(f"outcomes.{outcome}" for outcome in OUTCOMES)}),
    ),
    "documents": Domain(
        metrics=documents.METRICS,
        values={"Outcome": frozenset(QUARANTINED)},
        logged=frozenset(
            {"bucket", "key", "document", "generation", "outcome", "detail", documents.UPLOAD_TO_INDEX.name}
        ),
    ),
    "packages": Domain(
        metrics=packages.METRICS,
        values={"Reason": frozenset(Reason)},
        logged=frozenset(
            {"release", "round", "tries", "outcome", "detail", packages.PUBLISH_TO_PROMOTION.name}
        ),
    ),
}
LOGGED = frozenset(
    {"@timestamp", "@message", "function_name", "message", "level"}
    | {"reason", "error", "code", "where", "what", "message_id"}
)
"""The fields of every domain's log lines; tests/unit/*/test_telemetry.py have them."""


def domain_of(logical_id: str) -> str:
    """Whose a resource is, by the first word of its name; "" for the spine's."""
    return next((name for name in DOMAINS if logical_id.startswith(name.capitalize())), "")
