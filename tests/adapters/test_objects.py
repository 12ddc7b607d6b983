"""One suite for S3: what holds for the fake holds for the adapter, on moto."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from signalbox.documents.aws_objects import Objects
from signalbox.documents.storage import ObjectStore
from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from tests.unit.documents.doubles import FakeObjects

PLAIN, VERSIONED = "plain", "versioned"
KEYS = [
    "a b+c/d..e/../f",
    "naïve/файл/文書/🦄.pdf",
    "%41%2Fnot-decoded?x=1&y=2#z",
    "/leading//double/",
    "x" * 1024,
    "🦄" * 256,
]
"""What a key may be: 1,024 bytes of UTF-8, and nothing about it means anything to S3."""


class Service(Protocol):
    """S3, and what is done to it from outside."""

    @property
    def store(self) -> ObjectStore: ...

    def keep_versions(self, bucket: str) -> None: ...

    def archive(self, bucket: str, key: str) -> None: ...


class Fake:
    def __init__(self) -> None:
        self.store = FakeObjects()
        self.store.create_bucket(PLAIN)
        self.store.create_bucket(VERSIONED, versioned=True)

    def keep_versions(self, bucket: str) -> None:
        self.store.keep_versions(bucket)

    def archive(self, bucket: str, key: str) -> None:
        self.store.archive(bucket, key)


class OnMoto:
    def __init__(self) -> None:
        self.s3 = s3()
        self.store = Objects(self.s3)
        self.s3.create_bucket(Bucket=PLAIN)
        self.s3.create_bucket(Bucket=VERSIONED)
        self.keep_versions(VERSIONED)

    def keep_versions(self, bucket: str) -> None:
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def archive(self, bucket: str, key: str) -> None:
        source = {"Bucket": bucket, "Key": key}
        self.s3.copy_object(Bucket=bucket, Key=key, CopySource=source, StorageClass="GLACIER")


def s3() -> Any:
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture(params=[Fake, OnMoto])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with mock_aws():
        yield request.param()


@pytest.fixture
def store(service: Service) -> ObjectStore:
    return service.store


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:12])
def test_any_key_is_written_read_and_deleted(store: ObjectStore, key: str) -> None:
    etag = store.put(PLAIN, key, b"text")
    assert store.get(PLAIN, key).body == b"text"
    assert store.head(PLAIN, key).etag == etag
    assert [listed.key for listed in store.list(PLAIN, "")] == [key]
    store.copy(PLAIN, key, PLAIN, "copy", if_match=etag)
    assert store.get(PLAIN, "copy").body == b"text"
    store.delete(PLAIN, key)
    with pytest.raises(NotFoundError):
        store.head(PLAIN, key)


def test_a_head_says_what_there_is(store: ObjectStore) -> None:
    etag = store.put(PLAIN, "a", b"text", metadata={"generation": "7"}, content_type="text/plain")
    head = store.head(PLAIN, "a")
    assert (head.etag, head.size, head.content_type, head.metadata, head.version_id, head.archived) == (
        etag,
        4,
        "text/plain",
        {"generation": "7"},
        "",
        False,
    )
    assert '"' not in etag
    assert head.modified_at > 1_700_000_000


def test_the_first_bytes(store: ObjectStore) -> None:
    etag = store.put(PLAIN, "a", b"0123456789")
    assert store.first_bytes(PLAIN, "a", 4, if_match=etag) == b"0123"
    assert store.first_bytes(PLAIN, "a", 40) == b"0123456789"


def test_an_empty_object_has_no_first_bytes(store: ObjectStore) -> None:
    store.put(PLAIN, "a", b"")
    assert store.first_bytes(PLAIN, "a", 4) == b""
    assert store.head(PLAIN, "a").size == 0


def test_what_is_read_has_what_a_later_write_is_held_against(store: ObjectStore) -> None:
    etag = store.put(PLAIN, "a", b"text", metadata={"n": "1"})
    content = store.get(PLAIN, "a", if_match=etag)
    assert (content.body, content.etag, content.metadata) == (b"text", etag, {"n": "1"})


def test_a_file_is_written_and_a_download_is_the_same(store: ObjectStore, tmp_path: Path) -> None:
    body = bytes(range(256)) * 8_200  # two chunks
    (tmp_path / "up").write_bytes(body)
    etag = store.put(PLAIN, "a", tmp_path / "up")
    store.download(PLAIN, "a", tmp_path / "down", if_match=etag)
    assert (tmp_path / "down").read_bytes() == body


class TestConditions:
    def test_a_write_that_expects_what_there_is(self, store: ObjectStore) -> None:
        first = store.put(PLAIN, "a", b"1")
        second = store.put(PLAIN, "a", b"2", if_match=first)
        with pytest.raises(ConflictError):
            store.put(PLAIN, "a", b"3", if_match=first)
        assert store.get(PLAIN, "a", if_match=second).body == b"2"

    def test_a_write_that_expects_something_where_there_is_nothing(self, store: ObjectStore) -> None:
        with pytest.raises(NotFoundError):
            store.put(PLAIN, "a", b"1", if_match="0" * 32)

    def test_a_write_that_expects_nothing(self, store: ObjectStore) -> None:
        store.put(PLAIN, "a", b"1", if_none_match=True)
        with pytest.raises(ConflictError):
            store.put(PLAIN, "a", b"2", if_none_match=True)
        store.delete(PLAIN, "a")
        store.put(PLAIN, "a", b"3", if_none_match=True)
        assert store.get(PLAIN, "a").body == b"3"

    def test_a_read_of_another_than_was_looked_at(self, store: ObjectStore, tmp_path: Path) -> None:
        etag = store.put(PLAIN, "a", b"1")
        assert store.head(PLAIN, "a", if_match=etag).etag == etag
        store.put(PLAIN, "a", b"2")
        for read in (
            lambda: store.head(PLAIN, "a", if_match=etag),
            lambda: store.first_bytes(PLAIN, "a", 1, if_match=etag),
            lambda: store.get(PLAIN, "a", if_match=etag),
            lambda: store.download(PLAIN, "a", tmp_path / "a", if_match=etag),
        ):
            with pytest.raises(ConflictError):
                read()


class TestVersions:
    def test_each_can_be_read(self, store: ObjectStore, tmp_path: Path) -> None:
        store.put(VERSIONED, "a", b"1")
        old = store.head(VERSIONED, "a").version_id
        store.put(VERSIONED, "a", b"22")
        new = store.head(VERSIONED, "a").version_id
        assert len({"", old, new}) == 3
        assert store.get(VERSIONED, "a", version_id=old).body == b"1"
        assert store.head(VERSIONED, "a", version_id=old).size == 1
        assert store.first_bytes(VERSIONED, "a", 4, version_id=old) == b"1"
        assert store.get(VERSIONED, "a").version_id == new
        store.download(VERSIONED, "a", tmp_path / "a", version_id=old)
        assert (tmp_path / "a").read_bytes() == b"1"
        store.copy(VERSIONED, "a", PLAIN, "copy", version_id=old)
        assert store.get(PLAIN, "copy").body == b"1"

    def test_what_is_deleted_is_gone_but_for_its_versions(self, store: ObjectStore) -> None:
        store.put(VERSIONED, "a", b"1")
        old = store.head(VERSIONED, "a").version_id
        store.delete(VERSIONED, "a")
        for read in (store.head, store.get):
            with pytest.raises(NotFoundError):
                read(VERSIONED, "a")
        assert list(store.list(VERSIONED, "")) == []
        assert store.get(VERSIONED, "a", version_id=old).body == b"1"

    def test_what_there_was_before_has_a_name_too(self, service: Service) -> None:
        """S3 and the fake say it in a head too, moto does not."""
        service.store.put(PLAIN, "a", b"1")
        service.keep_versions(PLAIN)
        service.store.put(PLAIN, "a", b"2")
        assert service.store.get(PLAIN, "a", version_id="null").body == b"1"


class TestWhatIsNotThere:
    @pytest.mark.parametrize("bucket", [PLAIN, VERSIONED, "no-such-bucket"])
    def test_is_not_found(self, store: ObjectStore, tmp_path: Path, bucket: str) -> None:
        for read in (
            lambda: store.head(bucket, "a"),
            lambda: store.first_bytes(bucket, "a", 1),
            lambda: store.get(bucket, "a"),
            lambda: store.download(bucket, "a", tmp_path / "a"),
            lambda: store.copy(bucket, "a", PLAIN, "copy"),
        ):
            with pytest.raises(NotFoundError):
                read()

    def test_nothing_is_written_to_a_bucket_that_is_not_there(self, store: ObjectStore) -> None:
        store.put(PLAIN, "a", b"1")
        with pytest.raises(NotFoundError):
            store.put("no-such-bucket", "a", b"1")
        with pytest.raises(NotFoundError):
            store.copy(PLAIN, "a", "no-such-bucket", "copy")
        with pytest.raises(NotFoundError):
            list(store.list("no-such-bucket", ""))

    def test_deleting_it_again_is_no_error(self, store: ObjectStore) -> None:
        store.put(PLAIN, "b", b"1")
        store.delete(PLAIN, "a", "b", "c")
        assert list(store.list(PLAIN, "")) == []


def test_what_is_archived_says_so_and_is_not_read(service: Service) -> None:
    service.store.put(PLAIN, "a", b"1")
    service.archive(PLAIN, "a")
    assert service.store.head(PLAIN, "a").archived
    for read in (
        lambda: service.store.first_bytes(PLAIN, "a", 1),
        lambda: service.store.get(PLAIN, "a"),
        lambda: service.store.copy(PLAIN, "a", PLAIN, "copy"),
    ):
        with pytest.raises(RefusedError):
            read()


def test_a_listing_goes_by_prefix_in_the_order_of_utf_8(store: ObjectStore) -> None:
    for key in (
        "a/🦄",
        "a/ﬀ",
        "b",
        "a/1",
        "aa",
    ):  # in UTF-16 the emoji would come first
        store.put(PLAIN, key, b"12")
    listed = list(store.list(PLAIN, "a/"))
    assert [each.key for each in listed] == ["a/1", "a/ﬀ", "a/🦄"]
    assert {each.size for each in listed} == {2}
    assert listed[0].etag == store.head(PLAIN, "a/1").etag


def test_a_listing_and_a_deletion_of_more_than_a_page(store: ObjectStore) -> None:
    keys = [f"{number:04d}" for number in range(1_001)]
    for key in keys:
        store.put(PLAIN, key, b"")
    assert [each.key for each in store.list(PLAIN, "")] == keys
    store.delete(PLAIN, *keys)
    assert list(store.list(PLAIN, "")) == []


class TestRefusals:
    """What moto does not do: S3's own answers, as botocore hands them on."""

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            ("403", 403, AccessDeniedError),
            ("404", 404, NotFoundError),
            ("405", 405, RefusedError),
            ("400", 400, RefusedError),
            ("412", 412, ConflictError),
            ("503", 503, UnavailableError),
        ],
    )
    def test_a_head_has_its_status_alone(self, code: str, status: int, kind: type[Exception]) -> None:
        with pytest.raises(kind) as raised:
            refused("head_object", code, status).head("b", "k")
        assert type(raised.value) is kind

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            ("AccessDenied", 403, AccessDeniedError),
            ("NoSuchKey", 404, NotFoundError),
            ("NoSuchVersion", 404, NotFoundError),
            ("NoSuchBucket", 404, NotFoundError),
            ("MethodNotAllowed", 405, RefusedError),
            ("InvalidObjectState", 403, RefusedError),
            ("KMS.DisabledException", 400, RefusedError),
            ("KMS.NotFoundException", 400, RefusedError),
            ("KMS.ThrottlingException", 400, ThrottledError),
            ("SlowDown", 503, ThrottledError),
            ("InternalError", 500, UnavailableError),
        ],
    )
    def test_a_read_has_s3s_code(self, code: str, status: int, kind: type[Exception]) -> None:
        with pytest.raises(kind) as raised:
            refused("get_object", code, status).first_bytes("b", "k", 1)
        assert type(raised.value) is kind

    def test_a_write_that_lost_a_race_is_a_conflict(self) -> None:
        with pytest.raises(ConflictError):
            refused("put_object", "ConditionalRequestConflict", 409).put("b", "k", b"", if_match="e")

    def test_a_deletion_that_is_refused_within_the_answer(self) -> None:
        client = s3()
        answer = {"Errors": [{"Key": "k", "Code": "AccessDenied", "Message": "no"}]}
        with Stubber(client) as stub:
            stub.add_response("delete_objects", answer)
            with pytest.raises(RefusedError, match=r"AccessDenied.*\(k\)"):
                Objects(client).delete("b", "k")

    def test_a_copy_takes_no_tags_along(self) -> None:
        """Reading and writing them would need permissions of their own."""
        client = s3()
        expected = {
            "Bucket": "to",
            "Key": "copy",
            "CopySource": {"Bucket": "b", "Key": "k", "VersionId": "v"},
            "CopySourceIfMatch": "e",
            "TaggingDirective": "REPLACE",
        }
        with Stubber(client) as stub:
            stub.add_response("copy_object", {}, expected)
            Objects(client).copy("b", "k", "to", "copy", version_id="v", if_match="e")


@pytest.mark.parametrize(
    ("answer", "archived"),
    [
        ({}, False),
        ({"StorageClass": "GLACIER_IR"}, False),
        ({"StorageClass": "DEEP_ARCHIVE"}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="x"'}, False),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"}, True),
    ],
    ids=str,
)
def test_what_is_archived(answer: dict[str, Any], *, archived: bool) -> None:
    client = s3()
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    usual = {"ETag": '"e"', "ContentLength": 1, "LastModified": at, "Metadata": {}}
    with Stubber(client) as stub:
        stub.add_response("head_object", usual | answer)
        assert Objects(client).head("b", "k").archived is archived


def refused(operation: str, code: str, status: int) -> Objects:
    client = s3()
    stub = Stubber(client)
    stub.add_client_error(operation, code, "words", status)
    stub.activate()
    return Objects(client)
