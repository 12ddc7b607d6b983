"""Telling the world: the alert topic and the custom bus."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from signalbox.aws.calls import THROTTLED, call
from signalbox.errors import RefusedError, ThrottledError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishInputTypeDef


class SnsTopic:
    """One SNS topic. Attributes let a subscriber filter, by group or outcome for example."""

    def __init__(self, sns: "SNSClient", arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def publish(
        self,
        subject: str,
        message: str,
        attributes: Mapping[str, str],
        others: Mapping[str, str] | None = None,
    ) -> str:
        """Publishes a message and answers its id.

        Args:
            others: protocol, as in ``https`` → what its subscribers get in place of the message.
        """
        given: PublishInputTypeDef = {"TopicArn": self._arn, "Subject": subject, "Message": message}
        if others:
            by_protocol = {"default": message, **others}
            given["Message"] = msgspec.json.encode(by_protocol).decode()
            given["MessageStructure"] = "json"
        given["MessageAttributes"] = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        }
        answer = call(self._sns.publish, **given)
        return answer["MessageId"]


class EventBus:
    """One EventBridge bus."""

    def __init__(self, events: "EventBridgeClient", name: str) -> None:
        self._events = events
        self._name = name

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        answer = call(
            self._events.put_events,
            Entries=[
                {
                    "EventBusName": self._name,
                    "Source": source,
                    "DetailType": detail_type,
                    "Detail": msgspec.json.encode(detail).decode(),
                }
            ],
        )
        entry = answer["Entries"][0]  # PutEvents answers 200 also where it took nothing
        if "EventId" in entry:
            return entry["EventId"]
        code, message = entry.get("ErrorCode", ""), entry.get("ErrorMessage", "")
        kind = _PUT_ERRORS.get(code, ThrottledError if code in THROTTLED else RefusedError)
        raise kind(f"PutEvents: {code}: {message}")


_PUT_ERRORS = {"InternalFailure": UnavailableError, "InternalException": UnavailableError}
