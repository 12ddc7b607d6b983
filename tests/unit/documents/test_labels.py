"""What is checked of an image before anybody looks at it, and what comes of looking."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from signalbox.documents.labels import (
    MAXIMUM_BYTES,
    DetectLabels,
    Labelled,
    unfit_object,
    unfit_pixels,
)
from signalbox.documents.models import Document, Found, Label, Labels, Options, Outcome, Task, Verdict
from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    InvariantError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from tests.unit.documents.analysers import FakeLabels
from tests.unit.documents.doubles import FakeObjects

BUCKET, KEY = "in", "the cat.png"
DOCUMENT = Document(bucket=BUCKET, key=KEY, generation=7, cause="created", occurred_at=0.0)


def picture(width: int = 80, height: int = 80, kind: str = "PNG") -> bytes:
    written = BytesIO()
    Image.new("1", (width, height)).convert("L").save(written, kind)
    return written.getvalue()


def found(objects: FakeObjects, **other: Any) -> Found:
    head = objects.head(BUCKET, KEY)
    known: dict[str, Any] = {
        "version": head.version_id or head.etag,
        "version_id": head.version_id,
        "etag": head.etag,
        "size": head.size,
        "media_type": "image/png",
        "modified_at": 0.0,
    }
    return Found(**known | other)


def looked_at(
    body: bytes = picture(),
    *,
    versioned: bool = False,
    detector: FakeLabels | None = None,
    objects: FakeObjects | None = None,
    **other: Any,
) -> tuple[Labelled, FakeLabels]:
    """What comes of an image, as the inspection found it, but for what is said else."""
    objects = objects or stored(body, versioned=versioned)
    image = found(objects, **other)
    detector = detector or FakeLabels()
    detector.images.setdefault((BUCKET, KEY, image.version_id), None)
    task = Task(document=DOCUMENT, options=Options(route="all", labels=True), object=image)
    return DetectLabels(objects, detector).detect(task), detector


def stored(body: bytes, *, versioned: bool = False) -> FakeObjects:
    objects = FakeObjects()
    objects.create_bucket(BUCKET, versioned=versioned)
    objects.put(BUCKET, KEY, body)
    return objects


def outcome(labelled: Labelled) -> tuple[Outcome, str]:
    assert labelled.labels is None
    assert labelled.verdict is not None
    return labelled.verdict.outcome, labelled.verdict.reason


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_labels_come_with_the_most_certain_first(kind: str) -> None:
    labelled, _ = looked_at(picture(kind=kind), media_type=f"image/{kind.lower()}")
    cat, animal = Label(name="Cat", confidence=80.0), Label(name="Animal", confidence=99.0)
    assert labelled == Labelled(labels=Labels(labels=(animal, cat)))


@pytest.mark.parametrize("versioned", [True, False])
def test_it_is_that_version_that_is_looked_at(versioned: bool) -> None:  # noqa: FBT001 - a parameter of pytest's
    _, detector = looked_at(versioned=versioned)
    assert detector.asked == [(BUCKET, KEY, "version-1" if versioned else "")]


def test_nothing_seen_is_an_answer_too() -> None:
    assert looked_at(detector=FakeLabels(seen=()))[0] == Labelled(labels=Labels())


@pytest.mark.parametrize(
    ("body", "other", "expected"),
    [
        (picture(), {"size": MAXIMUM_BYTES + 1}, (Outcome.TOO_LARGE, "image-too-large")),
        (picture(), {"media_type": "image/gif"}, (Outcome.UNSUPPORTED, "image-type-not-supported")),
        (picture(79, 500), {}, (Outcome.UNSUPPORTED, "image-too-small")),
        (picture(500, 79), {}, (Outcome.UNSUPPORTED, "image-too-small")),
        (picture(80, 10_001), {}, (Outcome.TOO_LARGE, "too-many-pixels")),
        (picture(10_001, 40), {}, (Outcome.TOO_LARGE, "too-many-pixels")),
    ],
)
def test_what_is_past_a_limit_is_never_asked_about(
    body: bytes, other: dict[str, Any], expected: tuple[Outcome, str]
) -> None:
    labelled, detector = looked_at(body, **other)
    assert outcome(labelled) == expected
    assert detector.asked == []


@pytest.mark.parametrize("size", [(80, 80), (80, 10_000), (10_000, 80)])
def test_the_limits_themselves_are_within(size: tuple[int, int]) -> None:
    assert unfit_pixels(*size) is None
    image = Found(version="", etag="", size=MAXIMUM_BYTES, media_type="image/png", modified_at=0.0)
    assert unfit_object(image) is None


def test_a_size_that_cannot_be_told_is_left_to_the_detector() -> None:
    corrupt = Verdict(outcome=Outcome.CORRUPT, reason="image-not-readable", detail="no image")
    detector = FakeLabels(images={(BUCKET, KEY, ""): corrupt})
    labelled, _ = looked_at(b"\x89PNG\r\n\x1a\nand then nothing", detector=detector)
    assert labelled == Labelled(verdict=corrupt)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFoundError("gone"), (Outcome.DELETED, "gone-before-read")),
        (ConflictError("another"), (Outcome.SUPERSEDED, "changed")),
        (AccessDeniedError("no"), (Outcome.FAILED, "access-denied")),
        (RefusedError("never"), (Outcome.FAILED, "refused")),
    ],
)
def test_an_object_that_cannot_be_read_any_more(error: Exception, expected: tuple[Outcome, str]) -> None:
    objects = stored(picture())
    objects.fail("first_bytes", error)
    labelled, detector = looked_at(objects=objects)
    assert outcome(labelled) == expected
    assert detector.asked == []


def test_an_object_that_is_another_by_now_is_not_looked_at() -> None:
    objects = stored(picture())
    assert outcome(looked_at(objects=objects, etag="before")[0]) == (Outcome.SUPERSEDED, "changed")


@pytest.mark.parametrize("error", [AccessDeniedError("DetectLabels: no"), RefusedError("DetectLabels: no")])
def test_a_detector_that_refuses_for_good_leaves_a_note(error: RefusedError) -> None:
    labelled, _ = looked_at(detector=FakeLabels(errors=[error]))
    assert labelled == Labelled(labels=Labels(note=f"{error.code}: DetectLabels: no"))


@pytest.mark.parametrize("error", [ThrottledError("slow down"), UnavailableError("away")])
def test_what_passes_is_tried_again_by_the_workflow(error: Exception) -> None:
    with pytest.raises(type(error)):
        looked_at(detector=FakeLabels(errors=[error]))


def test_a_task_without_an_object_is_a_bug() -> None:
    with pytest.raises(InvariantError):
        DetectLabels(FakeObjects(), FakeLabels()).detect(
            Task(document=DOCUMENT, options=Options(route="all"))
        )
