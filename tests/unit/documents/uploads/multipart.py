"""S3's multipart uploads in memory: held to the suite of the adapter (tests/adapters/test_uploads.py)."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5, sha256
from itertools import count
from urllib.parse import parse_qs, urlsplit

from signalbox.clock import Clock
from signalbox.documents.uploads.checksums import HEADER, composite
from signalbox.documents.uploads.models import Part, Parts, SignedPart, Stored, Upload
from signalbox.errors import ConflictError, NotFoundError

PAGE = 1_000
"""ListParts, S3 API Reference."""


def digest_of(body: bytes) -> str:
    """A SHA-256 as S3 writes it."""
    return b64encode(sha256(body).digest()).decode()


@dataclass
class MemoryMultipart:
    """One bucket. ``put`` is what S3 does with a part that somebody sends to a signed URL."""

    clock: Clock
    url_seconds: int = 900
    page: int = PAGE
    open: dict[str, dict[int, Part]] = field(default_factory=dict)
    bodies: dict[tuple[str, int], bytes] = field(default_factory=dict)
    objects: dict[str, tuple[str, Stored, bytes]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    lost: list[str] = field(default_factory=list)

    def begin(self, key: str, content_type: str, mark: str) -> str:
        multipart_id = f"multipart-{next(self.numbers)}"
        self.open[multipart_id], self.marks[multipart_id] = {}, mark
        return multipart_id

    def sign(self, upload: Upload, number: int, checksum: str) -> SignedPart:
        size, until = upload.part_bytes(number), self.clock() + self.url_seconds
        url = (
            f"memory://s3/{upload.multipart_id}?part={number}&size={size}&until={until}&sum={checksum or '-'}"
        )
        headers = {HEADER: checksum} if checksum else {}
        return SignedPart(number=number, size=size, url=url.replace("+", "%2B"), headers=headers)

    def parts(self, upload: Upload, after: int) -> Parts:
        there = self._parts(upload)
        later = sorted(number for number in there if number > after)
        shown = later[: self.page]
        more = shown[-1] if len(later) > self.page else None
        return Parts(parts=tuple(there[number] for number in shown), next=more)

    def complete(self, upload: Upload, parts: Sequence[Part]) -> Stored:
        there = self._parts(upload)
        if any(there.get(part.number) != part for part in parts):
            raise ConflictError("InvalidPart")
        body = b"".join(self.bodies[upload.multipart_id, part.number] for part in parts)
        checksum = composite([part.checksum for part in parts])
        stored = Stored(etag=md5(body, usedforsecurity=False).hexdigest(), checksum=checksum)
        self.objects[upload.key] = (self.marks[upload.multipart_id], stored, body)
        del self.open[upload.multipart_id]
        return stored

    def abort(self, upload: Upload) -> None:
        self.open.pop(upload.multipart_id, None)

    def stored(self, upload: Upload) -> Stored | None:
        mark, stored, _ = self.objects.get(upload.key, ("", None, b""))
        return stored if mark == upload.id else None

    def expire(self) -> None:
        """As the bucket's lifecycle does after some days."""
        self.open.clear()

    def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Answers the status of HTTP."""
        multipart_id, query = urlsplit(url).path[1:], parse_qs(urlsplit(url).query)
        number, size, checksum = int(query["part"][0]), int(query["size"][0]), query["sum"][0]
        if self.clock() >= float(query["until"][0]) or size != len(body):
            return 403
        if headers.get(HEADER, "-") != checksum:
            return 403
        if checksum not in {"-", digest_of(body)}:
            return 400
        if multipart_id not in self.open:
            return 404
        self.open[multipart_id][number] = Part(
            number=number, size=size, etag=f"etag-{digest_of(body)}", checksum=digest_of(body)
        )
        self.bodies[multipart_id, number] = body
        return 200

    def _parts(self, upload: Upload) -> dict[int, Part]:
        try:
            return self.open[upload.multipart_id]
        except KeyError as error:
            raise NotFoundError(f"NoSuchUpload: {upload.multipart_id}") from error
