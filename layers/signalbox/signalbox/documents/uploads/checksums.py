"""SHA-256 checksums of parts, as S3 writes them. Pure.

A part's checksum is signed with its URL, as a header: S3 then refuses other bytes. It takes no such header
that is not signed. Source: "Checking object integrity in Amazon S3", Amazon S3 User Guide.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256

from signalbox.documents.uploads.models import UploadError

HEADER = "x-amz-checksum-sha256"
DIGEST_BYTES = 32
_FROM_URLS = str.maketrans("-_", "+/")


def checksums_of(texts: Iterable[str], where: str) -> list[str]:
    """Checksums in base64, also of the alphabet for URLs, and with or without its padding.

    Raises:
        UploadError: one of them is none; says which, counted from 0.
    """
    return [_checksum(text, f"{where}[{index}]") for index, text in enumerate(texts)]


def composite(checksums: Sequence[str]) -> str:
    """What S3 tells of an object of these parts: the SHA-256 of their SHA-256s, and how many they are."""
    digest = sha256(b"".join(map(b64decode, checksums))).digest()
    return f"{b64encode(digest).decode()}-{len(checksums)}"


def _checksum(text: str, where: str) -> str:
    plain = text.translate(_FROM_URLS).rstrip("=")
    try:
        digest = b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != DIGEST_BYTES:
        raise UploadError(400, "bad-checksum", where, "expected a SHA-256 of 32 bytes, in base64")
    return b64encode(digest).decode()
