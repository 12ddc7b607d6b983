"""The guard and the real spine: a role of the spine's IAM, held to on the estate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from local.embedded import EmbeddedAws
from local.estate.scans import scanned_pdf
from local.processes import ProcessError
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


OTHER_ACCOUNT, OTHER_REGION, STRANGER = "444455556666", "eu-west-1", "999999999999"
EXTERNAL_ID = "0123456789abcdef"


@pytest.fixture(scope="module")
def member(aws: EmbeddedAws) -> str:
    """A role of another account for the roles hub-… of this one and an external id. It reads networks."""
    condition = {
        "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/hub-*"},
        "StringEquals": {"sts:ExternalId": EXTERNAL_ID},
    }
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}
    iam = aws.elsewhere(OTHER_ACCOUNT, REGION).client("iam")
    made = iam.create_role(
        RoleName="member",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    allowed = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    iam.put_role_policy(
        RoleName="member",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    iam.close()
    return str(made["Role"]["Arn"])


def enter(aws: EmbeddedAws, credentials: dict[str, str], role: str, external_id: str) -> dict[str, str]:
    """Credentials of the role, as its session got them for another one's."""
    sts = boto3.client("sts", endpoint_url=aws.spine_url, region_name=REGION, **credentials)  # type: ignore[call-overload]  # the credentials are a dictionary
    try:
        given = sts.assume_role(RoleArn=role, RoleSessionName="test", ExternalId=external_id)["Credentials"]
    finally:
        sts.close()
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def test_a_role_of_another_account_reaches_the_estate_of_that_account(aws: EmbeddedAws, member: str) -> None:
    network = {"CidrBlock": "10.9.0.0/16"}
    made = aws.elsewhere(OTHER_ACCOUNT, REGION).client("ec2").create_vpc(**network)["Vpc"]["VpcId"]
    entered = enter(aws, session_of(aws, "hub-planner", "sts:AssumeRole"), member, EXTERNAL_ID)
    assert made in {vpc["VpcId"] for vpc in describe_vpcs(aws, entered)}
    assert made not in {vpc["VpcId"] for vpc in aws.client("ec2").describe_vpcs()["Vpcs"]}


@pytest.mark.parametrize(
    ("role", "actions", "external_id"),
    [
        ("hub-detacher", ["sts:AssumeRole"], "another-external-id"),
        ("stranger", ["sts:AssumeRole"], EXTERNAL_ID),
        ("hub-settler", ["sts:GetCallerIdentity"], EXTERNAL_ID),
    ],
    ids=["another external id", "a role that is not trusted", "a role without the permission"],
)
def test_others_do_not_get_it(
    aws: EmbeddedAws, member: str, role: str, actions: list[str], external_id: str
) -> None:
    credentials = session_of(aws, role, *actions)
    with pytest.raises(ClientError, match="AccessDenied"):
        enter(aws, credentials, member, external_id)


def test_an_event_goes_to_the_bus_that_is_named(aws: EmbeddedAws) -> None:
    elsewhere = aws.elsewhere(OTHER_ACCOUNT, OTHER_REGION)
    event = {"id": "1", "source": "aws.ec2", "account": STRANGER, "region": REGION, "detail": {}}
    for number, events in enumerate((aws.client("events"), elsewhere.client("events"))):
        events.create_event_bus(Name="own")
        for bus in ("own", "default"):
            pattern = json.dumps({"source": ["aws.ec2"]})
            events.put_rule(Name=f"{bus}-{number}", EventBusName=bus, EventPattern=pattern, State="ENABLED")
        events.close()
    assert aws.deliver([event])[0]["rules"] == ["default-0"]
    assert aws.deliver([event], bus="own")[0]["rules"] == ["own-0"]
    assert elsewhere.deliver([event])[0]["rules"] == ["default-1"]
    place = {"account": OTHER_ACCOUNT, "region": OTHER_REGION}
    assert aws.deliver([event], bus="own", **place)[0]["rules"] == ["own-1"]
    with pytest.raises(ProcessError, match="no such event bus"):
        aws.deliver([event], bus="another")


def test_textract_reads_from_the_spines_s3_with_the_role_of_its_caller(aws: EmbeddedAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="scans")
    key = "a scan+with \N{SNOWMAN}.pdf"
    s3.put_object(Bucket="scans", Key=key, Body=scanned_pdf(["To whom it concerns"]))
    s3.close()
    reader = session_of(aws, "scanner", "textract:DetectDocumentText", "s3:GetObject")
    assert lines(aws, reader, key) == ["To whom it concerns"]
    for credentials, gone in (
        (reader, "gone"),
        (session_of(aws, "blind", "textract:DetectDocumentText"), key),
    ):
        with pytest.raises(ClientError, match="InvalidS3ObjectException"):
            lines(aws, credentials, gone)
    with pytest.raises(ClientError, match="InvalidS3ObjectException"):
        lines(aws, reader, key, region="eu-west-1")


def lines(aws: EmbeddedAws, credentials: dict[str, str], key: str, region: str = REGION) -> list[str]:
    client = boto3.client("textract", endpoint_url=aws.estate_url, region_name=region, **credentials)  # type: ignore[call-overload]  # the credentials are a dictionary
    try:
        found = client.detect_document_text(Document={"S3Object": {"Bucket": "scans", "Name": key}})
    finally:
        client.close()
    return [block["Text"] for block in found["Blocks"] if block["BlockType"] == "LINE"]
