"""Rekognition's DetectLabels, as far as AWS looks at what it is given: moto answers the same for anything."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.rekognition.responses import RekognitionResponse
from PIL import Image, UnidentifiedImageError

from local.estate.stored import given_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.estate.replacing import Replacements
    from local.estate.stored import Storage

# "Guidelines and quotas in Amazon Rekognition", Amazon Rekognition Developer Guide.
LARGEST_BYTES = 15 * 2**20
FEWEST_PIXELS, MOST_PIXELS = 80, 10_000
USUAL_CONFIDENCE = 55.0


def image_semantics(replacements: Replacements, storage: Storage) -> None:
    """An image must be there, in a format and a size that Rekognition takes; its labels are moto's."""

    def detect_labels(original: Callable[..., str], self: RekognitionResponse) -> str:
        parameters = json.loads(self.body)
        given = given_to(self, storage, parameters)
        check_image(given.size, given.body)
        return json.dumps(chosen(json.loads(original(self)), parameters))

    replacements.around(RekognitionResponse, detect_labels)


def check_image(size: int, body: bytes) -> None:
    """Raises what AWS says to an image that it doesn't take."""
    if size > LARGEST_BYTES:
        raise JsonRESTError("ImageTooLargeException", f"Image size {size} exceeds {LARGEST_BYTES} bytes")
    width, height = _pixels(body)
    if max(width, height) > MOST_PIXELS:
        # Words: awsdocs/aws-doc-sdk-examples#4848.
        raise JsonRESTError(
            "ImageTooLargeException",
            f"Input image dimensions {width} x {height} exceed maximum dimension size of "
            f"{MOST_PIXELS} pixels",
        )
    if min(width, height) < FEWEST_PIXELS:
        # So little does AWS say: boto/botocore#1366.
        raise JsonRESTError("InvalidParameterException", "Request has Invalid Parameters")


def _pixels(body: bytes) -> tuple[int, int]:
    Image.MAX_IMAGE_PIXELS = None  # only the head is read: a bomb doesn't go off
    try:
        with Image.open(BytesIO(body), formats=("JPEG", "PNG")) as image:
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise JsonRESTError("InvalidImageFormatException", "Request has invalid image format") from error


def chosen(answer: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The answer with as many and as certain labels as were asked for."""
    least = given.get("MinConfidence", USUAL_CONFIDENCE)
    labels = [label for label in answer["Labels"] if label["Confidence"] >= least]
    return {**answer, "Labels": labels[: given.get("MaxLabels", len(labels))]}
