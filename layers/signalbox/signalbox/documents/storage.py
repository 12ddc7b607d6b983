"""Objects, as the domain sees them: the port to S3, and what it answers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an object without reading it.

    Attributes:
        version_id: "" where the bucket keeps no versions.
        etag: without quotes.
        modified_at: seconds since 1970.
        metadata: the object's own, names in lower case.
        archived: it can't be read until somebody restores it.
    """

    etag: str
    size: int
    modified_at: float
    version_id: str = ""
    content_type: str = ""
    metadata: Mapping[str, str] = {}
    archived: bool = False


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """An object that was read, and the ETag to hold a later write against."""

    body: bytes
    etag: str
    version_id: str = ""
    metadata: Mapping[str, str] = {}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An object in a listing."""

    key: str
    size: int
    etag: str
    modified_at: float


class ObjectStore(Protocol):
    """The port to S3. ``version_id`` "" is the newest, ``if_match`` "" any.

    Every method raises:
        NotFoundError: no such object, version or bucket.
        ConflictError: it is not as ``if_match`` or ``if_none_match`` said, or somebody writes it just now.
        AccessDeniedError: also for a missing object, where the role may not list the bucket.
        RefusedError: S3 refused for good.
        TransientError: worth trying again.
    """

    def head(self, bucket: str, key: str, *, version_id: str = "", if_match: str = "") -> Head: ...

    def first_bytes(
        self, bucket: str, key: str, count: int, *, version_id: str = "", if_match: str = ""
    ) -> bytes:
        """At most so many; none of an empty object."""
        ...

    def get(self, bucket: str, key: str, *, version_id: str = "", if_match: str = "") -> Content:
        """The whole of a small object."""
        ...

    def download(self, bucket: str, key: str, to: Path, *, version_id: str = "", if_match: str = "") -> None:
        """Streams it into a file."""
        ...

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
        """Writes bytes, or what a file holds; answers the ETag.

        Args:
            if_none_match: only where there is no object yet.
        """
        ...

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
        """Copies an object of at most 5 GB, without reading it here (CopyObject, S3 API Reference)."""
        ...

    def delete(self, bucket: str, *keys: str) -> None:
        """Deletes the objects, whichever of them there are."""
        ...

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """In the order of their keys' UTF-8."""
        ...
