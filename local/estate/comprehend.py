"""Comprehend's languages and entities, which moto lacks: DetectDominantLanguage, (Batch)DetectEntities.

By small rules that look at a text's form alone, so that a test can say what to expect:

| found | type | score |
|---|---|---|
| `ada@example.com`, `https://example.com/a` | OTHER | 0.99 |
| `2026-03-12`, `12 March 2026`, `March 12, 2026` | DATE | 0.98 |
| `25 %`, `$3.50`, `12 km`, `3 million` | QUANTITY | 0.95 |
| capitalised words, the last of them `Ltd`, `Inc`, `GmbH`, `University`, … | ORGANIZATION | 0.97 |
| capitalised words behind `in`, `at`, `from`, `near` | LOCATION | 0.93 |
| two to four capitalised words else | PERSON | 0.96 |
| one capitalised word in the middle of a sentence | TITLE | 0.40 |

The language is the script's, or that of the Latin language with the most small words in the text, or English.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from moto.comprehend.responses import ComprehendResponse
from moto.core.exceptions import JsonRESTError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.estate.replacing import Replacements

BATCH_TEXT_BYTES = 5_000
ENTITY_LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "ar", "hi", "ja", "ko", "zh", "zh-TW")

ORGANIZATIONS = (
    r"(?:Ltd|Limited|Inc|Corp|Corporation|Company|GmbH|AG|SE|PLC|LLC|University|Institute|Bank|Foundation)"
)
MONTHS = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
CAPITALISED = r"[^\W\d_a-z][^\W\d_]+"
NAME = rf"{CAPITALISED}(?:[ -]{CAPITALISED})"
RULES: tuple[tuple[str, float, str], ...] = (
    ("OTHER", 0.99, r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|https?://[^\s<>\"]+[^\s<>\".,;:!?)]"),
    (
        "DATE",
        0.98,
        rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}} {MONTHS}(?: \d{{4}})?|{MONTHS} \d{{1,2}}(?:, \d{{4}})?)\b",
    ),
    (
        "QUANTITY",
        0.95,
        r"[$€£]\d[\d,.]*\d|\b\d[\d,.]*\s?(?:%|(?:km|kg|cm|mm|GB|MB|million|billion|people)\b)",
    ),
    ("ORGANIZATION", 0.97, rf"\b{NAME}{{0,3}}[ ,]+{ORGANIZATIONS}\b"),
    ("LOCATION", 0.93, rf"(?<=\bin |\bat )\b{NAME}{{0,2}}|(?<=\bfrom |\bnear )\b{NAME}{{0,2}}"),
    ("PERSON", 0.96, rf"\b{NAME}{{1,3}}"),
    ("TITLE", 0.40, rf"(?<=[a-z,] ){CAPITALISED}\b"),
)
ENTITY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, _, pattern in RULES))
SCORES = {kind: score for kind, score, _ in RULES}

SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
SMALL_WORDS = {
    "en": "the and of to is that for with was are",
    "de": "der die das und ist nicht mit ein eine für",
    "es": "el los las una por con para que del está",
    "fr": "le les des une est dans pour que avec sur",
    "it": "il gli di che una per con sono della è",
    "pt": "os as uma não com para que dos é mais",
    "nl": "het een van en niet dat zijn voor met op",
    "fi": "on ja ei se että oli mutta tai kun ovat",
}
"""Also two that BatchDetectEntities doesn't take."""


def comprehend_semantics(replacements: Replacements) -> None:
    """Adds the three operations to moto's Comprehend."""
    replacements.methods(ComprehendResponse, detect_dominant_language, detect_entities, batch_detect_entities)


def language_of(text: str) -> str:
    """RFC 5646's code."""
    characters = max(1, sum(character.isalpha() for character in text))
    for code, script in SCRIPTS:
        if len(script.findall(text)) / characters > 0.2:
            return code
    words = re.findall(r"\w+", text.lower())
    counts = {code: sum(word in small.split() for word in words) for code, small in SMALL_WORDS.items()}
    return max(counts, key=lambda code: counts[code])  # of two alike the first: English before all


def entities_of(text: str) -> Iterator[dict[str, Any]]:
    """As in an answer; offsets count code points."""
    for found in ENTITY.finditer(text):
        kind = str(found.lastgroup)
        yield {
            "Score": SCORES[kind],
            "Type": kind,
            "Text": found.group(),
            "BeginOffset": found.start(),
            "EndOffset": found.end(),
        }


def batch_entities(texts: list[str]) -> dict[str, Any]:
    """The answer of BatchDetectEntities: a text that is too long is an error of its own."""
    results, errors = [], []
    for index, text in enumerate(texts):
        size = len(text.encode())
        if size > BATCH_TEXT_BYTES:
            errors.append(
                {
                    "Index": index,
                    "ErrorCode": "TEXT_SIZE_LIMIT_EXCEEDED",
                    # Words: amazon-connect/amazon-connect-salesforce-lambda#20.
                    "ErrorMessage": f"Input text size exceeds limit. Max length of request text allowed is "
                    f"{BATCH_TEXT_BYTES} bytes while in this request the text size is {size} bytes",
                }
            )
        else:
            results.append({"Index": index, "Entities": list(entities_of(text))})
    return {"ResultList": results, "ErrorList": errors}


def _given(response: ComprehendResponse) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(response.body)
    language = given.get("LanguageCode", "en")
    if language not in ENTITY_LANGUAGES:
        allowed = f"Member must satisfy enum value set: [{', '.join(ENTITY_LANGUAGES)}]"
        raise _invalid(language, "languageCode", allowed)
    texts = given.get("TextList", [given.get("Text", "")])
    if not texts or "" in texts:
        name = "textList" if "TextList" in given else "text"
        raise _invalid(
            texts if "TextList" in given else "", name, "Member must have length greater than or equal to 1"
        )
    return given


def _invalid(value: object, name: str, constraint: str) -> JsonRESTError:
    return JsonRESTError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{name}' "
        f"failed to satisfy constraint: {constraint}",
    )


# From here on: methods of moto's.


def detect_dominant_language(self: ComprehendResponse) -> str:
    found = {"LanguageCode": language_of(_given(self)["Text"]), "Score": 0.99}
    return json.dumps({"Languages": [found]})


def detect_entities(self: ComprehendResponse) -> str:
    return json.dumps({"Entities": list(entities_of(_given(self)["Text"]))})


def batch_detect_entities(self: ComprehendResponse) -> str:
    return json.dumps(batch_entities(_given(self)["TextList"]))
