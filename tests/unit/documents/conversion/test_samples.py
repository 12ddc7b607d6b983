"""Each converter and each outcome has a file that causes it (`local.samples`)."""

import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from local.samples import SAMPLES, make, papers
from signalbox.documents.conversion.confined import BATCHES, PAGES
from signalbox.documents.conversion.converters import CONVERTERS, Conversion, Limits, Source
from signalbox.documents.conversion.running import convert
from signalbox.documents.conversion.sandbox import Sandbox
from signalbox.documents.inspection import decide, unreadable
from signalbox.documents.lines import read_lines
from signalbox.documents.media import FIRST_BYTES, media_type
from signalbox.documents.models import Batch, Document, Found, Options, Outcome, Verdict
from signalbox.documents.storage import Head

APART = {"xlsx-sparse", "html-deep"}
"""They end the process that converts them."""
BEFORE = {"empty", "png-as-pdf", "video"}
"""Their outcome is clear before anything is converted."""
CONVERTED = [kind for kind in SAMPLES if kind not in APART | BEFORE]
OPTIONS = Options(route="default")
UNLIMITED = Limits()


def source_of(kind: str, folder: Path, limits: Limits = UNLIMITED, *, ocr: bool = False) -> Source:
    file = folder / "object"
    file.write_bytes(make(kind))
    found = media_type(make(kind)[:FIRST_BYTES], SAMPLES[kind].key)
    return Source(file=str(file), media_type=found, limits=limits, ocr=ocr)


def text_of(folder: Path) -> str:
    return "".join(batch.text for batch in batches_in(folder))


def batches_in(folder: Path) -> list[Batch]:
    return list(read_lines((folder / BATCHES).read_bytes(), Batch))


def converted(kind: str, folder: Path, limits: Limits = UNLIMITED, *, ocr: bool = False) -> Conversion:
    return convert(source_of(kind, folder, limits, ocr=ocr), folder)


def outcome(verdict: Verdict | None) -> tuple[Outcome, str]:
    return (verdict.outcome, verdict.reason) if verdict else (Outcome.INDEXED, "")


@pytest.mark.parametrize("kind", CONVERTED)
def test_a_sample_comes_to_what_it_has_to(kind: str, tmp_path: Path) -> None:
    sample = SAMPLES[kind]
    conversion = converted(kind, tmp_path)
    assert outcome(conversion.verdict) == (sample.outcome, sample.reason)
    if sample.outcome is Outcome.INDEXED:
        text = text_of(tmp_path)
        assert sample.contains in text
        assert (conversion.characters, conversion.pages) == (len(text), sample.pages)
        assert conversion.batches == len(batches_in(tmp_path))


@pytest.mark.parametrize("kind", sorted(APART))
def test_what_ends_its_process_has_its_outcome_too(kind: str, tmp_path: Path) -> None:
    limits = Limits(seconds=0.5)
    folder = tmp_path / "work"
    folder.mkdir()
    conversion = Sandbox({}).convert(source_of(kind, tmp_path, limits), folder)
    assert outcome(conversion.verdict) == (SAMPLES[kind].outcome, SAMPLES[kind].reason)


@pytest.mark.parametrize("kind", sorted(BEFORE))
def test_what_is_clear_by_its_head_and_first_bytes_is_not_converted(kind: str) -> None:
    content, sample = make(kind), SAMPLES[kind]
    document = Document(bucket="b", key=sample.key, generation=1, cause="created", occurred_at=0.0)
    head = Head(etag="e", size=len(content), modified_at=0.0)
    found = Found(
        version="v",
        etag="e",
        size=len(content),
        media_type=media_type(content[:FIRST_BYTES], sample.key),
        modified_at=0.0,
    )
    verdict = unreadable(document, OPTIONS, head) or decide(found, OPTIONS).verdict
    assert outcome(verdict) == (sample.outcome, sample.reason)


def test_every_converter_has_a_sample(tmp_path: Path) -> None:
    found = Counter(
        converted(kind, tmp_path).media_type for kind in CONVERTED if SAMPLES[kind].outcome is Outcome.INDEXED
    )
    assert found.keys() == CONVERTERS.keys()


def test_every_outcome_of_a_conversion_has_a_sample() -> None:
    elsewhere = {Outcome.DELETED, Outcome.SUPERSEDED, Outcome.FAILED}
    assert {sample.outcome for sample in SAMPLES.values()} == set(Outcome) - elsewhere


# What a reader would miss.


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("docx", ["Minutes\nThe board", "June\n", "AGM\n", "Strictly internal"]),
        ("docx-boxes", ["left\tright\n", "inserted\n"]),
        ("pptx", ["Results\nResults of", "Outlook\nOutlook of", "Speak slowly"]),
        ("xlsx", ["Sales\nplace\tsold\tshare\n", "\t1200\t3.5\n", "Notes\n", "estimated"]),
        ("html", ["Minutes\n", "the board & its guests,\nin", "By hand\n", "June\t\tAGM"]),
        ("html-legacy", ["Z\u00e1pis", "\u017elu\u0165ou\u010dk\u00fd k\u016f\u0148"]),
        ("markdown", ["Minutes\nOf the board, in Kranichfeld.\nAgenda\n", "AGM"]),
        (
            "mail",
            ["Subject: Caf\u00e9 in", "From: Ada Byron <ada@example.com>", "Attachment: men\u00fc.pdf\n"],
        ),
        ("mail-html", ["Subject: Newsletter", "Read this in a browser.", "Subject: Forwarded", "See you in"]),
        ("csv", ["Byron; Ada\tKranichfeld\ttwo\nlines\n", "Babbage\tLondon"]),
        (
            "json",
            [
                "place: Kranichfeld\n",
                "name: Andr\u00e9\n",
                "people: 3\n",
                "people: true\n",
                "place: Erfurt\n",
            ],
        ),
        ("json-lines", ["at: 1\nwhat: begin\nat: 2\n", "not JSON\n"]),
        ("pdf-scripts", ["Kranichfeld, and the well-\nKnown"]),
        ("text", ["\u65e5\u672c\u8a9e", "\U0001f600"]),
        ("text-western", ["ge\u00f6ffnet t\u00e4glich, au\u00dfer \u2013 na ja"]),
        ("text-japanese", ["\u3067\u4f1a\u8b70\u304c\u958b\u304b\u308c\u305f\u3002"]),
    ],
)
def test_what_is_said_in_it_is_in_the_text(kind: str, expected: list[str], tmp_path: Path) -> None:
    converted(kind, tmp_path)
    text = text_of(tmp_path)
    assert [piece for piece in expected if piece not in text] == []


@pytest.mark.parametrize(
    ("kind", "unseen"),
    [
        ("html", ["secret", "var hidden", "{", "<"]),
        ("docx-boxes", ["deleted", "PAGE"]),
        ("mail-html", ["in colour", "<b>", "=\n"]),
        ("markdown", ["**", "|", "](", "agenda.md"]),
    ],
)
def test_what_is_no_text_is_not(kind: str, unseen: list[str], tmp_path: Path) -> None:
    converted(kind, tmp_path)
    text = text_of(tmp_path)
    assert [piece for piece in unseen if piece in text] == []


def test_a_text_box_is_read_once_its_fallback_is_not(tmp_path: Path) -> None:
    converted("docx-boxes", tmp_path)
    assert text_of(tmp_path).count("boxed") == 1


def test_a_batch_says_on_which_page_it_begins(tmp_path: Path) -> None:
    limits = Limits(pages=5_000)
    conversion = converted("pdf-many-pages", tmp_path, limits)
    assert conversion.pages == 3_001
    found = batches_in(tmp_path)
    assert len(found) > 100
    for batch in found:  # each page begins with its number
        first = re.search(r"Page (\d+)\.", batch.text)
        assert first
        assert batch.page == int(first[1]) - (first.start() > 0)


def test_the_same_file_is_always_the_same_bytes(tmp_path: Path) -> None:
    """A retry overwrites what it wrote before with the same."""
    written = []
    for _ in range(2):
        converted("xlsx", tmp_path)
        written.append((tmp_path / BATCHES).read_bytes())
    assert written[0] == written[1]


# Limits.


@pytest.mark.parametrize(
    ("kind", "limits", "reason"),
    [
        ("pdf", Limits(pages=2), "too-many-pages"),
        ("pptx", Limits(pages=1), "too-many-pages"),
        ("xlsx", Limits(pages=1), "too-many-pages"),
        ("text", Limits(characters=100), "too-much-text"),
        ("docx", Limits(inflated_bytes=1_000), "inflates-too-far"),
    ],
)
def test_a_limit_is_a_verdict(kind: str, limits: Limits, reason: str, tmp_path: Path) -> None:
    assert outcome(converted(kind, tmp_path, limits).verdict) == (Outcome.TOO_LARGE, reason)


@pytest.mark.parametrize(("kind", "limits"), [("pdf", Limits(pages=3)), ("pptx", Limits(pages=2))])
def test_what_just_keeps_to_a_limit_is_converted(kind: str, limits: Limits, tmp_path: Path) -> None:
    assert converted(kind, tmp_path, limits).verdict is None


def test_names_that_lead_elsewhere_are_names_and_nothing_more(tmp_path: Path) -> None:
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    converted("zip", folder)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["object"]


# Scans.


def test_a_scan_is_cut_into_pages_where_somebody_reads_them(tmp_path: Path) -> None:
    conversion = converted("pdf-scanned", tmp_path, ocr=True)
    assert (conversion.scanned, conversion.pages, conversion.verdict) == (True, 2, None)
    pages = sorted((tmp_path / PAGES).iterdir())
    assert [page.name for page in pages] == ["00001.pdf", "00002.pdf"]
    for page in pages:
        (apart := tmp_path / page.stem).mkdir()
        single = convert(Source(file=str(page), media_type="application/pdf"), apart)
        assert outcome(single.verdict) == (Outcome.NO_TEXT, "scanned")


def test_pages_that_together_are_too_large_are_a_verdict(tmp_path: Path) -> None:
    conversion = converted("pdf-scanned", tmp_path, Limits(file_bytes=1_000), ocr=True)
    assert outcome(conversion.verdict) == (Outcome.TOO_LARGE, "output-limit")


def test_a_blank_pdf_is_no_scan(tmp_path: Path) -> None:
    assert outcome(converted("pdf-blank", tmp_path, ocr=True).verdict) == (Outcome.NO_TEXT, "blank")


def test_a_conversion_passes_through_json() -> None:
    conversion = Conversion(media_type="text/plain", scanned=True, pages=3)
    assert msgspec.json.decode(msgspec.json.encode(conversion), type=Conversion) == conversion


def test_a_pdf_of_1_000_pages_takes_less_than_512_mb(tmp_path: Path) -> None:
    file, folder = tmp_path / "object", tmp_path / "work"
    file.write_bytes(papers.of_pages(1_000))
    folder.mkdir()
    conversion = Sandbox({}).convert(Source(file=str(file), media_type="application/pdf"), folder)
    assert (conversion.verdict, conversion.pages) == (None, 1_000)
    assert batches_in(folder)[-1].page == 1_000
    assert 0 < conversion.peak_bytes < 512 * 2**20
