"""How long an object takes from its upload until a search finds it, on the embedded AWS: one after the other,
and all at once.

The whole way: S3's event, the rule, the queue, the intake, the workflow, the index, a query of Athena's. One
machine does the work of AWS and of the functions: seconds say nothing about AWS, but that everything comes
through and how the one way compares to the other.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.figures import percentile
from local.deployment import deploy
from local.display import table
from local.embedded import EmbeddedAws
from local.library import Library
from local.samples import make
from signalbox.documents.searching import MOST_MATCHES, Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from rich.table import Table

    from local.progress import Steps

KINDS = ("pdf", "docx", "text", "html", "mail")
"""The samples, in turn."""
DOCUMENTS = 200
A_SECOND = 1.0
"""How many are uploaded, one after the other."""
WARMING = 10
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Indexed:
    """One run: how many, how far apart in seconds, how long each took until it was found."""

    documents: int
    apart: float
    seconds: Sequence[float]
    took: float

    def named(self) -> dict[str, float]:
        return {
            "documents": self.documents,
            "found": len(self.seconds),
            "upload_to_search_p50_seconds": percentile(self.seconds, 0.5),
            "upload_to_search_p99_seconds": percentile(self.seconds, 0.99),
            "documents_per_second": len(self.seconds) / self.took,
        }


@dataclass(slots=True)
class Run:
    """Uploads documents under one folder, and asks again and again which of them a search finds."""

    library: Library
    folder: str
    uploaded: dict[str, float] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)

    def go(self, documents: int, apart: float) -> Indexed:
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            uploading = pool.submit(self._upload, documents, apart)
            self._search(documents, began + PATIENCE_SECONDS, uploading)
            uploading.result()
        seconds = [self.found[key] - self.uploaded[key] for key in self.found]
        took = max(self.found.values(), default=time.monotonic()) - began
        return Indexed(documents, apart, seconds, took)

    def _upload(self, documents: int, apart: float) -> None:
        began = time.monotonic()
        for number in range(documents):
            time.sleep(max(0.0, began + number * apart - time.monotonic()))
            kind = KINDS[number % len(KINDS)]
            key = f"{self.folder}/{number:05}-{kind}"
            body = make(kind)
            self.uploaded[key] = time.monotonic()
            self.library.put(key, body)

    def _search(self, documents: int, give_up_at: float, uploading: Future[None]) -> None:
        """Asks until all are found. Asking takes no more than half of the time: the same machine answers."""
        query = Query(prefix=f"{self.folder}/", limit=MOST_MATCHES)
        while len(self.found) < documents and (began := time.monotonic()) < give_up_at:
            keys = {match.key for match in self.library.search(query)}
            now = time.monotonic()
            for key in keys - self.found.keys():
                self.found[key] = now
            if uploading.done() and uploading.exception():
                return
            time.sleep(max(POLL_SECONDS, now - began))


def measure(step: Steps, state: Path, documents: int = DOCUMENTS) -> list[Indexed]:
    """One after the other, then all at once."""
    step("Indexing: starting the embedded AWS")
    with EmbeddedAws.start(state) as aws:
        library = Library(aws, deploy(aws, report=step).outputs)
        Run(library, "warming").go(WARMING, 0.0)
        step(f"Indexing {documents} documents, {A_SECOND:g} a second")
        steady = Run(library, "steady").go(documents, 1 / A_SECOND)
        step(f"Indexing {documents} documents, all at once")
        at_once = Run(library, "at-once").go(documents, 0.0)
    return [steady, at_once]


def results(runs: Sequence[Indexed]) -> Iterator[tuple[str, float]]:
    """Named, for .local/bench.json."""
    for run in runs:
        for name, value in run.named().items():
            yield f"indexing.{'steady' if run.apart else 'at_once'}.{name}", value


def indexing_table(runs: Sequence[Indexed]) -> Table:
    """One row a run."""
    rows = table("documents", "uploaded", "found", "p50 s", "p99 s", "a second", title="Upload to search")
    for run in runs:
        named = run.named()
        how = f"{1 / run.apart:g} a second" if run.apart else "all at once"
        rows.add_row(
            f"{run.documents}",
            how,
            f"{named['found']:.0f}",
            f"{named['upload_to_search_p50_seconds']:.1f}",
            f"{named['upload_to_search_p99_seconds']:.1f}",
            f"{named['documents_per_second']:.2f}",
        )
    return rows
