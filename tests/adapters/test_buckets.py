"""Buckets' notifications: one suite for the fake and for the adapter on the wire; and what only S3 shows."""

from collections.abc import Iterator
from typing import Any, Protocol

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from operations.buckets import S3Buckets, UnknownConfigurationError
from operations.notifications import MEMBER, Buckets, Configuration
from signalbox.errors import AccessDeniedError, NotFoundError
from tests.adapters.notification_wire import EMPTY, NAMESPACE, Wire
from tests.unit.operations.doubles import FakeBuckets, filtered, queue_entry

ACCOUNT = "123456789012"
THEIRS: Configuration = {
    "TopicConfigurations": [
        {"Id": "c", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Events": ["s3:*"]}
    ],
    "QueueConfigurations": [queue_entry("a", **filtered("in/ é", ".pdf")), queue_entry("b")],
    "LambdaFunctionConfigurations": [
        {
            "Id": "d",
            "LambdaFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "Events": ["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"],
        }
    ],
    MEMBER: {},
}


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture
def s3() -> Iterator[Any]:
    """On moto."""
    with mock_aws():
        yield client("s3")


class Side(Protocol):
    """Buckets `bare` and `closed`, on a fake or on the adapter."""

    @property
    def buckets(self) -> Buckets: ...


class OnTheFake:
    buckets = FakeBuckets({"bare": {}, "closed": {}}, denied={"closed"}, read_only={"closed"})


class OnTheWire:
    def __init__(self) -> None:
        self.wire = Wire({"bare": EMPTY, "closed": EMPTY}, closed={"closed"})
        self.buckets = S3Buckets(self.wire.serve(client("s3")), ACCOUNT)


@pytest.fixture(params=[OnTheFake, OnTheWire])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    side: Side = request.param()
    return side.buckets


def test_what_is_written_is_read_back_whole(buckets: Buckets) -> None:
    buckets.write("bare", THEIRS)
    assert buckets.read("bare") == THEIRS
    buckets.write("bare", {})
    assert buckets.read("bare") == {}


def test_a_write_replaces_all_that_was_there(buckets: Buckets) -> None:
    buckets.write("bare", THEIRS)
    buckets.write("bare", {MEMBER: {}})
    assert buckets.read("bare") == {MEMBER: {}}


def test_a_bucket_that_is_not_there_or_closed(buckets: Buckets) -> None:
    for act in (buckets.read, lambda name: buckets.write(name, {})):
        with pytest.raises(NotFoundError):
            act("nobody")
        with pytest.raises(AccessDeniedError):
            act("closed")


def test_the_owner_is_named_and_destinations_are_not_validated() -> None:
    side = OnTheWire()
    side.buckets.write("bare", side.buckets.read("bare"))
    (get, _, asked), (put, _, said) = side.wire.requests
    assert (get, put) == ("GET", "PUT")
    assert asked["x-amz-expected-bucket-owner"] == said["x-amz-expected-bucket-owner"] == ACCOUNT
    assert said["x-amz-skip-destination-validation"].lower() == "true"


def test_a_bucket_that_somebody_else_owns_by_now_is_not_written() -> None:
    side = OnTheWire()
    side.wire.owner = "999999999999"
    with pytest.raises(AccessDeniedError):
        side.buckets.write("bare", {MEMBER: {}})
    assert side.wire.documents["bare"] == EMPTY


ENTRY = (
    "<QueueConfiguration><Id>a</Id><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:*</Event>"
    "{more}</QueueConfiguration>"
)


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        (
            "<StreamConfiguration><Stream>arn:aws:kinesis:us-east-1:1:s</Stream></StreamConfiguration>",
            "kinesis",
        ),
        (ENTRY.format(more="<Batching>yes-please</Batching>"), "yes-please"),
        ("<EventBridgeConfiguration><Bus>other-bus</Bus></EventBridgeConfiguration>", "other-bus"),
        ("<NewKindConfiguration/>", "NewKindConfiguration"),
    ],
)
def test_what_this_sdk_does_not_know_is_not_lost(body: str, lost: str) -> None:
    side = OnTheWire()
    side.wire.documents["bare"] = (
        f'<NotificationConfiguration xmlns="{NAMESPACE}">{body}</NotificationConfiguration>'
    )
    with pytest.raises(UnknownConfigurationError, match=lost):
        side.buckets.read("bare")
    assert [method for method, *_ in side.wire.requests] == ["GET"]


def test_names_by_how_they_begin_in_the_regions_of_the_client(s3: Any) -> None:
    for name in ("team-a", "team-b", "tea", "x-team-d"):
        s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket="team-e", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    buckets = S3Buckets(s3, ACCOUNT)
    assert list(buckets.names("team-")) == ["team-a", "team-b"]
    assert (buckets.region("team-a"), buckets.region("team-e")) == ("us-east-1", "eu-west-1")


def test_names_come_in_pages() -> None:
    s3 = client("s3")  # moto has no pages of buckets
    asked = {"Prefix": "team-", "BucketRegion": "us-east-1", "MaxBuckets": 1_000}
    with Stubber(s3) as stub:
        first = {"Buckets": [{"Name": "team-a"}, {"Name": "other"}], "ContinuationToken": "more"}
        stub.add_response("list_buckets", first, asked)
        stub.add_response(
            "list_buckets", {"Buckets": [{"Name": "team-b"}]}, {**asked, "ContinuationToken": "more"}
        )
        assert list(S3Buckets(s3, ACCOUNT).names("team-")) == ["team-a", "team-b"]
        stub.assert_no_pending_responses()


def listed(buckets: S3Buckets, prefix: str, after: str = "") -> list[str]:
    return [each["Key"] for page in buckets.objects("bare", prefix, after) for each in page]


def test_objects_are_listed_by_prefix_and_behind_a_key(s3: Any) -> None:
    s3.create_bucket(Bucket="bare")
    keys = ["in/a b+c", "in/b", "in/😀", "out/a"]
    for key in keys:
        s3.put_object(Bucket="bare", Key=key, Body=b"four")
    buckets = S3Buckets(s3, ACCOUNT)
    assert listed(buckets, "in/") == keys[:3]
    assert listed(buckets, "", "in/b") == keys[2:]
    assert listed(buckets, "nothing") == []


def test_objects_come_in_pages() -> None:
    s3 = client("s3")
    asked = {"Bucket": "bare", "Prefix": "in/", "ExpectedBucketOwner": ACCOUNT, "StartAfter": "in/a"}
    with Stubber(s3) as stub:
        first = {"Contents": [{"Key": "in/b"}], "NextContinuationToken": "more"}
        stub.add_response("list_objects_v2", first, asked)
        stub.add_response(
            "list_objects_v2", {"Contents": [{"Key": "in/c"}]}, {**asked, "ContinuationToken": "more"}
        )
        assert listed(S3Buckets(s3, ACCOUNT), "in/", "in/a") == ["in/b", "in/c"]
        stub.assert_no_pending_responses()
