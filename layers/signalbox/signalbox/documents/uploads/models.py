"""One upload, as the ledger keeps it and the API tells of it, and the port to S3's multipart uploads."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from signalbox.errors import RejectedError
from signalbox.ledger.records import Record

type State = Literal["open", "completed", "aborted"]

RETENTION_SECONDS = 8 * 86_400.0
"""How long the ledger keeps an upload: a day longer than the bucket keeps the parts of an unfinished one."""


class UploadError(RejectedError):
    """What the API answers with a status of 4xx: says what is wrong and where.

    Args:
        status: of HTTP.
        more: further members of the answer, as in ``{"missing": [3, 4]}``.
    """

    def __init__(
        self, status: int, code: str, where: str, what: str, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code, where, what)
        self.status = status
        self.more = dict(more or {})


class Beginning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller asks for: ``POST /uploads``.

    Attributes:
        name: of the file; the key ends with what is harmless of it.
        size: in bytes.
        content_type: "" to have it guessed by the name.
        part_size: in bytes; 0 to have it chosen.
    """

    name: str
    size: int
    content_type: str = ""
    part_size: int = 0


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload.

    Attributes:
        id: what callers know it by: cannot be guessed.
        owner: who began it (`signalbox.documents.uploads.callers`).
        multipart_id: what S3 knows it by. Never told.
        part_size: in bytes; the last part may be smaller.
        began_at: in seconds since 1970.
        etag: of the object, without quotes; "" until it is completed.
        version_id: "" until then, and where the bucket keeps no versions.
        checksum: the SHA-256 of the parts' SHA-256s, and how many there are, as S3 writes it.
    """

    id: str
    owner: str
    key: str
    multipart_id: str
    size: int
    part_size: int
    content_type: str
    began_at: float
    state: State = "open"
    etag: str = ""
    version_id: str = ""
    checksum: str = ""

    @property
    def part_count(self) -> int:
        """An empty object has one part, an empty one."""
        return max(1, -(-self.size // self.part_size))

    def part_bytes(self, number: int) -> int:
        """The size of a part, counted from 1."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)


def upload_key(upload_id: str) -> str:
    """The key of the record (`signalbox.ledger.records`)."""
    return f"upload#{upload_id}"


def upload_of(record: Record) -> Upload:
    return msgspec.convert(record.body, Upload)


def record_of(upload: Upload, version: int) -> Record:
    """The record to be written in the place of the one of that version; 0 where there is none yet."""
    return Record(upload_key(upload.id), msgspec.to_builtins(upload), version)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part that S3 has. ``checksum`` is its SHA-256 in base64, "" where S3 does not tell."""

    number: int
    size: int
    etag: str
    checksum: str = ""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the parts that S3 has, by number; ``next`` is what the next page begins after, or None."""

    parts: tuple[Part, ...]
    next: int | None = None


class SignedPart(msgspec.Struct, frozen=True, kw_only=True):
    """Where one part is to be PUT, and the headers that must come with it: they are signed."""

    number: int
    size: int
    url: str
    headers: Mapping[str, str] = {}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The object that a completed upload made."""

    etag: str
    version_id: str = ""
    checksum: str = ""


class Multipart(Protocol):
    """S3's multipart uploads, in the stack's own bucket.

    Every method raises:
        RefusedError: S3 refused for good.
        TransientError: worth trying again.
    """

    def begin(self, key: str, content_type: str, mark: str) -> str:
        """Answers S3's id. The object will carry the mark."""
        ...

    def sign(self, upload: Upload, number: int, checksum: str) -> SignedPart:
        """For a body of the part's very size and, unless it is "", of this SHA-256. Asks nobody."""
        ...

    def parts(self, upload: Upload, after: int) -> Parts:
        """A page of the parts there are, from the one after that number.

        Raises:
            NotFoundError: S3 has no such upload: completed, aborted, or expired.
        """
        ...

    def complete(self, upload: Upload, parts: Sequence[Part]) -> Stored:
        """Makes the object.

        Raises:
            NotFoundError: as `parts`.
            ConflictError: a part has been replaced meanwhile.
        """
        ...

    def abort(self, upload: Upload) -> None:
        """Throws the parts away, if there are any."""
        ...

    def stored(self, upload: Upload) -> Stored | None:
        """The object, if it is there with this upload's mark."""
        ...
