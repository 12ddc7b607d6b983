"""PDF, by PDFium. The pages of a scan are cut apart for whoever reads them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
from pypdfium2 import raw

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import (
    ScannedError,
    Source,
    UnconvertibleError,
    check_pages,
    damaged,
)
from signalbox.documents.models import Outcome

LOCKED = frozenset({raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY})
EVERYWHERE = (-1e6, -1e6, 1e6, 1e6)
"""Also beyond a page's edge. (PDFium's way to a text without bounds knows no character beyond U+FFFF.)"""
_HYPHENATED = re.compile(r"(?<=\w)[\x02\ufffe](?=[^\W\d_A-Z])")
_HYPHEN = re.compile(r"[\x02\ufffe]")
"""What PDFium makes of a hyphen at the end of a line, and of that end."""


def convert(source: Source) -> Iterator[Page]:
    pdf = open_pdf(source.path)
    check_pages(len(pdf), source.limits)
    unread = objects = letters = 0
    for number in range(1, len(pdf) + 1):
        try:
            text, on_page = read_page(pdf, number)
        except pypdfium2.PdfiumError:
            text, on_page = "", 0
            unread += 1
        letters += len(text.strip())
        objects += on_page
        yield Page(text, number)
    if unread and not letters:
        raise damaged(f"{unread} of its {len(pdf)} pages can't be read, and the others have no text.")
    if objects and not letters:
        raise ScannedError(lambda folder: cut_apart(pdf, folder, source.limits.file_bytes))


def open_pdf(path: Path) -> pypdfium2.PdfDocument:
    """
    Raises:
        UnconvertibleError: ENCRYPTED or CORRUPT.
    """
    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in LOCKED:
            detail = "The PDF opens with a password only."
            raise UnconvertibleError(Outcome.ENCRYPTED, "password-needed", detail) from error
        raise damaged("PDFium finds no PDF in it that it could read: it may be cut off.") from error
    if not len(pdf):
        raise damaged("The PDF has no page that could be read: it may be cut off.")
    return pdf


def read_page(pdf: pypdfium2.PdfDocument, number: int) -> tuple[str, int]:
    """A page's text, and how many things are on it."""
    page = pdf[number - 1]
    try:
        shown = page.get_textpage()
        text = shown.get_text_bounded(*EVERYWHERE)
        shown.close()
        return _tidy(text), raw.FPDFPage_CountObjects(page)
    finally:
        page.close()


def _tidy(text: str) -> str:
    whole = _HYPHENATED.sub("", text.replace("\r\n", "\n"))
    return _HYPHEN.sub("-\n", whole) + "\n" if whole else ""


def cut_apart(pdf: pypdfium2.PdfDocument, folder: Path, most_bytes: int) -> None:
    """Writes each page as a PDF of its own.

    Raises:
        UnconvertibleError: TOO_LARGE: together they have more bytes.
    """
    written = 0
    for number in range(1, len(pdf) + 1):
        path = folder / f"{number:05}.pdf"
        single = pypdfium2.PdfDocument.new()
        single.import_pages(pdf, [number - 1])
        single.save(path)
        single.close()
        written += path.stat().st_size
        if written > most_bytes:
            detail = f"Cut into single pages, the scan takes more than {most_bytes:,} bytes."
            raise UnconvertibleError(Outcome.TOO_LARGE, "output-limit", detail)
