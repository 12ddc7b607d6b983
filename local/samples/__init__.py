"""Documents of every kind, made on the spot: each with what has to become of it.

    make("pdf")                     the bytes
    SAMPLES["pdf"].outcome          INDEXED
    SAMPLES["pdf"].contains         a word of its text

The tests and the demo use them.
"""

from collections.abc import Callable
from functools import cache

import msgspec

from local.samples import images, mails, office, papers, texts
from signalbox.documents.models import Outcome

WORD = texts.WORD


class Sample(msgspec.Struct, frozen=True):
    """A document.

    Attributes:
        key: what somebody might call it.
        outcome: what has to become of it, with a route that asks for nothing.
        reason: of the outcome; "" where it is INDEXED.
        contains: a word that its text must have; "" where it has none.
        pages: pages, slides or sheets; 0 where its format has none.
        patient: it shows something only after some time, or takes seconds to be made.
    """

    key: str
    content: Callable[[], bytes]
    outcome: Outcome = Outcome.INDEXED
    reason: str = ""
    contains: str = ""
    pages: int = 0
    patient: bool = False


def _text(key: str, content: Callable[[], bytes], pages: int = 0) -> Sample:
    return Sample(key, content, contains=WORD, pages=pages)


def _none(key: str, outcome: Outcome, reason: str, content: Callable[[], bytes]) -> Sample:
    return Sample(key, content, outcome, reason)


SAMPLES: dict[str, Sample] = {
    # one and more for each converter
    "pdf": _text("reports/2026/annual.report.pdf", papers.text, pages=3),
    "pdf-capital": _text("SCAN0001.PDF", papers.text, pages=3),
    "pdf-owner-password": _text("no-printing.pdf", papers.locked_for_owners, pages=3),
    "pdf-scripts": _text("scripts.pdf", papers.scripts, pages=1),
    "docx": _text("letter.docx", office.word),
    "docx-boxes": _text("form.docx", office.word_with_boxes),
    "pptx": _text("pitch.pptx", office.slides, pages=2),
    "xlsx": _text("figures.xlsx", office.workbook, pages=2),
    "xls": _text("figures.xls", office.old_workbook, pages=1),
    "html": _text("page.html", texts.html),
    "html-legacy": _text("old page.htm", texts.legacy_html),
    "xml": _text("feed.xml", texts.xml),
    "markdown": _text("README.md", texts.markdown),
    "mail": _text("invitation.eml", mails.plain),
    "mail-html": _text("newsletter.eml", mails.html),
    "csv": _text("contacts.csv", texts.csv),
    "json": _text("event.json", texts.json),
    "json-lines": _text("events.jsonl", texts.json_lines),
    "json-cut-off": _text("half.json", texts.cut_off_json),
    "text": _text("notes.txt", texts.utf8),
    "text-western": _text("caf\u00e9 men\u00fc.txt", texts.western),
    "text-utf16": _text("notepad.txt", texts.utf16),
    "text-japanese": _text("\u65e5\u672c\u8a9e.txt", texts.japanese),
    "text-nameless": _text("LICENSE", texts.utf8),
    # no text
    "empty": _none("empty.txt", Outcome.NO_TEXT, "empty", bytes),
    "text-blank": _none("blank.txt", Outcome.NO_TEXT, "blank", texts.blank),
    "pdf-blank": _none("blank.pdf", Outcome.NO_TEXT, "blank", papers.blank),
    "pdf-scanned": _none("scan.pdf", Outcome.NO_TEXT, "scanned", papers.scanned),
    "docx-picture": _none("picture.docx", Outcome.NO_TEXT, "blank", office.word_of_a_picture),
    # locked
    "pdf-encrypted": _none("secret.pdf", Outcome.ENCRYPTED, "password-needed", papers.encrypted),
    "docx-encrypted": _none("secret.docx", Outcome.ENCRYPTED, "password-needed", office.encrypted_word),
    "xlsx-encrypted": _none("secret.xlsx", Outcome.ENCRYPTED, "password-needed", office.encrypted_workbook),
    "mail-sealed": _none("sealed.eml", Outcome.ENCRYPTED, "message-sealed", mails.sealed),
    # damaged
    "pdf-truncated": _none("half.pdf", Outcome.CORRUPT, "damaged", papers.truncated),
    "docx-truncated": _none("half.docx", Outcome.CORRUPT, "damaged", office.truncated_word),
    "xlsx-damaged": _none("broken.xlsx", Outcome.CORRUPT, "damaged", office.damaged_workbook),
    "pptx-part-missing": _none("gap.pptx", Outcome.CORRUPT, "damaged", office.slides_without_a_part),
    "ole-truncated": _none("half.xls", Outcome.CORRUPT, "damaged", office.truncated_old_workbook),
    # made to do harm
    "docx-entities": _none("laughs.docx", Outcome.CORRUPT, "document-type", office.word_of_entities),
    "docx-file-entity": _none("passwd.docx", Outcome.CORRUPT, "document-type", office.word_of_a_file_entity),
    "docx-bomb": _none("bomb.docx", Outcome.TOO_LARGE, "inflates-too-far", office.bomb),
    "xlsx-sparse": _none("sparse.xlsx", Outcome.TOO_LARGE, "out-of-memory", office.sparse_workbook),
    "pdf-many-pages": Sample(
        "telephone-book.pdf", papers.many_pages, Outcome.TOO_LARGE, "too-many-pages", patient=True
    ),
    "html-deep": Sample("deep.html", texts.deep_html, Outcome.TIMED_OUT, "time-limit", patient=True),
    # none of ours
    "png-as-pdf": _none("photo.pdf", Outcome.UNSUPPORTED, "labels-off", images.png),
    "video": _none("holiday.mp4", Outcome.UNSUPPORTED, "media-type", images.video),
    "program-as-text": _none("program.txt", Outcome.UNSUPPORTED, "media-type", images.program),
    "zip": _none("holiday photos.zip", Outcome.UNSUPPORTED, "archive", office.archive),
    "gzip": _none("log.gz", Outcome.UNSUPPORTED, "media-type", texts.gzipped),
    "doc": _none("old.doc", Outcome.UNSUPPORTED, "old-format", office.old_word),
}


@cache
def make(kind: str) -> bytes:
    """The bytes of a sample, by its name in `SAMPLES`."""
    return SAMPLES[kind].content()
