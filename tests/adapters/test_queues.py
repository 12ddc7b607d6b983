"""A queue's messages come again when they are told to: SQS on moto, and the fake of the intake's tests."""

import json
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from botocore.session import Session
from moto import mock_aws

from signalbox.aws.queues import ENTRIES_A_CALL, SqsQueue
from signalbox.errors import NotFoundError, RefusedError, ThrottledError
from signalbox.intake import Message
from tests.fake_queue import FakeQueue
from tests.unit.documents.doubles import MovableClock


def client(service: str) -> Any:
    return Session().create_client(
        service, "us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


class Readable(Protocol):
    def send(self, *bodies: str) -> None: ...

    def receive(self) -> list[Message]: ...

    def change_visibility(self, seconds: dict[str, int], /) -> None: ...


class Sqs(SqsQueue):
    """With what the event source mapping does."""

    def __init__(self) -> None:
        self.sqs = client("sqs")
        self.url: str = self.sqs.create_queue(QueueName="intake")["QueueUrl"]
        super().__init__(self.sqs, self.url)

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def receive(self) -> list[Message]:
        found = []
        while page := self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"]
        ).get("Messages"):
            found += [
                Message(
                    each["MessageId"],
                    each["Body"],
                    int(each["Attributes"]["ApproximateReceiveCount"]),
                    each["ReceiptHandle"],
                )
                for each in page
            ]
        return found


@pytest.fixture(params=["fake", "sqs"])
def queue(request: pytest.FixtureRequest) -> Iterator[Readable]:
    if request.param == "fake":
        yield FakeQueue(MovableClock(), visibility=30.0)
        return
    with mock_aws():
        yield Sqs()


def test_a_message_comes_again_when_it_is_told_to(queue: Readable) -> None:
    queue.send("now", "later")
    first = queue.receive()
    assert sorted((message.body, message.receives) for message in first) == [("later", 1), ("now", 1)]
    queue.change_visibility({message.receipt: 0 if message.body == "now" else 300 for message in first})
    [again] = queue.receive()
    assert (again.body, again.receives, again.first) == ("now", 2, False)
    assert {again.id} < {message.id for message in first}


def test_a_receipt_of_nobody_is_refused(queue: Readable) -> None:
    with pytest.raises(RefusedError, match="ReceiptHandleIsInvalid"):
        queue.change_visibility({"nobody": 10})


@mock_aws
def test_many_are_changed_in_few_calls() -> None:
    queue = Sqs()
    calls: list[int] = []
    queue.sqs.meta.events.register(
        "provide-client-params.sqs.ChangeMessageVisibilityBatch",
        lambda params, **_: calls.append(len(params["Entries"])),
    )
    queue.send(*map(str, range(ENTRIES_A_CALL + 2)))
    queue.change_visibility({message.receipt: 0 for message in queue.receive()})
    assert calls == [ENTRIES_A_CALL, 2]
    assert len(queue.receive()) == ENTRIES_A_CALL + 2


@mock_aws
def test_a_queue_that_is_gone() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/gone"
    with pytest.raises((NotFoundError, RefusedError)):
        SqsQueue(client("sqs"), url).change_visibility({"r": 1})


class Refusing:
    """ChangeMessageVisibilityBatch answers 200 and says in its entries what it did not do."""

    def __init__(self, *codes: str) -> None:
        self._failed = [{"Id": "0", "SenderFault": False, "Code": code, "Message": "no"} for code in codes]

    def change_message_visibility_batch(self, **_: Any) -> dict[str, Any]:
        return json.loads(json.dumps({"Successful": [], "Failed": self._failed}))  # type: ignore[no-any-return] # a fake


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["RequestThrottled"], ThrottledError),
        (["InternalError"], RefusedError),
        (["MessageNotInflight", "MessageNotInflight"], RefusedError),
    ],
)
def test_what_was_not_changed_is_an_error(codes: list[str], kind: type[Exception]) -> None:
    queue = SqsQueue(Refusing(*codes), "url")  # type: ignore[arg-type] # a fake
    with pytest.raises(kind, match=codes[0]):
        queue.change_visibility(dict.fromkeys(["a", "b"][: len(codes)], 1))
