"""Callers and their policies, asked of the spine."""

from __future__ import annotations

import json
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.estate.authorization import Principal
from local.estate.errors import AwsError
from local.estate.stored import LARGEST, Stored
from local.settings import REGION, SECRET_KEY

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

SECONDS = 10.0


class SpineIdentity:
    """The IdentitySource of the embedded AWS: sessions from the spine's launcher, policies from its IAM.

    The policies themselves are read, not SimulatePrincipalPolicy's verdict: ministack's looks at the first
    resource only, and at no condition key of the request.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._lock = Lock()
        self._clients: dict[str, IAMClient] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def principal(self, access_key: str) -> Principal | None:
        """Raises AwsError 503 when the spine can't be asked."""
        try:
            answer = requests.get(
                f"{self._url}/_signalbox/principal",
                params={"access_key": access_key},
                timeout=SECONDS,
            )
        except requests.RequestException as error:
            raise _unreachable(self._url, error) from error
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.status_code != HTTPStatus.OK:
            raise _unreachable(self._url, answer.text)
        document = answer.json()
        return Principal(document["arn"], document["role_arn"], document["account"])

    def policies(self, principal: Principal) -> list[str]:
        """None of a role that is gone; raises AwsError 503 when the spine can't be asked."""
        iam = self._iam(principal.account)
        try:
            return _policies(iam, principal.role_arn.rpartition("/")[2])
        except iam.exceptions.NoSuchEntityException:
            return []
        except (BotoCoreError, ClientError) as error:
            raise _unreachable(self._url, error) from error

    def _iam(self, account: str) -> IAMClient:
        """IAM as the root of that account."""
        with self._lock:
            if account not in self._clients:
                self._clients[account] = boto3.client("iam", **_as_root(self._url, account))
            return self._clients[account]


class SpineStorage:
    """The Storage of the embedded AWS: the spine's S3."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._lock = Lock()
        self._clients: dict[str, S3Client] = {}

    def read(self, account: str, region: str, bucket: str, key: str, version: str) -> Stored | None:
        """Raises AwsError 503 when the spine can't be asked."""
        s3 = self._s3(account)
        which: Any = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
        try:
            if _region(s3, bucket) != region:
                return None
            answer = s3.get_object(**which)
            with answer["Body"] as body:
                return Stored(answer["ContentLength"], body.read(LARGEST))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR:
                return None
            raise _unreachable(self._url, error) from error
        except BotoCoreError as error:
            raise _unreachable(self._url, error) from error

    def _s3(self, account: str) -> S3Client:
        """S3 as the root of that account."""
        with self._lock:
            if account not in self._clients:
                self._clients[account] = boto3.client("s3", **_as_root(self._url, account))
            return self._clients[account]


def _region(s3: S3Client, bucket: str) -> str:
    """S3 says nothing of buckets in the first of all Regions."""
    return s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"


def _as_root(url: str, account: str) -> dict[str, Any]:
    return {
        "endpoint_url": url,
        "region_name": REGION,
        "aws_access_key_id": account,
        "aws_secret_access_key": SECRET_KEY,
        "config": Config(
            connect_timeout=SECONDS,
            read_timeout=SECONDS,
            max_pool_connections=50,
            # The caller's own SDK tries again.
            retries={"total_max_attempts": 1},
        ),
    }


def _policies(iam: IAMClient, role: str) -> list[str]:
    inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents: list[object] = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in inline
    ]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    documents += [_managed(iam, policy["PolicyArn"]) for policy in attached]
    return [document if isinstance(document, str) else json.dumps(document) for document in documents]


def _managed(iam: IAMClient, arn: str) -> object:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def _unreachable(url: str, reason: object) -> AwsError:
    return AwsError(
        "ServiceUnavailable",
        f"the guard can't ask the spine at {url} who is calling: {reason}",
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
