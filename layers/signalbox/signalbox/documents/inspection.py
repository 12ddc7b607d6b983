"""What an object is now, and whether it goes on: by its head and its first bytes, at most two calls of S3."""

from typing import Literal

import msgspec

from signalbox.documents.conversion.converters import CONVERTERS
from signalbox.documents.entries import FOLDER, UNCHANGED, Entry, entry_key, entry_of
from signalbox.documents.media import FIRST_BYTES, OLE, ZIP, media_type
from signalbox.documents.models import Document, Found, Options, Outcome, Task, Verdict
from signalbox.documents.storage import Head, ObjectStore
from signalbox.errors import AccessDeniedError, ConflictError, NotFoundError, RefusedError
from signalbox.ledger.records import RecordStore

type Next = Literal["convert", "labels", "load"]

LABELLED = frozenset({"image/jpeg", "image/png"})
"""What Rekognition takes."""
CONVERTED = frozenset(CONVERTERS) | {OLE, ZIP}
"""What is read whole: the last two may be office documents."""
DENIED_HEAD = (
    "S3 answers 403 to HeadObject. Either the function's role may not read the object: see s3:GetObject and, "
    "where the bucket keeps versions, s3:GetObjectVersion, also in the bucket's policy. Or the object is "
    "gone: of what is missing S3 says 403 to a role without s3:ListBucket on the bucket."
)
DENIED_READ = (
    "S3 shows the object's head, but refuses its bytes. As a rule the role lacks kms:Decrypt on the key that "
    "it is encrypted with: see the key's policy. Else see s3:GetObject in the bucket's policy."
)
REFUSED = (
    "So S3 refuses an object that is encrypted with a customer-provided key (SSE-C), which can't be indexed, "
    "and one whose KMS key is disabled or gone."
)


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What the step answers.

    Attributes:
        object: None where it could not be looked at.
        verdict: None where it goes on to a converter or an analyser.
    """

    object: Found | None = None
    verdict: Verdict | None = None
    next: Next = "load"


class InspectObject:
    """Looks at one object, after its event was admitted."""

    def __init__(self, ledger: RecordStore, objects: ObjectStore) -> None:
        self._ledger = ledger
        self._objects = objects

    def inspect(self, task: Task) -> Inspection:
        """What it is, and which step is next.

        Raises:
            TransientError: worth trying again.
        """
        document, options = task.document, task.options
        key = entry_key(document.bucket, document.key)
        record = self._ledger.records([key]).get(key)
        entry = entry_of(record) if record else None
        if entry and entry.generation > document.generation:
            return _ends(Outcome.SUPERSEDED, "newer-admission", "A later event has the object.")
        try:
            head = self._objects.head(document.bucket, document.key)
        except NotFoundError:
            return _gone(document, "S3 has no such object.")
        except AccessDeniedError as error:
            return _denied(document, error)
        except RefusedError as error:
            return _ends(Outcome.FAILED, error.code, f"{error}. {REFUSED}")
        if entry and is_unchanged(document, options, entry, head):
            found = _found(head, entry.media_type)
            return _ends(Outcome.INDEXED, UNCHANGED, "It is indexed as it is.", found)
        verdict = unreadable(document, options, head)
        return Inspection(object=_found(head), verdict=verdict) if verdict else self._sniff(task, head)

    def _sniff(self, task: Task, head: Head) -> Inspection:
        document = task.document
        try:
            first = self._objects.first_bytes(
                document.bucket,
                document.key,
                FIRST_BYTES,
                version_id=head.version_id,
                if_match=head.etag,
            )
        except NotFoundError:
            return _gone(document, "It went while it was looked at.")
        except ConflictError:
            return _ends(Outcome.SUPERSEDED, "changed", "It was overwritten while it was looked at.")
        except AccessDeniedError as error:
            return _ends(Outcome.FAILED, error.code, f"{error}. {DENIED_READ}", _found(head))
        except RefusedError as error:
            return _ends(Outcome.FAILED, error.code, f"{error}. {REFUSED}", _found(head))
        found = _found(head, media_type(first, document.key))
        return decide(found, task.options)


def is_unchanged(document: Document, options: Options, entry: Entry, head: Head) -> bool:
    """Whether the index has it as it is, nobody is about to change that, and everybody was told.

    What somebody had found on purpose is done again.
    """
    return (
        document.alone
        and document.cause != "found"
        and entry.outcome == Outcome.INDEXED
        and entry.told == entry.settled
        and entry.version == _version(head)
        and entry.route == options.route
    )


def unreadable(document: Document, options: Options, head: Head) -> Verdict | None:
    """Why its bytes are not even asked for."""
    if not head.size and document.key.endswith("/"):
        detail = "An empty object whose key ends with a slash is how consoles draw a folder: no document."
        return Verdict(outcome=Outcome.DELETED, reason=FOLDER, detail=detail)
    if not head.size:
        return Verdict(outcome=Outcome.NO_TEXT, reason="empty", detail="The object has no bytes.")
    if head.size > options.maximum_bytes:
        allowed = f"route {options.route} takes at most {options.maximum_bytes:,}"
        detail = f"It has {head.size:,} bytes; {allowed}. It was not read."
        return Verdict(outcome=Outcome.TOO_LARGE, reason="too-many-bytes", detail=detail)
    if head.archived:
        detail = "It is archived and can't be read. Restore it, then have it looked at again."
        return Verdict(outcome=Outcome.UNSUPPORTED, reason="archived", detail=detail)
    return None


def decide(found: Found, options: Options) -> Inspection:
    """Which step is for it, by its media type."""
    if found.media_type in LABELLED and options.labels:
        return Inspection(object=found, next="labels")
    if found.media_type in LABELLED:
        detail = f"It is {found.media_type}, and route {options.route} asks for no labels of images."
        return _ends(Outcome.UNSUPPORTED, "labels-off", detail, found)
    if found.media_type not in CONVERTED:
        detail = f"By its first bytes it is {found.media_type}, which no converter makes text of."
        return _ends(Outcome.UNSUPPORTED, "media-type", detail, found)
    return Inspection(object=found, next="convert")


def _version(head: Head) -> str:
    return head.version_id or head.etag


def _found(head: Head, media_type: str = "") -> Found:
    return Found(
        version=_version(head),
        version_id=head.version_id,
        etag=head.etag,
        size=head.size,
        media_type=media_type,
        modified_at=head.modified_at,
    )


def _gone(document: Document, detail: str) -> Inspection:
    reason = "gone-before-read" if document.cause == "created" else "deleted"
    return _ends(Outcome.DELETED, reason, detail)


def _denied(document: Document, error: AccessDeniedError) -> Inspection:
    """Whatever it is, the index may have nothing of it: what was said to be deleted counts as deleted."""
    if document.cause == "deleted":
        return _ends(Outcome.DELETED, "deleted", f"Its event says so. {DENIED_HEAD}")
    return _ends(Outcome.FAILED, error.code, f"{error}. {DENIED_HEAD}")


def _ends(outcome: Outcome, reason: str, detail: str, found: Found | None = None) -> Inspection:
    return Inspection(object=found, verdict=Verdict(outcome=outcome, reason=reason, detail=detail))
