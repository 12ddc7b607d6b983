"""What an event source mapping of SQS hands over, and bad input as it is kept."""

import msgspec

from signalbox.errors import RejectedError
from signalbox.eventbridge import Scope
from signalbox.intake import KEPT_CHARACTERS, Batch, Message, Retries, messages_of, rejection_of
from signalbox.ledger.memory import MemoryLedger
from tests.fake_queue import FakeQueue

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def record(number: int, receives: int) -> dict[str, object]:
    """As "Using Lambda with Amazon SQS" of the AWS Lambda Developer Guide shows one."""
    return {
        "messageId": f"m{number}",
        "receiptHandle": f"AQEB{number}",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": str(receives), "SentTimestamp": "1545082649183"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": "us-east-1",
    }


def test_the_messages_of_an_invocation() -> None:
    once, again = messages_of({"Records": [record(1, 1), record(2, 3)]})
    assert once == Message("m1", "{}", 1, "AQEB1")
    assert again == Message("m2", "{}", 3, "AQEB2")
    assert (once.first, again.first) == (True, False)


def test_a_rejection_keeps_what_it_is_about() -> None:
    error = RejectedError("malformed", "$.time", "expected a time")
    rejection = rejection_of("spot", Message("m1", "x" * (KEPT_CHARACTERS + 1)), error, 5.0)
    assert (rejection.domain, rejection.id, rejection.at) == ("spot", "m1", 5.0)
    assert (rejection.code, rejection.where, rejection.what) == ("malformed", "$.time", "expected a time")
    assert rejection.body == "x" * KEPT_CHARACTERS


def batch(ledger: MemoryLedger, queue: FakeQueue) -> Batch:
    scope = Scope(frozenset({("123456789012", "us-east-1")}), 900.0)
    return Batch("packages", ledger, queue, scope, lambda: NOON, Retries(5, lambda: 1.0))


def envelope(**changes: object) -> str:
    known: dict[str, object] = {
        "id": "e1",
        "source": "aws.codebuild",
        "detail-type": "CodeBuild Build State Change",
        "account": "123456789012",
        "region": "us-east-1",
        "time": "2026-01-01T12:00:00Z",
        "detail": {},
    }
    return msgspec.json.encode(known | changes).decode()


def test_what_a_message_says_is_read_and_bad_input_is_kept() -> None:
    ledger, queue = MemoryLedger(), FakeQueue(lambda: NOON)
    queue.send(envelope(), envelope(account="999999999999"), "{")
    good, foreign, broken = queue.receive()
    taken = batch(ledger, queue)
    assert taken.read(good, lambda each: each.source) == "aws.codebuild"
    assert taken.read(foreign, lambda each: each.source) is None
    assert taken.read(broken, lambda each: each.source) is None
    assert [each.code for each in ledger.rejections("packages", "2026-01-01")] == ["foreign-account"]
    assert [each.id for each in taken.rejections] == [foreign.id]
    assert taken.returned == [broken.id]  # its place is the dead-letter queue
    taken.send_back()
    assert queue.changes == [{broken.receipt: 10}]


def test_a_message_comes_again_as_soon_as_anything_that_it_told_of_asks_for_it() -> None:
    taken = batch(MemoryLedger(), FakeQueue(lambda: NOON))
    message = Message("m1", "{}", receives=2, receipt="r1")
    taken.wait(message, 300.0)
    taken.wait(message, 7.2)
    assert taken.waits == {"m1": 8}
    taken.retry([message], "throttled", after=75.0)
    assert taken.waits == {"m1": 8}
    assert (taken.errors, taken.returned) == (["throttled"], ["m1"])


def test_where_nothing_comes_again_the_queue_is_not_asked() -> None:
    queue = FakeQueue(lambda: NOON)
    batch(MemoryLedger(), queue).send_back()
    assert queue.changes == []
