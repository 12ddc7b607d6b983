"""A preview goes with all it would leave behind, and nothing else goes; on moto's CloudFormation."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from operations.removing import remove
from operations.stacks import StackError

KEEP = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
TEMPLATE = {
    "Resources": {
        "Key": {"Type": "AWS::KMS::Key", **KEEP, "Properties": {"KeyPolicy": "{}"}},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            **KEEP,
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        },
        "Intake": {"Type": "AWS::SQS::Queue", **KEEP},
        "Sweeps": {"Type": "AWS::SQS::Queue"},
        "Documents": {
            "Type": "AWS::S3::Bucket",
            **KEEP,
            "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
        },
    }
}


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


def create(name: str, stage: str) -> None:
    tags = [{"Key": "stage", "Value": stage}]
    client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE), Tags=tags)


def there() -> tuple[int, int, int, list[str]]:
    """Stacks, tables, queues, and the states of the keys."""
    keys = client("kms").list_keys()["Keys"]
    states = [client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in keys]
    return (
        len(client("cloudformation").describe_stacks()["Stacks"]),
        len(client("dynamodb").list_tables()["TableNames"]),
        len(client("sqs").list_queues().get("QueueUrls", [])),
        states,
    )


def test_a_preview_goes_with_what_its_template_retains(capsys: pytest.CaptureFixture[str]) -> None:
    create("signalbox-pr-7", "preview")
    assert there() == (1, 1, 2, ["Enabled"])
    remove(client, "signalbox-pr-7")
    assert there() == (0, 0, 0, ["PendingDeletion"])
    assert "signalbox-pr-7 is gone; its key goes in 7 days." in capsys.readouterr().out


def test_its_buckets_go_with_every_version_of_what_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    create("signalbox-pr-7", "preview")
    s3 = client("s3")
    [bucket] = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    for key in ("a", "a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="b")
    listing = s3.list_object_versions

    def two_at_a_time(**given: Any) -> Any:
        return listing(**given, MaxKeys=2)

    monkeypatch.setattr(s3, "list_object_versions", two_at_a_time)
    remove(lambda service: s3 if service == "s3" else client(service), "signalbox-pr-7")
    assert s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize("stage", ["prod", "dev"])
def test_nothing_else_goes(stage: str) -> None:
    create(f"signalbox-{stage}", stage)
    with pytest.raises(StackError, match="stage=preview"):
        remove(client, f"signalbox-{stage}")
    assert there() == (1, 1, 2, ["Enabled"])
