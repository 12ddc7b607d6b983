"""What a new upload comes to: its key, its content type, its parts. Pure.

Limits: "Amazon S3 multipart upload limits" and "Naming Amazon S3 objects", Amazon S3 User Guide.
"""

import mimetypes
import re
import unicodedata
from datetime import UTC, datetime

from signalbox.documents.uploads.models import Beginning, UploadError

MIB = 2**20
MINIMUM_PART_BYTES = 5 * MIB
MAXIMUM_PART_BYTES = 5 * 2**30
USUAL_PART_BYTES = 8 * MIB
MAXIMUM_PARTS = 10_000
MAXIMUM_KEY_BYTES = 1_024
MAXIMUM_NAME_BYTES = 255
"""What file systems take, so that the object can be saved under its name."""
LONGEST_NAME = 4_096
LONGEST_EXTENSION = 16
HARMLESS = frozenset(" -_.,+=@!'()")
"""What a name may hold beside letters and digits, of any script."""
CONTENT_TYPE = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}(; ?[\w.+-]{1,64}=\"?[\w.+-]{1,64}\"?)*", re.ASCII)

_OFFICE = "application/vnd.openxmlformats-officedocument"
_TYPES = mimetypes.MimeTypes()  # Python's own table: what lies on the machine must not matter
for _extension, _type in {
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".msg": "application/vnd.ms-outlook",
    ".yaml": "application/yaml",
}.items():
    _TYPES.add_type(_type, _extension)


def check_beginning(asked: Beginning, maximum: int) -> None:
    """Whether such an upload may begin.

    Raises:
        UploadError: what must be otherwise.
    """
    if not 0 < len(asked.name) <= LONGEST_NAME:
        raise UploadError(400, "bad-name", "$.name", f"a name has 1 to {LONGEST_NAME:,} characters")
    if asked.size < 0:
        raise UploadError(400, "bad-size", "$.size", "a size is 0 bytes or more")
    if asked.size > maximum:
        raise UploadError(413, "too-large", "$.size", f"{asked.size:,} bytes; at most {maximum:,} are taken")
    if asked.content_type and not CONTENT_TYPE.fullmatch(asked.content_type):
        raise UploadError(400, "bad-content-type", "$.content_type", "expected one as in application/pdf")


def part_size(size: int, asked: int = 0) -> int:
    """Of every part but the last, in bytes: what was asked for, or 8 MiB, or as large as 10,000 parts need.

    Raises:
        UploadError: S3 takes no such parts.
    """
    if asked and not MINIMUM_PART_BYTES <= asked <= MAXIMUM_PART_BYTES:
        what = f"a part has {MINIMUM_PART_BYTES:,} to {MAXIMUM_PART_BYTES:,} bytes"
        raise UploadError(400, "bad-part-size", "$.part_size", what)
    if asked and asked * MAXIMUM_PARTS < size:
        least = -(-size // MAXIMUM_PARTS)
        what = f"that makes more than {MAXIMUM_PARTS:,} parts; {least:,} bytes are the least here"
        raise UploadError(400, "bad-part-size", "$.part_size", what)
    needed = -(-size // (MAXIMUM_PARTS * MIB)) * MIB
    return asked or max(USUAL_PART_BYTES, needed)


def content_type(asked: Beginning) -> str:
    """What was said, else by the name's extension."""
    guessed, encoding = _TYPES.guess_type(safe_name(asked.name))
    usual = guessed if guessed and not encoding else "application/octet-stream"
    return asked.content_type or usual


def object_key(prefix: str, now: float, upload_id: str, name: str) -> str:
    """``<prefix>2026/01/31/<upload id>/<safe name>``: no two uploads share one."""
    folder = f"{prefix}{datetime.fromtimestamp(now, UTC):%Y/%m/%d}/{upload_id}/"
    room = MAXIMUM_KEY_BYTES - len(folder.encode())
    return folder + safe_name(name, min(MAXIMUM_NAME_BYTES, room))


def safe_name(name: str, most: int = MAXIMUM_NAME_BYTES) -> str:
    """The last step of a path, without what a key, a URL or a terminal trips over; at most so many bytes.

    Letters and digits of every script stay; whatever else there is, also what turns the direction of writing,
    becomes an underscore.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    safe = "".join(c if _harmless(c) else "_" for c in last).strip()
    return _cut(safe, most) if safe.strip(".") else "file"


def _harmless(character: str) -> bool:
    return character in HARMLESS or unicodedata.category(character)[0] in "LMN"


def _cut(name: str, most: int) -> str:
    """Between characters, and before the extension, so that it stays."""
    stem, dot, extension = name.rpartition(".")
    ending = dot + extension if stem and len(extension.encode()) <= LONGEST_EXTENSION else ""
    begin = name.removesuffix(ending).encode()[: most - len(ending.encode())]
    return begin.decode(errors="ignore") + ending
