"""The envelope that EventBridge delivers, parsed strictly where it matters and leniently elsewhere.

Source: "AWS service event metadata", Amazon EventBridge User Guide.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from signalbox.clock import from_iso
from signalbox.errors import RejectedError

FUTURE_TOLERANCE_SECONDS = 60.0
"""How far a sender's clock may be ahead of ours."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Fields that this program does not read are dropped: AWS adds them without notice."""

    id: str
    source: str
    detail_type: str = msgspec.field(name="detail-type")
    account: str
    region: str
    time: str
    detail: dict[str, Any]
    resources: Any = ()

    @property
    def resource_list(self) -> tuple[str, ...]:
        """The resources: AWS sends a list, or, for capacity reservations, sometimes one text."""
        found = [self.resources] if isinstance(self.resources, str) else self.resources
        return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()

    @property
    def occurred_at(self) -> float:
        """Seconds since 1970."""
        return from_iso(self.time)


type Place = tuple[str, str]
"""An account and a Region."""


class Scope(msgspec.Struct, frozen=True):
    """Whose events are taken, each account's in its own Regions, and how old they may be (seconds)."""

    places: frozenset[Place]
    maximum_age: float


def parse_envelope(body: str | bytes) -> Envelope:
    """One SQS message body or one file as an `Envelope`.

    Raises:
        RejectedError: ``unreadable`` (no JSON, or nested too deeply) or ``malformed`` (a field is missing
            or of a wrong type).
    """
    try:
        envelope = msgspec.json.decode(body, type=Envelope)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("malformed", where.strip("`") or "$", what) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RejectedError("unreadable", "$", f"the message can't be read as JSON: {error}") from error
    try:
        from_iso(envelope.time)
    except ValueError as error:
        raise RejectedError("malformed", "$.time", f"expected an ISO-8601 time: {error}") from error
    return envelope


def parser_of[T](envelope: Envelope, parsers: Mapping[tuple[str, str], T]) -> T:
    """The one of its source and detail type.

    Raises:
        RejectedError: ``unexpected-event``.
    """
    parser = parsers.get((envelope.source, envelope.detail_type))
    if parser is None:
        raise RejectedError(
            "unexpected-event",
            "$.detail-type",
            f"{envelope.source!r} / {envelope.detail_type!r} is no event of this domain",
        )
    return parser


def read_detail[T](envelope: Envelope, kind: type[T]) -> T:
    """The detail as ``kind``.

    Raises:
        RejectedError: ``malformed``, naming the place.
    """
    try:
        return msgspec.convert(envelope.detail, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("malformed", "$.detail" + where.strip("`").removeprefix("$"), what) from error


def check_scope(envelope: Envelope, scope: Scope, now: float) -> None:
    """Refuses an event of somebody else's, of the future, or too old to act on.

    The rule's pattern pins account and region too; this holds where a bus admits other accounts.

    Raises:
        RejectedError: ``foreign-account``, ``foreign-region``, ``from-future`` or ``stale``.
    """
    regions = {region for account, region in scope.places if account == envelope.account}
    if not regions:
        allowed = ", ".join(sorted({account for account, _ in scope.places}))
        raise RejectedError(
            "foreign-account", "$.account", f"account {envelope.account!r} is not one of: {allowed}"
        )
    if envelope.region not in regions:
        what = f"region {envelope.region!r} of account {envelope.account} is not one of: "
        raise RejectedError("foreign-region", "$.region", what + ", ".join(sorted(regions)))
    age = now - envelope.occurred_at
    if age < -FUTURE_TOLERANCE_SECONDS:
        raise RejectedError("from-future", "$.time", f"{envelope.time} lies {-age:.0f} s in the future")
    if age > scope.maximum_age:
        raise RejectedError(
            "stale", "$.time", f"{envelope.time} is {age:.0f} s old; the limit is {scope.maximum_age:.0f} s"
        )
