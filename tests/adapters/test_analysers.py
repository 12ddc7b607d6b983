"""The analysers: one suite for fake and adapter, on the guarded estate; then what only AWS does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from local.estate.scans import scanned_pdf
from local.estate.stored import Stored
from signalbox.documents.analysis import UnfitError
from signalbox.documents.aws_analysis import (
    COMPREHEND_LANGUAGES,
    ComprehendEntities,
    RekognitionLabels,
    TextractLines,
)
from signalbox.documents.entities import EntityDetector
from signalbox.documents.labels import LabelDetector
from signalbox.documents.models import Outcome, Verdict
from signalbox.documents.recognition import TextRecogniser
from signalbox.errors import AccessDeniedError, RefusedError, ThrottledError, UnavailableError
from tests.local.guarded_estate import GuardedEstate, guarded_estate
from tests.unit.documents.analysers import FakeDetector, FakeLabels, FakePages

BUCKET = "in"
ADA = "Ada Lovelace"


@dataclass
class StubStorage:
    """The S3 behind the estate."""

    bodies: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def read(self, account: str, region: str, bucket: str, key: str, version: str) -> Stored | None:
        body = self.bodies.get((bucket, key, version))
        return None if body is None else Stored(len(body), body)


@pytest.fixture
def storage() -> StubStorage:
    return StubStorage()


@pytest.fixture
def estate(storage: StubStorage) -> Iterator[GuardedEstate]:
    with guarded_estate(storage=storage) as estate:
        yield estate


def picture(width: int = 80, height: int = 80) -> bytes:
    written = BytesIO()
    Image.new("L", (width, height)).save(written, "PNG")
    return written.getvalue()


# The suite of every detector of entities


@pytest.fixture(params=["fake", "comprehend"])
def detector(request: pytest.FixtureRequest) -> EntityDetector:
    if request.param == "fake":
        return FakeDetector()
    estate: GuardedEstate = request.getfixturevalue("estate")
    return ComprehendEntities(estate.client("comprehend"))


def test_a_language_is_one_that_a_detector_may_take(detector: EntityDetector) -> None:
    assert detector.language("the letter that was sent to the house") == "en"
    assert "en" in detector.languages


def test_entities_are_told_by_the_text_that_they_are_in(detector: EntityDetector) -> None:
    found = detector.detect(["nobody is here", f"see {ADA}", "\u00fc" * 2_500], "en")
    assert found.failed == []
    assert {
        position: [(each.text, each.type) for each in named] for position, named in found.mentions.items()
    } == {
        0: [],
        1: [(ADA, "PERSON")],
        2: [],
    }
    assert 0.5 <= found.mentions[1][0].score <= 1.0


def test_a_text_of_too_many_bytes_fails_alone(detector: EntityDetector) -> None:
    found = detector.detect([f"see {ADA}", "\u00fc" * 2_501], "en")
    assert found.failed == [1]
    assert set(found.mentions) == {0}


@pytest.mark.parametrize(
    ("texts", "language"), [(["a"] * 26, "en"), ([], "en"), (["a", ""], "en"), (["a"], "fi")]
)
def test_what_no_detector_takes(detector: EntityDetector, texts: list[str], language: str) -> None:
    with pytest.raises(RefusedError):
        detector.detect(texts, language)


@pytest.mark.parametrize("sample", ["", "a" * (100 * 1024 + 1)])
def test_samples_that_no_detector_takes(detector: EntityDetector, sample: str) -> None:
    with pytest.raises(RefusedError):
        detector.language(sample)


# The suite of every detector of labels


class Pictures(Protocol):
    """Where the suite puts an image; None is none that can be looked at."""

    def __call__(self, key: str, version_id: str = "", *, body: bytes | None = picture()) -> None: ...


@pytest.fixture(params=["fake", "rekognition"])
def looking(request: pytest.FixtureRequest, storage: StubStorage) -> tuple[LabelDetector, Pictures]:
    fake = FakeLabels()
    corrupt = Verdict(outcome=Outcome.CORRUPT, reason="image-not-readable", detail="no image")

    def put(key: str, version_id: str = "", *, body: bytes | None = picture()) -> None:
        fake.images[BUCKET, key, version_id] = None if body else corrupt
        storage.bodies[BUCKET, key, version_id] = body or b"no image"

    if request.param == "fake":
        return fake, put
    estate: GuardedEstate = request.getfixturevalue("estate")
    return RekognitionLabels(estate.client("rekognition")), put


def test_labels_have_names_and_percentages(looking: tuple[LabelDetector, Pictures]) -> None:
    detector, put = looking
    put("a cat.png")
    put("a cat.png", "v1")
    for version in ("", "v1"):
        labels = detector.labels(BUCKET, "a cat.png", version)
        assert labels
        assert all(label.name and 70 <= label.confidence <= 100 for label in labels)


def test_what_is_no_image_is_unfit(looking: tuple[LabelDetector, Pictures]) -> None:
    detector, put = looking
    put("a cat.png", body=None)
    with pytest.raises(UnfitError) as unfit:
        detector.labels(BUCKET, "a cat.png", "")
    assert (unfit.value.verdict.outcome, unfit.value.code) == (Outcome.CORRUPT, "image-not-readable")


@pytest.mark.parametrize("which", [("a dog.png", ""), ("a cat.png", "v2")])
def test_an_image_that_is_not_there_is_refused(
    looking: tuple[LabelDetector, Pictures], which: tuple[str, str]
) -> None:
    detector, put = looking
    put("a cat.png")
    with pytest.raises(RefusedError) as refusal:
        detector.labels(BUCKET, *which)
    assert not isinstance(refusal.value, UnfitError)


# The suite of every recogniser


@pytest.fixture(params=["fake", "textract"])
def reading(
    request: pytest.FixtureRequest, storage: StubStorage
) -> tuple[TextRecogniser, Callable[[str, list[str] | None], None]]:
    fake = FakePages()

    def put(key: str, lines: list[str] | None) -> None:
        fake.pages[key] = lines
        storage.bodies[BUCKET, key, ""] = b"no scan" if lines is None else scanned_pdf(lines)

    if request.param == "fake":
        return fake, put
    estate: GuardedEstate = request.getfixturevalue("estate")
    return TextractLines(estate.client("textract")), put


@pytest.mark.parametrize("lines", [["To whom it concerns:", "äöü 字"], []])
def test_the_lines_of_a_page(reading: tuple[TextRecogniser, Any], lines: list[str]) -> None:
    recogniser, put = reading
    put("00001.pdf", lines)
    assert list(recogniser.lines(BUCKET, "00001.pdf")) == lines


def test_a_page_that_cannot_be_read_is_unfit(reading: tuple[TextRecogniser, Any]) -> None:
    recogniser, put = reading
    put("00001.pdf", None)
    with pytest.raises(UnfitError) as unfit:
        recogniser.lines(BUCKET, "00001.pdf")
    assert (unfit.value.verdict.outcome, unfit.value.code) == (Outcome.CORRUPT, "scan-not-readable")


def test_a_page_that_is_not_there_is_refused(reading: tuple[TextRecogniser, Any]) -> None:
    with pytest.raises(RefusedError) as refusal:
        reading[0].lines(BUCKET, "00001.pdf")
    assert not isinstance(refusal.value, UnfitError)


# What only AWS does


def test_comprehends_most_certain_language() -> None:
    class Comprehend:
        def __init__(self, *languages: tuple[str, float]) -> None:
            self._found = [{"LanguageCode": code, "Score": score} for code, score in languages]

        def detect_dominant_language(self, Text: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
            return {"Languages": self._found}

    def language(*languages: tuple[str, float]) -> str:
        client: Any = Comprehend(*languages)
        return ComprehendEntities(client).language("a sample")

    assert language(("de", 0.2), ("fr", 0.7), ("en", 0.1)) == "fr"
    assert language() == ""


def test_the_languages_are_those_of_the_model(estate: GuardedEstate) -> None:
    model = estate.client("comprehend").meta.service_model.operation_model("BatchDetectEntities")
    assert set(model.input_shape.members["LanguageCode"].enum) == COMPREHEND_LANGUAGES


UNFIT = [
    ("rekognition:DetectLabels", "ImageTooLargeException", Outcome.TOO_LARGE, "image-too-large"),
    ("rekognition:DetectLabels", "InvalidImageFormatException", Outcome.CORRUPT, "image-not-readable"),
    ("textract:DetectDocumentText", "UnsupportedDocumentException", Outcome.CORRUPT, "scan-not-readable"),
    ("textract:DetectDocumentText", "BadDocumentException", Outcome.CORRUPT, "scan-not-readable"),
    ("textract:DetectDocumentText", "DocumentTooLargeException", Outcome.TOO_LARGE, "scanned-page-too-large"),
]


def ask(estate: GuardedEstate, operation: str) -> object:
    """Has an adapter call it."""
    client = estate.client(operation.partition(":")[0])
    match operation:
        case "rekognition:DetectLabels":
            return RekognitionLabels(client).labels(BUCKET, "it", "")
        case "textract:DetectDocumentText":
            return TextractLines(client).lines(BUCKET, "it")
        case "comprehend:BatchDetectEntities":
            return ComprehendEntities(client).detect(["a"], "en")
        case _:
            return ComprehendEntities(client).language("a")


@pytest.mark.parametrize(("operation", "code", "outcome", "reason"), UNFIT)
def test_errors_that_are_the_contents_fault(
    estate: GuardedEstate, operation: str, code: str, outcome: Outcome, reason: str
) -> None:
    estate.order_fault(operation, "error", status=400, code=code)
    with pytest.raises(UnfitError, match=code) as unfit:
        ask(estate, operation)
    assert (unfit.value.verdict.outcome, unfit.value.verdict.reason) == (outcome, reason)


OPERATIONS = [
    "comprehend:BatchDetectEntities",
    "comprehend:DetectDominantLanguage",
    "rekognition:DetectLabels",
    "textract:DetectDocumentText",
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("ordered", "kind"),
    [
        ({"fault": "throttle"}, ThrottledError),
        ({"fault": "error", "status": 400, "code": "ThrottlingException"}, ThrottledError),
        ({"fault": "error", "status": 500}, UnavailableError),
        ({"fault": "error", "status": 400, "code": "AccessDeniedException"}, AccessDeniedError),
        ({"fault": "error", "status": 400, "code": "InvalidParameterException"}, RefusedError),
    ],
)
def test_other_errors(
    estate: GuardedEstate, operation: str, ordered: dict[str, Any], kind: type[Exception]
) -> None:
    estate.order_fault(operation, **ordered)
    with pytest.raises(kind) as error:
        ask(estate, operation)
    assert not isinstance(error.value, UnfitError)
    assert isinstance(error.value.__cause__, ClientError)


@pytest.mark.parametrize("operation", OPERATIONS[2:])
def test_an_object_out_of_reach_is_explained(estate: GuardedEstate, operation: str) -> None:
    with pytest.raises(RefusedError, match=r"another Region .* may not read it \(s3:GetObject"):
        ask(estate, operation)
