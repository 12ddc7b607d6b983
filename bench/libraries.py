"""`python -m bench.libraries LIBRARY FILE`: what a library takes to get the text out of a file.

In a process of its own, so that its time and memory are that library's, its import included. Run in an
environment that has the alternatives too (`bench.converting`). Prints a JSON object.
"""

# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call"

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

from bench.memory import peak_bytes

type Text = Iterator[str]


def pypdfium2(file: Path) -> Text:
    import pypdfium2

    from signalbox.documents.conversion.pdf import read_page

    pdf = pypdfium2.PdfDocument(file)
    return (read_page(pdf, number)[0] for number in range(1, len(pdf) + 1))


def pypdf(file: Path) -> Text:
    import pypdf

    return (page.extract_text() for page in pypdf.PdfReader(file).pages)


def pdfminer(file: Path) -> Text:
    from pdfminer.high_level import extract_text

    yield extract_text(file)


def own_docx(file: Path) -> Text:
    from signalbox.documents.conversion.office import Parts

    with ZipFile(file) as archive:
        yield from Parts(archive).text("word/document.xml")


def python_docx(file: Path) -> Text:
    import docx
    from docx.table import Table

    for block in docx.Document(str(file)).iter_inner_content():
        if isinstance(block, Table):
            yield from (cell.text for row in block.rows for cell in row.cells)
        else:
            yield block.text


def docx2txt(file: Path) -> Text:
    import docx2txt

    yield docx2txt.process(str(file))


def own_pptx(file: Path) -> Text:
    from signalbox.documents.conversion.converters import PPTX, Source
    from signalbox.documents.conversion.pptx import convert

    yield from (page.text for page in convert(Source(file=str(file), media_type=PPTX)))


def python_pptx(file: Path) -> Text:
    from pptx import Presentation

    for slide in Presentation(str(file)).slides:
        yield from (shape.text_frame.text for shape in slide.shapes if shape.has_text_frame)


def python_calamine(file: Path) -> Text:
    import python_calamine

    workbook = python_calamine.load_workbook(file)
    for name in workbook.sheet_names:
        for row in workbook.get_sheet_by_name(name).iter_rows():
            yield "\t".join(map(str, row))


def openpyxl(file: Path) -> Text:
    import openpyxl

    with closing(openpyxl.load_workbook(file, read_only=True, data_only=True)) as workbook:
        for sheet in workbook:
            for row in sheet.iter_rows(values_only=True):
                yield "\t".join(map(str, row))


def selectolax(file: Path) -> Text:
    from signalbox.documents.conversion.hypertext import text_of

    return text_of(file.read_text())


def lxml(file: Path) -> Text:
    from lxml import html

    yield from html.fromstring(file.read_bytes()).itertext()


def html_parser(file: Path) -> Text:
    from html.parser import HTMLParser

    found: list[str] = []
    parser = HTMLParser()
    vars(parser)["handle_data"] = found.append
    parser.feed(file.read_text())
    return iter(found)


def pyromark(file: Path) -> Text:
    import pyromark

    yield pyromark.html(file.read_text(), options=pyromark.Options.ENABLE_TABLES)


def mistune(file: Path) -> Text:
    import mistune

    yield str(mistune.create_markdown(plugins=["table"])(file.read_text()))


def markdown_it(file: Path) -> Text:
    from markdown_it import MarkdownIt

    yield MarkdownIt("commonmark").enable("table").render(file.read_text())


LIBRARIES: dict[str, Callable[[Path], Text]] = {
    "pypdfium2": pypdfium2,
    "pypdf": pypdf,
    "pdfminer.six": pdfminer,
    "own reader of Word": own_docx,
    "python-docx": python_docx,
    "docx2txt": docx2txt,
    "own reader of PowerPoint": own_pptx,
    "python-pptx": python_pptx,
    "python-calamine": python_calamine,
    "openpyxl": openpyxl,
    "selectolax": selectolax,
    "lxml": lxml,
    "html.parser": html_parser,
    "pyromark": pyromark,
    "mistune": mistune,
    "markdown-it-py": markdown_it,
}


def main() -> None:
    """Prints seconds of CPU, the process's peak in bytes, and how many characters came out."""
    name, file = sys.argv[1], Path(sys.argv[2])
    began = time.process_time()
    characters = sum(map(len, LIBRARIES[name](file)))
    seconds = time.process_time() - began
    found = {"seconds": seconds, "peak_bytes": peak_bytes(), "characters": characters}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
