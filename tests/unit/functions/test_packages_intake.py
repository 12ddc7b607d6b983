"""The functions that keep the index: from records to what must come again, and the work of the night."""

import json
from typing import Any

import pytest

from signalbox.packages.findings import Finding
from signalbox.packages.rebuilding import Patience, RebuildIndex
from tests.unit.functions.test_handlers import handle
from tests.unit.packages.fake_codeartifact import NOON, version_of
from tests.unit.packages.intake_stack import QUIET, Stack

UI, CORE = version_of("npm/acme/ui/1.4.2"), version_of("npm/acme/core/2.0.0")


def received(stack: Stack) -> dict[str, Any]:
    records = [
        {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
        }
        for message in stack.queue.receive()
    ]
    return {"Records": records}


def test_the_intake_answers_with_what_must_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.codeartifact.publish(UI)
    stack.codeartifact.publish(CORE, external=True)
    stack.deliver()
    stack.send("no json")
    answer = handle("PackagesAdmitEventsFunction", stack.intake, received(stack), monkeypatch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m3"}, {"itemIdentifier": "m1"}]}
    assert stack.queue.changes == [{"m3-1": 10, "m1-1": QUIET}]
    stack.clock.now += QUIET
    again = handle("PackagesAdmitEventsFunction", stack.intake, received(stack), monkeypatch)
    assert {each["itemIdentifier"] for each in again["batchItemFailures"]} == {"m3"}
    [begun] = stack.executions.begun.values()
    assert begun == {"release": UI.key, "round": 1, "tries": 0, "next": "inspect"}
    assert json.dumps(begun)


def test_the_rebuild_answers_with_what_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.codeartifact.publish(UI)
    stack.codeartifact.oddities["team"] = [Finding("unknown-format", "swift//x", "swift is not read")]
    times = iter((NOON, NOON + 2.5))
    rebuild = RebuildIndex(
        stack.index, stack.codeartifact, ("team",), lambda: next(times), Patience(_never, lambda: 0.0)
    )
    answer = handle("PackagesRebuildIndexFunction", rebuild, {}, monkeypatch)
    assert answer == {"packages": 1, "findings": 1, "seconds": 2.5}


def _never(seconds: float) -> None:
    raise AssertionError(f"nobody waits {seconds} s")
