"""The analysers of AWS: Comprehend, Rekognition, Textract."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from signalbox.aws.calls import call, code_of
from signalbox.documents.analysis import UnfitError
from signalbox.documents.entities import Detected, Mention
from signalbox.documents.labels import MAXIMUM_LABELS, MINIMUM_CONFIDENCE
from signalbox.documents.models import Label, Outcome, Verdict
from signalbox.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_comprehend import ComprehendClient
    from mypy_boto3_rekognition import RekognitionClient
    from mypy_boto3_textract import TextractClient

COMPREHEND_LANGUAGES = frozenset({"ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "zh", "zh-TW"})
"""Those of BatchDetectEntities (Amazon Comprehend API Reference)."""

UNFIT_IMAGES = {
    "ImageTooLargeException": (Outcome.TOO_LARGE, "image-too-large"),
    "InvalidImageFormatException": (Outcome.CORRUPT, "image-not-readable"),
}
UNFIT_PAGES = {
    "BadDocumentException": (Outcome.CORRUPT, "scan-not-readable"),
    "DocumentTooLargeException": (Outcome.TOO_LARGE, "scanned-page-too-large"),
    "UnsupportedDocumentException": (Outcome.CORRUPT, "scan-not-readable"),
}
"""Outcome and reason by AWS's error code (DetectLabels, Amazon Rekognition API Reference; DetectDocumentText,
Amazon Textract API Reference)."""
OUT_OF_REACH = "InvalidS3ObjectException"
OUT_OF_REACH_MEANS = (
    "the object is gone, or its bucket is in another Region than this function, or the function's role may "
    "not read it (s3:GetObject, and kms:Decrypt where a key of KMS encrypts it)"
)


class ComprehendEntities:
    """Entities by Comprehend's built-in model (`signalbox.documents.entities.EntityDetector`)."""

    languages = COMPREHEND_LANGUAGES

    def __init__(self, comprehend: "ComprehendClient") -> None:
        self._comprehend = comprehend

    def language(self, sample: str) -> str:
        answer = call(self._comprehend.detect_dominant_language, Text=sample)
        best = max(answer["Languages"], key=lambda each: each.get("Score", 0.0), default=None)
        return best.get("LanguageCode", "") if best else ""

    def detect(self, texts: Sequence[str], language: str) -> Detected:
        given: Any = language  # it is one of `languages`
        answer = call(self._comprehend.batch_detect_entities, TextList=list(texts), LanguageCode=given)
        mentions = {
            result["Index"]: [
                Mention(found["Text"], found["Type"], found["Score"]) for found in result["Entities"]
            ]
            for result in answer["ResultList"]
        }
        return Detected(mentions=mentions, failed=[error["Index"] for error in answer["ErrorList"]])


class RekognitionLabels:
    """Labels by Rekognition, which reads the image itself, with the caller's role (`LabelDetector`)."""

    def __init__(self, rekognition: "RekognitionClient") -> None:
        self._rekognition = rekognition

    def labels(self, bucket: str, key: str, version_id: str) -> list[Label]:
        where: Any = {"Bucket": bucket, "Name": key} | ({"Version": version_id} if version_id else {})
        answer = _analyse(
            self._rekognition.detect_labels,
            UNFIT_IMAGES,
            Image={"S3Object": where},
            MaxLabels=MAXIMUM_LABELS,
            MinConfidence=MINIMUM_CONFIDENCE,
        )
        return [Label(name=found["Name"], confidence=found["Confidence"]) for found in answer["Labels"]]


class TextractLines:
    """Lines of text by Textract, which reads the page itself, with the caller's role (`TextRecogniser`).

    In Textract's own order, which is down the page: columns side by side come line by line.
    """

    def __init__(self, textract: "TextractClient") -> None:
        self._textract = textract

    def lines(self, bucket: str, key: str) -> list[str]:
        answer = _analyse(
            self._textract.detect_document_text,
            UNFIT_PAGES,
            Document={"S3Object": {"Bucket": bucket, "Name": key}},
        )
        return [block["Text"] for block in answer["Blocks"] if block["BlockType"] == "LINE"]


def _analyse(
    operation: Callable[..., Any], unfit: Mapping[str, tuple[Outcome, str]], **parameters: Any
) -> Any:
    """Calls, and tells what is wrong with the content from what is wrong with the call."""
    try:
        return call(operation, **parameters)
    except RefusedError as error:
        code = code_of(error)
        if code == OUT_OF_REACH:
            raise RefusedError(f"{error} That is: {OUT_OF_REACH_MEANS}.") from error
        if code not in unfit:
            raise
        outcome, reason = unfit[code]
        raise UnfitError(Verdict(outcome=outcome, reason=reason, detail=str(error))) from error
