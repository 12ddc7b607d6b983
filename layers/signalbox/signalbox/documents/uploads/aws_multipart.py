"""Multipart uploads in S3: the adapter of `signalbox.documents.uploads.models.Multipart`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config

from signalbox.aws.calls import call, code_of
from signalbox.aws.clients import SDK_ATTEMPTS, client_config, session
from signalbox.documents.uploads.checksums import HEADER
from signalbox.documents.uploads.models import Part, Parts, SignedPart, Stored, Upload
from signalbox.errors import ConflictError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARK = "signalbox-upload"
"""The metadata by which an object is known as an upload's."""


def signing_config(*, accelerated: bool) -> Config:
    """How a client is made whose URLs are handed out: Signature V4, the bucket in the host's name.

    Otherwise botocore signs for the global endpoint, which redirects in a Region or for a bucket that is new.
    """
    return Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        s3={"use_accelerate_endpoint": accelerated, "addressing_style": "virtual"},
    )


def signing_client(*, accelerated: bool) -> "S3Client":
    """A client that signs URLs, and never calls."""
    config = client_config(SDK_ATTEMPTS).merge(signing_config(accelerated=accelerated))
    return cast("S3Client", session().create_client("s3", config=config))


class AwsMultipart:
    """Multipart uploads into one bucket (`Multipart`).

    Args:
        s3: makes the calls.
        signing: signs the URLs.
        bucket: its name.
        url_seconds: how long a URL stays valid: less, where the function's credentials end before.
    """

    def __init__(self, s3: "S3Client", signing: "S3Client", bucket: str, url_seconds: int) -> None:
        self._s3 = s3
        self._signing = signing
        self._bucket = bucket
        self._url_seconds = url_seconds

    def begin(self, key: str, content_type: str, mark: str) -> str:
        answer = call(
            self._s3.create_multipart_upload,
            Bucket=self._bucket,
            Key=key,
            ContentType=content_type,
            Metadata={MARK: mark},
            ChecksumAlgorithm="SHA256",
        )
        return answer["UploadId"]

    def sign(self, upload: Upload, number: int, checksum: str) -> SignedPart:
        size = upload.part_bytes(number)
        url = call(
            self._signing.generate_presigned_url,
            "upload_part",
            Params={
                **self._which(upload),
                "PartNumber": number,
                "ContentLength": size,
                **({"ChecksumSHA256": checksum} if checksum else {}),
            },
            ExpiresIn=self._url_seconds,
        )
        return SignedPart(number=number, size=size, url=url, headers={HEADER: checksum} if checksum else {})

    def parts(self, upload: Upload, after: int) -> Parts:
        answer = call(self._s3.list_parts, **self._which(upload), PartNumberMarker=after)
        return Parts(
            parts=tuple(
                Part(
                    number=part["PartNumber"],
                    size=part["Size"],
                    etag=part["ETag"].strip('"'),
                    checksum=part.get("ChecksumSHA256", ""),
                )
                for part in answer.get("Parts", [])
            ),
            next=answer["NextPartNumberMarker"] if answer["IsTruncated"] else None,
        )

    def complete(self, upload: Upload, parts: Sequence[Part]) -> Stored:
        try:
            answer = call(
                self._s3.complete_multipart_upload,
                **self._which(upload),
                MultipartUpload={"Parts": [_completed(part) for part in parts]},
            )
        except RefusedError as error:
            if code_of(error) == "InvalidPart":
                raise ConflictError(str(error)) from error
            raise
        return _stored(answer)

    def abort(self, upload: Upload) -> None:
        try:
            call(self._s3.abort_multipart_upload, **self._which(upload))
        except NotFoundError:
            return  # nothing of it is left

    def stored(self, upload: Upload) -> Stored | None:
        try:
            answer = call(self._s3.head_object, Bucket=self._bucket, Key=upload.key, ChecksumMode="ENABLED")
        except NotFoundError:
            return None
        return _stored(answer) if answer["Metadata"].get(MARK) == upload.id else None

    def _which(self, upload: Upload) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": upload.key, "UploadId": upload.multipart_id}


def _completed(part: Part) -> Any:
    checksum = {"ChecksumSHA256": part.checksum} if part.checksum else {}
    return {"PartNumber": part.number, "ETag": part.etag, **checksum}


def _stored(answer: Any) -> Stored:
    """S3 says ``null`` where the bucket no longer keeps versions."""
    return Stored(
        etag=answer["ETag"].strip('"'),
        version_id=answer.get("VersionId", ""),
        checksum=answer.get("ChecksumSHA256", ""),
    )
