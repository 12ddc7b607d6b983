"""What the steps of the workflow hand on: small, since what can grow lies in S3.

One execution has the index say what one object says *now*. It does not carry out an event: it reads the
object after the event was admitted, so that whatever order events come in, who was admitted last has read
last.
"""

from enum import StrEnum
from hashlib import sha256
from typing import Literal

import msgspec

from signalbox.errors import InvariantError
from signalbox.failures import Failure


class Outcome(StrEnum):
    """What became of a document."""

    INDEXED = "INDEXED"
    DELETED = "DELETED"
    """The object is gone, and so is what the index had of it."""
    SUPERSEDED = "SUPERSEDED"
    """A later execution has the object, or the object has changed since: nothing was written."""
    ENCRYPTED = "ENCRYPTED"
    CORRUPT = "CORRUPT"
    TOO_LARGE = "TOO_LARGE"
    UNSUPPORTED = "UNSUPPORTED"
    NO_TEXT = "NO_TEXT"
    TIMED_OUT = "TIMED_OUT"
    """The converter reached its limit of time: the same again would take as long again."""
    FAILED = "FAILED"
    """AWS refused for good, or every try at what could have passed was used up."""


QUARANTINED = frozenset(Outcome) - {Outcome.INDEXED, Outcome.DELETED, Outcome.SUPERSEDED}
"""The permanent failures: each goes to the quarantine, with an alert."""

MAXIMUM_BATCH_CHARACTERS = 5_000


def document_id(bucket: str, key: str) -> str:
    """The same for every version of an object. Bucket names hold no slash: no two objects share an id."""
    return sha256(f"{bucket}/{key}".encode()).hexdigest()


def batch_id(bucket: str, key: str, version: str, batch: int) -> str:
    """The same at every try, so that a retry overwrites what it wrote before."""
    return sha256(f"{document_id(bucket, key)}\0{version}\0{batch}".encode()).hexdigest()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One object, and one admission of it.

    Attributes:
        key: as it is: never URL-encoded.
        generation: rises with every admission of the object (`signalbox.documents.entries`). What reads the
            object under a higher one reads it later.
        cause: what the event said.
        occurred_at: when, in seconds since 1970.
        last_try: the message goes to the dead-letter queue if this execution fails.
        alone: nobody else was at work on the object when it was admitted.
    """

    bucket: str
    key: str
    generation: int
    cause: Literal["created", "deleted", "found"]
    occurred_at: float
    last_try: bool = False
    alone: bool = False

    @property
    def id(self) -> str:
        return document_id(self.bucket, self.key)

    @property
    def execution(self) -> str:
        """The name of the execution of this admission."""
        return f"{self.id[:16]}-{self.generation}"

    @property
    def shown(self) -> str:
        """For a person."""
        return f"s3://{self.bucket}/{self.key}"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the route of an object asks for.

    Attributes:
        route: its name.
        entities: whether Comprehend looks for entities in the text.
        labels: whether Rekognition looks for labels in images.
        ocr: whether Textract reads scanned PDFs.
        maximum_bytes: larger objects are TOO_LARGE, without being read.
        maximum_pages: documents of more pages are TOO_LARGE.
    """

    route: str
    entities: bool = False
    labels: bool = False
    ocr: bool = False
    maximum_bytes: int = 100 * 2**20
    maximum_pages: int = 3_000


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The object as it was found.

    Attributes:
        version: its version id, or its ETag where the bucket keeps no versions.
        version_id: "" where the bucket keeps no versions.
        etag: without quotes.
        media_type: by its first bytes, as in ``application/pdf``; what a ZIP holds the converter finds out.
        modified_at: seconds since 1970.
    """

    version: str
    version_id: str = ""
    etag: str
    size: int
    media_type: str
    modified_at: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome that is clear before anything is loaded.

    Attributes:
        reason: stable and lower case, as in ``password-needed``.
        detail: a sentence for a person.
    """

    outcome: Outcome
    reason: str
    detail: str


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A document's text: an object of the work bucket, gzipped, each line a `Batch` as JSON.

    Attributes:
        key: of that object.
        media_type: what the converter found the document to be.
    """

    key: str
    batches: int
    characters: int
    pages: int = 0
    media_type: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document's text, at most `MAXIMUM_BATCH_CHARACTERS` long. Joined in order they are all.

    Attributes:
        page: where it begins, from 1; 0 where the format has no pages.
    """

    batch: int
    text: str
    page: int = 0


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """Something named in a text. ``type`` is Comprehend's: PERSON, ORGANIZATION, DATE, …"""

    batch: int
    text: str
    type: str
    score: float


class Entities(msgspec.Struct, frozen=True, kw_only=True):
    """A document's entities: an object of the work bucket, gzipped, each line an `Entity` as JSON.

    Attributes:
        key: of that object; "" where there is none.
        calls: how often Comprehend was asked.
        note: why there are none, or not all: the analyser was refused for good, knows no such language, or
            failed for some of the text. The document is indexed all the same.
    """

    key: str = ""
    language: str = ""
    found: int = 0
    calls: int = 0
    note: str = ""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Something seen in an image. ``confidence`` is a percentage."""

    name: str
    confidence: float


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """An image's labels, most certain first; ``note`` as in `Entities`."""

    labels: tuple[Label, ...] = ()
    note: str = ""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What loading came to: INDEXED, DELETED or SUPERSEDED, or the verdict's outcome, once the index has
    nothing of the document."""

    outcome: Outcome
    rows: int = 0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a step is given: all that the steps before it found out."""

    document: Document
    options: Options
    object: Found | None = None
    text: Text | None = None
    entities: Entities | None = None
    labels: Labels | None = None
    verdict: Verdict | None = None
    loaded: Loaded | None = None
    failure: Failure | None = None

    @property
    def found(self) -> Found:
        """The object.

        Raises:
            InvariantError: the workflow called a step that needs it without one.
        """
        if self.object is None:
            raise InvariantError(f"{self.document.shown}: this step needs the object that was found")
        return self.object
