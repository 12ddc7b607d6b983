"""Comprehend, Rekognition and Textract of the estate: what they answer and refuse, and whom they read for."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from local.estate.comprehend import ENTITY_LANGUAGES, batch_entities, entities_of, language_of
from local.estate.scans import answer_of, lines_of, scanned_pdf
from local.estate.stored import LARGEST, Stored
from local.settings import REGION
from tests.local.guarded_estate import GuardedEstate, guarded_estate
from tests.local.test_guard_authorization import KEY, StubIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "pictures"
ADA = "Ada Lovelace"


@dataclass
class StubStorage:
    """One bucket of one Region; a version of an object is a key of its own."""

    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def read(self, account: str, region: str, bucket: str, key: str, version: str) -> Stored | None:
        body = self.bodies.get((key, version)) if (bucket, region) == (BUCKET, REGION) else None
        return None if body is None else Stored(self.sizes.get(key, len(body)), body[:LARGEST])

    def put(self, key: str, body: bytes, version: str = "") -> dict[str, str]:
        """The S3Object to name it by."""
        self.bodies[key, version] = body
        return {"Bucket": BUCKET, "Name": key} | ({"Version": version} if version else {})


@pytest.fixture
def storage() -> StubStorage:
    return StubStorage()


@pytest.fixture
def identity() -> StubIdentity:
    return StubIdentity()


@pytest.fixture
def estate(identity: StubIdentity, storage: StubStorage) -> Iterator[GuardedEstate]:
    with guarded_estate(identity, storage) as estate:
        yield estate


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    written = BytesIO()
    Image.new("1", (width, height)).convert("L").save(written, kind)
    return written.getvalue()


def misfit(service: str, operation: str, answer: dict[str, Any]) -> str:
    """Where an answer is not what botocore's model of the service says."""
    model = botocore.session.get_session().get_service_model(service)
    shape: Any = model.operation_model(operation).output_shape
    report: str = ParamValidator().validate(answer, shape).generate_report()
    return report


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    error: Any = refusal.value.response["Error"]
    return error["Code"], error["Message"]


# Comprehend


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("a letter of Ada Lovelace", "PERSON", ADA),
        ("by Analytical Engines Ltd, who", "ORGANIZATION", "Analytical Engines Ltd"),
        ("he lives in New York", "LOCATION", "New York"),
        ("on 12 March 2026", "DATE", "12 March 2026"),
        ("since 2026-03-12", "DATE", "2026-03-12"),
        ("for $3.50 a piece", "QUANTITY", "$3.50"),
        ("or 25 % of it", "QUANTITY", "25 %"),
        ("write to ada@example.com.", "OTHER", "ada@example.com"),
        ("see https://example.com/a?b=1.", "OTHER", "https://example.com/a?b=1"),
        ("while reading Hamlet", "TITLE", "Hamlet"),
    ],
)
def test_each_rule_for_entities(text: str, kind: str, name: str) -> None:
    assert [(found["Type"], found["Text"]) for found in entities_of(text)] == [(kind, name)]


@given(st.text())
def test_an_entity_is_the_text_between_its_offsets_in_code_points(text: str) -> None:
    for found in entities_of(f"\U0001f389 {text} {ADA}"):
        assert found["Text"] == f"\U0001f389 {text} {ADA}"[found["BeginOffset"] : found["EndOffset"]]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the letter that was sent to the house", "en"),
        ("der Brief und das Haus", "de"),
        ("el perro está en la casa para los niños", "es"),
        ("le chien est dans les rues avec une dame", "fr"),
        ("これは日本語です", "ja"),
        ("한국어 문장", "ko"),
        ("这是中文", "zh"),
        ("Привет, мир", "ru"),
        ("talo on pieni mutta se ei ole", "fi"),
        ("12345", "en"),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


def test_answers_are_those_of_the_models() -> None:
    texts = [f"{ADA} was in London on 2026-03-12", "x" * 5_001, ""]
    assert misfit("comprehend", "BatchDetectEntities", batch_entities(texts)) == ""
    assert misfit("comprehend", "DetectEntities", {"Entities": list(entities_of(texts[0]))}) == ""
    assert misfit("textract", "DetectDocumentText", answer_of(["two words", "one"])) == ""
    assert misfit("textract", "DetectDocumentText", answer_of([])) == ""
    assert "Unknown parameter" in misfit("textract", "DetectDocumentText", answer_of([]) | {"Pages": 1})


def test_the_languages_are_those_of_the_model() -> None:
    model = botocore.session.get_session().get_service_model("comprehend")
    shape: Any = model.operation_model("BatchDetectEntities").input_shape
    assert set(shape.members["LanguageCode"].enum) == set(ENTITY_LANGUAGES)


def test_a_batch_answers_for_each_text_and_says_which_are_too_long(estate: GuardedEstate) -> None:
    comprehend = estate.client("comprehend")
    answer = comprehend.batch_detect_entities(
        TextList=["nobody", "ü" * 2_501, f"here is {ADA}"], LanguageCode="de"
    )
    named = {
        result["Index"]: [each["Text"] for each in result["Entities"]] for result in answer["ResultList"]
    }
    assert named == {0: [], 2: [ADA]}
    (error,) = answer["ErrorList"]
    assert (error["Index"], error["ErrorCode"]) == (1, "TEXT_SIZE_LIMIT_EXCEEDED")
    assert "5002 bytes" in error["ErrorMessage"]


def test_one_text_alone(estate: GuardedEstate) -> None:
    comprehend = estate.client("comprehend")
    assert comprehend.detect_dominant_language(Text="der Hund und die Katze")["Languages"] == [
        {"LanguageCode": "de", "Score": 0.99}
    ]
    (found,) = comprehend.detect_entities(Text=f"\U0001f389 {ADA}", LanguageCode="en")["Entities"]
    assert (found["BeginOffset"], found["EndOffset"]) == (2, 14)


@pytest.mark.parametrize(
    ("method", "parameters", "code", "words"),
    [
        (
            "batch_detect_entities",
            {"TextList": ["a"] * 26, "LanguageCode": "en"},
            "BatchSizeLimitExceededException",
            "exceeds the limit of 25",
        ),
        (
            "batch_detect_entities",
            {"TextList": [], "LanguageCode": "en"},
            "ValidationException",
            "'textList'",
        ),
        (
            "batch_detect_entities",
            {"TextList": [""], "LanguageCode": "en"},
            "ValidationException",
            "'textList'",
        ),
        (
            "batch_detect_entities",
            {"TextList": ["a"], "LanguageCode": "fi"},
            "ValidationException",
            "enum value",
        ),
        (
            "detect_dominant_language",
            {"Text": "ü" * 51_201},
            "TextSizeLimitExceededException",
            "102400 bytes while in this request the text size is 102402 bytes",
        ),
        ("detect_dominant_language", {"Text": ""}, "ValidationException", "'text'"),
    ],
)
def test_what_comprehend_refuses(
    estate: GuardedEstate, method: str, parameters: dict[str, Any], code: str, words: str
) -> None:
    found = refused(getattr(estate.client("comprehend"), method), **parameters)
    assert found[0] == code
    assert words in found[1]


@pytest.mark.parametrize(
    ("service", "method", "parameters", "code", "often"),
    [
        (
            "comprehend",
            "batch_detect_entities",
            {"TextList": ["a"], "LanguageCode": "en"},
            "ThrottlingException",
            10,
        ),
        ("comprehend", "detect_dominant_language", {"Text": "a"}, "ThrottlingException", 20),
        (
            "textract",
            "detect_document_text",
            {"Document": {"Bytes": b"none"}},
            "ProvisionedThroughputExceededException",
            25,
        ),
        (
            "rekognition",
            "detect_labels",
            {"Image": {"Bytes": b"none"}},
            "ProvisionedThroughputExceededException",
            50,
        ),
    ],
)
def test_default_quotas(
    estate: GuardedEstate, service: str, method: str, parameters: dict[str, Any], code: str, often: int
) -> None:
    call = getattr(estate.client(service), method)
    codes = []
    for _ in range(often + 1):
        try:
            call(**parameters)
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert codes.count(code) == 1
    assert estate.calls()["throttled"].popitem()[1] == 1


# Rekognition


def test_labels_of_an_image_that_is_there_and_large_enough(
    estate: GuardedEstate, storage: StubStorage
) -> None:
    rekognition = estate.client("rekognition")
    image = {"S3Object": storage.put("photo", picture(80, 10_000), "v1")}
    labels = rekognition.detect_labels(Image=image)["Labels"]
    assert labels
    assert rekognition.detect_labels(Image=image, MaxLabels=1)["Labels"] == labels[:1]
    assert rekognition.detect_labels(Image=image, MinConfidence=100.0)["Labels"] == []
    assert rekognition.detect_labels(Image={"Bytes": picture(80, 80, "JPEG")})["Labels"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (picture(79, 200), "InvalidParameterException"),
        (picture(80, 10_001), "ImageTooLargeException"),
        (b"no image", "InvalidImageFormatException"),
        (picture(80, 80, "GIF"), "InvalidImageFormatException"),
        (picture(80, 80)[:20], "InvalidImageFormatException"),
    ],
)
def test_images_that_rekognition_refuses(
    estate: GuardedEstate, storage: StubStorage, body: bytes, code: str
) -> None:
    image = {"S3Object": storage.put("photo", body)}
    assert refused(estate.client("rekognition").detect_labels, Image=image)[0] == code


def test_an_image_of_too_many_bytes(estate: GuardedEstate, storage: StubStorage) -> None:
    image = {"S3Object": storage.put("photo", picture(80, 80))}
    storage.sizes["photo"] = 15 * 2**20 + 1
    assert refused(estate.client("rekognition").detect_labels, Image=image)[0] == "ImageTooLargeException"


# Textract


def test_the_lines_of_a_scan(estate: GuardedEstate, storage: StubStorage) -> None:
    page = storage.put("1.pdf", scanned_pdf(["To whom it concerns:", "äöü 字"]))
    answer = estate.client("textract").detect_document_text(Document={"S3Object": page})
    lines = [block["Text"] for block in answer["Blocks"] if block["BlockType"] == "LINE"]
    words = [block["Text"] for block in answer["Blocks"] if block["BlockType"] == "WORD"]
    assert lines == ["To whom it concerns:", "äöü 字"]
    assert words == ["To", "whom", "it", "concerns:", "äöü", "字"]
    assert answer["DocumentMetadata"]["Pages"] == 1


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), max_size=5))
def test_a_scan_says_what_it_was_made_with(lines: list[str]) -> None:
    assert list(lines_of(scanned_pdf(lines))) == lines


@given(st.binary())
def test_any_bytes_have_lines_or_none(body: bytes) -> None:
    assert isinstance(list(lines_of(b"\xff\xd8\xff" + body)), list)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"a text", "UnsupportedDocumentException"),
        (scanned_pdf(["one"], ["two"]), "UnsupportedDocumentException"),
        (scanned_pdf(["one"])[:400], "BadDocumentException"),
    ],
)
def test_documents_that_textract_refuses(
    estate: GuardedEstate, storage: StubStorage, body: bytes, code: str
) -> None:
    page = {"S3Object": storage.put("1.pdf", body)}
    assert refused(estate.client("textract").detect_document_text, Document=page)[0] == code


def test_a_page_of_too_many_bytes(estate: GuardedEstate, storage: StubStorage) -> None:
    page = {"S3Object": storage.put("1.pdf", scanned_pdf(["one"]))}
    storage.sizes["1.pdf"] = 10 * 2**20 + 1
    assert (
        refused(estate.client("textract").detect_document_text, Document=page)[0]
        == "DocumentTooLargeException"
    )


# Whom they read for


@pytest.mark.parametrize("service", ["rekognition", "textract"])
@pytest.mark.parametrize("where", [{"Name": "gone"}, {"Bucket": "other"}, {"Version": "v2"}])
def test_what_is_not_there_is_out_of_reach(
    estate: GuardedEstate, storage: StubStorage, service: str, where: dict[str, str]
) -> None:
    s3_object = storage.put("it", picture(80, 80)) | where
    assert read(estate, service, s3_object) == "InvalidS3ObjectException"


@pytest.mark.parametrize("service", ["rekognition", "textract"])
def test_a_bucket_of_another_region_is_out_of_reach(
    estate: GuardedEstate, storage: StubStorage, service: str
) -> None:
    s3_object = storage.put("it", picture(80, 80))
    assert read(estate, service, s3_object) == ""
    assert read(estate, service, s3_object, region="eu-west-1") == "InvalidS3ObjectException"


ACTIONS = {"rekognition": "rekognition:DetectLabels", "textract": "textract:DetectDocumentText"}


@pytest.mark.parametrize("service", ["rekognition", "textract"])
def test_they_read_with_the_role_of_their_caller(
    estate: GuardedEstate, storage: StubStorage, identity: StubIdentity, service: str
) -> None:
    plain, version = storage.put("in/it", picture(80, 80)), storage.put("in/it", picture(80, 80), "v1")
    assert read(estate, service, plain, KEY) == "AccessDeniedException"
    identity.allow(ACTIONS[service])
    estate.ask("POST", "reset")
    assert read(estate, service, plain, KEY) == "InvalidS3ObjectException"
    identity.allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/in/*")
    estate.ask("POST", "reset")
    assert read(estate, service, plain, KEY) == ""
    assert read(estate, service, version, KEY) == "InvalidS3ObjectException"
    identity.allow("s3:GetObjectVersion", f"arn:aws:s3:::{BUCKET}/in/*")
    estate.ask("POST", "reset")
    assert read(estate, service, version, KEY) == ""


def read(
    estate: GuardedEstate, service: str, s3_object: dict[str, str], key: str = "test", region: str = REGION
) -> str:
    """The code of the refusal, or nothing."""
    client = estate.client(service, key, region)
    try:
        if service == "rekognition":
            client.detect_labels(Image={"S3Object": s3_object})
        else:
            client.detect_document_text(Document={"S3Object": s3_object})
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
