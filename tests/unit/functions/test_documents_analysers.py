"""What goes into the analysers' handlers, and what comes out: every key, also where there is nothing."""

from typing import Any

import msgspec
import pytest

from signalbox.documents.entities import DetectEntities
from signalbox.documents.labels import DetectLabels
from signalbox.documents.lines import write_lines
from signalbox.documents.models import Batch
from signalbox.documents.recognition import RecogniseText
from signalbox.errors import InvariantError
from tests.unit.documents.analysers import FakeDetector, FakeLabels, FakePages
from tests.unit.documents.doubles import NOON, FakeObjects
from tests.unit.documents.test_entities import DOCUMENT, TEXT_KEY, WORK
from tests.unit.documents.test_labels import BUCKET, found, picture, stored
from tests.unit.documents.test_labels import DOCUMENT as IMAGE
from tests.unit.documents.test_recognition import DOCUMENT as SCAN
from tests.unit.documents.test_recognition import page_key
from tests.unit.functions.test_handlers import handle


def task(document: object, **parts: object) -> dict[str, Any]:
    """As the state machine sends it: what is not there yet is null."""
    return {"document": msgspec.to_builtins(document), "options": {"route": "all"}, **parts}


def work(**objects: bytes) -> FakeObjects:
    made = FakeObjects()
    made.create_bucket(WORK)
    for key, body in objects.items():
        made.put(WORK, key, body)
    return made


def test_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    use_case = DetectEntities(
        work(**{TEXT_KEY: write_lines([Batch(batch=0, text="by nobody")])}), WORK, FakeDetector()
    )
    text = {"key": TEXT_KEY, "batches": 1, "characters": 9, "media_type": "text/plain"}
    event = task(DOCUMENT, object=None, text=text)
    answer = handle("DocumentsDetectEntitiesFunction", use_case, event, monkeypatch)
    assert answer == {"key": "", "language": "en", "found": 0, "calls": 2, "note": ""}


def test_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = stored(picture())
    use_case = DetectLabels(objects, FakeLabels(images={(BUCKET, IMAGE.key, ""): None}, seen=()))
    event = task(IMAGE, object=msgspec.to_builtins(found(objects)))
    answer = handle("DocumentsDetectLabelsFunction", use_case, event, monkeypatch)
    assert msgspec.json.encode(answer) == b'{"labels":{"labels":[],"note":""},"verdict":null}'


def test_a_verdict_on_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = stored(picture())
    event = task(IMAGE, object=msgspec.to_builtins(found(objects, media_type="image/gif")))
    answer = handle("DocumentsDetectLabelsFunction", DetectLabels(objects, FakeLabels()), event, monkeypatch)
    assert answer["labels"] is None
    assert answer["verdict"]["outcome"] == "UNSUPPORTED"


@pytest.mark.parametrize(("line", "empty"), [("a line", "verdict"), (" ", "text")])
def test_recognition(monkeypatch: pytest.MonkeyPatch, line: str, empty: str) -> None:
    key = page_key(1)
    use_case = RecogniseText(
        work(**{key: b"%PDF-"}), WORK, FakePages({key: [line]}), lambda: NOON, lambda _: None, lambda: 1.0
    )
    answer = handle("DocumentsRecogniseTextFunction", use_case, task(SCAN, object=None), monkeypatch)
    assert set(answer) == {"text", "verdict"}
    assert answer[empty] is None


@pytest.mark.parametrize("name", ["DetectEntities", "DetectLabels", "RecogniseText"])
def test_what_is_no_task_is_a_bug(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(InvariantError):
        handle(f"Documents{name}Function", object(), {"document": {}}, monkeypatch)
