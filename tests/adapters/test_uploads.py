"""Multipart uploads: one suite for S3 in memory and for the adapter on moto; how URLs are signed."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import msgspec
import pytest
import requests
from botocore.stub import Stubber
from moto import mock_aws

from signalbox.aws import clients
from signalbox.documents.uploads.aws_multipart import AwsMultipart, signing_client, signing_config
from signalbox.documents.uploads.checksums import HEADER, composite
from signalbox.documents.uploads.models import Multipart, Upload
from signalbox.documents.uploads.planning import MIB
from signalbox.errors import AccessDeniedError, ConflictError, NotFoundError
from tests.unit.documents.uploads.multipart import MemoryMultipart, digest_of

BUCKET = "documents"
KEY = "uploads/2026/01/01/id-1/a b+ü.pdf"
BODIES = (b"a" * (5 * MIB), b"b" * MIB)
CHECKSUMS = [digest_of(body) for body in BODIES]

type Put = Callable[[str, bytes, Mapping[str, str]], int]


@dataclass
class Bucket:
    """One way to it, and what S3 does with a part that is sent to a URL."""

    multipart: Multipart
    put: Put

    def begin(self, mark: str = "id-1") -> Upload:
        upload = Upload(
            id="id-1",
            owner="jane",
            key=KEY,
            multipart_id="",
            size=6 * MIB,
            part_size=5 * MIB,
            content_type="application/pdf",
            began_at=time.time(),
        )
        multipart_id = self.multipart.begin(KEY, "application/pdf", mark)
        return msgspec.structs.replace(upload, multipart_id=multipart_id)

    def send(self, upload: Upload, number: int, body: bytes) -> None:
        part = self.multipart.sign(upload, number, digest_of(body))
        assert self.put(part.url, body, part.headers) == 200


def client(service: str, **options: Any) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", **options
    )


def put(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    return requests.put(url, data=body, headers=dict(headers), timeout=5).status_code


@pytest.fixture(params=["memory", "moto"])
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    if request.param == "memory":
        memory = MemoryMultipart(time.time)
        yield Bucket(memory, memory.put)
        return
    with mock_aws():
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        signing = client("s3", config=signing_config(accelerated=False))
        yield Bucket(AwsMultipart(s3, signing, BUCKET, 900), put)


def test_an_upload(bucket: Bucket) -> None:
    upload = bucket.begin()
    assert bucket.multipart.parts(upload, 0).parts == ()
    assert bucket.multipart.stored(upload) is None
    for number, body in enumerate(BODIES, start=1):
        bucket.send(upload, number, body)
    page = bucket.multipart.parts(upload, 0)
    assert [(part.number, part.size) for part in page.parts] == [(1, 5 * MIB), (2, MIB)]
    assert page.next is None
    assert bucket.multipart.parts(upload, 1).parts == page.parts[1:]
    stored = bucket.multipart.complete(upload, page.parts)
    assert stored.etag
    assert not stored.etag.startswith('"')
    found = bucket.multipart.stored(upload)
    assert found is not None
    assert found.etag == stored.etag
    with pytest.raises(NotFoundError):
        bucket.multipart.parts(upload, 0)


def test_an_object_with_another_mark_is_not_the_uploads(bucket: Bucket) -> None:
    upload = bucket.begin(mark="somebody-else")
    for number, body in enumerate(BODIES, start=1):
        bucket.send(upload, number, body)
    bucket.multipart.complete(upload, bucket.multipart.parts(upload, 0).parts)
    assert bucket.multipart.stored(upload) is None


def test_a_part_that_was_replaced_meanwhile(bucket: Bucket) -> None:
    upload = bucket.begin()
    for number, body in enumerate(BODIES, start=1):
        bucket.send(upload, number, body)
    parts = bucket.multipart.parts(upload, 0).parts
    bucket.send(upload, 2, b"c" * MIB)
    with pytest.raises(ConflictError):
        bucket.multipart.complete(upload, parts)


def test_an_upload_that_is_aborted_can_be_aborted_again(bucket: Bucket) -> None:
    upload = bucket.begin()
    bucket.send(upload, 1, BODIES[0])
    bucket.multipart.abort(upload)
    bucket.multipart.abort(upload)
    with pytest.raises(NotFoundError):
        bucket.multipart.parts(upload, 0)


class AnsweringS3:
    """Answers what moto leaves out, as S3 does."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def answer(**arguments: Any) -> dict[str, Any]:
            self.asked.append((name, arguments))
            return self._answers[name]

        return answer


def adapter(s3: Any) -> AwsMultipart:
    return AwsMultipart(s3, client("s3", config=signing_config(accelerated=False)), BUCKET, 900)


UPLOAD = Upload(
    id="id-1",
    owner="jane",
    key=KEY,
    multipart_id="multipart-1",
    size=6 * MIB,
    part_size=5 * MIB,
    content_type="application/pdf",
    began_at=0.0,
)


def test_checksums_pages_and_versions_as_s3_tells_them() -> None:
    parts = [
        {"PartNumber": n, "Size": len(body), "ETag": f'"e{n}"', "ChecksumSHA256": digest_of(body)}
        for n, body in enumerate(BODIES, start=1)
    ]
    stored = {"ETag": '"e-2"', "VersionId": "v1", "ChecksumSHA256": composite(CHECKSUMS)}
    s3 = AnsweringS3(
        create_multipart_upload={"UploadId": "multipart-1"},
        list_parts={"Parts": parts, "IsTruncated": True, "NextPartNumberMarker": 2},
        complete_multipart_upload=stored,
        head_object=stored | {"Metadata": {"signalbox-upload": "id-1"}},
    )
    multipart = adapter(s3)
    multipart.begin(KEY, "application/pdf", "id-1")
    page = multipart.parts(UPLOAD, 0)
    assert ([part.checksum for part in page.parts], page.next) == (CHECKSUMS, 2)
    done = multipart.complete(UPLOAD, page.parts)
    assert (done.etag, done.version_id, done.checksum) == ("e-2", "v1", composite(CHECKSUMS))
    assert multipart.stored(UPLOAD) == done
    asked = dict(s3.asked)
    assert asked["create_multipart_upload"]["ChecksumAlgorithm"] == "SHA256"
    assert asked["create_multipart_upload"]["Metadata"] == {"signalbox-upload": "id-1"}
    assert asked["complete_multipart_upload"]["MultipartUpload"]["Parts"][0] == {
        "PartNumber": 1,
        "ETag": "e1",
        "ChecksumSHA256": CHECKSUMS[0],
    }
    assert asked["head_object"]["ChecksumMode"] == "ENABLED"


def test_a_head_that_is_refused_is_no_missing_object() -> None:
    """Without s3:ListBucket S3 answers 403 for what is missing: that is a role to mend, not an answer."""
    s3 = client("s3")
    with Stubber(s3) as stubber:
        stubber.add_client_error("head_object", "403", http_status_code=403)
        with pytest.raises(AccessDeniedError):
            adapter(s3).stored(UPLOAD)


@pytest.fixture
def lambda_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    clients.session.cache_clear()
    yield monkeypatch
    clients.session.cache_clear()


def test_size_and_checksum_of_a_part_are_signed(lambda_environment: pytest.MonkeyPatch) -> None:
    """A checksum in the query, where some SDKs put it, S3 would not look at."""
    multipart = AwsMultipart(client("s3"), signing_client(accelerated=False), BUCKET, 900)
    part = multipart.sign(UPLOAD, 2, CHECKSUMS[1])
    url, query = urlsplit(part.url), parse_qs(urlsplit(part.url).query)
    assert url.netloc == "documents.s3.eu-central-1.amazonaws.com"
    assert url.path == "/uploads/2026/01/01/id-1/a%20b%2B%C3%BC.pdf"
    assert query["X-Amz-SignedHeaders"] == ["content-length;host;x-amz-checksum-sha256"]
    assert (query["partNumber"], query["uploadId"], query["X-Amz-Expires"]) == (
        ["2"],
        ["multipart-1"],
        ["900"],
    )
    assert not [name for name in query if "checksum" in name.lower()]
    assert (part.size, part.headers) == (MIB, {HEADER: CHECKSUMS[1]})


def test_a_part_without_a_checksum_is_signed_for_its_size(lambda_environment: pytest.MonkeyPatch) -> None:
    part = AwsMultipart(client("s3"), signing_client(accelerated=False), BUCKET, 900).sign(UPLOAD, 1, "")
    assert parse_qs(urlsplit(part.url).query)["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert part.headers == {}


def test_accelerated_parts_go_to_the_edge(lambda_environment: pytest.MonkeyPatch) -> None:
    part = AwsMultipart(client("s3"), signing_client(accelerated=True), BUCKET, 900).sign(UPLOAD, 1, "")
    assert urlsplit(part.url).netloc == "documents.s3-accelerate.amazonaws.com"


def test_on_a_stand_in_the_bucket_is_in_the_path(lambda_environment: pytest.MonkeyPatch) -> None:
    lambda_environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    part = AwsMultipart(client("s3"), signing_client(accelerated=False), BUCKET, 900).sign(UPLOAD, 1, "")
    assert part.url.startswith("http://127.0.0.1:4566/documents/uploads/")
