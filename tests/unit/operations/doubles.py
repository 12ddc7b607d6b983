"""Fakes of what the operator's commands work on."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from operations.backfill import Sending
from operations.notifications import Configuration
from signalbox.errors import AccessDeniedError, NotFoundError, SignalboxError

type Step = Callable[[], object]


@dataclass
class FakeBuckets:
    """Notification configurations, each written whole, as S3 does. Held to the suite of the real adapter.

    Attributes:
        denied: buckets that may not be read.
        read_only: buckets that may not be written.
        writes: what was written, in order.
        after_write: what others do next, right after each of our writes.
    """

    configurations: dict[str, Configuration] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    read_only: set[str] = field(default_factory=set)
    failure: SignalboxError | None = None
    writes: list[tuple[str, Configuration]] = field(default_factory=list)
    after_write: list[Step] = field(default_factory=list)

    def read(self, bucket: str) -> Configuration:
        if bucket not in self.configurations:
            raise NotFoundError(f"GetBucketNotificationConfiguration: NoSuchBucket: {bucket}")
        if bucket in self.denied:
            raise AccessDeniedError("GetBucketNotificationConfiguration: AccessDenied: no")
        return deepcopy(self.configurations[bucket])

    def write(self, bucket: str, configuration: Configuration) -> None:
        if bucket not in self.configurations:
            raise NotFoundError(f"PutBucketNotificationConfiguration: NoSuchBucket: {bucket}")
        if bucket in self.read_only:
            raise AccessDeniedError("PutBucketNotificationConfiguration: AccessDenied: no")
        if self.failure:
            raise self.failure
        self.configurations[bucket] = deepcopy(configuration)
        self.writes.append((bucket, deepcopy(configuration)))
        if self.after_write:
            self.after_write.pop(0)()


@dataclass
class FakeQueue:
    """Takes what it is sent, save what it is told to refuse, a set of places for each call."""

    refusals: list[set[int]] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def send(self, batch: Sequence[Sending]) -> set[str]:
        refused = self.refusals.pop(0) if self.refusals else set[int]()
        taken = [each for place, each in enumerate(batch) if place not in refused]
        self.sizes.append(len(batch))
        self.bodies += [each.body for each in taken]
        return {each.id for each in taken}


def queue_entry(id_: str, **more: Any) -> dict[str, Any]:
    """One configuration of somebody else's, as S3 answers it."""
    return {"Id": id_, "QueueArn": "arn:aws:sqs:us-east-1:123456789012:theirs", "Events": ["s3:*"], **more}


def filtered(prefix: str, suffix: str) -> dict[str, Any]:
    rules = [{"Name": "Prefix", "Value": prefix}, {"Name": "Suffix", "Value": suffix}]
    return {"Filter": {"Key": {"FilterRules": rules}}}
