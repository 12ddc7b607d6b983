"""What the intake is told, and its way to one form: a version that has changed, or another try that is asked
for.

Source: "CodeArtifact event format and example", CodeArtifact User Guide. The requests are this program's own.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope, parser_of, read_detail
from signalbox.packages.coordinates import PackageVersion

OWN_SOURCE = "signalbox.operations"
RETRY_REQUESTED = "Package Release Retry Requested"
PLACES = {
    "format": "packageFormat",
    "namespace": "packageNamespace",
    "package": "packageName",
    "version": "packageVersion",
}
"""What CodeArtifact's events call the parts of a version."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A version has changed. What it is now, CodeArtifact is asked.

    Attributes:
        sequence: rises for each package of a repository, with gaps.
        id: ``eventDeduplicationId``: of the same event however often it comes.
        occurred_at: seconds since 1970.
    """

    version: PackageVersion
    domain: str
    owner: str
    repository: str
    sequence: int
    id: str
    occurred_at: float


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asks for another try of a release.

    Attributes:
        release: its key.
        round: the release's when it was asked for; so is ``tries``.
        acts: a dry run builds and promotes from now on.
        occurred_at: seconds since 1970.
    """

    release: str
    round: int
    tries: int
    acts: bool
    occurred_at: float


class _Detail(msgspec.Struct, rename="camel"):
    domain_name: str
    domain_owner: str
    repository_name: str
    package_format: str
    package_name: str
    package_version: str
    operation_type: Literal["Created", "Updated", "Deleted"]
    sequence_number: int
    event_deduplication_id: str
    package_namespace: str | None = None


class _Request(msgspec.Struct):
    release: str
    round: int
    tries: int
    acts: bool = False


def parse_event(envelope: Envelope) -> Change | Request:
    """What the envelope tells.

    Raises:
        RejectedError: ``unexpected-event``, ``malformed``, or as `PackageVersion.parse`, ``unknown-format``
            among them. Each names its place.
    """
    return parser_of(envelope, PARSERS)(envelope)


def _changed(envelope: Envelope) -> Change:
    detail = read_detail(envelope, _Detail)
    if detail.sequence_number < 1 or not detail.event_deduplication_id:
        where = "sequenceNumber" if detail.sequence_number < 1 else "eventDeduplicationId"
        raise RejectedError("malformed", f"$.detail.{where}", "expected a number from 1, and an id")
    return Change(
        version=_version(detail),
        domain=detail.domain_name,
        owner=detail.domain_owner,
        repository=detail.repository_name,
        sequence=detail.sequence_number,
        id=detail.event_deduplication_id,
        occurred_at=envelope.occurred_at,
    )


def _version(detail: _Detail) -> PackageVersion:
    """A package without a namespace has null there."""
    named = detail.package_format, detail.package_namespace, detail.package_name, detail.package_version
    try:
        return PackageVersion.parse(*named, "$.detail")
    except RejectedError as error:
        part = error.where.rpartition(".")[2]
        raise RejectedError(error.code, f"$.detail.{PLACES[part]}", error.what) from error


def _requested(envelope: Envelope) -> Request:
    detail = read_detail(envelope, _Request)
    fields: dict[str, Any] = msgspec.structs.asdict(detail)
    try:
        release = PackageVersion.parse_key(detail.release).key
    except RejectedError as error:
        raise RejectedError(error.code, "$.detail.release", error.what) from error
    return Request(**fields | {"release": release}, occurred_at=envelope.occurred_at)


PARSERS: dict[tuple[str, str], Callable[[Envelope], Change | Request]] = {
    ("aws.codeartifact", "CodeArtifact Package Version State Change"): _changed,
    (OWN_SOURCE, RETRY_REQUESTED): _requested,
}
"""(source, detail-type) → parser."""
