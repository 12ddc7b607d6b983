"""The queues of a stack, through boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from operations.letters import Letter, rule_name
from operations.redriving import Task
from signalbox.aws.calls import call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

HIDDEN_SECONDS = 300
"""How long a letter that was received stays hidden from everybody else, should this program be killed."""
WAIT_SECONDS = 2
"""A wait of more than zero has SQS ask all of its servers, so that an empty answer means an empty queue."""
BATCH_ENTRIES = 10


class Sendable(Protocol):
    """What can be put into a queue."""

    @property
    def id(self) -> str:
        """By it the sender learns that this one was taken."""

    @property
    def body(self) -> str: ...


class Queue:
    """One queue, by its URL."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def waiting(self) -> int:
        """About how many messages wait in it."""
        answer = call(
            self._sqs.get_queue_attributes,
            QueueUrl=self._url,
            AttributeNames=["ApproximateNumberOfMessages"],
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def arn(self) -> str:
        answer = call(self._sqs.get_queue_attributes, QueueUrl=self._url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def receive(self, most: int) -> list[Letter]:
        answer = call(
            self._sqs.receive_message,
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]

    def delete(self, letters: Sequence[Letter]) -> set[str]:
        answer = call(
            self._sqs.delete_message_batch,
            QueueUrl=self._url,
            Entries=[{"Id": str(n), "ReceiptHandle": letter.receipt} for n, letter in enumerate(letters)],
        )
        return {letters[int(entry["Id"])].id for entry in answer.get("Successful", [])}

    def release(self, letters: Sequence[Letter]) -> None:
        for start in range(0, len(letters), BATCH_ENTRIES):
            part = letters[start : start + BATCH_ENTRIES]
            call(
                self._sqs.change_message_visibility_batch,
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                    for n, letter in enumerate(part)
                ],
            )

    def send(self, letters: Sequence[Sendable]) -> set[str]:
        """Puts the bodies into this queue, ten at the most; answers the ids of those that SQS confirmed."""
        answer = call(
            self._sqs.send_message_batch,
            QueueUrl=self._url,
            Entries=[{"Id": str(n), "MessageBody": letter.body} for n, letter in enumerate(letters)],
        )
        return {letters[int(entry["Id"])].id for entry in answer.get("Successful", [])}


class MoveTasks:
    """The message move tasks of a dead-letter queue that SQS itself fills."""

    def __init__(self, sqs: SQSClient, queue_arn: str) -> None:
        self._sqs = sqs
        self._arn = queue_arn

    def start(self) -> None:
        call(self._sqs.start_message_move_task, SourceArn=self._arn)

    def newest(self) -> Task | None:
        answer = call(self._sqs.list_message_move_tasks, SourceArn=self._arn, MaxResults=1)
        for entry in answer.get("Results", []):
            return Task(
                status=entry["Status"],  # type: ignore[arg-type] # SQS documents these five
                handle=entry.get("TaskHandle", ""),
                moved=entry.get("ApproximateNumberOfMessagesMoved", 0),
                to_move=entry.get("ApproximateNumberOfMessagesToMove"),
                reason=entry.get("FailureReason", ""),
            )
        return None

    def cancel(self, handle: str) -> None:
        call(self._sqs.cancel_message_move_task, TaskHandle=handle)


def _letter(message: MessageTypeDef) -> Letter:
    said = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    return Letter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        error=said.get("ERROR_CODE", ""),
        cause=said.get("ERROR_MESSAGE", ""),
        rule=rule_name(said.get("RULE_ARN", "")),
    )
