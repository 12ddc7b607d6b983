"""What goes into the converter's handler, and what comes out: every key, also where there is nothing."""

import os
from tempfile import TemporaryDirectory

import msgspec
import pytest

from local.samples import SAMPLES
from signalbox.documents.conversion.converters import Limits
from signalbox.documents.conversion.converting import ConvertObject
from signalbox.documents.conversion.sandbox import Sandbox
from signalbox.documents.models import Outcome
from tests.unit.documents.conversion.test_converting import BUCKET, WORK, task_for
from tests.unit.documents.doubles import FakeObjects
from tests.unit.functions.test_handlers import handle


@pytest.mark.parametrize("kind", ["markdown", "pdf-truncated", "pdf-scanned"])
def test_a_conversion(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    objects = FakeObjects()
    objects.create_bucket(BUCKET)
    objects.create_bucket(WORK)
    use_case = ConvertObject(objects, WORK, Sandbox(os.environ), TemporaryDirectory, Limits())
    task = msgspec.to_builtins(task_for(objects, kind))
    event = {name: task[name] for name in ("document", "options", "object")}  # as the state machine sends it
    answer = handle("DocumentsConvertObjectFunction", use_case, event, monkeypatch)
    assert answer.keys() == {"text", "verdict", "scanned", "pages"}
    assert answer["scanned"] is False
    indexed = SAMPLES[kind].outcome is Outcome.INDEXED
    assert (answer["verdict"] is None, answer["text"] is not None) == (indexed, indexed)
