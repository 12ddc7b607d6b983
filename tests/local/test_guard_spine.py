"""Who calls and what they may do, asked of a spine over HTTP."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.moto_api._internal.models import moto_api_backend
from werkzeug.wrappers import Request, Response

from local.estate.errors import AwsError
from local.estate.server import estate_server
from local.identity import Principal, SpineIdentity
from local.settings import ACCESS_KEY, ACCOUNT, HOST, REGION, SECRET_KEY
from tests.local.guarded_estate import moto

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse

    from mypy_boto3_iam import IAMClient

    from local.estate.requests import Environ

KEY = "ASIAWORKER0000000000"
PRINCIPAL = Principal(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/detacher/session", f"arn:aws:iam::{ACCOUNT}:role/detacher", ACCOUNT
)
INLINE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
ATTACHED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}


def spine(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The launcher's door, and moto's IAM in the place of ministack's."""
    if environ["PATH_INFO"] != "/_signalbox/principal":
        return moto()(environ, start_response)
    match Request(environ).args["access_key"]:
        case "ASIAWORKER0000000000":
            document = {
                "arn": PRINCIPAL.arn,
                "role_arn": PRINCIPAL.role_arn,
                "account": PRINCIPAL.account,
            }
            return Response(json.dumps(document))(environ, start_response)
        case "ASIABROKEN0000000000":
            return Response("out of order", 500)(environ, start_response)
        case _:
            return Response(json.dumps({"error": "nobody"}), 404)(environ, start_response)


@contextmanager
def served() -> Iterator[str]:
    moto_api_backend.reset()
    with estate_server(0, spine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://{HOST}:{server.port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def source(url: str) -> Iterator[SpineIdentity]:
    source = SpineIdentity(url)
    yield source
    source.close()


@pytest.fixture
def iam(url: str) -> Iterator[IAMClient]:
    client = boto3.client(
        "iam",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    yield client
    client.close()


def test_a_session_is_known_by_its_key(source: SpineIdentity) -> None:
    assert source.principal(KEY) == PRINCIPAL


def test_a_key_nobody_has_is_nobody(source: SpineIdentity) -> None:
    assert source.principal("ASIASTRANGER00000000") is None


def test_a_spine_out_of_order_is_a_failure_and_no_refusal(source: SpineIdentity) -> None:
    with pytest.raises(AwsError, match="out of order") as failure:
        source.principal("ASIABROKEN0000000000")
    assert failure.value.status == 503


def test_a_spine_that_is_away_is_a_failure_and_no_refusal() -> None:
    with served() as url:
        source = SpineIdentity(url)
    with pytest.raises(AwsError, match=url) as failure:
        source.principal(KEY)
    assert failure.value.code == "ServiceUnavailable"
    with pytest.raises(AwsError, match="ServiceUnavailable"):
        source.policies(PRINCIPAL)
    source.close()


def test_policies_are_the_inline_and_the_attached_ones(source: SpineIdentity, iam: IAMClient) -> None:
    iam.create_role(RoleName="detacher", AssumeRolePolicyDocument=json.dumps(INLINE))
    iam.put_role_policy(RoleName="detacher", PolicyName="own", PolicyDocument=json.dumps(INLINE))
    arn = iam.create_policy(PolicyName="shared", PolicyDocument=json.dumps(ATTACHED))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="detacher", PolicyArn=arn)
    assert [json.loads(document) for document in source.policies(PRINCIPAL)] == [INLINE, ATTACHED]


def test_a_role_that_is_gone_has_no_policies(source: SpineIdentity) -> None:
    assert source.policies(PRINCIPAL) == []
