"""Permissions policies: read strictly, and enforced together with the callers' own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local.codeartifact.access import CACHE_SECONDS, ORGANIZATION
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.policies import (
    Caller,
    Policy,
    PolicyError,
    Verdict,
    evaluate,
    matches_wildcards,
    parse,
)
from local.codeartifact.service import CodeArtifact
from local.identity import Principal
from local.settings import ACCOUNT

OTHER, THIRD = "444455556666", "777788889999"
KEY, FOREIGN_KEY = "ASIAPROMOTER00000000", "ASIAFOREIGNER0000000"
ROLE, FOREIGN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/promoter", f"arn:aws:iam::{OTHER}:role/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/promoter/run"
FOREIGN_SESSION = f"arn:aws:sts::{OTHER}:assumed-role/reader/run"
CALLER = Caller(ACCOUNT, SESSION, ROLE, organization=ORGANIZATION)
ARN = f"arn:aws:codeartifact:us-east-1:{ACCOUNT}:repository/acme/team"
ACTION = "codeartifact:ListPackages"
TEAM = {"domain": "acme", "repository": "team", "domainOwner": ACCOUNT}


def statement(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": "*", "Action": ACTION, "Resource": "*"} | members


def policy(*statements: dict[str, Any]) -> Policy:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return Policy(document, "r", parse(document))


def verdict(*statements: dict[str, Any], caller: Caller = CALLER) -> Verdict:
    return evaluate([None, policy(*statements)], caller, ACTION, ARN)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, Verdict.ALLOW),
        ({"Principal": {"AWS": "*"}}, Verdict.ALLOW),
        ({"Principal": {"AWS": ROLE}}, Verdict.ALLOW),
        ({"Principal": {"AWS": [FOREIGN_ROLE, SESSION]}}, Verdict.ALLOW),
        ({"Principal": {"AWS": ACCOUNT}}, Verdict.ACCOUNT),
        ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, Verdict.ACCOUNT),
        ({"Principal": {"AWS": OTHER}}, Verdict.NONE),
        ({"Principal": {"AWS": FOREIGN_ROLE}}, Verdict.NONE),
        ({"Effect": "Deny", "Principal": {"AWS": ACCOUNT}}, Verdict.DENY),
        ({"Effect": "Deny", "Principal": {"AWS": OTHER}}, Verdict.NONE),
        ({"Action": "codeartifact:List*"}, Verdict.ALLOW),
        ({"Action": "CODEARTIFACT:listpackages"}, Verdict.ALLOW),
        ({"Action": "codeartifact:ListPackage?"}, Verdict.ALLOW),
        ({"Action": ["codeartifact:Get*", "*"]}, Verdict.ALLOW),
        ({"Action": "codeartifact:ListPackage"}, Verdict.NONE),
        ({"Resource": ARN}, Verdict.ALLOW),
        ({"Resource": "arn:aws:codeartifact:*:*:repository/acme/t*"}, Verdict.ALLOW),
        ({"Resource": f"{ARN}s"}, Verdict.NONE),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}}, Verdict.ALLOW),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-other"}}}, Verdict.NONE),
        ({"Condition": {"StringNotEquals": {"aws:PrincipalAccount": [OTHER, ACCOUNT]}}}, Verdict.NONE),
        ({"Condition": {"StringNotEquals": {"aws:PrincipalAccount": OTHER}}}, Verdict.ALLOW),
        ({"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/pro*"}}}, Verdict.ALLOW),
        ({"Condition": {"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/pro*"}}}, Verdict.NONE),
        ({"Condition": {"StringNotLike": {"aws:principalarn": "*promoter"}}}, Verdict.NONE),
    ],
)
def test_a_statement_says_what_iam_takes_it_to_say(members: dict[str, Any], expected: Verdict) -> None:
    assert verdict(statement(**members)) is expected


def test_a_deny_wins_wherever_it_stands() -> None:
    assert verdict(statement(Effect="Deny"), statement()) is Verdict.DENY
    assert verdict(statement(), statement(Effect="Deny")) is Verdict.DENY
    both = [policy(statement()), policy(statement(Effect="Deny"))]
    assert evaluate(both, CALLER, ACTION, ARN) is Verdict.DENY


@given(
    st.lists(
        st.sampled_from(
            [
                statement(),
                statement(Effect="Deny"),
                statement(Principal={"AWS": OTHER}),
                statement(Action="*"),
            ]
        ),
        max_size=5,
    )
)
def test_the_order_of_statements_and_policies_is_nothing(statements: list[dict[str, Any]]) -> None:
    policies = [policy(one) for one in statements]
    found = evaluate(policies, CALLER, ACTION, ARN)
    assert evaluate(reversed(policies), CALLER, ACTION, ARN) is found
    assert (found is Verdict.DENY) == any(one["Effect"] == "Deny" for one in statements)


@given(st.text(alphabet="ab.[+*?", max_size=6))
def test_only_star_and_question_mark_are_special(text: str) -> None:
    assert matches_wildcards(text, text)
    plain = text.replace("*", "x").replace("?", "y")
    assert matches_wildcards(plain, text) == (plain == text)
    assert matches_wildcards("*", text)
    assert matches_wildcards("?", text) == (len(text) == 1)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("{", "not JSON"),
        ("[]", "no Statement"),
        ('{"Version": "2012-10-17", "Statement": []}', "no Statement"),
        ('{"Statement": [{}]}', "Version"),
    ],
)
def test_a_document_that_is_no_policy_is_refused(document: str, place: str) -> None:
    with pytest.raises(PolicyError, match=place):
        parse(document)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"Effect": "Maybe"}, "Effect"),
        ({"NotAction": "*"}, "NotAction"),
        ({"NotPrincipal": "*"}, "NotPrincipal"),
        ({"Action": []}, "Action"),
        ({"Action": "s3:GetObject"}, "Action"),
        ({"Resource": None}, "Resource"),
        ({"Principal": {"Service": "codebuild.amazonaws.com"}}, "Principal"),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:role/*"}}, "Principal.AWS"),
        ({"Principal": {"AWS": "somebody"}}, "Principal.AWS"),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, "Condition.Bool"),
        ({"Condition": {"StringEqualsIfExists": {"aws:PrincipalArn": "x"}}}, "StringEqualsIfExists"),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, "aws:SourceVpc"),
        ({"Condition": {"StringEquals": {"aws:PrincipalArn": 1}}}, "aws:PrincipalArn"),
        ({"Condition": []}, "Condition"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(members: dict[str, Any], place: str) -> None:
    with pytest.raises(PolicyError, match=rf"Statement\[1\]\.(.*\.)?{place}"):
        policy(statement(), statement(**members))


@dataclass
class StubIdentities:
    """A role in the domain's account and one in another; what each may do is a list of statements."""

    own: list[dict[str, Any]] = field(default_factory=list)
    foreign: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0

    def principal(self, access_key: str) -> Principal | None:
        self.asked += 1
        principals = {
            KEY: Principal(SESSION, ROLE, ACCOUNT),
            FOREIGN_KEY: Principal(FOREIGN_SESSION, FOREIGN_ROLE, OTHER),
        }
        return principals.get(access_key)

    def policies(self, principal: Principal) -> list[str]:
        statements = self.own if principal.account == ACCOUNT else self.foreign
        return [json.dumps({"Version": "2012-10-17", "Statement": statements})]

    @staticmethod
    def says(effect: str = "Allow", action: str | list[str] = "codeartifact:*", resource: str = "*") -> Any:
        return {"Effect": effect, "Action": action, "Resource": resource}


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def identities() -> StubIdentities:
    return StubIdentities()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def codeartifact(identities: StubIdentities, clock: Clock) -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact(CodeArtifact(identities, clock=clock)) as running:
        running.seed({"format": "npm", "package": "ui", "version": "1"})
        running.seed(repository="shared")
        running.ask("POST", "limits", {"enabled": False})
        yield running


def put(codeartifact: EmbeddedCodeArtifact, repository: str, *statements: dict[str, Any]) -> None:
    codeartifact.client().put_repository_permissions_policy(
        domain="acme", repository=repository, policyDocument=policy(*statements).document
    )


def put_on_domain(codeartifact: EmbeddedCodeArtifact, *statements: dict[str, Any]) -> None:
    codeartifact.client().put_domain_permissions_policy(
        domain="acme", policyDocument=policy(*statements).document
    )


def allowed(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return False
        raise
    return True


# One row: what the identity's policy says, what the resource's says and to whom; then whether a caller of the
# domain's account may, and whether one of another account may.
MATRIX = [
    (None, None, False, False),
    ("Allow", None, True, False),
    (None, "role", True, False),
    (None, "account", False, False),
    ("Allow", "role", True, True),
    ("Allow", "account", True, True),
    ("Deny", "role", False, False),
    ("Allow", "deny", False, False),
]


@pytest.mark.parametrize(("identity", "resource", "own", "foreign"), MATRIX)
@pytest.mark.parametrize("level", ["domain", "repository"])
def test_within_an_account_either_is_enough_and_across_accounts_both_are_needed(
    codeartifact: EmbeddedCodeArtifact,
    identities: StubIdentities,
    identity: str | None,
    resource: str | None,
    own: bool,  # noqa: FBT001 - a column of the table
    foreign: bool,  # noqa: FBT001 - a column of the table
    level: str,
) -> None:
    if identity:
        identities.own.append(identities.says(identity))
        identities.foreign.append(identities.says(identity))
    principals = {"role": [ROLE, FOREIGN_ROLE], "account": [ACCOUNT, OTHER], "deny": [ROLE, FOREIGN_ROLE]}
    if resource:
        effect = "Deny" if resource == "deny" else "Allow"
        said = statement(Effect=effect, Principal={"AWS": principals[resource]})
        if level == "domain":
            put_on_domain(codeartifact, said)
        else:
            put(codeartifact, "team", said)
    assert allowed(codeartifact.client(KEY).list_packages, **TEAM) is own
    assert allowed(codeartifact.client(FOREIGN_KEY).list_packages, **TEAM) is foreign


def test_the_refusal_names_who_what_and_why(codeartifact: EmbeddedCodeArtifact) -> None:
    with pytest.raises(ClientError) as caught:
        codeartifact.client(KEY).list_packages(**TEAM)
    message = caught.value.response["Error"]["Message"]
    for part in (SESSION, ACTION, ARN, "no identity-based policy allows"):
        assert part in message
    assert codeartifact.ask("GET", "calls").json()["refused"] == {ACTION: 1}


def test_the_root_of_an_account_may_everything_in_its_own(codeartifact: EmbeddedCodeArtifact) -> None:
    put(codeartifact, "team", statement(Effect="Deny"))
    assert allowed(codeartifact.client().list_packages, **TEAM)
    assert allowed(codeartifact.client(ACCOUNT).list_packages, **TEAM)
    assert not allowed(codeartifact.client(OTHER).list_packages, **TEAM)


def test_the_root_of_another_account_needs_the_resource_policy(codeartifact: EmbeddedCodeArtifact) -> None:
    put(codeartifact, "team", statement(Principal={"AWS": OTHER}))
    assert allowed(codeartifact.client(OTHER).list_packages, **TEAM)
    assert not allowed(codeartifact.client(THIRD).list_packages, **TEAM)


def test_a_repository_s_administrator_needs_no_resource_policy(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed(repository="theirs", administrator=OTHER)
    theirs = TEAM | {"repository": "theirs"}
    assert allowed(codeartifact.client(OTHER).list_packages, **theirs)
    assert not allowed(codeartifact.client(THIRD).list_packages, **theirs)


def test_another_account_makes_a_repository_where_the_domain_lets_it(
    codeartifact: EmbeddedCodeArtifact,
) -> None:
    create = codeartifact.client(OTHER).create_repository
    new = TEAM | {"repository": "theirs"}
    assert not allowed(create, **new)
    in_organization = {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}
    put_on_domain(codeartifact, statement(Action="codeartifact:CreateRepository", Condition=in_organization))
    assert create(**new)["repository"]["administratorAccount"] == OTHER


def test_an_upstream_has_to_be_allowed_by_the_upstream(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed(repository="theirs", administrator=OTHER)
    update = codeartifact.client(OTHER).update_repository
    wanted = TEAM | {"repository": "theirs", "upstreams": [{"repositoryName": "shared"}]}
    assert not allowed(update, **wanted)
    put(codeartifact, "shared", statement(Action="codeartifact:AssociateWithDownstreamRepository"))
    assert allowed(update, **wanted)


def test_a_copy_needs_reading_from_one_and_copying_to_the_other(
    codeartifact: EmbeddedCodeArtifact, identities: StubIdentities
) -> None:
    copy = {
        "domain": "acme",
        "sourceRepository": "team",
        "destinationRepository": "shared",
        "format": "npm",
        "package": "ui",
        "versions": ["1"],
    }
    package = f"arn:aws:codeartifact:us-east-1:{ACCOUNT}:package/acme/shared/npm//ui"
    read = identities.says(action="codeartifact:ReadFromRepository", resource=ARN)
    write = identities.says(action="codeartifact:CopyPackageVersions", resource=package)
    for statements, may in (([read], False), ([write], False), ([read, write], True)):
        identities.own[:] = statements
        codeartifact.application.access.forget()
        assert allowed(codeartifact.client(KEY).copy_package_versions, **copy) is may


def test_a_policy_can_not_lock_its_owner_out(
    codeartifact: EmbeddedCodeArtifact, identities: StubIdentities
) -> None:
    identities.own.append(identities.says())
    put_on_domain(codeartifact, statement(Effect="Deny", Action="*", Principal={"AWS": ROLE}))
    role = codeartifact.client(KEY)
    assert not allowed(role.describe_domain, domain="acme")
    assert allowed(
        role.put_domain_permissions_policy, domain="acme", policyDocument=policy(statement()).document
    )
    put(codeartifact, "team", statement(Effect="Deny", Action="*", Principal={"AWS": ROLE}))
    assert not allowed(role.delete_repository, **TEAM)
    assert allowed(
        role.put_repository_permissions_policy, **TEAM, policyDocument=policy(statement()).document
    )


def test_tags_are_the_domain_s_own_account_s(codeartifact: EmbeddedCodeArtifact) -> None:
    tag = {"resourceArn": ARN, "tags": [{"key": "team", "value": "web"}]}
    assert not allowed(codeartifact.client(OTHER).tag_resource, **tag)
    put(codeartifact, "team", statement(Action="codeartifact:TagResource", Principal={"AWS": OTHER}))
    assert allowed(codeartifact.client(OTHER).tag_resource, **tag)
    assert allowed(codeartifact.client().list_tags_for_resource, resourceArn=ARN.replace("team", "shared"))


def test_a_token_needs_the_permission_of_sts_too(
    codeartifact: EmbeddedCodeArtifact, identities: StubIdentities
) -> None:
    identities.own.append(identities.says())
    assert not allowed(codeartifact.client(KEY).get_authorization_token, domain="acme")
    identities.own.append(identities.says(action="sts:GetServiceBearerToken"))
    codeartifact.application.access.forget()
    assert allowed(codeartifact.client(KEY).get_authorization_token, domain="acme")


def test_a_key_nobody_has_is_refused(codeartifact: EmbeddedCodeArtifact) -> None:
    with pytest.raises(ClientError) as caught:
        codeartifact.client("ASIAUNKNOWN000000000").list_domains()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_without_a_spine_roles_are_unknown_and_roots_are_not() -> None:
    with embedded_codeartifact() as codeartifact:
        assert codeartifact.client(OTHER).list_domains()["domains"] == []
        with pytest.raises(ClientError, match="--spine"):
            codeartifact.client(KEY).list_domains()


def test_who_calls_is_asked_once_in_a_while(
    codeartifact: EmbeddedCodeArtifact, identities: StubIdentities, clock: Clock
) -> None:
    identities.own.append(identities.says())
    client = codeartifact.client(KEY)
    for _ in range(3):
        client.list_packages(**TEAM)
    assert identities.asked == 1
    clock.now += CACHE_SECONDS
    identities.own.clear()
    assert not allowed(client.list_packages, **TEAM)
