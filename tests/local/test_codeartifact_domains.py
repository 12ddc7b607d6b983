"""Domains, repositories, upstreams, external connections, policies as documents, tokens and endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.codeartifact.domains import DOMAINS_PER_ACCOUNT, EXTERNAL_CONNECTIONS, UPSTREAMS
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from local.settings import ACCOUNT, REGION

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
OTHER = "444455556666"
TEAM = {"domain": "acme", "repository": "team"}


@pytest.fixture
def codeartifact() -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact(CodeArtifact(clock=lambda: 0.0, now=lambda: NOW)) as running:
        running.ask("POST", "limits", {"enabled": False})
        yield running


@pytest.fixture
def client(codeartifact: EmbeddedCodeArtifact) -> Any:
    client = codeartifact.client()
    client.create_domain(domain="acme")
    client.create_repository(**TEAM)
    return client


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_a_domain_is_described_as_it_was_made(client: Any) -> None:
    domain = client.describe_domain(domain="acme")["domain"]
    assert domain["arn"] == f"arn:aws:codeartifact:{REGION}:{ACCOUNT}:domain/acme"
    assert domain["createdTime"] == NOW
    assert (domain["status"], domain["repositoryCount"], domain["assetSizeBytes"]) == ("Active", 1, 0)


def test_a_domain_counts_an_asset_once(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    same = {"assets": [{"name": "same", "content": "12345"}]}
    codeartifact.seed({"format": "npm", "package": "ui", "version": "1", **same})
    codeartifact.seed({"format": "npm", "package": "ui", "version": "1", **same}, repository="other")
    assert client.describe_domain(domain="acme")["domain"]["assetSizeBytes"] == 5


def test_a_domain_exists_once_and_in_its_account_and_region_only(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    assert code(client.create_domain, domain="acme") == "ConflictException"
    for elsewhere in (codeartifact.client(OTHER), codeartifact.client(region="eu-west-1")):
        assert elsewhere.list_domains()["domains"] == []
        elsewhere.create_domain(domain="acme")
    assert [one["owner"] for one in client.list_domains()["domains"]] == [ACCOUNT]


def test_an_account_has_so_many_domains(client: Any) -> None:
    for number in range(DOMAINS_PER_ACCOUNT - 1):
        client.create_domain(domain=f"domain-{number}")
    assert code(client.create_domain, domain="too-many") == "ServiceQuotaExceededException"


def test_a_domain_goes_after_its_repositories(client: Any) -> None:
    assert code(client.delete_domain, domain="acme") == "ConflictException"
    client.delete_repository(**TEAM)
    assert client.delete_domain(domain="acme")["domain"]["status"] == "Deleted"
    assert code(client.describe_domain, domain="acme") == "ResourceNotFoundException"
    assert "domain" not in client.delete_domain(domain="acme")


def test_a_repository_is_updated_as_far_as_it_is_told(client: Any) -> None:
    client.create_repository(domain="acme", repository="shared", description="for all")
    up = [{"repositoryName": "shared"}]
    assert client.update_repository(**TEAM, upstreams=up)["repository"]["upstreams"] == up
    described = client.update_repository(**TEAM, description="ours")["repository"]
    assert (described["upstreams"], described["description"]) == (up, "ours")
    assert client.update_repository(**TEAM, upstreams=[])["repository"]["upstreams"] == []
    assert client.describe_repository(**TEAM)["repository"]["description"] == "ours"


def test_upstreams_are_there_and_few_and_others(client: Any) -> None:
    names = [f"up-{number}" for number in range(UPSTREAMS + 1)]
    for name in names:
        client.create_repository(domain="acme", repository=name)
    update = client.update_repository
    assert code(update, **TEAM, upstreams=[{"repositoryName": one} for one in names]) == (
        "ServiceQuotaExceededException"
    )
    update(**TEAM, upstreams=[{"repositoryName": one} for one in names[:UPSTREAMS]])
    assert code(update, **TEAM, upstreams=[{"repositoryName": "gone"}]) == "ResourceNotFoundException"
    assert code(update, **TEAM, upstreams=[{"repositoryName": "team"}]) == "ValidationException"
    assert code(client.delete_repository, domain="acme", repository="up-0") == "ConflictException"


def test_repositories_are_listed_by_prefix_administrator_and_page(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    codeartifact.seed(repository="theirs", administrator=OTHER)
    for number in range(5):
        client.create_repository(domain="acme", repository=f"app-{number}")
    pages = client.get_paginator("list_repositories_in_domain").paginate(
        domain="acme", repositoryPrefix="app-", PaginationConfig={"PageSize": 2}
    )
    assert [[one["name"] for one in page["repositories"]] for page in pages] == [
        ["app-0", "app-1"],
        ["app-2", "app-3"],
        ["app-4"],
    ]
    theirs = client.list_repositories_in_domain(domain="acme", administratorAccount=OTHER)["repositories"]
    assert [one["name"] for one in theirs] == ["theirs"]
    assert codeartifact.client(OTHER).list_repositories()["repositories"] == theirs


def test_one_external_connection_and_no_upstreams_beside_it(client: Any) -> None:
    client.create_repository(domain="acme", repository="shared")
    up = [{"repositoryName": "shared"}]
    associate = client.associate_external_connection
    described = associate(**TEAM, externalConnection="public:pypi")["repository"]
    assert [one["packageFormat"] for one in described["externalConnections"]] == ["pypi"]
    assert code(associate, **TEAM, externalConnection="public:npmjs") == "ValidationException"
    assert code(client.update_repository, **TEAM, upstreams=up) == "ValidationException"
    disassociate = client.disassociate_external_connection
    assert code(disassociate, **TEAM, externalConnection="public:npmjs") == "ResourceNotFoundException"
    disassociate(**TEAM, externalConnection="public:pypi")
    client.update_repository(**TEAM, upstreams=up)
    assert code(associate, **TEAM, externalConnection="public:pypi") == "ValidationException"


def test_external_connections_are_those_of_aws(client: Any) -> None:
    assert code(client.associate_external_connection, **TEAM, externalConnection="public:debian") == (
        "ValidationException"
    )
    formats = {"npm", "nuget", "pypi", "maven", "ruby", "cargo"}
    assert set(EXTERNAL_CONNECTIONS.values()) == formats


def policy(**statement: Any) -> str:
    usual = {"Effect": "Allow", "Principal": "*", "Action": "codeartifact:ListPackages", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [usual | statement]})


@pytest.mark.parametrize("kind", ["domain", "repository"])
def test_a_policy_is_put_read_replaced_and_deleted(client: Any, kind: str) -> None:
    where = TEAM if kind == "repository" else {"domain": "acme"}
    put, get, delete = (
        getattr(client, f"{verb}_{kind}_permissions_policy") for verb in ("put", "get", "delete")
    )
    assert code(get, **where) == "ResourceNotFoundException"
    first = put(**where, policyDocument=policy())["policy"]
    assert get(**where)["policy"] == first
    assert f":{kind}/acme" in first["resourceArn"]
    second = put(**where, policyDocument=policy(Effect="Deny"), policyRevision=first["revision"])["policy"]
    assert second["revision"] != first["revision"]
    assert (
        code(put, **where, policyDocument=policy(), policyRevision=first["revision"]) == "ConflictException"
    )
    assert code(delete, **where, policyRevision=first["revision"]) == "ConflictException"
    assert delete(**where, policyRevision=second["revision"])["policy"]["document"] == policy(Effect="Deny")
    assert code(delete, **where) == "ResourceNotFoundException"


def test_a_policy_has_7168_characters_and_no_more(client: Any) -> None:
    put = client.put_repository_permissions_policy
    longest = policy().ljust(7168)
    put(**TEAM, policyDocument=longest)
    assert code(put, **TEAM, policyDocument=f"{longest} ") == "ValidationException"


def test_a_policy_that_is_not_understood_is_not_stored(client: Any) -> None:
    odd = policy(Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
    with pytest.raises(client.exceptions.ValidationException, match=r"Statement\[0\]\.Condition\.IpAddress"):
        client.put_domain_permissions_policy(domain="acme", policyDocument=odd)
    assert code(client.get_domain_permissions_policy, domain="acme") == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("asked", "seconds"), [({}, 43_200), ({"durationSeconds": 900}, 900), ({"durationSeconds": 0}, 3_600)]
)
def test_a_token_lives_as_long_as_asked(client: Any, asked: dict[str, int], seconds: int) -> None:
    token = client.get_authorization_token(domain="acme", **asked)
    assert token["expiration"] == NOW + timedelta(seconds=seconds)
    assert token["authorizationToken"]


@pytest.mark.parametrize("seconds", [1, 899, 43_201])
def test_a_token_lives_no_other_time(client: Any, seconds: int) -> None:
    assert (
        code(client.get_authorization_token, domain="acme", durationSeconds=seconds) == "ValidationException"
    )


def test_the_endpoint_is_named_as_aws_names_it(client: Any) -> None:
    endpoint = client.get_repository_endpoint(**TEAM, format="npm")["repositoryEndpoint"]
    assert endpoint == f"https://acme-{ACCOUNT}.d.codeartifact.{REGION}.amazonaws.com/npm/team/"
    dual = client.get_repository_endpoint(**TEAM, format="npm", endpointType="dualstack")[
        "repositoryEndpoint"
    ]
    assert dual.endswith(".on.aws/npm/team/")


def test_tags_are_kept_and_taken_away(client: Any) -> None:
    client.create_domain(domain="tagged", tags=[{"key": "team", "value": "web"}])
    arn = client.describe_domain(domain="tagged")["domain"]["arn"]
    client.tag_resource(resourceArn=arn, tags=[{"key": "stage", "value": ""}])
    client.untag_resource(resourceArn=arn, tagKeys=["team", "unknown"])
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "stage", "value": ""}]
    assert code(client.list_tags_for_resource, resourceArn=f"{arn}-gone") == "ResourceNotFoundException"
