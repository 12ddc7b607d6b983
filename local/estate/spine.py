"""Objects that a call names, read from the spine's S3."""

from __future__ import annotations

from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.estate.stored import LARGEST, Stored
from local.identity import as_root, unreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class SpineStorage:
    """The Storage of the embedded AWS: the spine's S3."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._lock = Lock()
        self._clients: dict[str, S3Client] = {}

    def read(self, account: str, region: str, bucket: str, key: str, version: str) -> Stored | None:
        """Raises AwsError 503 when the spine can't be asked."""
        s3 = self._s3(account)
        which: Any = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
        try:
            if _region(s3, bucket) != region:
                return None
            answer = s3.get_object(**which)
            with answer["Body"] as body:
                return Stored(answer["ContentLength"], body.read(LARGEST))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR:
                return None
            raise unreachable(self._url, error) from error
        except BotoCoreError as error:
            raise unreachable(self._url, error) from error

    def _s3(self, account: str) -> S3Client:
        """S3 as the root of that account."""
        with self._lock:
            if account not in self._clients:
                self._clients[account] = boto3.client("s3", **as_root(self._url, account))
            return self._clients[account]


def _region(s3: S3Client, bucket: str) -> str:
    """S3 says nothing of buckets in the first of all Regions."""
    return s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
