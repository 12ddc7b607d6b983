"""The bench of conversions: whoever is compared reads the same file, and the figures have names."""

from pathlib import Path

import pytest

from bench import converting, libraries
from bench.converting import Read, Sandboxed, library_table, results, sandbox_table
from local.display import terminal
from local.samples import WORD, make

INSTALLED = {
    "pdf": ["pypdfium2"],
    "docx": ["own reader of Word", "python-docx"],
    "pptx": ["own reader of PowerPoint", "python-pptx"],
    "xlsx": ["python-calamine", "openpyxl"],
    "html": ["selectolax", "lxml", "html.parser"],
    "markdown": ["pyromark"],
}
"""The others are in the bench's own environment alone."""


@pytest.mark.parametrize(
    ("kind", "library"), [(kind, library) for kind, names in INSTALLED.items() for library in names]
)
def test_a_library_that_is_measured_reads_the_file(kind: str, library: str, tmp_path: Path) -> None:
    file = tmp_path / f"sample.{kind}"
    file.write_bytes(make(kind))
    assert WORD in "".join(libraries.LIBRARIES[library](file))


def test_every_library_is_compared_and_every_compared_one_there() -> None:
    compared = [name for _, names in converting.compared().values() for name in names]
    assert sorted(compared) == sorted(libraries.LIBRARIES)


def test_a_conversion_is_measured_by_what_its_own_process_took(tmp_path: Path) -> None:
    measured = converting.sandboxed(3, tmp_path)
    assert measured.pages == 3
    assert 0 < measured.peak_bytes < 512 * 2**20


def test_figures_have_names_and_tables() -> None:
    one = Sandboxed(100, 0.5, 0.25, 40_000_000)
    other = Read("PDF", "own reader of Word", 0.1, 20_000_000, 1_000)
    assert dict(results([one], [other])) == {
        "convert.pdf.100.pages_a_second": 400.0,
        "convert.pdf.100.peak_bytes": 40_000_000,
        "convert.library.own_reader_of_Word.cpu_seconds": 0.1,
        "convert.library.own_reader_of_Word.peak_bytes": 20_000_000,
    }
    console = terminal()
    with console.capture() as captured:
        console.print(sandbox_table([one]))
        console.print(library_table([other]))
    assert "400" in captured.get()
    assert "own reader of Word" in captured.get()
