"""Objects of S3 that another service is told to read."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from moto.core.exceptions import JsonRESTError

if TYPE_CHECKING:
    from moto.core.responses import BaseResponse

LARGEST = 16 * 2**20
"""No service that is here reads more."""
# Words: aws/aws-sdk-java#1806.
OUT_OF_REACH = "Unable to get object metadata from S3. Check object key, region and/or access permissions."


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its size in bytes, and of these the first LARGEST."""

    size: int
    body: bytes


class Storage(Protocol):
    """Where the objects are."""

    def read(self, account: str, region: str, bucket: str, key: str, version: str) -> Stored | None:
        """As the root of that account; `version` "" is the newest. None if there is none in that region."""
        ...


class NoStorage:
    """An estate without a spine has no objects."""

    def read(self, *_: str) -> Stored | None:
        return None


def s3_object(parameters: dict[str, Any]) -> dict[str, str]:
    """The S3Object that a call of Rekognition or Textract names, if any: Bucket, Name, perhaps Version."""
    given = parameters.get("Image") or parameters.get("Document") or {}
    found: dict[str, str] = given.get("S3Object") or {}
    return found


def given_to(response: BaseResponse, storage: Storage, parameters: dict[str, Any]) -> Stored:
    """What a call is about: the object that it names, or the bytes that it brings along."""
    if where := s3_object(parameters):
        return read_for(response, storage, where)
    given = parameters.get("Image") or parameters.get("Document") or {}
    body = base64.b64decode(given.get("Bytes", ""))
    return Stored(len(body), body)


def read_for(response: BaseResponse, storage: Storage, given: dict[str, str]) -> Stored:
    """The object that a call names, as long as its caller's account and Region have it."""
    where = (given.get("Bucket", ""), given.get("Name", ""), given.get("Version", ""))
    stored = storage.read(response.current_account, response.region, *where)
    if stored is None:
        raise JsonRESTError("InvalidS3ObjectException", OUT_OF_REACH)
    return stored
