"""Fakes of the analysers, held to the same suite as the adapters (`tests/adapters/test_analysers.py`)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from signalbox.documents.analysis import UnfitError
from signalbox.documents.aws_analysis import COMPREHEND_LANGUAGES
from signalbox.documents.entities import PIECE_BYTES, PIECES_A_CALL, Detected, Mention
from signalbox.documents.models import Label, Outcome, Verdict
from signalbox.errors import RefusedError

PERSON = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b")
SAMPLE_BYTES = 100 * 1024


@dataclass
class FakeDetector:
    """Two capitalised words are a person, whatever the language.

    Attributes:
        spoken: the language of everything.
        asked: the texts of each call for entities; `samples` those for a language.
        failing: whether a text comes back with an error that was asked about so many times before.
        errors: what the next calls end with.
    """

    spoken: str = "en"
    languages: frozenset[str] = COMPREHEND_LANGUAGES
    asked: list[list[str]] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    failing: Callable[[str, int], bool] = lambda _text, _times: False
    errors: list[Exception | None] = field(default_factory=list)
    score: float = 0.96

    @property
    def calls(self) -> int:
        return len(self.asked) + len(self.samples)

    def language(self, sample: str) -> str:
        self.samples.append(sample)
        _raise_next(self.errors)
        if not 1 <= len(sample.encode()) <= SAMPLE_BYTES:
            raise RefusedError("DetectDominantLanguage: TextSizeLimitExceededException")
        return self.spoken

    def detect(self, texts: Sequence[str], language: str) -> Detected:
        before = [text for call in self.asked for text in call]
        self.asked.append(list(texts))
        _raise_next(self.errors)
        if not 1 <= len(texts) <= PIECES_A_CALL:
            raise RefusedError("BatchDetectEntities: BatchSizeLimitExceededException")
        if language not in self.languages or "" in texts:
            raise RefusedError("BatchDetectEntities: ValidationException")
        failed = [
            position
            for position, text in enumerate(texts)
            if len(text.encode()) > PIECE_BYTES or self.failing(text, before.count(text))
        ]
        mentions = {
            position: [Mention(name, "PERSON", self.score) for name in PERSON.findall(text)]
            for position, text in enumerate(texts)
            if position not in failed
        }
        return Detected(mentions=mentions, failed=failed)


@dataclass
class FakeLabels:
    """Sees the same in every image that it was told of.

    Attributes:
        images: (bucket, key, version id) → why it can't be looked at, or None.
    """

    images: dict[tuple[str, str, str], Verdict | None] = field(default_factory=dict)
    seen: tuple[Label, ...] = (Label(name="Cat", confidence=80.0), Label(name="Animal", confidence=99.0))
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[Exception | None] = field(default_factory=list)

    def labels(self, bucket: str, key: str, version_id: str) -> list[Label]:
        which = (bucket, key, version_id)
        self.asked.append(which)
        _raise_next(self.errors)
        if which not in self.images:
            raise RefusedError("DetectLabels: InvalidS3ObjectException")
        if verdict := self.images[which]:
            raise UnfitError(verdict)
        return list(self.seen)


@dataclass
class FakePages:
    """Reads what each page was made with; None of one that can't be read.

    Attributes:
        errors: by key, what the next calls for it end with.
    """

    pages: dict[str, Sequence[str] | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)

    def lines(self, bucket: str, key: str) -> Sequence[str]:
        self.asked.append(key)
        if errors := self.errors.get(key):
            raise errors.pop(0)
        if key not in self.pages:
            raise RefusedError("DetectDocumentText: InvalidS3ObjectException")
        lines = self.pages[key]
        if lines is None:
            detail = "DetectDocumentText: BadDocumentException"
            raise UnfitError(Verdict(outcome=Outcome.CORRUPT, reason="scan-not-readable", detail=detail))
        return lines


def _raise_next(errors: list[Exception | None]) -> None:
    if errors and (error := errors.pop(0)):
        raise error
