"""Requests and answers are held to botocore's service model of CodeArtifact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from local.codeartifact import wire
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.errors import ServiceError
from local.codeartifact.operations import OPERATIONS


@pytest.fixture
def codeartifact() -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact() as running:
        yield running


def refused(call: Any, **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response: Any = caught.value.response
    error = response["Error"]
    return error["Code"], error["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_every_operation_done_is_one_of_the_model_and_has_a_route() -> None:
    assert OPERATIONS.keys() <= set(wire.routes().values())
    assert len(wire.routes()) == len(wire.service_model().operation_names)


def test_no_route_has_a_parameter_in_its_path() -> None:
    assert not [path for _, path in wire.routes() if "{" in path]


def test_the_patterns_of_all_operations_done_can_be_used() -> None:
    for operation in OPERATIONS:
        shape: Any = wire.operation_model(operation).input_shape
        for name, member in shape.members.items():
            if member.type_name == "string":
                list(wire.problems(member, "anything", name))


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({}, "'domain'"),
        ({"domain": "UPPER"}, "pattern"),
        ({"domain": "a"}, "greater than or equal to 2"),
        ({"domain": "a" * 51}, "less than or equal to 50"),
        ({"domain": "acme", "encryptionKey": "with space"}, "'encryptionKey'"),
        ({"domain": "acme", "tags": [{"key": "a"}]}, "'tags[0].value'"),
        ({"domain": "acme", "tags": [{"key": "a\u202eb", "value": ""}]}, "'tags[0].key'"),
    ],
)
def test_a_request_that_does_not_fit_the_model_is_told_where(
    codeartifact: EmbeddedCodeArtifact, parameters: dict[str, Any], place: str
) -> None:
    code, message, status = refused(codeartifact.client().create_domain, **parameters)
    assert (code, status) == ("ValidationException", HTTPStatus.BAD_REQUEST)
    assert place in message
    assert codeartifact.client().list_domains()["domains"] == []


def test_an_enum_and_a_number_are_checked_too(codeartifact: EmbeddedCodeArtifact) -> None:
    client = codeartifact.client()
    where = {"domain": "acme", "repository": "team"}
    assert "enum value set" in refused(client.list_packages, **where, format="deb")[1]
    assert "less than or equal to 1000" in refused(client.list_packages, **where, maxResults=1001)[1]
    assert "is no integer" in refused(client.list_packages, **where, maxResults="many")[1]


def test_all_that_is_wrong_is_told_at_once(codeartifact: EmbeddedCodeArtifact) -> None:
    message = refused(codeartifact.client().create_repository, domain="X", repository="-")[1]
    assert "'domain'" in message
    assert "'repository'" in message


def test_a_body_that_is_no_json_is_refused(codeartifact: EmbeddedCodeArtifact) -> None:
    signed = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/codeartifact/aws4_request"
    }
    url = f"{codeartifact.url}/v1/domain?domain=acme"
    answer = requests.post(url, data="{", headers=signed, timeout=10)
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert answer.headers["x-amzn-ErrorType"] == "ValidationException"
    assert answer.json()["reason"] == "CANNOT_PARSE"
    assert requests.post(url, data="[]", headers=signed, timeout=10).json()["reason"] == "CANNOT_PARSE"
    odd = requests.post(url, json={"tags": "none"}, headers=signed, timeout=10).json()
    assert "'tags' is no list" in odd["message"]


def test_what_is_not_signed_for_codeartifact_is_refused(codeartifact: EmbeddedCodeArtifact) -> None:
    answer = requests.get(f"{codeartifact.url}/v1/domain?domain=acme", timeout=10)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


def test_a_path_of_no_operation_is_not_found(codeartifact: EmbeddedCodeArtifact) -> None:
    assert requests.get(f"{codeartifact.url}/v1/nothing", timeout=10).status_code == HTTPStatus.NOT_FOUND


def test_what_is_in_the_model_and_not_done_says_so(codeartifact: EmbeddedCodeArtifact) -> None:
    code, message, status = refused(codeartifact.client().list_package_groups, domain="acme")
    assert (code, status) == ("NotImplemented", HTTPStatus.NOT_IMPLEMENTED)
    assert "ListPackageGroups" in message


def test_errors_carry_the_members_of_the_model(codeartifact: EmbeddedCodeArtifact) -> None:
    client = codeartifact.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.describe_domain(domain="acme")
    assert caught.value.response["resourceType"] == "domain"
    assert caught.value.response["resourceId"] == "acme"


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ({"package": "no structure"}, "'package' is no structure"),
        ({"package": {"format": "deb"}}, "'package.format'"),
        ({"package": {}, "more": 1}, "'more' is not in the model"),
        ({}, "'package'"),
    ],
)
def test_an_answer_that_does_not_fit_the_model_is_a_bug_of_ours(output: dict[str, Any], place: str) -> None:
    with pytest.raises(ServiceError) as caught:
        wire.write("DescribePackage", output)
    assert caught.value.code == "InternalServerException"
    assert place in caught.value.message
    assert wire.write_error(caught.value).status == HTTPStatus.INTERNAL_SERVER_ERROR


def test_such_a_bug_reaches_the_client_as_500(
    codeartifact: EmbeddedCodeArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPERATIONS, "ListDomains", lambda registry, call: {"domains": None})
    code, message, status = refused(codeartifact.client().list_domains)
    assert (code, status) == ("InternalServerException", HTTPStatus.INTERNAL_SERVER_ERROR)
    assert "'domains' is no list" in message


def test_a_stumble_of_ours_reaches_the_client_as_500(
    codeartifact: EmbeddedCodeArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPERATIONS, "ListDomains", lambda registry, call: 1 // 0)
    assert "ZeroDivisionError" in refused(codeartifact.client().list_domains)[1]


def test_an_asset_travels_as_it_is_under_any_name(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed({"format": "generic", "package": "tool", "version": "0"})
    client, content, name = codeartifact.client(), bytes(range(256)), "ein Gerät+[1].tar"
    version = {
        "domain": "acme",
        "repository": "team",
        "format": "generic",
        "package": "tool",
        "packageVersion": "1",
    }
    client.publish_package_version(
        **version, assetName=name, assetContent=content, assetSHA256=hashlib.sha256(content).hexdigest()
    )
    assert client.get_package_version_asset(**version, asset=name)["asset"].read() == content
