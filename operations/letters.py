"""What lies in a dead-letter queue, and what replaying it would come to. Pure: no AWS, no clock.

EventBridge puts the event itself into the body and says in attributes why it could not deliver it. Source:
"Using dead-letter queues to process undelivered events", Amazon EventBridge User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope, parse_envelope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

type Prospect = Literal["handled", "stale", "discarded", "unreadable", "passed over"]
"""What a replay comes to: handled like any event; recorded as too old; thrown away; left where it is, being
no event; left where it is, being older than was asked for."""

SUBJECTS = ("instance-id", "EC2InstanceId", "build-id", "release")
"""Members of an event's detail that say what it is about."""
WANTED: frozenset[Prospect] = frozenset({"handled", "stale", "discarded"})
BATCH_ENTRIES = 10
BATCH_BYTES = 256 * 1024
"""What SQS took in one SendMessageBatch, all bodies together, before it took 1 MiB. No need to go nearer."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter queue.

    Attributes:
        id: the message's.
        receipt: what deletes it, or lets it be seen again.
        body: the event, as EventBridge would have delivered it.
        sent_at: when it came into the queue, seconds since 1970.
        error: EventBridge's ERROR_CODE; "" in a queue that SQS fills.
        cause: EventBridge's ERROR_MESSAGE; "" likewise.
        rule: the name of the rule that could not deliver it; "" likewise.
    """

    id: str
    receipt: str
    body: str
    sent_at: float
    error: str = ""
    cause: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One letter and what is to be said of it. `age` in seconds: the event's; None where it has none."""

    letter: Letter
    prospect: Prospect
    what: str
    age: float | None = None

    @property
    def wanted(self) -> bool:
        """Whether it is to leave the queue."""
        return self.prospect in WANTED


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a letter is judged: the time, the stack's largest age of an event, since when one is wanted."""

    now: float
    maximum_age: float
    since: float = 0.0


def judge(letter: Letter, terms: Terms) -> Finding:
    """What replaying the letter would come to. The intake judges again, by its own clock."""
    try:
        envelope = parse_envelope(letter.body)
    except RejectedError as error:
        return Finding(letter, "unreadable", str(error))
    age = terms.now - envelope.occurred_at
    if envelope.occurred_at < terms.since:
        return Finding(letter, "passed over", _title(envelope), age)
    return Finding(letter, "stale" if age > terms.maximum_age else "handled", _title(envelope), age)


def _title(envelope: Envelope) -> str:
    detail = envelope.detail
    subject = next(filter(None, (detail.get(name) for name in SUBJECTS)), "")
    subject = subject or _object(detail) or _version(detail) or envelope.id
    return f"{envelope.detail_type} {subject}"


def _version(detail: dict[str, Any]) -> str:
    named = [detail.get(f"package{part}") for part in ("Format", "Namespace", "Name", "Version")]
    return "/".join(each or "" for each in named) if named[-1] else ""


def _object(detail: dict[str, Any]) -> str:
    bucket, found = detail.get("bucket"), detail.get("object")
    if not isinstance(bucket, dict) or not isinstance(found, dict):
        return ""
    return f"s3://{bucket.get('name', '')}/{found.get('key', '')}"


def judge_run(letter: Letter) -> Finding:
    """What failed about one run by the clock, as Lambda's failure destination or EventBridge left it.

    There is nothing to replay: the next run does the same. Source: "Capturing records of Lambda asynchronous
    invocations", AWS Lambda Developer Guide.
    """
    try:
        record = msgspec.json.decode(letter.body, type=_FailedRun)
    except msgspec.DecodeError:
        return Finding(letter, "discarded", "a run that was not delivered")
    said = record.responsePayload or {}
    what = ": ".join(str(said[name]) for name in ("errorType", "errorMessage") if name in said)
    return Finding(letter, "discarded", what or record.requestContext.get("condition", "a run that failed"))


class _FailedRun(msgspec.Struct):
    """The part that is shown. Members are named as Lambda names them."""

    requestContext: dict[str, Any] = {}  # noqa: N815 - Lambda's own name
    responsePayload: dict[str, Any] | None = None  # noqa: N815 - Lambda's own name


def batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """In order, as SQS takes them in one call: at most ten, at most 256 KiB of text; a larger one alone."""
    batch: list[Letter] = []
    size = 0
    for letter in letters:
        own = len(letter.body.encode())
        if batch and (len(batch) == BATCH_ENTRIES or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(letter)
        size += own
    if batch:
        yield batch


def rule_name(arn: str) -> str:
    """The rule of `arn:…:rule/<name>` or `arn:…:rule/<bus>/<name>`; "" for none."""
    return arn.rpartition("/")[2]
