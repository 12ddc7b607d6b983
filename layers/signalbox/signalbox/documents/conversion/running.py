"""One conversion, from a file to its batches and what it came to. Called where limits are set already."""

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from signalbox.documents.batching import Page, batches
from signalbox.documents.conversion.confined import BATCHES, PAGES, RESULT
from signalbox.documents.conversion.converters import (
    DETAIL_CHARACTERS,
    Conversion,
    Limits,
    ScannedError,
    Source,
    UnconvertibleError,
    check_pages,
    converter,
)
from signalbox.documents.conversion.inside import media_type_inside
from signalbox.documents.lines import pack_lines
from signalbox.documents.models import Outcome, Verdict

_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Controls, and what is no character: UTF-8 or an index would not take them."""


def run(request: dict[str, Any]) -> None:
    """Leaves its files in the working folder."""
    conversion = convert(msgspec.convert(request, Source), Path())
    told = msgspec.structs.replace(conversion, peak_bytes=peak_bytes())
    Path(RESULT).write_bytes(msgspec.json.encode(told))


def peak_bytes() -> int:
    """The most memory that this process has had at once: `proc(5)`, VmHWM."""
    with suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def convert(source: Source, folder: Path) -> Conversion:
    """What it came to; the batches, or a scan's pages, are in the folder.

    Raises:
        ImportError: a converter's library is missing.
        MemoryError: it takes more than it may.
        OSError: there is no room.
    """
    media_type = source.media_type
    try:
        media_type = media_type_inside(source.path, source.media_type, source.limits)
        return _convert_as(media_type, source, folder)
    except UnconvertibleError as error:
        return Conversion(media_type=media_type, verdict=error.verdict)
    except (ImportError, MemoryError):
        raise
    except BaseException as error:  # a library's panic is no Exception
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        return Conversion(media_type=media_type, verdict=_verdict(error))


def _convert_as(media_type: str, source: Source, folder: Path) -> Conversion:
    work = converter(media_type)
    tally = _Tally(source.limits)
    try:
        with (folder / BATCHES).open("wb") as file:
            count = pack_lines(batches(tally.counted(work(source))), file)
    except ScannedError as scan:
        if not source.ocr:
            raise
        (folder / PAGES).mkdir()
        scan.cut_apart(folder / PAGES)
        return Conversion(media_type=media_type, scanned=True, pages=tally.pages)
    if tally.blank:
        raise UnconvertibleError(
            Outcome.NO_TEXT, "blank", f"As {media_type} it has no text, or blanks alone."
        )
    return Conversion(media_type=media_type, batches=count, characters=tally.characters, pages=tally.pages)


class _Tally:
    """Counts what a converter yields, holds it to its limits, and takes out what is no text."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.characters = 0
        self.pages = 0
        self.blank = True

    def counted(self, pages: Iterable[Page]) -> Iterator[Page]:
        for page in pages:
            if page.number > self.pages:
                self.pages = page.number
                check_pages(page.number, self._limits)
            text = _NO_TEXT.sub(" ", page.text)
            self.characters += len(text)
            if self.characters > self._limits.characters:
                detail = f"It has more than {self._limits.characters:,} characters of text."
                raise UnconvertibleError(Outcome.TOO_LARGE, "too-much-text", detail)
            self.blank = self.blank and not text.strip()
            yield Page(text, page.number)


def _verdict(error: BaseException) -> Verdict:
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        detail = "Its text takes more room than a conversion may have."
        return Verdict(outcome=Outcome.TOO_LARGE, reason="output-limit", detail=detail)
    detail = f"The converter failed: {type(error).__name__}: {error}"[: DETAIL_CHARACTERS - 1] + "."
    return Verdict(outcome=Outcome.CORRUPT, reason="converter-crashed", detail=detail)
