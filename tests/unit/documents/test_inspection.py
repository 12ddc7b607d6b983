"""What an object is when its execution looks at it, and what is done with it then."""

from typing import Any

import msgspec
import pytest

from signalbox.documents.entries import Entry, record_of
from signalbox.documents.inspection import Inspection, InspectObject, unreadable
from signalbox.documents.media import FIRST_BYTES
from signalbox.documents.models import Document, Options, Outcome, Task
from signalbox.documents.storage import Head
from signalbox.errors import AccessDeniedError, RefusedError, ThrottledError, UnavailableError
from signalbox.ledger.memory import MemoryLedger
from tests.unit.documents.doubles import BUCKET, GENERATION, KEY, NOON, FakeObjects, document, options

PDF = b"%PDF-1.7 and so on"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
LOADED = "load"


@pytest.fixture
def s3() -> FakeObjects:
    objects = FakeObjects()
    objects.create_bucket(BUCKET)
    objects.put(BUCKET, KEY, PDF)
    objects.calls.clear()
    return objects


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def known(ledger: MemoryLedger, **changes: Any) -> None:
    fields: dict[str, Any] = {"bucket": BUCKET, "key": KEY, "generation": GENERATION}
    ledger.put_records([record_of(Entry(**fields | changes), 0)])


def inspected(
    s3: FakeObjects,
    ledger: MemoryLedger | None = None,
    of: Document | None = None,
    given: Options | None = None,
) -> Inspection:
    task = Task(document=of or document(), options=given or options())
    return InspectObject(ledger or MemoryLedger(), s3).inspect(task)


def ended(inspection: Inspection) -> tuple[Outcome, str]:
    assert inspection.verdict is not None
    assert inspection.next == LOADED
    return inspection.verdict.outcome, inspection.verdict.reason


def calls(s3: FakeObjects) -> list[str]:
    return [operation for operation, _, _ in s3.calls]


class TestWhatGoesOn:
    def test_a_document_is_converted(self, s3: FakeObjects) -> None:
        inspection = inspected(s3)
        head = s3.head(BUCKET, KEY)
        assert (inspection.next, inspection.verdict) == ("convert", None)
        assert inspection.object is not None
        assert msgspec.to_builtins(inspection.object) == {
            "version": head.etag,
            "version_id": "",
            "etag": head.etag,
            "size": len(PDF),
            "media_type": "application/pdf",
            "modified_at": NOON,
        }

    def test_its_version_is_s3s_own_where_the_bucket_keeps_versions(self, s3: FakeObjects) -> None:
        s3.create_bucket("versioned", versioned=True)
        s3.put("versioned", KEY, PDF)
        inspection = inspected(s3, of=document(bucket="versioned"))
        assert inspection.object is not None
        assert inspection.object.version == inspection.object.version_id == "version-1"

    def test_an_image_is_looked_at(self, s3: FakeObjects) -> None:
        s3.put(BUCKET, KEY, PNG)
        assert inspected(s3, given=options(labels=True)).next == "labels"

    @pytest.mark.parametrize(
        "body",
        [b"PK\x03\x04" + bytes(50), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), b"Plain words.", b"{}"],
        ids=["zip", "ole", "text", "json"],
    )
    def test_what_may_have_text_is_converted(self, s3: FakeObjects, body: bytes) -> None:
        s3.put(BUCKET, KEY, body)
        assert inspected(s3).next == "convert"

    def test_its_type_is_what_it_is_not_what_it_is_called(self, s3: FakeObjects) -> None:
        s3.put(BUCKET, "holiday.png", PDF)
        assert inspected(s3, of=document(key="holiday.png"), given=options(labels=True)).next == "convert"

    def test_no_more_is_read_than_its_type_needs(self, s3: FakeObjects) -> None:
        s3.put(BUCKET, KEY, PDF + bytes(10 * FIRST_BYTES))
        s3.calls.clear()
        assert inspected(s3).next == "convert"
        assert calls(s3) == ["head", "first_bytes"]

    def test_the_answer_has_all_its_members(self, s3: FakeObjects) -> None:
        """The state machine reads each of them: JSONata fails on one that is missing."""
        answers = [
            inspected(s3),
            inspected(s3, of=document(key="gone")),
            inspected(s3, given=options(maximum_bytes=1)),
        ]
        assert {tuple(msgspec.to_builtins(answer)) for answer in answers} == {("object", "verdict", "next")}


class TestWhatIsGone:
    @pytest.mark.parametrize(
        ("cause", "reason"),
        [("created", "gone-before-read"), ("deleted", "deleted"), ("found", "deleted")],
    )
    @pytest.mark.parametrize("bucket", [BUCKET, "no-such-bucket"])
    def test_is_deleted(self, s3: FakeObjects, cause: Any, reason: str, bucket: str) -> None:
        of = document(key="gone", bucket=bucket, cause=cause)
        assert ended(inspected(s3, of=of)) == (Outcome.DELETED, reason)

    def test_behind_a_delete_marker(self, s3: FakeObjects) -> None:
        s3.create_bucket("versioned", versioned=True)
        s3.put("versioned", KEY, PDF)
        s3.delete("versioned", KEY)
        of = document(bucket="versioned", cause="deleted")
        assert ended(inspected(s3, of=of)) == (Outcome.DELETED, "deleted")

    def test_while_it_is_looked_at(self, s3: FakeObjects) -> None:
        s3.meddle = lambda operation: s3.buckets[BUCKET].objects.clear() if operation == "head" else None
        assert ended(inspected(s3)) == (Outcome.DELETED, "gone-before-read")

    def test_it_was_deleted_and_is_there_again(self, s3: FakeObjects) -> None:
        assert inspected(s3, of=document(cause="deleted")).next == "convert"


class TestSomebodyLater:
    def test_has_the_object(self, s3: FakeObjects, ledger: MemoryLedger) -> None:
        known(ledger, generation=GENERATION + 1)
        assert ended(inspected(s3, ledger)) == (Outcome.SUPERSEDED, "newer-admission")
        assert calls(s3) == []

    def test_has_changed_it_while_it_was_looked_at(self, s3: FakeObjects) -> None:
        def overwrite(operation: str) -> None:
            if operation == "head":
                s3.meddle = lambda _: None
                s3.put(BUCKET, KEY, b"another")

        s3.meddle = overwrite
        assert ended(inspected(s3)) == (Outcome.SUPERSEDED, "changed")

    def test_has_changed_it_in_a_bucket_that_keeps_versions(self, s3: FakeObjects) -> None:
        """The one that was looked at is there still; its event is on its way all the same."""
        s3.create_bucket("versioned", versioned=True)
        s3.put("versioned", KEY, PDF)

        def overwrite(operation: str) -> None:
            if operation == "head":
                s3.meddle = lambda _: None
                s3.put("versioned", KEY, PNG)

        s3.meddle = overwrite
        inspection = inspected(s3, of=document(bucket="versioned"))
        assert (inspection.next, inspection.object and inspection.object.version_id) == (
            "convert",
            "version-1",
        )


INDEXED: dict[str, Any] = {
    "settled": GENERATION - 9,
    "told": GENERATION - 9,
    "outcome": Outcome.INDEXED,
    "media_type": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "route": "reports",
}


class TestUnchanged:
    @pytest.fixture
    def etag(self, s3: FakeObjects) -> str:
        etag = s3.head(BUCKET, KEY).etag
        s3.calls.clear()
        return etag

    def test_what_is_indexed_as_it_is_is_left_alone(
        self, s3: FakeObjects, ledger: MemoryLedger, etag: str
    ) -> None:
        known(ledger, version=etag, **INDEXED)
        inspection = inspected(s3, ledger, document(alone=True))
        assert ended(inspection) == (Outcome.INDEXED, "unchanged")
        assert inspection.object is not None
        assert inspection.object.media_type == INDEXED["media_type"]
        assert calls(s3) == ["head"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"version": "another"},
            {"outcome": Outcome.CORRUPT},
            {"outcome": None},
            {"route": "another"},
            {"told": 0},
        ],
        ids=str,
    )
    def test_unless_the_ledger_says_otherwise(
        self, s3: FakeObjects, ledger: MemoryLedger, etag: str, changes: dict[str, Any]
    ) -> None:
        known(ledger, **{"version": etag, **INDEXED, **changes})
        assert inspected(s3, ledger, document(alone=True)).next == "convert"

    @pytest.mark.parametrize("changes", [{"alone": False}, {"cause": "found"}], ids=str)
    def test_unless_somebody_is_at_work_on_it_or_wants_it_anew(
        self, s3: FakeObjects, ledger: MemoryLedger, etag: str, changes: dict[str, Any]
    ) -> None:
        known(ledger, version=etag, **INDEXED)
        assert inspected(s3, ledger, document(**{"alone": True, **changes})).next == "convert"


class TestWhatIsNotRead:
    def test_an_empty_object(self, s3: FakeObjects) -> None:
        s3.put(BUCKET, KEY, b"")
        assert ended(inspected(s3)) == (Outcome.NO_TEXT, "empty")

    def test_a_folder_of_a_console_is_no_document(self, s3: FakeObjects) -> None:
        s3.put(BUCKET, "reports/", b"")
        assert ended(inspected(s3, of=document(key="reports/"))) == (Outcome.DELETED, "folder-marker")

    def test_a_document_whose_key_ends_with_a_slash_is_one(self, s3: FakeObjects) -> None:
        s3.put(BUCKET, "reports/", PDF)
        assert inspected(s3, of=document(key="reports/")).next == "convert"

    def test_one_that_is_too_large(self, s3: FakeObjects) -> None:
        s3.calls.clear()
        allowed = options(maximum_bytes=len(PDF) - 1)
        inspection = inspected(s3, given=allowed)
        assert ended(inspection) == (Outcome.TOO_LARGE, "too-many-bytes")
        assert inspection.verdict is not None
        assert f"at most {allowed.maximum_bytes}" in inspection.verdict.detail
        assert calls(s3) == ["head"]
        assert inspected(s3, given=options(maximum_bytes=len(PDF))).next == "convert"

    def test_a_video_of_5_gb_is_refused_by_its_head(self) -> None:
        head = Head(etag="e", size=5 * 2**30, modified_at=NOON)
        verdict = unreadable(document(key="holiday.mp4"), Options(route="default"), head)
        assert verdict is not None
        assert (verdict.outcome, verdict.reason) == (Outcome.TOO_LARGE, "too-many-bytes")
        assert "5,368,709,120 bytes; route default takes at most 104,857,600" in verdict.detail

    def test_one_that_is_archived(self, s3: FakeObjects) -> None:
        s3.archive(BUCKET, KEY)
        s3.calls.clear()
        assert ended(inspected(s3)) == (Outcome.UNSUPPORTED, "archived")
        assert calls(s3) == ["head"]

    @pytest.mark.parametrize("body", [PNG, b"\xff\xd8\xff\xe0" + bytes(50)], ids=["png", "jpeg"])
    def test_an_image_where_labels_are_off(self, s3: FakeObjects, body: bytes) -> None:
        s3.put(BUCKET, KEY, body)
        assert ended(inspected(s3)) == (Outcome.UNSUPPORTED, "labels-off")

    @pytest.mark.parametrize(
        "body",
        [
            b"\0\0\0\x18ftypmp42" + bytes(50),
            b"GIF89a" + bytes(50),
            b"ID3" + bytes(50),
            b"RIFF\0\0\0\0WEBP" + bytes(50),
            b"\x1f\x8b" + bytes(50),
            bytes(range(256)),
        ],
        ids=["mp4", "gif", "mp3", "webp", "gzip", "anything"],
    )
    def test_what_no_text_is_made_of(self, s3: FakeObjects, body: bytes) -> None:
        s3.put(BUCKET, KEY, body)
        inspection = inspected(s3, given=options(labels=True))
        assert ended(inspection) == (Outcome.UNSUPPORTED, "media-type")
        assert inspection.object is not None
        assert inspection.object.media_type in (inspection.verdict.detail if inspection.verdict else "")


class TestWhatIsRefused:
    def test_looking_says_which_permissions(self, s3: FakeObjects) -> None:
        s3.deny(BUCKET, "head")
        inspection = inspected(s3)
        assert ended(inspection) == (Outcome.FAILED, "access-denied")
        assert inspection.verdict is not None
        for hint in ("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", BUCKET):
            assert hint in inspection.verdict.detail

    def test_looking_at_what_was_deleted_is_as_if_it_were_gone(self, s3: FakeObjects) -> None:
        """Without s3:ListBucket S3 answers 403 of what is missing: its rows must go all the same."""
        s3.deny(BUCKET, "head")
        inspection = inspected(s3, of=document(cause="deleted"))
        assert ended(inspection) == (Outcome.DELETED, "deleted")

    def test_reading_says_that_it_may_be_the_key(self, s3: FakeObjects) -> None:
        s3.deny(BUCKET, "first_bytes")
        inspection = inspected(s3)
        assert ended(inspection) == (Outcome.FAILED, "access-denied")
        assert inspection.verdict is not None
        assert "kms:Decrypt" in inspection.verdict.detail
        assert inspection.object is not None

    @pytest.mark.parametrize("operation", ["head", "first_bytes"])
    def test_for_good_says_what_it_may_be(self, s3: FakeObjects, operation: str) -> None:
        s3.fail(operation, RefusedError("HeadObject: 400: Bad Request"))
        inspection = inspected(s3)
        assert ended(inspection) == (Outcome.FAILED, "refused")
        assert inspection.verdict is not None
        assert "SSE-C" in inspection.verdict.detail

    @pytest.mark.parametrize("operation", ["head", "first_bytes"])
    @pytest.mark.parametrize("error", [ThrottledError("SlowDown"), UnavailableError("500")], ids=str)
    def test_for_now_is_tried_again(self, s3: FakeObjects, operation: str, error: Exception) -> None:
        s3.fail(operation, error)
        with pytest.raises(type(error)):
            inspected(s3)
        assert inspected(s3).next == "convert"

    def test_access_denied_is_no_reason_to_try_again(self, s3: FakeObjects) -> None:
        s3.fail("first_bytes", AccessDeniedError("no"))
        assert ended(inspected(s3))[0] is Outcome.FAILED
