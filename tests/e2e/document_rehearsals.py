"""What each role of the Documents domain is for, done once on the deployed stack (`tests.e2e.rehearsals`)."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.config import Config
from PIL import Image

from local import events
from local.estate.scans import scanned_pdf
from local.estate.stored import OUT_OF_REACH
from local.settings import ROOT
from signalbox.deployment.probing import PROBE
from signalbox.documents.compaction import FEW
from signalbox.documents.entities import entities_key
from signalbox.documents.entries import Entry, record_of
from signalbox.documents.lines import write_lines
from signalbox.documents.loading import Row
from signalbox.documents.models import (
    Batch,
    Document,
    Entities,
    Entity,
    Found,
    Loaded,
    Options,
    Outcome,
    Task,
    Text,
    Verdict,
)
from signalbox.documents.recognition import pages_prefix, text_key
from signalbox.documents.s3_index import file_key, shard_of
from tests.e2e.stack import batch_of

if TYPE_CHECKING:
    from tests.e2e.rehearsals import Stage

CREATED = ROOT / "events" / "documents" / "object_created.json"
CALLED = ROOT / "events" / "documents" / "object_created_call.json"
WORDS = "Ada Lovelace lived in London."
EVERYTHING = Options(route="rehearsal", entities=True, labels=True, ocr=True)
HEAD_REFUSED = "HeadObject: 403"
"""S3 answers a HEAD without a body: which action was lacking it does not say."""
LEFT_ALONE = "left-alone"
"""In a key: no route takes it, so that the stack itself does nothing about the object."""


@dataclass(frozen=True)
class Case:
    """One object, and what the steps before a function have left of it."""

    stage: "Stage"
    document: Document
    found: Found | None = None

    @classmethod
    def of(cls, stage: "Stage", body: bytes, media_type: str) -> "Case":
        """An object of the documents' bucket."""
        number = next(stage.numbers)
        bucket, key = stage.stack.outputs["DocumentsBucketName"], f"rehearsal/{LEFT_ALONE}/{number}"
        put = stage.stack.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        document = Document(
            bucket=bucket, key=key, generation=number, cause="created", occurred_at=time.time()
        )
        found = Found(
            version=put["VersionId"],
            version_id=put["VersionId"],
            etag=put["ETag"].strip('"'),
            size=len(body),
            media_type=media_type,
            modified_at=time.time(),
        )
        return cls(stage, document, found)

    def leave(self, key: str, body: bytes) -> str:
        """Puts an object into the work bucket; its key."""
        bucket = self.stage.stack.outputs["DocumentsWorkBucketName"]
        self.stage.stack.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        return key

    def text(self) -> Text:
        key = self.leave(text_key(self.document), write_lines([Batch(batch=0, text=WORDS)]))
        return Text(key=key, batches=1, characters=len(WORDS), media_type="text/plain")

    def ask(self, function_id: str, **more: Any) -> str:
        """What the function says to a task, and to a probe."""
        task = Task(document=self.document, options=EVERYTHING, object=self.found, **more)
        said = self.stage.invoke(function_id, msgspec.to_builtins(task))
        return said + self.stage.invoke(function_id, {PROBE: "rehearsal"})


def inspect(stage: "Stage") -> str:
    said = Case.of(stage, WORDS.encode(), "text/plain").ask("DocumentsInspectObjectFunction")
    return said.replace(HEAD_REFUSED, f"{HEAD_REFUSED}: {refused('s3:GetObject')}")


def refused(action: str) -> str:
    """What AWS would have said, had it said anything."""
    return f"not authorized to perform: {action} it seems"


def convert(stage: "Stage") -> str:
    """A text, and a scan, whose pages are kept."""
    text = Case.of(stage, WORDS.encode(), "text/plain").ask("DocumentsConvertObjectFunction")
    scan = Case.of(stage, scanned_pdf([WORDS]), "application/pdf").ask("DocumentsConvertObjectFunction")
    return text + scan


def recognise(stage: "Stage") -> str:
    """Textract reads a page with the function's role and doesn't say so; one that can't be removed stays."""
    case = Case.of(stage, scanned_pdf([WORDS]), "application/pdf")
    page = case.leave(f"{pages_prefix(case.document)}1.pdf", scanned_pdf([WORDS]))
    said = case.ask("DocumentsRecogniseTextFunction")
    said = said.replace(OUT_OF_REACH, f"{OUT_OF_REACH}: {refused('s3:GetObject')}")
    bucket = stage.stack.outputs["DocumentsWorkBucketName"]
    left: int = stage.stack.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=page)["KeyCount"]
    return said + refused("s3:DeleteObject") * left


def detect_entities(stage: "Stage") -> str:
    case = Case.of(stage, WORDS.encode(), "text/plain")
    return case.ask("DocumentsDetectEntitiesFunction", text=case.text())


def detect_labels(stage: "Stage") -> str:
    return Case.of(stage, picture(), "image/png").ask("DocumentsDetectLabelsFunction")


def picture() -> bytes:
    written = BytesIO()
    Image.new("RGB", (100, 100), "teal").save(written, "PNG")
    return written.getvalue()


def load(stage: "Stage") -> str:
    case = Case.of(stage, WORDS.encode(), "text/plain")
    entity = Entity(batch=0, text="Ada Lovelace", type="PERSON", score=0.9)
    entities = Entities(key=case.leave(entities_key(case.document), write_lines([entity])), found=1)
    return case.ask("DocumentsLoadDocumentFunction", text=case.text(), entities=entities)


def settle(stage: "Stage") -> str:
    """One that goes to the quarantine, with an alert and an event."""
    encrypted = Verdict(outcome=Outcome.ENCRYPTED, reason="password-needed", detail="rehearsal")
    return Case.of(stage, WORDS.encode(), "text/plain").ask(
        "DocumentsSettleDocumentFunction", verdict=encrypted, loaded=Loaded(outcome=Outcome.ENCRYPTED)
    )


def compact(stage: "Stage") -> str:
    """A shard of its own, with enough files that merging them is worthwhile."""
    number = next(stage.numbers)
    names = (sha256(f"{number}/{n}".encode()).hexdigest() for n in range(1_000_000))
    shard = number % 64
    chosen = (name for name in names if shard_of(name) == shard)
    case = Case(stage, Document(bucket="-", key="-", generation=1, cause="found", occurred_at=0.0))
    for name, _ in zip(chosen, range(FEW + 1), strict=False):
        row = Row(document=name, generation=1, batch=0, bucket="-", key="-", text=WORDS)
        case.leave(file_key(name, 1), write_lines([row]))
    return stage.invoke("DocumentsCompactIndexFunction", {})


def admit(stage: "Stage") -> str:
    """An object that is gone, one that is worked on, somebody else's; and a message of the queue itself."""
    bucket, now = stage.stack.outputs["DocumentsBucketName"], time.time()
    gone, busy = (created(bucket, f"rehearsal/{next(stage.numbers)}") for _ in range(2))
    entry = Entry(
        bucket=bucket,
        key=busy["detail"]["object"]["key"],
        generation=int(now * 1_000),
        requests=(busy["detail"]["request-id"],),
        busy_until=now + 60,
    )
    assert not stage.stack.ledger.put_records([record_of(entry, 0)])
    bodies = [json.dumps(event) for event in (gone, busy, {**gone, "account": "000000000000"})]
    function = "DocumentsAdmitEventsFunction"
    # In an environment that has not read the routes yet.
    with stage.stack.variable(function, "DOCUMENTS_MAXIMUM_RECEIVES", str(next(stage.numbers))):
        said = stage.invoke(function, batch_of(bodies))
    said += stage.invoke(function, {PROBE: "rehearsal"})
    values = events.Values(datetime.now(UTC), iter(()))
    [call] = events.fill(events.read(CALLED), values)
    call["detail"]["errorCode"] = "AccessDenied"  # nothing is to be done about it
    return said + stage.take_from_queue("DocumentsIntakeQueue", function, json.dumps(call))


def created(bucket: str, key: str) -> dict[str, Any]:
    """The event about an object."""
    values = events.Values(datetime.now(UTC), iter(()), bucket=lambda: bucket)
    [event] = events.fill(events.read(CREATED), values)
    event["detail"]["object"]["key"] = key
    return event


def run_machine(stage: "Stage") -> str:
    """A text, an image and a scan: every step has something to do."""
    cases = [
        Case.of(stage, WORDS.encode(), "text/plain"),
        Case.of(stage, picture(), "image/png"),
        Case.of(stage, scanned_pdf([WORDS]), "application/pdf"),
    ]
    client = stage.stack.aws.client("stepfunctions", config=Config(inject_host_prefix=False))
    said = []
    for case in cases:
        ended = client.start_sync_execution(
            stateMachineArn=stage.stack.outputs["DocumentsStateMachineArn"],
            input=json.dumps(
                {
                    "document": msgspec.to_builtins(case.document),
                    "options": msgspec.to_builtins(EVERYTHING),
                }
            ),
        )
        said.append(f"{ended['status']} {ended.get('error', '')} {ended.get('cause', '')}")
    return "\n".join(said)


DOCUMENT_REHEARSALS: Mapping[str, Callable[["Stage"], str]] = {
    "DocumentsAdmitEventsFunctionRole": admit,
    "DocumentsCompactIndexFunctionRole": compact,
    "DocumentsConvertObjectFunctionRole": convert,
    "DocumentsDetectEntitiesFunctionRole": detect_entities,
    "DocumentsDetectLabelsFunctionRole": detect_labels,
    "DocumentsInspectObjectFunctionRole": inspect,
    "DocumentsLoadDocumentFunctionRole": load,
    "DocumentsObjectStateMachineRole": run_machine,
    "DocumentsRecogniseTextFunctionRole": recognise,
    "DocumentsSettleDocumentFunctionRole": settle,
}
"""The role that needs it → the rehearsal."""
