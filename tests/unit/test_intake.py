"""What an event source mapping of SQS hands over, and bad input as it is kept."""

from signalbox.errors import RejectedError
from signalbox.intake import KEPT_CHARACTERS, Message, messages_of, rejection_of


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
