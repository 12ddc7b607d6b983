"""Begins uploads, signs their parts, tells how far they are, completes and aborts them. No AWS: ports only.

Safe to repeat: whatever is asked twice, or again after an answer that got lost, is answered the same.
"""

from collections.abc import Callable, Sequence

import msgspec

from signalbox.clock import Clock
from signalbox.documents.uploads.checksums import composite
from signalbox.documents.uploads.models import (
    Beginning,
    Multipart,
    Part,
    Parts,
    SignedPart,
    State,
    Stored,
    Upload,
    UploadError,
    record_of,
    upload_key,
    upload_of,
)
from signalbox.documents.uploads.planning import check_beginning, content_type, object_key, part_size
from signalbox.errors import ConflictError, InvariantError, NotFoundError
from signalbox.ledger.records import Record, RecordStore

MOST_SIGNED = 100
MOST_NAMED = 100
"""Parts that an answer names as missing or different: enough to go on with."""
TRIES = 5

type Rule = tuple[str, int]
"""A prefix of keys, and the largest size in bytes that is taken."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Signed parts. ``expires_at`` is in seconds since 1970; ``next`` the number to go on from, or None."""

    parts: tuple[SignedPart, ...]
    expires_at: float
    next: int | None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """An upload, and a page of the parts that are there while it is open."""

    upload: Upload
    page: Parts


class ManageUploads:
    """The use cases of the API. Every method raises UploadError for what the caller must do otherwise.

    Args:
        records: where uploads are kept.
        multipart: S3.
        clock: seconds since 1970.
        new_id: makes what cannot be guessed.
        rule: what keys begin with, and the largest object.
        url_seconds: how long a signed part stays valid.
    """

    def __init__(
        self,
        records: RecordStore,
        multipart: Multipart,
        clock: Clock,
        new_id: Callable[[], str],
        rule: Rule,
        *,
        url_seconds: int,
    ) -> None:
        self._records = records
        self._multipart = multipart
        self._clock = clock
        self._new_id = new_id
        self._prefix, self._maximum = rule
        self._url_seconds = url_seconds

    def begin(self, owner: str, asked: Beginning) -> Upload:
        """S3 first: what the ledger then does not get to know of, the bucket's lifecycle throws away."""
        check_beginning(asked, self._maximum)
        size_of_parts = part_size(asked.size, asked.part_size)
        upload_id, now = self._new_id(), self._clock()
        key = object_key(self._prefix, now, upload_id, asked.name)
        kind = content_type(asked)
        upload = Upload(
            id=upload_id,
            owner=owner,
            key=key,
            multipart_id=self._multipart.begin(key, kind, upload_id),
            size=asked.size,
            part_size=size_of_parts,
            content_type=kind,
            began_at=now,
        )
        if self._records.put_records([record_of(upload, 0)]):
            raise InvariantError(f"two uploads were given the id {upload_id}")
        return upload

    def sign(self, owner: str, upload_id: str, first: int, checksums: Sequence[str] | None) -> Page:
        """A page of parts from ``first`` on: as many as checksums were given, else a hundred."""
        upload = self._open(owner, upload_id)
        if not 1 <= first <= upload.part_count:
            raise UploadError(400, "bad-part", "?from", f"the parts are 1 to {upload.part_count:,}")
        left = upload.part_count - first + 1
        if checksums is not None and not 1 <= len(checksums) <= min(left, MOST_SIGNED):
            what = f"expected 1 to {min(left, MOST_SIGNED)}, not {len(checksums)}, from part {first:,} on"
            raise UploadError(400, "bad-checksums", "?checksums", what)
        count = min(left, MOST_SIGNED) if checksums is None else len(checksums)
        expires_at = self._clock() + self._url_seconds
        given = checksums if checksums is not None else [""] * count
        signed = tuple(self._multipart.sign(upload, first + n, text) for n, text in enumerate(given))
        end = first + count
        return Page(parts=signed, expires_at=expires_at, next=end if end <= upload.part_count else None)

    def look(self, owner: str, upload_id: str, after: int) -> Progress:
        """How far an upload is: its state, and a page of the parts behind that number."""
        upload = self._own(owner, upload_id)
        if upload.state != "open":
            return Progress(upload=upload, page=Parts(parts=()))
        try:
            return Progress(upload=upload, page=self._multipart.parts(upload, after))
        except NotFoundError:
            return Progress(upload=self._ended(upload), page=Parts(parts=()))

    def complete(self, owner: str, upload_id: str, checksums: Sequence[str] | None) -> Upload:
        """Makes the object, once, of parts that are all there and, where checksums are given, are those."""
        upload = self._own(owner, upload_id)
        if checksums is not None and len(checksums) != upload.part_count:
            what = f"expected {upload.part_count:,}, one for each part, not {len(checksums):,}"
            raise UploadError(400, "bad-checksums", "$.parts", what)
        if upload.state == "open":
            upload = self._complete(upload, checksums)
        if upload.state != "completed":
            raise _ended_error(upload)
        if checksums is not None and upload.checksum and upload.checksum != composite(checksums):
            raise UploadError(409, "completed-differently", "$.parts", "the object was made of other parts")
        return upload

    def abort(self, owner: str, upload_id: str) -> Upload:
        """Throws the parts away. S3 is asked each time: a part that was on its way may have come since."""
        upload = self._own(owner, upload_id)
        if upload.state == "open" and (stored := self._multipart.stored(upload)):
            upload = self._note(upload, "completed", stored)
        if upload.state != "completed":
            self._multipart.abort(upload)
            upload = self._note(upload, "aborted")
        if upload.state == "completed":
            raise UploadError(409, "completed", "{id}", "the upload is completed: delete the object instead")
        return upload

    def _complete(self, upload: Upload, checksums: Sequence[str] | None) -> Upload:
        try:
            parts = self._parts(upload)
            _check_parts(upload, parts, checksums)
            stored = self._multipart.complete(upload, parts)
        except NotFoundError:  # somebody did so just now, or we did and the answer was lost
            return self._ended(upload)
        except ConflictError as error:
            what = "a part was uploaded again meanwhile: try again"
            raise UploadError(409, "parts-changed", "{id}", what) from error
        return self._note(upload, "completed", stored)

    def _parts(self, upload: Upload) -> list[Part]:
        page = self._multipart.parts(upload, 0)
        found = [*page.parts]
        while page.next is not None:
            page = self._multipart.parts(upload, page.next)
            found += page.parts
        return found

    def _ended(self, upload: Upload) -> Upload:
        """What became of an upload that S3 has no parts of any more."""
        stored = self._multipart.stored(upload)
        return self._note(upload, "completed" if stored else "aborted", stored)

    def _note(self, upload: Upload, state: State, stored: Stored | None = None) -> Upload:
        """Notes it in the ledger. An object that is there outweighs whatever else was noted meanwhile."""
        for _ in range(TRIES):
            current = self._record(upload.id)
            if current is None:
                raise _unknown()
            noted = upload_of(current)
            if noted.state in {state, "completed"}:
                return noted
            fields = msgspec.structs.asdict(stored) if stored else {}
            ended = msgspec.structs.replace(noted, state=state, **fields)
            if not self._records.put_records([record_of(ended, current.version)]):
                return ended
        raise ConflictError(f"upload {upload.id} is changed by somebody else again and again")

    def _own(self, owner: str, upload_id: str) -> Upload:
        """Another's upload is as unknown as one that never was."""
        record = self._record(upload_id)
        if record is None or (upload := upload_of(record)).owner != owner:
            raise _unknown()
        return upload

    def _open(self, owner: str, upload_id: str) -> Upload:
        upload = self._own(owner, upload_id)
        if upload.state == "completed":
            raise UploadError(409, "completed", "{id}", "the upload is completed")
        if upload.state == "aborted":
            raise _ended_error(upload)
        return upload

    def _record(self, upload_id: str) -> Record | None:
        return self._records.records([upload_key(upload_id)]).get(upload_key(upload_id))


def _check_parts(upload: Upload, parts: Sequence[Part], checksums: Sequence[str] | None) -> None:
    there = {part.number: part for part in parts}
    wanted = range(1, upload.part_count + 1)
    missing = [number for number in wanted if number not in there]
    if missing:
        what = f"{len(missing):,} of {upload.part_count:,} parts are missing"
        raise UploadError(409, "parts-missing", "{id}", what, {"missing": missing[:MOST_NAMED]})
    different = [
        number
        for number in wanted
        if there[number].size != upload.part_bytes(number)
        or (checksums is not None and there[number].checksum not in {"", checksums[number - 1]})
    ]
    if different:
        what = f"{len(different):,} parts are not what they should be: upload them again"
        raise UploadError(409, "parts-differ", "{id}", what, {"different": different[:MOST_NAMED]})


def _unknown() -> UploadError:
    return UploadError(404, "unknown-upload", "{id}", "there is no such upload of yours")


def _ended_error(upload: Upload) -> UploadError:
    return UploadError(410, "aborted", "{id}", f"upload {upload.id} was aborted, or has expired: begin anew")
