"""The Documents act: files of many kinds are uploaded, what became of each is told, and a search answers.

One is encrypted, one is damaged, one arrives twice, one is uploaded again under its name, one is deleted.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.markup import escape

from local import events
from local.demo.findings import Finding
from local.display import table
from local.estate.scans import scanned_pdf
from local.library import Library
from local.progress import Steps
from local.samples import WORD, make
from local.settings import ROOT
from signalbox.documents.models import QUARANTINED
from signalbox.documents.searching import Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from local.embedded import EmbeddedAws
    from local.inbox import Heard, Inbox
    from signalbox.documents.entries import Entry
    from signalbox.documents.searching import Match

PARAMETERS: Final[Mapping[str, str]] = {}
ROUTES = [
    {
        "name": "everything",
        "bucket": "*",
        "pipeline": "index",
        "options": {"entities": True, "labels": True, "ocr": True},
    }
]
UPLOADED = {
    "report.pdf": "pdf",
    "letter.docx": "docx",
    "pitch.pptx": "pptx",
    "figures.xlsx": "xlsx",
    "page.html": "html",
    "README.md": "markdown",
    "newsletter.eml": "mail-html",
    "contacts.csv": "csv",
    "notes in Japanese.txt": "text-japanese",
    "secret.pdf": "pdf-encrypted",
    "half.docx": "docx-truncated",
    "holiday.mp4": "video",
}
"""Key → sample."""
PICTURE, SCAN = "photo.png", "scan.pdf"
TWICE = "report.pdf"
SAMPLE = ROOT / "events" / "documents" / "object_created.json"
"""It is about that one."""
AGAIN, FIRST, SECOND = "minutes.txt", "marigolds", "begonias"
DELETED = "draft.txt"
EXPECTED = {
    **dict.fromkeys([*UPLOADED, PICTURE, SCAN, AGAIN], "INDEXED"),
    "secret.pdf": "ENCRYPTED",
    "half.docx": "CORRUPT",
    "holiday.mp4": "UNSUPPORTED",
    DELETED: "DELETED",
}
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.2


def play(console: Console, aws: EmbeddedAws, outputs: Mapping[str, str], inbox: Inbox) -> list[Finding]:
    """Plays it on a deployed stack; what bucket, index and messages show afterwards."""
    library = Library(aws, outputs)
    with Steps() as report:
        report("Declaring the routes")
        routes = msgspec.json.encode(ROUTES).decode()
        aws.client("ssm").put_parameter(
            Name=outputs["DocumentsRoutesParameter"], Value=routes, Type="String", Overwrite=True
        )
        report(f"Making {len(EXPECTED)} files")
        files = {key: make(sample) for key, sample in UPLOADED.items()}
        files |= {PICTURE: make("png-as-pdf"), SCAN: scanned_pdf([f"Scanned in {WORD}", "on paper"])}
    console.print(f"\n{len(EXPECTED)} files are uploaded.\n[dim]seconds after the upload began[/]")
    began = time.time()
    _upload(library, files)
    _follow(console, library, began)
    found = library.search(Query(words=(WORD.lower(),), limit=100))
    console.print(_answer(found))
    return _inspect(library, found, inbox.drain())


def _upload(library: Library, files: Mapping[str, bytes]) -> None:
    library.put(AGAIN, f"The first wording was about {FIRST}.".encode())
    library.put(DELETED, b"Not meant for anybody.")
    for key, body in files.items():
        if key != TWICE:
            library.put(key, body)
    _tell_twice(library, files[TWICE])
    library.put(AGAIN, f"The second wording, of {WORD}, is about {SECOND}.".encode())
    library.delete(DELETED)


def _tell_twice(library: Library, body: bytes) -> None:
    """EventBridge delivers at least once: the event about this object comes twice, and no other one."""
    s3 = library.aws.client("s3")
    s3.put_bucket_notification_configuration(Bucket=library.bucket, NotificationConfiguration={})
    try:
        library.put(TWICE, body)
    finally:
        s3.put_bucket_notification_configuration(
            Bucket=library.bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    values = events.Values(datetime.now(UTC), iter(()), bucket=lambda: library.bucket)
    [event] = events.fill(events.read(SAMPLE), values)
    library.aws.deliver([event, event])


def _follow(console: Console, library: Library, began: float) -> None:
    """Prints each outcome as it is told, until no event is on its way."""
    told: set[tuple[str, str, str]] = set()
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        quiet = library.is_quiet()
        entries = library.entries(EXPECTED)
        for key, entry in sorted(entries.items(), key=lambda item: item[1].settled_at):
            state = (key, str(entry.outcome), entry.version)
            if entry.outcome and state not in told:
                told.add(state)
                console.print(_line(key, entry, began))
        if quiet and all(entry.is_done for entry in entries.values()) and len(entries) == len(EXPECTED):
            return
        time.sleep(POLL_SECONDS)


def _line(key: str, entry: Entry, began: float) -> str:
    style = "red" if entry.outcome in QUARANTINED else "green"
    why = f" {entry.reason}: {entry.detail}" if entry.outcome in QUARANTINED else f" {entry.media_type}"
    return f"{entry.settled_at - began:6.1f} {escape(f'{key:<22}')} [{style}]{entry.outcome}[/]{escape(why)}"


def _answer(found: Sequence[Match]) -> Any:
    rows = table("object", "page", "text", title=f'\nmake search Q="{WORD}"')
    for match in found:
        rows.add_row(escape(match.key), str(match.page or "-"), escape(match.snippet[:100]))
    return rows


def _inspect(library: Library, found: Sequence[Match], heard: Heard) -> list[Finding]:
    entries = library.entries(EXPECTED)
    outcomes = {key: str(entry.outcome) for key, entry in entries.items()}
    failed = {key for key, outcome in EXPECTED.items() if outcome not in {"INDEXED", "DELETED"}}
    holding = {key for key, outcome in EXPECTED.items() if outcome == "INDEXED"} - {PICTURE}
    keys = {match.key for match in found}
    quarantine = library.quarantine()
    named = {match.key for match in library.search(Query(entity="Ada Byron", limit=100))}
    pictured = {match.key for match in library.search(Query(label="Mobile Phone", limit=100))}
    stale = library.search(Query(words=(FIRST,)))
    told = Counter(event["detail"]["key"] for event in heard.events if event["detail"].get("key") == TWICE)
    alerted = [
        alert for alert in heard.alerts if alert["MessageAttributes"]["domain"]["Value"] == "documents"
    ]
    return [
        Finding("every document has its outcome", outcomes == EXPECTED, _counted(outcomes.values())),
        Finding("found by a word", keys == holding, f"{len(keys)} of {len(holding)} documents"),
        Finding("found by a person's name", bool(named), f"{len(named)} documents name Ada Byron"),
        Finding(
            "a picture found by what it shows", pictured == {PICTURE}, ", ".join(sorted(pictured)) or "-"
        ),
        Finding("nothing of an older version", not stale, f"{len(stale)} hits for the first wording"),
        Finding(
            "quarantined with a reason",
            quarantine.keys() == failed,
            ", ".join(f"{key}: {reason}" for key, reason in sorted(quarantine.items())),
        ),
        Finding("one alert for each of them", len(alerted) == len(failed), f"{len(alerted)} alerts"),
        Finding("what came twice was told once", told[TWICE] == 1, f"{told[TWICE]} event about {TWICE}"),
    ]


def _counted(outcomes: Any) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcomes).most_common())
