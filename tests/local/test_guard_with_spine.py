"""The guard and the real spine: a role of the spine's IAM, held to on the estate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from local.embedded import EmbeddedAws
from local.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.embedded

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    state: Path = tmp_path_factory.mktemp("embedded")
    with EmbeddedAws.start(state) as aws:
        yield aws


def session_of(aws: EmbeddedAws, role: str, *actions: str) -> dict[str, str]:
    """Credentials of a new role that may do these."""
    iam, sts = aws.client("iam"), aws.client("sts")
    document = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=role,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [document]}),
    )
    given = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    iam.close()
    sts.close()
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def describe_vpcs(aws: EmbeddedAws, credentials: dict[str, str]) -> list[Any]:
    client = boto3.client("ec2", endpoint_url=aws.estate_url, region_name=REGION, **credentials)  # type: ignore[call-overload]  # the credentials are a dictionary
    try:
        found: list[Any] = client.describe_vpcs()["Vpcs"]
    finally:
        client.close()
    return found


def test_roles_are_enforced(aws: EmbeddedAws) -> None:
    health = requests.get(f"{aws.estate_url}/_guard/health", timeout=10).json()
    assert health == {"status": "ok", "authorization": True}


def test_a_role_may_do_what_its_policy_on_the_spine_says(aws: EmbeddedAws) -> None:
    assert describe_vpcs(aws, session_of(aws, "reader", "ec2:DescribeVpcs"))


def test_and_nothing_else(aws: EmbeddedAws) -> None:
    credentials = session_of(aws, "writer", "ec2:CreateTags")
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/test"
    with pytest.raises(ClientError, match=session) as refusal:
        describe_vpcs(aws, credentials)
    assert refusal.value.response["Error"]["Code"] == "UnauthorizedOperation"


def test_a_key_of_nobody_is_refused(aws: EmbeddedAws) -> None:
    stranger = {"aws_access_key_id": "ASIASTRANGER00000000", "aws_secret_access_key": "none"}
    with pytest.raises(ClientError, match="AuthFailure"):
        describe_vpcs(aws, stranger)
