"""The domain as code, made on the local CodeArtifact, policies enforced: who may do what, and how it ends."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.codeartifact.access import ORGANIZATION
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from local.settings import ACCOUNT
from tests.examples.applied import DOMAIN, REPOSITORY, Applied
from tests.examples.example_templates import PACKAGE_DOMAIN, Node
from tests.examples.people import People

PAYMENTS, PLATFORM, NEIGHBOUR = "444455556666", "777788889999", "222233334444"
PROMOTER = f"arn:aws:iam::{ACCOUNT}:role/promoter"
PARAMETERS = {
    "OrganizationId": ORGANIZATION,
    "PaymentsAccounts": f"{PAYMENTS},333344445555",
    "PlatformAccounts": PLATFORM,
    "PromoterRoleArn": PROMOTER,
}
NINE = {
    *("DescribePackageVersion", "DescribeRepository", "GetPackageVersionReadme", "GetRepositoryEndpoint"),
    *("ListPackages", "ListPackageVersions", "ListPackageVersionAssets", "ListPackageVersionDependencies"),
    "ReadFromRepository",
}
CONTENT = b"what a team has made"
LIBRARY = {"format": "generic", "namespace": "acme", "package": "library", "packageVersion": "1.0.0"}
STORES = {"npm-store", "pypi-store", "maven-store"}
EVERYTHING = {"Effect": "Allow", "Action": ["codeartifact:*", "sts:GetServiceBearerToken"], "Resource": "*"}
OF_A_PROMOTER = {
    "Effect": "Allow",
    "Action": ["codeartifact:ReadFromRepository", "codeartifact:CopyPackageVersions"],
    "Resource": "*",
}


@dataclass(frozen=True)
class Organisation:
    """The domain, and clients of those who use it. A role may do all that its own account can let it do."""

    codeartifact: EmbeddedCodeArtifact
    applied: Applied
    people: People

    def client(self, account: str, role: str = "developer", statement: Node = EVERYTHING) -> Any:
        return self.codeartifact.client(self.people.add(account, role, [statement]))

    @property
    def promoter(self) -> Any:
        return self.client(ACCOUNT, "promoter", OF_A_PROMOTER)

    def publish(self, client: Any, repository: str, version: str = "1.0.0") -> None:
        client.publish_package_version(
            **self.where(repository),
            **(LIBRARY | {"packageVersion": version}),
            assetName="library.bin",
            assetContent=CONTENT,
            assetSHA256=hashlib.sha256(CONTENT).hexdigest(),
        )

    def copy(self, client: Any, source: str = "payments", destination: str = "shared") -> dict[str, Any]:
        answer: dict[str, Any] = client.copy_package_versions(
            domain=self.applied.domain,
            domainOwner=ACCOUNT,
            sourceRepository=source,
            destinationRepository=destination,
            versions=["1.0.0"],
            **{key: value for key, value in LIBRARY.items() if key != "packageVersion"},
        )
        return answer

    def where(self, repository: str) -> dict[str, str]:
        return {"domain": self.applied.domain, "domainOwner": ACCOUNT, "repository": repository}

    def status(self, repository: str) -> str:
        owner = self.codeartifact.client()
        return str(
            owner.describe_package_version(**self.where(repository), **LIBRARY)["packageVersion"]["status"]
        )


@pytest.fixture
def organisation() -> Iterator[Organisation]:
    people = People()
    with embedded_codeartifact(CodeArtifact(people)) as codeartifact:
        applied = Applied(PACKAGE_DOMAIN, PARAMETERS, codeartifact.client())
        applied.make()
        yield Organisation(codeartifact, applied, people)


def refused(call: Any, *args: Any, **kwargs: Any) -> str:
    """The message of the refusal."""
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(error.value)


def reads(organisation: Organisation, client: Any, repository: str) -> None:
    """What a package manager does; the files themselves it fetches from the repository's endpoint."""
    where = organisation.where(repository)
    package = {key: value for key, value in LIBRARY.items() if key != "packageVersion"}
    client.describe_repository(**where)
    client.get_repository_endpoint(**where, format="npm")
    assert client.list_packages(**where)["packages"]
    assert client.list_package_versions(**where, **package)["versions"]
    client.describe_package_version(**where, **LIBRARY)
    assert client.list_package_version_assets(**where, **LIBRARY)["assets"]


class TestMade:
    def test_every_repository_is_there_and_reads_through_the_shared_one(
        self, organisation: Organisation
    ) -> None:
        client = organisation.codeartifact.client()
        upstreams = {}
        for name in organisation.applied.repositories():
            described = client.describe_repository(**organisation.where(name))["repository"]
            upstreams[name] = {upstream["repositoryName"] for upstream in described["upstreams"]}
        assert upstreams == {
            **{store: set() for store in STORES},
            **{team: {"shared"} for team in ("payments", "platform")},
            "shared": STORES,
        }

    def test_each_store_has_a_connection_of_its_own_and_takes_no_second(
        self, organisation: Organisation
    ) -> None:
        client = organisation.codeartifact.client()
        found = {}
        for store in STORES:
            described = client.describe_repository(**organisation.where(store))["repository"]
            [connection] = described["externalConnections"]
            found[store] = connection["externalConnectionName"]
            with pytest.raises(ClientError, match="limited to 1"):
                client.associate_external_connection(
                    **organisation.where(store), externalConnection="public:crates-io"
                )
        assert found == {
            "npm-store": "public:npmjs",
            "pypi-store": "public:pypi",
            "maven-store": "public:maven-central",
        }

    def test_the_shared_repository_allows_the_nine_actions_and_no_other(self) -> None:
        policy = PACKAGE_DOMAIN.properties("Shared")["PermissionsPolicyDocument"]["Statement"]
        [read] = [statement for statement in policy if statement["Sid"] == "ReadFromTheOrganisation"]
        assert {action.removeprefix("codeartifact:") for action in read["Action"]} == NINE
        assert len(read["Action"]) == 9
        assert read["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": {"Ref": "OrganizationId"}}}
        allowed = [statement["Sid"] for statement in policy if statement["Effect"] == "Allow"]
        assert allowed == ["ReadFromTheOrganisation", "Promote"]

    def test_a_policy_is_not_too_long(self, organisation: Organisation) -> None:
        """7,168 characters: "Quotas in AWS CodeArtifact"."""
        longest = max(
            len(json.dumps(organisation.applied.value(resource["Properties"]["PermissionsPolicyDocument"])))
            for resource in PACKAGE_DOMAIN.resources(REPOSITORY).values()
            if "PermissionsPolicyDocument" in resource["Properties"]
        )
        assert longest < 3_000


class TestWhoMayDoWhat:
    def test_a_team_publishes_in_its_own_repository_and_in_no_other(self, organisation: Organisation) -> None:
        payments = organisation.client(PAYMENTS)
        organisation.publish(payments, "payments")
        assert organisation.status("payments") == "Published"
        for other in ("platform", "shared", *STORES):
            refused(organisation.publish, payments, other)

    def test_every_account_that_a_team_has_publishes(self, organisation: Organisation) -> None:
        organisation.publish(organisation.client("333344445555"), "payments")
        assert organisation.status("payments") == "Published"

    def test_an_account_of_the_organisation_reads_what_is_shared_and_publishes_nothing(
        self, organisation: Organisation
    ) -> None:
        organisation.publish(organisation.client(PAYMENTS), "payments")
        organisation.copy(organisation.promoter)
        neighbour = organisation.client(NEIGHBOUR)
        assert neighbour.get_authorization_token(domain="acme", domainOwner=ACCOUNT)["authorizationToken"]
        reads(organisation, neighbour, "shared")
        for repository in ("shared", "payments", "platform", *STORES):
            refused(organisation.publish, neighbour, repository, "2.0.0")
        refused(neighbour.list_packages, **organisation.where("payments"))
        refused(
            neighbour.get_package_version_asset,
            **organisation.where("shared"),
            **LIBRARY,
            asset="library.bin",
        )
        refused(neighbour.create_repository, domain="acme", domainOwner=ACCOUNT, repository="mine")

    def test_an_account_of_another_organisation_gets_nothing(self) -> None:
        people = People()
        with embedded_codeartifact(CodeArtifact(people)) as codeartifact:
            elsewhere = PARAMETERS | {"OrganizationId": "o-another000"}
            applied = Applied(PACKAGE_DOMAIN, elsewhere, codeartifact.client())
            applied.make()
            stranger = Organisation(codeartifact, applied, people).client(NEIGHBOUR)
            shared = {"domain": "acme", "domainOwner": ACCOUNT, "repository": "shared"}
            refused(stranger.list_packages, **shared)
            refused(stranger.get_authorization_token, domain="acme", domainOwner=ACCOUNT)

    def test_the_promoter_copies_and_does_not_publish(self, organisation: Organisation) -> None:
        organisation.publish(organisation.client(PAYMENTS), "payments")
        assert organisation.copy(organisation.promoter)["successfulVersions"].keys() == {"1.0.0"}
        assert organisation.status("shared") == "Published"
        said = refused(
            organisation.publish, organisation.client(ACCOUNT, "promoter"), "shared", version="2.0.0"
        )
        assert "explicit deny in a resource-based policy" in said

    @pytest.mark.parametrize("account", [PAYMENTS, PLATFORM, NEIGHBOUR, ACCOUNT])
    def test_nobody_else_copies_into_the_shared_repository(
        self, organisation: Organisation, account: str
    ) -> None:
        """Not even an administrator of the domain's own account, whose policy allows everything."""
        organisation.publish(organisation.client(PAYMENTS), "payments")
        refused(organisation.copy, organisation.client(account, "administrator"))

    def test_an_administrator_of_the_domains_account_does_not_publish_in_it(
        self, organisation: Organisation
    ) -> None:
        said = refused(organisation.publish, organisation.client(ACCOUNT, "administrator"), "shared")
        assert "explicit deny in a resource-based policy" in said

    def test_a_promoter_of_another_account_needs_only_to_be_let_into_the_sources(self) -> None:
        """Why the README has Signalbox in the domain's account."""
        people = People()
        role = f"arn:aws:iam::{NEIGHBOUR}:role/promoter"
        with embedded_codeartifact(CodeArtifact(people)) as codeartifact:
            applied = Applied(PACKAGE_DOMAIN, PARAMETERS | {"PromoterRoleArn": role}, codeartifact.client())
            applied.make()
            organisation = Organisation(codeartifact, applied, people)
            organisation.publish(organisation.client(PAYMENTS), "payments")
            said = refused(organisation.copy, organisation.client(NEIGHBOUR, "promoter", OF_A_PROMOTER))
            assert "codeartifact:ReadFromRepository" in said


class TestRemoved:
    def test_everything_stays_unless_it_is_asked_for(self) -> None:
        assert PACKAGE_DOMAIN.template["Parameters"]["WhenDeleted"]["Default"] == "Retain"
        for resource in PACKAGE_DOMAIN.template["Resources"].values():
            assert resource["DeletionPolicy"] == {"Ref": "WhenDeleted"}
            assert resource["UpdateReplacePolicy"] == "Retain"

    def test_cloudformations_order_works(self, organisation: Organisation) -> None:
        """What was made last goes first."""
        applied = organisation.applied
        assert applied.made[0] == "Domain"
        for name in reversed(applied.made):
            applied.delete(name)
        assert organisation.codeartifact.client().list_domains()["domains"] == []

    def test_the_order_by_hand_works(self, organisation: Organisation) -> None:
        organisation.publish(organisation.client(PAYMENTS), "payments")
        for operation, arguments in by_hand():
            getattr(organisation.codeartifact.client(), operation)(**arguments)
        assert organisation.codeartifact.client().list_domains()["domains"] == []

    def test_by_hand_all_of_them_are_named_once(self, organisation: Organisation) -> None:
        commands = by_hand()
        named = [arguments["repository"] for operation, arguments in commands[:-1]]
        assert sorted(named) == sorted(organisation.applied.repositories())
        assert commands[-1] == ("delete_domain", {"domain": organisation.applied.domain})

    @pytest.mark.parametrize("first", ["Domain", "Shared", "NpmStore", "PypiStore", "MavenStore"])
    def test_another_order_does_not(self, organisation: Organisation, first: str) -> None:
        with pytest.raises(ClientError) as error:
            organisation.applied.delete(first)
        assert error.value.response["Error"]["Code"] == "ConflictException"
        assert "shared" in organisation.applied.repositories()

    def test_one_repository_that_is_left_keeps_the_domain(self, organisation: Organisation) -> None:
        *others, last, domain = by_hand()
        client = organisation.codeartifact.client()
        for operation, arguments in others:
            getattr(client, operation)(**arguments)
        with pytest.raises(ClientError, match="delete them first"):
            client.delete_domain(**domain[1])
        assert organisation.applied.repositories() == {last[1]["repository"]}

    def test_which_store_or_which_team_goes_first_is_nothing(self) -> None:
        for stores in permutations(["NpmStore", "PypiStore", "MavenStore"]):
            with embedded_codeartifact() as codeartifact:
                applied = Applied(PACKAGE_DOMAIN, PARAMETERS, codeartifact.client())
                applied.make()
                for name in ("PlatformTeam", "PaymentsTeam", "Shared", *stores, "Domain"):
                    applied.delete(name)
                assert codeartifact.client().list_domains()["domains"] == []


def by_hand() -> list[tuple[str, dict[str, str]]]:
    """The README's commands, as operations of a client and their arguments."""
    commands = re.findall(r"^aws codeartifact (delete-\w+) (.+)$", PACKAGE_DOMAIN.readme, re.MULTILINE)
    assert commands
    return [
        (operation.replace("-", "_"), dict(zip(*[iter(options(rest))] * 2, strict=True)))
        for operation, rest in commands
    ]


def options(text: str) -> list[str]:
    return [word.removeprefix("--") for word in shlex.split(text)]


def test_the_makefile_gives_every_parameter_once() -> None:
    makefile = PACKAGE_DOMAIN.path.with_name("Makefile").read_text()
    [given] = re.findall(r"--parameter-overrides ((?:.*\\\n)*.*)", makefile)
    assert sorted(re.findall(r"\b(\w+)=\$\(", given)) == sorted(PACKAGE_DOMAIN.template["Parameters"])


def test_the_domain_is_one_of_its_kind() -> None:
    assert list(PACKAGE_DOMAIN.resources(DOMAIN)) == ["Domain"]


def test_the_outputs_are_signalboxs_parameters(organisation: Organisation) -> None:
    outputs = {name: output["Value"] for name, output in PACKAGE_DOMAIN.template["Outputs"].items()}
    separator, sources = outputs["SourceRepositories"]["Fn::Join"]
    assert separator.join(organisation.applied.value(sources)) == "payments,platform"
    assert organisation.applied.value(outputs["SharedRepository"]) == "shared"
