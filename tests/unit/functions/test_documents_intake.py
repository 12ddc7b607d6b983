"""The function that takes events in: from the queue's records to what must come again."""

import json

import pytest

from signalbox.clock import iso
from tests.unit.documents.doubles import NOON
from tests.unit.documents.s3_events import called_for_many, created, fails
from tests.unit.documents.test_intake import Stack
from tests.unit.functions.test_handlers import handle


def test_the_intake_answers_with_what_must_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.workflow.work = lambda document: fails(document) if document.key == "b" else stack.settles(document)
    stack.send(created("a"), created("b"), "no json", called_for_many())
    records = [
        {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
        }
        for message in stack.queue.receive()
    ]
    answer = handle("DocumentsAdmitEventsFunction", stack.intake, {"Records": records}, monkeypatch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m3"}, {"itemIdentifier": "m2"}]}
    assert stack.queue.changes == [{"m3-1": 10, "m2-1": 10}]
    assert stack.entry("a").is_done
    assert [json.loads(each.body) for each in stack.ledger.rejections("documents", iso(NOON)[:10])] == [
        called_for_many()
    ]
