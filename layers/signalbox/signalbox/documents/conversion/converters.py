"""Which converter is for which media type: the one place to add one to.

A converter is a module of this package with a function ``convert(source: Source) -> Iterator[Page]``, which

- yields the text as it goes, page by page where the format has pages, slides or sheets, also the empty ones;
- raises `UnconvertibleError` for what it can tell, and anything else for what it can't: that is CORRUPT;
- needs no limits of its own: it runs in a process that has them (`signalbox.documents.conversion.sandbox`).
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import msgspec

from signalbox.documents.batching import Page
from signalbox.documents.media import CSV, HTML, JSON, JSON_LINES, MAIL, MARKDOWN, PDF, TEXT, XML
from signalbox.documents.models import Outcome, Verdict

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"

CONVERTERS = {
    PDF: "pdf",
    DOCX: "docx",
    PPTX: "pptx",
    XLSX: "xlsx",
    XLS: "xlsx",
    HTML: "hypertext",
    XML: "hypertext",
    MARKDOWN: "markdown",
    MAIL: "mail",
    CSV: "delimited",
    JSON: "json_values",
    JSON_LINES: "json_values",
    TEXT: "plain",
}


DETAIL_CHARACTERS = 500
"""Of a verdict: a file may name its parts as it likes, and what a step answers has its bounds."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversion may take.

    Attributes:
        seconds: of time, and of a core's.
        memory_bytes: of address space.
        file_bytes: of each file that it writes, and of a scan's pages together.
        inflated_bytes: of everything that is in a compressed file.
    """

    seconds: float = 45.0
    memory_bytes: int = 2**30
    file_bytes: int = 512 * 2**20
    inflated_bytes: int = 512 * 2**20
    pages: int = 3_000
    characters: int = 20_000_000


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be converted.

    Attributes:
        file: where it is.
        media_type: by its first bytes.
        ocr: whether a scan's pages are wanted.
    """

    file: str
    media_type: str
    ocr: bool = False
    limits: Limits = Limits()

    @property
    def path(self) -> Path:
        return Path(self.file)


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversion came to.

    Attributes:
        media_type: what the file turned out to be.
        scanned: it is a scan, whose pages were cut apart.
        peak_bytes: the most memory that its process had at once; 0 where its system doesn't tell.
    """

    media_type: str
    batches: int = 0
    characters: int = 0
    pages: int = 0
    scanned: bool = False
    verdict: Verdict | None = None
    peak_bytes: int = 0


type Converter = Callable[[Source], Iterator[Page]]


class UnconvertibleError(Exception):
    """Why a file has no text to give.

    Args:
        reason: stable and lower case, as in ``password-needed``.
        detail: a sentence for a person, cut where it is very long.
    """

    def __init__(self, outcome: Outcome, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Verdict(outcome=outcome, reason=reason, detail=detail[:DETAIL_CHARACTERS])


class ScannedError(UnconvertibleError):
    """There is no text but on pictures of pages.

    Args:
        cut_apart: writes each page as a PDF of its own into a folder: ``00001.pdf`` and so on.
    """

    def __init__(self, cut_apart: Callable[[Path], None]) -> None:
        detail = (
            "Its pages are pictures: reading them takes text recognition, which its route does not ask for."
        )
        super().__init__(Outcome.NO_TEXT, "scanned", detail)
        self.cut_apart = cut_apart


def converter(media_type: str) -> Converter:
    """The converter for a media type; its libraries are imported now.

    Raises:
        UnconvertibleError: UNSUPPORTED: there is none.
    """
    if media_type not in CONVERTERS:
        raise UnconvertibleError(
            Outcome.UNSUPPORTED, "media-type", f"It is {media_type}, which no converter makes text of."
        )
    convert: Converter = import_module(f"{__package__}.{CONVERTERS[media_type]}").convert
    return convert


def damaged(what: str) -> UnconvertibleError:
    """CORRUPT, as its format has it."""
    return UnconvertibleError(Outcome.CORRUPT, "damaged", what)


def check_pages(pages: int, limits: Limits) -> None:
    """
    Raises:
        UnconvertibleError: TOO_LARGE: there are more than the limit.
    """
    if pages > limits.pages:
        detail = f"It has {pages:,} pages; at most {limits.pages:,} are converted."
        raise UnconvertibleError(Outcome.TOO_LARGE, "too-many-pages", detail)
