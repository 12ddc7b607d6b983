"""Objects in S3: the adapter of `signalbox.documents.storage.ObjectStore`."""

from collections.abc import Iterator, Mapping
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signalbox.aws.calls import call, code_of
from signalbox.documents.storage import Content, Head, Listed
from signalbox.errors import RefusedError, SignalboxError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1 << 20
DELETED_AT_ONCE = 1_000  # DeleteObjects, S3 API Reference
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""The storage classes that are not read at once; GLACIER_IR is."""


class Objects:
    """Objects of S3 (`ObjectStore`)."""

    def __init__(self, s3: "S3Client") -> None:
        self._s3 = s3

    def head(self, bucket: str, key: str, *, version_id: str = "", if_match: str = "") -> Head:
        answer = call(self._s3.head_object, **_which(bucket, key, version_id, if_match))
        return Head(
            etag=_bare(answer["ETag"]),
            size=answer["ContentLength"],
            modified_at=answer["LastModified"].timestamp(),
            version_id=_version(answer),
            content_type=answer.get("ContentType", ""),
            metadata=answer["Metadata"],
            archived=_is_archived(answer),
        )

    def first_bytes(
        self, bucket: str, key: str, count: int, *, version_id: str = "", if_match: str = ""
    ) -> bytes:
        which = _which(bucket, key, version_id, if_match)
        try:
            answer = call(self._s3.get_object, **which, Range=f"bytes=0-{count - 1}")
        except RefusedError as error:
            if code_of(error) == "InvalidRange":  # an empty object has no first byte
                return b""
            raise
        return call(answer["Body"].read)

    def get(self, bucket: str, key: str, *, version_id: str = "", if_match: str = "") -> Content:
        answer = call(self._s3.get_object, **_which(bucket, key, version_id, if_match))
        return Content(
            body=call(answer["Body"].read),
            etag=_bare(answer["ETag"]),
            version_id=_version(answer),
            metadata=answer["Metadata"],
        )

    def download(self, bucket: str, key: str, to: Path, *, version_id: str = "", if_match: str = "") -> None:
        answer = call(self._s3.get_object, **_which(bucket, key, version_id, if_match))
        with to.open("wb") as file:
            while chunk := call(answer["Body"].read, CHUNK_BYTES):
                file.write(chunk)

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
        chosen = {"ContentType": content_type, "IfMatch": if_match, "IfNoneMatch": "*" * if_none_match}
        given = {name: value for name, value in chosen.items() if value}
        if isinstance(body, bytes):
            return self._put(bucket, key, body, metadata, given)
        with body.open("rb") as file:
            return self._put(bucket, key, file, metadata, given)

    def _put(
        self, bucket: str, key: str, body: Any, metadata: Mapping[str, str] | None, given: Mapping[str, Any]
    ) -> str:
        kept = dict(metadata or {})
        answer = call(self._s3.put_object, Bucket=bucket, Key=key, Body=body, Metadata=kept, **given)
        return _bare(answer["ETag"])

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
        source: Any = _which(bucket, key, version_id, "")
        given: dict[str, Any] = {"CopySourceIfMatch": if_match} if if_match else {}
        given["TaggingDirective"] = "REPLACE"  # with none: tags would need permissions of their own
        call(self._s3.copy_object, Bucket=to_bucket, Key=to_key, CopySource=source, **given)

    def delete(self, bucket: str, *keys: str) -> None:
        for some in batched(keys, DELETED_AT_ONCE, strict=False):
            objects: Any = [{"Key": key} for key in some]
            answer = call(self._s3.delete_objects, Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            # It answers 200 also where it did not delete something.
            for error in answer.get("Errors", []):
                raise _not_deleted(error)

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        given: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
        while True:
            answer = call(self._s3.list_objects_v2, **given)
            for found in answer.get("Contents", []):
                yield Listed(
                    key=found["Key"],
                    size=found["Size"],
                    etag=_bare(found["ETag"]),
                    modified_at=found["LastModified"].timestamp(),
                )
            if not answer["IsTruncated"]:
                return
            given["ContinuationToken"] = answer["NextContinuationToken"]


def _which(bucket: str, key: str, version_id: str, if_match: str) -> dict[str, Any]:
    chosen = {"VersionId": version_id, "IfMatch": if_match and f'"{if_match}"'}
    return {"Bucket": bucket, "Key": key} | {name: value for name, value in chosen.items() if value}


def _bare(etag: str) -> str:
    return etag.strip('"')


def _version(answer: Mapping[str, Any]) -> str:
    """``null`` is one too: of what was there before the bucket began to keep versions."""
    version: str = answer.get("VersionId", "")
    return version


def _is_archived(answer: Mapping[str, Any]) -> bool:
    """Whether a read would be refused with InvalidObjectState ("HeadObject", S3 API Reference)."""
    archived = answer.get("StorageClass") in ARCHIVES or "ArchiveStatus" in answer
    return archived and 'ongoing-request="false"' not in answer.get("Restore", "")


def _not_deleted(error: Mapping[str, Any]) -> SignalboxError:
    code = error.get("Code", "")
    kind = RefusedError if code == "AccessDenied" else UnavailableError
    return kind(f"DeleteObjects: {code}: {error.get('Message', '')} ({error.get('Key', '')})")
