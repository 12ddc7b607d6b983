"""What the functions of the Documents workflow answer, and how an execution is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from signalbox.documents.models import (
    Document,
    Entities,
    Found,
    Label,
    Labels,
    Loaded,
    Options,
    Outcome,
    Text,
    Verdict,
)
from tests.workflow.scripted import Answer, Execution, Machine

FOUND = Found(version="v1", version_id="v1", etag="e", size=9, media_type="application/pdf", modified_at=1.5)
TEXT = Text(key="text/1.jsonl.gz", batches=2, characters=7_000, pages=3, media_type="application/pdf")
SCAN = Text(key="text/2.jsonl.gz", batches=1, characters=90, pages=1, media_type="application/pdf")
ENTITIES = Entities(key="entities/1.jsonl.gz", language="en", found=4, calls=2)
LABELS = Labels(labels=(Label(name="Bridge", confidence=99.1),))
NO_TEXT = Verdict(outcome=Outcome.NO_TEXT, reason="scanned", detail="Its pages are pictures.")
INDEXED = Loaded(outcome=Outcome.INDEXED, rows=2)


def plain(value: Any) -> Any:
    """As a function answers it, in JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def inspected(
    follows: str = "convert", verdict: Verdict | None = None, found: Found | None = FOUND
) -> Answer:
    return {"object": plain(found), "verdict": plain(verdict), "next": follows}


def converted(text: Text | None = TEXT, verdict: Verdict | None = None, *, scanned: bool = False) -> Answer:
    return {"text": plain(text), "verdict": plain(verdict), "scanned": scanned}


def recognised(text: Text | None = SCAN, verdict: Verdict | None = None) -> Answer:
    return {"text": plain(text), "verdict": plain(verdict)}


def labelled(labels: Labels | None = LABELS, verdict: Verdict | None = None) -> Answer:
    return {"labels": plain(labels), "verdict": plain(verdict)}


USUAL: dict[str, Any] = {
    "InspectObject": inspected(),
    "ConvertObject": converted(),
    "RecogniseText": recognised(),
    "DetectEntities": plain(ENTITIES),
    "DetectLabels": labelled(),
    "LoadDocument": plain(INDEXED),
    "SettleDocument": {"outcome": Outcome.INDEXED},
}
"""Step → what it answers where all goes well."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Runs objects through the deployed state machine."""

    machine: Machine

    def run(self, options: Options | None = None, **script: Sequence[Answer] | Answer) -> Execution:
        """Runs an object to its end. `script`: step → its answer or answers; the others do all there is."""
        number = next(self.machine.numbers)
        document = Document(
            bucket="papers", key="a b/ü.pdf", generation=number, cause="created", occurred_at=1.5
        )
        task = {"document": plain(document), "options": plain(options or Options(route="all"))}
        done = self.machine.run(number, f"object-{number}", "document", task, USUAL | script)
        if done.error:  # shown with a test that fails
            print(done.error, done.cause, done.steps)
        return done
