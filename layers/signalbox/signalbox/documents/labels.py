"""What is to be seen in an image: its limits first, since AWS bills and says less where they are passed."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from signalbox.documents.analysis import UnfitError, note_of
from signalbox.documents.media import pixel_size
from signalbox.documents.models import Found, Label, Labels, Outcome, Task, Verdict
from signalbox.documents.storage import ObjectStore
from signalbox.errors import ConflictError, NotFoundError, RefusedError

MEDIA_TYPES = frozenset({"image/jpeg", "image/png"})
MAXIMUM_BYTES = 15 * 2**20
MINIMUM_PIXELS = 80
MAXIMUM_PIXELS = 10_000
"""A side ("Guidelines and quotas", Amazon Rekognition Developer Guide, which has all of these)."""
MAXIMUM_LABELS = 50
MINIMUM_CONFIDENCE = 70.0
"""Per cent."""
FIRST_BYTES = 256 * 2**10
"""A JPEG may begin with a preview and a colour profile before it says its size."""


class LabelDetector(Protocol):
    """Finds labels in images of S3."""

    def labels(self, bucket: str, key: str, version_id: str) -> Sequence[Label]:
        """At most `MAXIMUM_LABELS` of at least `MINIMUM_CONFIDENCE`; ``version_id`` "" is the newest.

        Raises:
            UnfitError: it is no image that can be looked at.
            ThrottledError, UnavailableError: worth trying again.
            RefusedError: refused for good.
        """
        ...


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """What the step answers: one of the two."""

    labels: Labels | None = None
    verdict: Verdict | None = None


class DetectLabels:
    """Has a detector look at one image where it lies."""

    def __init__(self, objects: ObjectStore, detector: LabelDetector) -> None:
        self._objects = objects
        self._detector = detector

    def detect(self, task: Task) -> Labelled:
        """What it came to.

        Raises:
            TransientError: worth trying again.
        """
        image = task.found
        verdict = unfit_object(image) or self._unfit_size(task)
        if verdict is not None:
            return Labelled(verdict=verdict)
        document = task.document
        try:
            seen = self._detector.labels(document.bucket, document.key, image.version_id)
        except UnfitError as error:
            return Labelled(verdict=error.verdict)
        except RefusedError as error:
            return Labelled(labels=Labels(note=note_of(error)))
        return Labelled(labels=Labels(labels=tuple(sorted(seen, key=_certainty))))

    def _unfit_size(self, task: Task) -> Verdict | None:
        """Where the first bytes don't say how large it is, the detector will."""
        document, image = task.document, task.found
        try:
            begin = self._objects.first_bytes(
                document.bucket, document.key, FIRST_BYTES, version_id=image.version_id, if_match=image.etag
            )
        except NotFoundError:
            return Verdict(
                outcome=Outcome.DELETED, reason="gone-before-read", detail="It was deleted meanwhile."
            )
        except ConflictError:
            detail = "It was overwritten meanwhile; the new one has an event of its own."
            return Verdict(outcome=Outcome.SUPERSEDED, reason="changed", detail=detail)
        except RefusedError as error:
            return Verdict(outcome=Outcome.FAILED, reason=error.code, detail=str(error))
        size = pixel_size(begin)
        return unfit_pixels(*size) if size else None


def unfit_object(image: Found) -> Verdict | None:
    """Why it can't be looked at, as far as type and size in bytes tell."""
    if image.media_type not in MEDIA_TYPES:
        detail = f"Labels are looked for in JPEG and PNG; this is {image.media_type}."
        return Verdict(outcome=Outcome.UNSUPPORTED, reason="image-type-not-supported", detail=detail)
    if image.size > MAXIMUM_BYTES:
        detail = f"Labels are looked for in images of at most {MAXIMUM_BYTES:,} bytes; it has {image.size:,}."
        return Verdict(outcome=Outcome.TOO_LARGE, reason="image-too-large", detail=detail)
    return None


def unfit_pixels(width: int, height: int) -> Verdict | None:
    """Why an image of so many pixels can't be looked at."""
    allowed = f"a side has {MINIMUM_PIXELS} to {MAXIMUM_PIXELS:,} pixels; it is {width:,} x {height:,}."
    if max(width, height) > MAXIMUM_PIXELS:
        detail = f"Labels are looked for in images of which {allowed}"
        return Verdict(outcome=Outcome.TOO_LARGE, reason="too-many-pixels", detail=detail)
    if min(width, height) < MINIMUM_PIXELS:
        detail = f"Labels are looked for in images of which {allowed}"
        return Verdict(outcome=Outcome.UNSUPPORTED, reason="image-too-small", detail=detail)
    return None


def _certainty(label: Label) -> tuple[float, str]:
    return -label.confidence, label.name
