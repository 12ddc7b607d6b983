"""The text of scanned pages, read by Textract one page at a time.

DetectDocumentText answers at once, for one page. StartDocumentTextDetection takes 3,000 pages, and says by a
topic when it is done: an execution of five minutes at most can't wait for that. Hence the bound on pages.
"""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.documents.analysis import UnfitError
from signalbox.documents.batching import Page, batches
from signalbox.documents.lines import write_lines
from signalbox.documents.models import Batch, Document, Outcome, Task, Text, Verdict
from signalbox.documents.storage import Listed, ObjectStore
from signalbox.errors import NotFoundError, RefusedError, SignalboxError, TransientError
from signalbox.spreading import Spread, in_order

PAGE_BYTES = 10 * 2**20
""""Set Quotas in Amazon Textract", Amazon Textract Developer Guide."""
MAXIMUM_PAGES = 70
"""What is read within the step's 90 s at 1 page a second, the lowest default quota of any Region ("Amazon
Textract endpoints and quotas", AWS General Reference)."""
PAGES_AT_ONCE = 8
"""A page takes Textract a second or two: 70 pages take a quarter of a minute where the quota allows."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 4.0
MEDIA_TYPE = "application/pdf"


class TextRecogniser(Protocol):
    """Reads pages that lie in S3."""

    def lines(self, bucket: str, key: str) -> Sequence[str]:
        """The lines of a page, in reading order.

        Raises:
            UnfitError: the page can't be read.
            ThrottledError, UnavailableError: worth trying again.
            RefusedError: refused for good.
        """
        ...


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """What the step answers: one of the two."""

    text: Text | None = None
    verdict: Verdict | None = None


class RecogniseText:
    """Has a recogniser read the pages that the converter left in the work bucket, and keeps their text there.

    Args:
        chance: between 0 and 1: spreads the waits of pages that were throttled together.
    """

    def __init__(
        self,
        objects: ObjectStore,
        bucket: str,
        recogniser: TextRecogniser,
        clock: Clock,
        sleep: Callable[[float], None],
        chance: Callable[[], float],
        spread: Spread = in_order,
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._recogniser = recogniser
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._spread = spread

    def recognise(self, task: Task, until: float) -> Recognised:
        """What it came to; the pages are removed.

        Args:
            until: when no page is tried once more, in seconds since 1970.

        Raises:
            NotFoundError: there are no pages: an earlier try has removed them.
            TransientError: worth trying again, while the pages are still there.
        """
        document = task.document
        pages = list(self._objects.list(self._bucket, pages_prefix(document)))
        if not pages:
            raise NotFoundError(f"{document.shown}: no pages below {pages_prefix(document)} to be read")
        recognised = self._read(document, pages, until)
        self._remove(pages)
        return recognised

    def _read(self, document: Document, pages: Sequence[Listed], until: float) -> Recognised:
        if verdict := unfit_pages(pages):
            return Recognised(verdict=verdict)
        try:
            texts = list(self._spread(lambda page: self._patiently(page, until), pages))
        except UnfitError as error:
            return Recognised(verdict=error.verdict)
        except RefusedError as error:
            verdict = Verdict(outcome=Outcome.FAILED, reason=error.code, detail=str(error))
            return Recognised(verdict=verdict)
        if not any(text.strip() for text in texts):
            detail = f"None of its {len(pages)} scanned pages has text on it."
            return Recognised(verdict=Verdict(outcome=Outcome.NO_TEXT, reason="no-text-found", detail=detail))
        numbered = (Page(text, _number(page)) for text, page in zip(texts, pages, strict=True))
        return Recognised(text=self._keep(document, list(batches(numbered)), len(pages)))

    def _patiently(self, page: Listed, until: float) -> str:
        """The page's text. Who is throttled waits a little, as long as there is time."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return "".join(f"{line}\n" for line in self._recogniser.lines(self._bucket, page.key))
            except TransientError:
                if self._clock() + wait >= until:
                    raise
                self._sleep(wait * (1 + self._chance()) / 2)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _keep(self, document: Document, found: Sequence[Batch], pages: int) -> Text:
        key = text_key(document)
        self._objects.put(self._bucket, key, write_lines(found), content_type="application/gzip")
        return Text(
            key=key,
            batches=len(found),
            characters=sum(len(batch.text) for batch in found),
            pages=pages,
            media_type=MEDIA_TYPE,
        )

    def _remove(self, pages: Sequence[Listed]) -> None:
        try:
            self._objects.delete(self._bucket, *(page.key for page in pages))
        except SignalboxError:
            return  # the bucket's lifecycle rule will


def pages_prefix(document: Document) -> str:
    """Where a scan's pages are in the work bucket, each a PDF of its own: ``<prefix>00001.pdf``."""
    return f"pages/{document.id}/{document.generation}/"


def text_key(document: Document) -> str:
    """Where a document's text is in the work bucket."""
    return f"text/{document.id}/{document.generation}.jsonl.gz"


def unfit_pages(pages: Sequence[Listed]) -> Verdict | None:
    """Why they can't be read, as far as their number and sizes tell."""
    if len(pages) > MAXIMUM_PAGES:
        detail = f"Scans of at most {MAXIMUM_PAGES} pages are read; it has {len(pages)}."
        return Verdict(outcome=Outcome.TOO_LARGE, reason="too-many-scanned-pages", detail=detail)
    for page in pages:
        if page.size > PAGE_BYTES:
            given = f"page {_number(page)} has {page.size:,}"
            detail = f"Scanned pages of at most {PAGE_BYTES:,} bytes are read; {given}."
            return Verdict(outcome=Outcome.TOO_LARGE, reason="scanned-page-too-large", detail=detail)
    return None


def _number(page: Listed) -> int:
    return int(PurePosixPath(page.key).stem)
