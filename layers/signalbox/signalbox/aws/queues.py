"""SQS queues, as whoever reads from one sees it."""

from collections.abc import Mapping
from itertools import batched
from typing import TYPE_CHECKING

from signalbox.aws.calls import THROTTLED, call
from signalbox.errors import RefusedError, ThrottledError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ENTRIES_A_CALL = 10  # ChangeMessageVisibilityBatch, Amazon SQS API Reference


class SqsQueue:
    """One queue."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def change_visibility(self, seconds: Mapping[str, int]) -> None:
        """Has messages come again after so many seconds from now, by their receipts.

        Raises:
            SignalboxError: SQS refused some. They come again when the queue says so.
        """
        refused = [
            error
            for part in batched(seconds.items(), ENTRIES_A_CALL, strict=False)
            for error in self._change(dict(part))
        ]
        if refused:
            code, message = refused[0]
            kind = ThrottledError if code in THROTTLED else RefusedError
            more = f" ({len(refused)} of {len(seconds)})" if len(refused) > 1 else ""
            raise kind(f"ChangeMessageVisibilityBatch: {code}: {message}{more}")

    def _change(self, seconds: dict[str, int]) -> list[tuple[str, str]]:
        answer = call(
            self._sqs.change_message_visibility_batch,
            QueueUrl=self._url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": wait}
                for number, (receipt, wait) in enumerate(seconds.items())
            ],
        )
        # It answers 200 also where it changed nothing.
        return [(error["Code"], error.get("Message", "")) for error in answer.get("Failed", [])]
