"""Makes text of an object: reads it, has it converted apart, and keeps the text in the work bucket."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from signalbox.documents.conversion.confined import BATCHES, PAGES
from signalbox.documents.conversion.converters import Conversion, Limits, Source
from signalbox.documents.models import Document, Outcome, Task, Text, Verdict
from signalbox.documents.recognition import pages_prefix, text_key, unfit_pages
from signalbox.documents.storage import Listed, ObjectStore
from signalbox.errors import ConflictError, NotFoundError, RefusedError
from signalbox.spreading import Spread, in_order

UPLOADS_AT_ONCE = 8


class Converting(Protocol):
    """Converts a file, somewhere apart (`signalbox.documents.conversion.sandbox`)."""

    def convert(self, source: Source, folder: Path) -> Conversion:
        """What it came to; the batches, or a scan's pages, are in the folder, which was empty.

        Raises:
            UnavailableError: worth trying again.
        """
        ...


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """What the step answers.

    Attributes:
        text: None where there is a verdict, or the pages are pictures.
        scanned: its pages lie in the work bucket, each a PDF of its own, for text recognition.
        pages: how many it has; 0 where its format has none.
    """

    text: Text | None = None
    verdict: Verdict | None = None
    scanned: bool = False
    pages: int = 0


class ConvertObject:
    """Converts one object.

    Args:
        bucket: the work bucket.
        scratch: makes a folder, and removes it with all that is in it.
    """

    def __init__(
        self,
        objects: ObjectStore,
        bucket: str,
        converting: Converting,
        scratch: Callable[[], AbstractContextManager[str]],
        limits: Limits,
        spread: Spread = in_order,
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._converting = converting
        self._scratch = scratch
        self._limits = limits
        self._spread = spread

    def convert(self, task: Task) -> Converted:
        """What it came to. Again, it writes the same again.

        Raises:
            TransientError: worth trying again.
        """
        with self._scratch() as scratch:
            file, folder = Path(scratch, "object"), Path(scratch, "work")
            if verdict := self._download(task, file):
                return Converted(verdict=verdict)
            folder.mkdir()
            source = Source(
                file=str(file),
                media_type=task.found.media_type,
                ocr=task.options.ocr,
                limits=msgspec.structs.replace(self._limits, pages=task.options.maximum_pages),
            )
            return self._keep(task.document, self._converting.convert(source, folder), folder)

    def _download(self, task: Task, to: Path) -> Verdict | None:
        document, found = task.document, task.found
        try:
            self._objects.download(
                document.bucket, document.key, to, version_id=found.version_id, if_match=found.etag
            )
        except (NotFoundError, ConflictError):
            detail = "It is not there any more as it was found: what became of it has an event of its own."
            return Verdict(outcome=Outcome.SUPERSEDED, reason="changed", detail=detail)
        except RefusedError as error:
            return Verdict(outcome=Outcome.FAILED, reason=error.code, detail=str(error))
        return None

    def _keep(self, document: Document, conversion: Conversion, folder: Path) -> Converted:
        if conversion.verdict:
            return Converted(verdict=conversion.verdict, pages=conversion.pages)
        if conversion.scanned:
            return self._keep_pages(document, sorted((folder / PAGES).iterdir()))
        key = text_key(document)
        self._objects.put(self._bucket, key, folder / BATCHES, content_type="application/gzip")
        text = Text(
            key=key,
            batches=conversion.batches,
            characters=conversion.characters,
            pages=conversion.pages,
            media_type=conversion.media_type,
        )
        return Converted(text=text, pages=conversion.pages)

    def _keep_pages(self, document: Document, pages: Sequence[Path]) -> Converted:
        sizes = [Listed(key=page.name, size=page.stat().st_size, etag="", modified_at=0.0) for page in pages]
        if verdict := unfit_pages(sizes):  # nobody would read them
            return Converted(verdict=verdict, pages=len(pages))
        self._spread(lambda page: self._upload_page(document, page), pages)
        return Converted(scanned=True, pages=len(pages))

    def _upload_page(self, document: Document, page: Path) -> None:
        key = pages_prefix(document) + page.name
        self._objects.put(self._bucket, key, page, content_type="application/pdf")
