"""Text out of files: what the program's own sandbox takes for text PDFs, and each library beside others.

The libraries run in an environment of their own, which has the alternatives too: nothing else needs them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec
from docx import Document
from openpyxl import Workbook
from pptx import Presentation

from local.display import table
from local.samples import papers, texts
from local.settings import ROOT
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

MB = 10**6
PAGES = (100, 1_000)
BEST_OF = 3
MEASURE_SECONDS = 300.0
ALTERNATIVES = (
    "docx2txt==0.9",
    "lxml==6.1.3",
    "markdown-it-py==4.3.0",
    "mistune==3.2.1",
    "msgspec==0.22.0",
    "openpyxl==3.1.5",
    "pdfminer.six==20260107",
    "pypdf==7.1.0",
    "python-docx==1.2.0",
    "python-pptx==1.0.2",
)


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """One PDF through the sandbox: the process's start and end included."""

    pages: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def pages_a_second(self) -> float:
        """On one core."""
        return self.pages / self.cpu_seconds


@dataclass(frozen=True, slots=True)
class Read:
    """One file by one library, imports included."""

    kind: str
    library: str
    seconds: float
    peak_bytes: int
    characters: int


def measure(step: Callable[[str], object]) -> tuple[list[Sandboxed], list[Read]]:
    """Everything. Takes two or three minutes."""
    with TemporaryDirectory() as scratch:
        measured = []
        for pages in PAGES:
            step(f"Converting a PDF of {pages:,} pages")
            measured.append(sandboxed(pages, Path(scratch)))
        return measured, list(_libraries(Path(scratch), step))


def sandboxed(pages: int, scratch: Path) -> Sandboxed:
    """The best of some runs."""
    file = scratch / f"{pages}.pdf"
    file.write_bytes(papers.of_pages(pages))
    return min((_convert(file, pages) for _ in range(BEST_OF)), key=lambda each: each.cpu_seconds)


def _convert(file: Path, pages: int) -> Sandboxed:
    with TemporaryDirectory() as folder:
        before, began = _cpu_of_children(), perf_counter()
        conversion = Sandbox(os.environ).convert(
            Source(file=str(file), media_type="application/pdf"), Path(folder)
        )
        seconds, cpu = perf_counter() - began, _cpu_of_children() - before
    if conversion.pages != pages:
        raise ValueError(f"{conversion.pages} pages came out of {pages}: {conversion.verdict}")
    return Sandboxed(pages, seconds, cpu, conversion.peak_bytes)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _libraries(scratch: Path, step: Callable[[str], object]) -> Iterator[Read]:
    for kind, (make, libraries) in compared().items():
        file = scratch / f"sample.{kind.split()[0].lower()}"
        file.write_bytes(make())
        for library in libraries:
            step(f"{kind}: {library}")
            runs = [_read(library, file) for _ in range(BEST_OF)]
            seconds, peak, characters = min(runs)
            yield Read(kind, library, seconds, peak, characters)


def _read(library: str, file: Path) -> tuple[float, int, int]:
    requirements = ROOT / "layers" / "documents" / "requirements.in"
    done = subprocess.run(  # noqa: S603 - the project's own command
        [  # noqa: S607 - the uv of the environment
            "uv", "run", "--quiet", "--no-project", "--python", sys.executable,
            "--with-requirements", str(requirements),
            *(part for each in ALTERNATIVES for part in ("--with", each)),
            "python", "-m", "bench.libraries", library, str(file),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "layers" / "signalbox"), str(ROOT)])},
        capture_output=True,
        check=True,
        text=True,
        timeout=MEASURE_SECONDS,
    )  # fmt: skip
    found = msgspec.json.decode(done.stdout)
    return found["seconds"], found["peak_bytes"], found["characters"]


def compared() -> dict[str, tuple[Callable[[], bytes], tuple[str, ...]]]:
    """Kind of file → who makes it, and the libraries that read it, ours first."""
    return {
        "PDF of 100 pages": (lambda: papers.of_pages(100), ("pypdfium2", "pypdf", "pdfminer.six")),
        "DOCX of 5,000 paragraphs": (_word, ("own reader of Word", "python-docx", "docx2txt")),
        "PPTX of 100 slides": (_slides, ("own reader of PowerPoint", "python-pptx")),
        "XLSX of 200,000 cells": (_workbook, ("python-calamine", "openpyxl")),
        "HTML of 4 MB": (_page, ("selectolax", "lxml", "html.parser")),
        "Markdown of 1 MB": (lambda: texts.markdown() * 9_000, ("pyromark", "mistune", "markdown-it-py")),
    }


def _page() -> bytes:
    paragraph = f"<div class='entry'><p>{texts.PROSE} <a href='/more'>More</a> <b>&amp; more</b></p></div>\n"
    return f"<!DOCTYPE html><html><body>{paragraph * 14_000}</body></html>".encode()


def _word() -> bytes:
    document = Document()
    for _ in range(5_000):
        document.add_paragraph(texts.PROSE)
    written = BytesIO()
    document.save(written)
    return written.getvalue()


def _slides() -> bytes:
    deck = Presentation()
    for number in range(100):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = texts.PROSE
    written = BytesIO()
    deck.save(written)
    return written.getvalue()


def _workbook() -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sales")
    for number in range(20_000):
        sheet.append([number, f"customer {number}", number * 1.5, "a text of some length", True, *range(5)])
    written = BytesIO()
    book.save(written)
    return written.getvalue()


def sandbox_table(measured: Sequence[Sandboxed]) -> Table:
    """What a person reads of the sandbox."""
    made = table(
        "pages", "pages a second, one core", "seconds", "peak MB", title="Text PDFs through the sandbox"
    )
    for each in measured:
        made.add_row(
            f"{each.pages:,}",
            f"{each.pages_a_second:,.0f}",
            f"{each.seconds:.2f}",
            f"{each.peak_bytes / MB:.0f}",
        )
    return made


def library_table(measured: Sequence[Read]) -> Table:
    """What a person reads of the libraries."""
    made = table(
        "library", "file", "CPU seconds", "peak MB", "characters", title="Libraries, imports included"
    )
    for each in measured:
        made.add_row(
            each.library,
            each.kind,
            f"{each.seconds:.2f}",
            f"{each.peak_bytes / MB:.0f}",
            f"{each.characters:,}",
        )
    return made


def results(converted: Sequence[Sandboxed], libraries: Sequence[Read]) -> Iterator[tuple[str, float]]:
    """Named figures."""
    for one in converted:
        yield f"convert.pdf.{one.pages}.pages_a_second", one.pages_a_second
        yield f"convert.pdf.{one.pages}.peak_bytes", one.peak_bytes
    for each in libraries:
        name = each.library.replace(" ", "_")
        yield f"convert.library.{name}.cpu_seconds", each.seconds
        yield f"convert.library.{name}.peak_bytes", each.peak_bytes
