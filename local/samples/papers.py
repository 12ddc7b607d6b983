"""PDF files."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from local.samples.images import page
from local.samples.texts import PROSE

MANY = 3_001


def text() -> bytes:
    return _pdf(_prose, pages=3)


def encrypted() -> bytes:
    return _pdf(_prose, encrypt=StandardEncryption("sesame", strength=128))


def locked_for_owners() -> bytes:
    """Anybody may read it."""
    encryption = StandardEncryption("", "sesame", canPrint=0, strength=128)
    return _pdf(_prose, pages=3, encrypt=encryption)


def scripts() -> bytes:
    """Hyphens at the ends of lines, and a ligature."""

    def draw(canvas: Canvas, _: int) -> None:
        lines = canvas.beginText(72, 700)
        for line in ("The board met in Kranich-", "feld, and the well-", "Known guests too."):
            lines.textLine(line)
        lines.textLine(PROSE)
        canvas.drawText(lines)

    return _pdf(draw)


def many_pages() -> bytes:
    return _pdf(_prose, pages=MANY)


def of_pages(pages: int) -> bytes:
    """Fifty lines a page."""

    def draw(canvas: Canvas, number: int) -> None:
        lines = canvas.beginText(50, 800)
        for line in range(50):
            lines.textLine(f"{number}.{line}: the quick brown fox jumps over the lazy dog, again and again.")
        canvas.drawText(lines)

    return _pdf(draw, pages=pages)


def blank() -> bytes:
    return _pdf(lambda _, __: None, pages=2)


def scanned() -> bytes:
    return _pdf(lambda canvas, _: _scan(canvas), pages=2)


def truncated() -> bytes:
    whole = text()
    return whole[: len(whole) // 2]


def _prose(canvas: Canvas, number: int) -> None:
    lines = canvas.beginText(40, 800)
    lines.setFont("Helvetica", 8)
    lines.textLine(f"Page {number}. {PROSE}")
    canvas.drawText(lines)


def _scan(canvas: Canvas) -> None:
    canvas.drawImage(ImageReader(page()), 0, 0, 595, 842)


def _pdf(draw: Callable[[Canvas, int], object], pages: int = 1, **options: Any) -> bytes:
    written = BytesIO()
    canvas = Canvas(written, invariant=1, **options)
    for number in range(1, pages + 1):
        draw(canvas, number)
        canvas.showPage()
    canvas.save()
    return written.getvalue()
