"""Buckets, through botocore: their notification configurations, their names, what lies in them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from signalbox.aws.calls import call
from signalbox.errors import SignalboxError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from operations.notifications import Configuration

ENVELOPE = "ResponseMetadata"
PAGE = 1_000


class UnknownConfigurationError(SignalboxError):
    """A bucket's configuration has what this SDK does not know: written back, that would be lost."""

    code = "unknown-configuration"


class S3Buckets:
    """`operations.notifications.Buckets` on S3, for the buckets of one account.

    Destinations are not validated on a write: all of them are somebody else's and stay as they are. One that
    is gone by now would make S3 refuse the write, and each that is there would get a test event.
    """

    def __init__(self, s3: S3Client, account: str) -> None:
        self._s3 = s3
        self._account = account
        s3.meta.events.register(
            "after-call.s3.GetBucketNotificationConfiguration",
            _check_whole,
            unique_id="signalbox-check-whole",
        )

    def read(self, bucket: str) -> Configuration:
        """Raises UnknownConfigurationError where the SDK did not understand all of it."""
        answer: dict[str, Any] = dict(
            call(
                self._s3.get_bucket_notification_configuration,
                Bucket=bucket,
                ExpectedBucketOwner=self._account,
            )
        )
        answer.pop(ENVELOPE, None)
        return answer

    def write(self, bucket: str, configuration: Configuration) -> None:
        call(
            self._s3.put_bucket_notification_configuration,
            Bucket=bucket,
            NotificationConfiguration=configuration,  # type: ignore[arg-type] # as S3 answered it
            ExpectedBucketOwner=self._account,
            SkipDestinationValidation=True,
        )

    def names(self, prefix: str) -> Iterator[str]:
        """The account's buckets in the client's Region whose name begins so."""
        arguments: dict[str, Any] = {
            "Prefix": prefix,
            "BucketRegion": self._s3.meta.region_name,
            "MaxBuckets": PAGE,
        }
        while True:
            page = call(self._s3.list_buckets, **arguments)
            yield from (each["Name"] for each in page["Buckets"] if each["Name"].startswith(prefix))
            if not (token := page.get("ContinuationToken")):
                return
            arguments["ContinuationToken"] = token

    def region(self, bucket: str) -> str:
        """Where it lies; "" where S3 does not say."""
        answer = call(self._s3.head_bucket, Bucket=bucket, ExpectedBucketOwner=self._account)
        return answer.get("BucketRegion", "")

    def objects(self, bucket: str, prefix: str, after: str) -> Iterator[list[ObjectTypeDef]]:
        """Pages of what lies in it, in the order of keys, behind the key `after`."""
        arguments: dict[str, Any] = {
            "Bucket": bucket,
            "Prefix": prefix,
            "ExpectedBucketOwner": self._account,
        } | ({"StartAfter": after} if after else {})
        while True:
            page = call(self._s3.list_objects_v2, **arguments)
            yield page.get("Contents", [])
            if not (token := page.get("NextContinuationToken")):
                return
            arguments["ContinuationToken"] = token


def _check_whole(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    """Compares what S3 sent with what the SDK made of it."""
    if http_response.status_code >= 300:
        return
    sent = ElementTree.fromstring(http_response.content)  # noqa: S314 - S3's own answer
    made = {name: value for name, value in parsed.items() if name != ENVELOPE}
    entries = sum(len(value) if isinstance(value, list) else 1 for value in made.values())
    texts = Counter(filter(None, ((each.text or "").strip() for each in sent.iter())))
    lost = texts - Counter(_leaves(made))
    if lost or entries != len(sent):
        what = ", ".join(sorted(lost)) or ", ".join(sorted({each.tag.rpartition("}")[2] for each in sent}))
        raise UnknownConfigurationError(
            f"this version of botocore does not know {what} in the notification configuration, and a write "
            "would lose it. Nothing was changed. Update botocore, or turn EventBridge on in the console."
        )


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif text := str(value).strip():
        yield text
