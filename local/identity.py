"""Who calls, and what the caller may do: asked of the spine by whatever stands beside it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.estate.errors import AwsError
from local.settings import REGION, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_iam import IAMClient

SECONDS = 10.0
# The root of an account: every emulator takes it for an access key.
ROOT_OF_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the session, its role, the account."""

    arn: str
    role_arn: str
    account: str


class IdentitySource(Protocol):
    """Where callers and their policies are known."""

    def principal(self, access_key: str) -> Principal | None:
        """The caller with this access key; None if nobody has it."""
        ...

    def policies(self, principal: Principal) -> Sequence[str]:
        """The policy documents (JSON) of the caller's role, inline and attached."""
        ...


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
            raise unreachable(self._url, error) from error
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.status_code != HTTPStatus.OK:
            raise unreachable(self._url, answer.text)
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
            raise unreachable(self._url, error) from error

    def _iam(self, account: str) -> IAMClient:
        """IAM as the root of that account."""
        with self._lock:
            if account not in self._clients:
                self._clients[account] = boto3.client("iam", **as_root(self._url, account))
            return self._clients[account]


def as_root(url: str, account: str) -> dict[str, Any]:
    """The options of a client that asks the spine as the root of an account."""
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


def unreachable(url: str, reason: object) -> AwsError:
    """For whom the spine at `url` gives no answer."""
    return AwsError(
        "ServiceUnavailable",
        f"the spine at {url}, which knows the callers, can't be asked: {reason}",
        HTTPStatus.SERVICE_UNAVAILABLE,
    )


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
