"""Fakes of the Documents domain: S3 in memory, held to the same suite as the real adapter."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from signalbox.clock import Clock
from signalbox.documents.models import Document, Found, Options, Text
from signalbox.documents.storage import Content, Head, Listed
from signalbox.errors import AccessDeniedError, ConflictError, NotFoundError, RefusedError

NOON = 1_780_000_000.0
BUCKET, WORK_BUCKET, KEY = "uploads", "work", "reports/2026/march.pdf"
GENERATION = int(NOON * 1000)


class MovableClock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def document(**changes: Any) -> Document:
    """An upload, admitted two seconds later."""
    fields: dict[str, Any] = {
        "bucket": BUCKET,
        "key": KEY,
        "generation": GENERATION,
        "cause": "created",
        "occurred_at": NOON - 2,
    }
    return Document(**fields | changes)


def options(**changes: Any) -> Options:
    fields: dict[str, Any] = {"route": "reports"}
    return Options(**fields | changes)


def found(**changes: Any) -> Found:
    fields: dict[str, Any] = {
        "version": "version-1",
        "version_id": "version-1",
        "etag": "0123456789abcdef0123456789abcdef",
        "size": 48_213,
        "media_type": "application/pdf",
        "modified_at": NOON - 3,
    }
    return Found(**fields | changes)


def text_of(each: Document, **changes: Any) -> Text:
    """The text that a converter made of it."""
    fields: dict[str, Any] = {
        "key": f"text/{each.id}/{each.generation}.jsonl.gz",
        "batches": 3,
        "characters": 12_345,
        "pages": 7,
        "media_type": "application/pdf",
    }
    return Text(**fields | changes)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an object; ``body`` is None of a delete marker."""

    version_id: str
    body: bytes | None
    modified_at: float
    content_type: str = ""
    metadata: Mapping[str, str] = {}
    archived: bool = False

    @property
    def etag(self) -> str:
        return md5(self.body or b"", usedforsecurity=False).hexdigest()


@dataclass
class Bucket:
    """Its objects' versions, the newest last. One without versions keeps one of each, and no marker."""

    versioned: bool = False
    denied: frozenset[str] = frozenset()
    """The operations that its policy denies: ``head``, ``first_bytes``, …"""
    objects: dict[str, list[Kept]] = field(default_factory=lambda: defaultdict(list))

    def newest(self, key: str) -> Kept | None:
        versions = self.objects.get(key)
        return versions[-1] if versions and versions[-1].body is not None else None


class FakeObjects:
    """S3 (`signalbox.documents.storage.ObjectStore`): conditional writes, versions, and what goes wrong.

    Attributes:
        calls: (operation, bucket, key) of every call, as it came.
        failing: operation → the errors that its next calls end with, before they have any effect.
        meddle: called after each call, with the operation's name: whatever somebody else does meanwhile.
    """

    def __init__(self, clock: Clock = lambda: NOON) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.failing: dict[str, list[Exception]] = defaultdict(list)
        self.meddle: Callable[[str], None] = lambda _: None
        self._clock = clock
        self._ids = count(1)

    def create_bucket(self, name: str, *, versioned: bool = False) -> None:
        self.buckets[name] = Bucket(versioned=versioned)

    def keep_versions(self, name: str) -> None:
        """What is there already has the version ``null`` from then on."""
        bucket = self.buckets[name]
        bucket.versioned = True
        for key, versions in bucket.objects.items():
            bucket.objects[key] = [msgspec.structs.replace(each, version_id="null") for each in versions]

    def deny(self, name: str, *operations: str) -> None:
        self.buckets[name].denied |= set(operations)

    def archive(self, bucket: str, key: str) -> None:
        """As a lifecycle rule would: it can be looked at, not read."""
        versions = self.buckets[bucket].objects[key]
        versions[-1] = msgspec.structs.replace(versions[-1], archived=True)

    def fail(self, operation: str, *errors: Exception) -> None:
        self.failing[operation] += errors

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Those that there are, without a call being counted."""
        found = self.buckets[bucket]
        return sorted(key for key in found.objects if key.startswith(prefix) and found.newest(key))

    def head(self, bucket: str, key: str, *, version_id: str = "", if_match: str = "") -> Head:
        with _call(self, "head", bucket, key) as found:
            kept = _which(found, key, version_id, if_match)
            return Head(
                etag=kept.etag,
                size=len(kept.body or b""),
                modified_at=kept.modified_at,
                version_id=kept.version_id,
                content_type=kept.content_type,
                metadata=kept.metadata,
                archived=kept.archived,
            )

    def first_bytes(
        self, bucket: str, key: str, count: int, *, version_id: str = "", if_match: str = ""
    ) -> bytes:
        with _call(self, "first_bytes", bucket, key) as found:
            return _read(_which(found, key, version_id, if_match))[:count]

    def get(self, bucket: str, key: str, *, version_id: str = "", if_match: str = "") -> Content:
        with _call(self, "get", bucket, key) as found:
            kept = _which(found, key, version_id, if_match)
            return Content(
                body=_read(kept), etag=kept.etag, version_id=kept.version_id, metadata=kept.metadata
            )

    def download(self, bucket: str, key: str, to: Path, *, version_id: str = "", if_match: str = "") -> None:
        with _call(self, "download", bucket, key) as found:
            to.write_bytes(_read(_which(found, key, version_id, if_match)))

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | Path,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "",
        if_match: str = "",
        if_none_match: bool = False,
    ) -> str:
        with _call(self, "put", bucket, key) as found:
            if if_match:
                _which(found, key, "", if_match)
            if if_none_match and found.newest(key):
                raise ConflictError("PutObject: PreconditionFailed")
            kept = Kept(
                version_id=self._version_of(found),
                body=body if isinstance(body, bytes) else body.read_bytes(),
                modified_at=self._clock(),
                content_type=content_type or "binary/octet-stream",
                metadata=dict(metadata or {}),
            )
            _add(found, key, kept)
            return kept.etag

    def copy(
        self,
        bucket: str,
        key: str,
        to_bucket: str,
        to_key: str,
        *,
        version_id: str = "",
        if_match: str = "",
    ) -> None:
        with _call(self, "copy", bucket, key) as found:
            kept = _which(found, key, version_id, if_match)
            _read(kept)
            to = _existing(self, to_bucket)
            copied = msgspec.structs.replace(
                kept, version_id=self._version_of(to), modified_at=self._clock(), archived=False
            )
            _add(to, to_key, copied)

    def delete(self, bucket: str, *keys: str) -> None:
        with _call(self, "delete", bucket, " ".join(keys)) as found:
            for key in keys:
                if found.versioned:
                    marker = Kept(version_id=self._version_of(found), body=None, modified_at=self._clock())
                    found.objects[key].append(marker)
                else:
                    found.objects.pop(key, None)

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        with _call(self, "list", bucket, prefix) as found:
            keys = sorted((key for key in found.objects if key.startswith(prefix)), key=str.encode)
        for key in keys:
            if kept := found.newest(key):
                yield Listed(
                    key=key, size=len(kept.body or b""), etag=kept.etag, modified_at=kept.modified_at
                )

    def _version_of(self, bucket: Bucket) -> str:
        return f"version-{next(self._ids)}" if bucket.versioned else ""


@contextmanager
def _call(objects: FakeObjects, operation: str, bucket: str, key: str) -> Iterator[Bucket]:
    objects.calls.append((operation, bucket, key))
    if errors := objects.failing[operation]:
        raise errors.pop(0)
    found = _existing(objects, bucket)
    if operation in found.denied:
        raise AccessDeniedError(f"{operation}: AccessDenied: {bucket}")
    yield found
    objects.meddle(operation)


def _existing(objects: FakeObjects, bucket: str) -> Bucket:
    if bucket not in objects.buckets:
        raise NotFoundError(f"NoSuchBucket: {bucket}")
    return objects.buckets[bucket]


def _which(bucket: Bucket, key: str, version_id: str, if_match: str) -> Kept:
    versions = {kept.version_id: kept for kept in bucket.objects.get(key, ())}
    kept = versions.get(version_id) if version_id else bucket.newest(key)
    if kept is None:
        raise NotFoundError(f"NoSuchKey: {key}")
    if kept.body is None:
        raise RefusedError(f"MethodNotAllowed: {key} has a delete marker of that version")
    if if_match and kept.etag != if_match:
        raise ConflictError(f"PreconditionFailed: {key}")
    return kept


def _read(kept: Kept) -> bytes:
    if kept.archived:
        raise RefusedError("InvalidObjectState: the object is archived")
    return kept.body or b""


def _add(bucket: Bucket, key: str, kept: Kept) -> None:
    if not bucket.versioned:
        bucket.objects[key].clear()
    bucket.objects[key].append(kept)


class FakeTopic:
    """The alert topic: (subject, message, attributes) of what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, dict[str, str]]] = []
        self.failing: list[Exception] = []

    def publish(self, subject: str, message: str, attributes: dict[str, str]) -> str:
        if self.failing:
            raise self.failing.pop(0)
        self.published.append((subject, message, attributes))
        return f"message-{len(self.published)}"


class FakeBus:
    """The event bus: what a rule of it sees, without what EventBridge itself adds."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.failing: list[Exception] = []

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        if self.failing:
            raise self.failing.pop(0)
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail})
        return f"event-{len(self.events)}"
