"""One object made into text: what is read, what is kept where, and what a try answers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from local.samples import SAMPLES, WORD, make
from signalbox.documents.conversion.confined import BATCHES, PAGES
from signalbox.documents.conversion.converters import Conversion, Limits, Source
from signalbox.documents.conversion.converting import Converted, ConvertObject
from signalbox.documents.conversion.sandbox import Sandbox
from signalbox.documents.lines import read_lines, write_lines
from signalbox.documents.media import media_type
from signalbox.documents.models import Batch, Document, Found, Options, Outcome, Task, Text, Verdict
from signalbox.documents.recognition import MAXIMUM_PAGES
from signalbox.errors import AccessDeniedError, RefusedError, ThrottledError, UnavailableError
from tests.unit.documents.doubles import FakeObjects

BUCKET, WORK = "uploads", "work"
LIMITS = Limits(seconds=30.0)


class FakeConverting:
    """Says what it was told to say, and leaves files as a conversion would."""

    def __init__(self, conversion: Conversion, *batches: Batch, pages: int = 0) -> None:
        self.conversion = conversion
        self.sources: list[Source] = []
        self.contents: list[bytes] = []
        self._batches = batches
        self._pages = pages

    def convert(self, source: Source, folder: Path) -> Conversion:
        self.sources.append(source)
        self.contents.append(source.path.read_bytes())
        (folder / BATCHES).write_bytes(write_lines(self._batches))
        (folder / PAGES).mkdir()
        for number in range(1, self._pages + 1):
            (folder / PAGES / f"{number:05}.pdf").write_bytes(b"%PDF-")
        return self.conversion


@pytest.fixture
def objects() -> FakeObjects:
    found = FakeObjects()
    found.create_bucket(BUCKET, versioned=True)
    found.create_bucket(WORK)
    return found


def task_for(objects: FakeObjects, kind: str = "text", **options: bool | int) -> Task:
    key = SAMPLES[kind].key
    objects.put(BUCKET, key, make(kind))
    head = objects.head(BUCKET, key)
    found = Found(
        version=head.version_id,
        version_id=head.version_id,
        etag=head.etag,
        size=head.size,
        media_type=media_type(make(kind)[:4_096], key),
        modified_at=head.modified_at,
    )
    document = Document(bucket=BUCKET, key=key, generation=7, cause="created", occurred_at=0.0)
    chosen = Options(route="default", **options)  # type: ignore[arg-type]  # whichever a test is about
    return Task(document=document, options=chosen, object=found)


def convert(objects: FakeObjects, converting: FakeConverting | Sandbox, task: Task) -> Converted:
    return ConvertObject(objects, WORK, converting, TemporaryDirectory, LIMITS).convert(task)


def plain() -> FakeConverting:
    conversion = Conversion(media_type="text/plain", batches=1, characters=5, pages=2)
    return FakeConverting(conversion, Batch(batch=0, text="Words"))


@pytest.mark.parametrize("kind", ["pdf", "text-japanese", "mail"])
def test_an_objects_text_is_kept_in_the_work_bucket(objects: FakeObjects, kind: str) -> None:
    task = task_for(objects, kind)
    text = convert(objects, Sandbox(os.environ), task).text
    assert text
    assert text.key == f"text/{task.document.id}/7.jsonl.gz"
    batches = list(read_lines(objects.get(WORK, text.key).body, Batch))
    whole = "".join(batch.text for batch in batches)
    assert WORD in whole
    assert (text.batches, text.characters) == (len(batches), len(whole))
    assert (text.pages, text.media_type) == (SAMPLES[kind].pages, task.found.media_type)


@pytest.mark.parametrize("kind", ["pdf-encrypted", "docx-truncated", "zip"])
def test_a_verdict_writes_nothing(objects: FakeObjects, kind: str) -> None:
    converted = convert(objects, Sandbox(os.environ), task_for(objects, kind))
    assert converted.verdict
    assert converted.verdict.outcome is SAMPLES[kind].outcome
    assert objects.keys(WORK) == []


def test_every_key_is_always_in_the_answer(objects: FakeObjects) -> None:
    """JSONata fails on a missing one."""
    answer = msgspec.to_builtins(convert(objects, plain(), task_for(objects)))
    assert answer.keys() == {"text", "verdict", "scanned", "pages"}
    assert answer["verdict"] is None


def test_the_version_that_was_found_is_read(objects: FakeObjects) -> None:
    task, converting = task_for(objects), plain()
    objects.put(BUCKET, task.document.key, b"a later version")
    convert(objects, converting, task)
    assert converting.contents == [make("text")]


def test_an_object_that_was_overwritten_is_superseded(objects: FakeObjects) -> None:
    task, converting = task_for(objects), plain()
    objects.put(BUCKET, task.document.key, b"another")
    unversioned = msgspec.structs.replace(task.found, version_id="")
    converted = convert(objects, converting, msgspec.structs.replace(task, object=unversioned))
    assert converted.verdict
    assert (converted.verdict.outcome, converted.verdict.reason) == (Outcome.SUPERSEDED, "changed")
    assert converting.sources == []


def test_an_object_that_is_gone_is_superseded(objects: FakeObjects) -> None:
    task = task_for(objects)
    objects.delete(BUCKET, task.document.key)
    gone = msgspec.structs.replace(task.found, version_id="")
    converted = convert(objects, plain(), msgspec.structs.replace(task, object=gone))
    assert converted.verdict
    assert converted.verdict.outcome is Outcome.SUPERSEDED


@pytest.mark.parametrize("error", [AccessDeniedError("s3:GetObject"), RefusedError("InvalidObjectState")])
def test_an_object_that_may_not_be_read_has_failed(objects: FakeObjects, error: RefusedError) -> None:
    objects.fail("download", error)
    converted = convert(objects, plain(), task_for(objects))
    assert converted.verdict == Verdict(outcome=Outcome.FAILED, reason=error.code, detail=str(error))


@pytest.mark.parametrize("operation", ["download", "put"])
@pytest.mark.parametrize("error", [ThrottledError("SlowDown"), UnavailableError("500")])
def test_what_may_pass_is_tried_again(
    objects: FakeObjects, operation: str, error: UnavailableError | ThrottledError
) -> None:
    task = task_for(objects)
    objects.fail(operation, error)
    with pytest.raises(type(error)):
        convert(objects, plain(), task)
    assert convert(objects, plain(), task).text


def test_a_second_try_writes_the_same_again(objects: FakeObjects) -> None:
    task = task_for(objects)
    first, second = (convert(objects, plain(), task) for _ in range(2))
    assert first == second
    assert len(objects.keys(WORK)) == 1


def test_a_conversion_is_held_to_the_routes_pages_and_the_functions_limits(objects: FakeObjects) -> None:
    converting = plain()
    convert(objects, converting, task_for(objects, ocr=True, maximum_pages=9))
    [source] = converting.sources
    assert source.ocr
    assert source.limits == msgspec.structs.replace(LIMITS, pages=9)


def test_a_scans_pages_are_kept_where_textract_reads_them(objects: FakeObjects) -> None:
    conversion = Conversion(media_type="application/pdf", scanned=True, pages=2)
    task = task_for(objects, "pdf-scanned", ocr=True)
    converted = convert(objects, FakeConverting(conversion, pages=2), task)
    assert converted == Converted(scanned=True, pages=2)
    folder = f"pages/{task.document.id}/7"
    assert objects.keys(WORK) == [f"{folder}/00001.pdf", f"{folder}/00002.pdf"]


def test_a_scan_of_more_pages_than_are_read_is_not_uploaded(objects: FakeObjects) -> None:
    pages = MAXIMUM_PAGES + 1
    conversion = Conversion(media_type="application/pdf", scanned=True, pages=pages)
    task = task_for(objects, "pdf-scanned", ocr=True)
    converted = convert(objects, FakeConverting(conversion, pages=pages), task)
    assert converted.verdict
    assert (converted.verdict.outcome, converted.scanned) == (Outcome.TOO_LARGE, False)
    assert objects.keys(WORK) == []


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_on_the_disk(objects: FakeObjects, tmp_path: Path, *, fails: bool) -> None:
    @contextmanager
    def scratch() -> Iterator[str]:
        with TemporaryDirectory(dir=tmp_path) as folder:
            yield folder

    task = task_for(objects)
    if fails:
        objects.fail("put", ThrottledError("SlowDown"))
    use_case = ConvertObject(objects, WORK, plain(), scratch, LIMITS)
    if fails:
        with pytest.raises(ThrottledError):
            use_case.convert(task)
    else:
        assert isinstance(use_case.convert(task).text, Text)
    assert list(tmp_path.iterdir()) == []
