"""What the workflow hands its functions."""

from typing import Any

import pytest

from signalbox.documents.tasks import parse_task
from signalbox.errors import InvariantError
from signalbox.telemetry import logger, tracer
from signalbox.telemetry.steps import ANNOTATED, CORRELATION
from tests.unit.documents.doubles import BUCKET, GENERATION, KEY, NOON

GIVEN: dict[str, Any] = {
    "document": {
        "bucket": BUCKET,
        "key": KEY,
        "generation": GENERATION,
        "cause": "created",
        "occurred_at": NOON,
    },
    "options": {"route": "reports"},
}


def test_from_here_on_every_line_says_which_object(monkeypatch: pytest.MonkeyPatch) -> None:
    annotations: dict[str, object] = {}
    monkeypatch.setattr(tracer, "put_annotation", annotations.__setitem__)
    task = parse_task(GIVEN)
    ids = {
        "document": task.document.id,
        "bucket": BUCKET,
        "key": KEY,
        "generation": str(GENERATION),
        "execution": task.document.execution,
    }
    keys = dict(logger.get_current_keys())
    logger.remove_keys(list(ids))
    assert {name: keys.get(name) for name in ids} == ids
    assert annotations == {name: value for name, value in ids.items() if name in ANNOTATED}
    assert set(ids) <= CORRELATION


@pytest.mark.parametrize(
    "given", [{}, {**GIVEN, "options": None}, {**GIVEN, "document": {"bucket": BUCKET}}], ids=str
)
def test_anything_else_is_a_bug(given: dict[str, Any]) -> None:
    with pytest.raises(InvariantError, match="input"):
        parse_task(given)
