"""The Packages domain as it is deployed on the embedded AWS: its repositories, its projects, its ledger."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from local.deployment import STACK
from local.settings import ACCOUNT
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.coordinates import Package
from signalbox.packages.entries import RETENTION_SECONDS, Entry, Releases
from signalbox.packages.owners import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from local.embedded import EmbeddedAws

DOMAIN = "acme"
SHARED = "shared"
TEAMS = ("platform", "apps")
"""The repositories where teams publish. What is shared comes from there, as their upstream."""
ROLE = "signalbox-demo-rebuild"


@dataclass(frozen=True, slots=True)
class Made:
    """A version that a team makes.

    Attributes:
        package: its key, as in ``npm//core``.
        depends_on: the keys of packages → range.
        more: other members of the seed (local/codeartifact/README.md).
    """

    package: str
    version: str
    repository: str = TEAMS[0]
    depends_on: Mapping[str, str] | None = None
    more: Mapping[str, Any] | None = None

    @property
    def seed(self) -> dict[str, Any]:
        """As CodeArtifact's door takes it."""
        wanted = (self.depends_on or {}).items()
        return {
            **named(self.package),
            "version": self.version,
            "dependencies": [_dependency(package, range_) for package, range_ in wanted],
            "licenses": [{"name": "MIT"}],
            **(self.more or {}),
        }


@dataclass(frozen=True, slots=True)
class Workshop:
    """One deployment, by the outputs of its stack."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]

    # What teams do

    def open(self) -> None:
        """Makes the repositories. What is there already stays."""
        codeartifact = self.aws.client("codeartifact")
        if DOMAIN in {each["name"] for each in codeartifact.list_domains()["domains"]}:
            return
        codeartifact.create_domain(domain=DOMAIN)
        codeartifact.create_repository(domain=DOMAIN, repository=SHARED)
        for team in TEAMS:
            codeartifact.create_repository(
                domain=DOMAIN, repository=team, upstreams=[{"repositoryName": SHARED}]
            )

    def publish(self, *versions: Made) -> None:
        """One after the other, as their tools would."""
        for made in versions:
            self.aws.seed_packages(made.seed, domain=DOMAIN, repository=made.repository)

    def stock(self, *versions: Made) -> None:
        """Has these be there, and shared, from before the stack was: nothing is told of them. The nightly
        rebuild of the index has seen them."""
        with self.unheard():
            self.publish(*versions)
            for made in versions:
                self.copy(made, SHARED)
        self.rebuild_index()

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What changes meanwhile the stack is not told."""
        events, rule = self.aws.client("events"), self.physical("PackagesVersionEventsRule")
        events.disable_rule(Name=rule)
        try:
            yield
            self.aws.ask_codeartifact("POST", "deliver")
        finally:
            events.enable_rule(Name=rule)

    def copy(self, made: Made, destination: str) -> None:
        """Copies a version to another repository, by hand."""
        self.aws.client("codeartifact").copy_package_versions(
            domain=DOMAIN,
            sourceRepository=made.repository,
            destinationRepository=destination,
            **named(made.package),
            versions=[made.version],
        )

    def set_status(self, made: Made, status: str) -> None:
        """Has a version be Unlisted, Archived, or Published again."""
        self.aws.client("codeartifact").update_package_versions_status(
            domain=DOMAIN,
            repository=made.repository,
            **named(made.package),
            versions=[made.version],
            targetStatus=status,
        )

    def declare_owner(self, name: str, packages: Iterable[str], project: str = "rebuild-{name}") -> None:
        """Says whose packages those of these patterns are. A function asks again after a minute only."""
        declared = Declaration(packages=tuple(packages), project=project, contact=f"#{name}")
        self._put(f"{self._place}owners/{name}", msgspec.json.encode(declared).decode())

    def declare_policy(self, policy: Mapping[str, Any] | str) -> None:
        """Says what may be released; likewise."""
        self._put(f"{self._place}policy", policy if isinstance(policy, str) else json.dumps(policy))

    def forget_policy(self) -> None:
        """Has the default policy hold again."""
        self.aws.client("ssm").delete_parameter(Name=f"{self._place}policy")

    def put_project(self, name: str, *commands: str) -> None:
        """Has a project build with these commands."""
        codebuild = self.aws.client("codebuild")
        buildspec = yaml.safe_dump({"version": "0.2", "phases": {"build": {"commands": list(commands)}}})
        source = {"type": "NO_SOURCE", "buildspec": buildspec}
        if codebuild.batch_get_projects(names=[name])["projects"]:
            codebuild.update_project(name=name, source=source)
            return
        codebuild.create_project(
            name=name,
            source=source,
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=self._role(),
        )

    # What is seen of it

    @property
    def releases(self) -> Releases:
        ledger = DynamoLedger(
            self.aws.client("dynamodb"),
            self.outputs["LedgerTableName"],
            time.time,
            retention=RETENTION_SECONDS,
        )
        return Releases(ledger)

    def entries(self, *releases: str) -> dict[str, Entry]:
        """Release → what the ledger knows of it."""
        found = {release: self.releases.read(release) for release in releases}
        return {release: entry for release, entry in found.items() if entry}

    def shared(self, package: str) -> dict[str, str]:
        """Version → status, in the shared repository."""
        return self.versions(package, SHARED)

    def versions(self, package: str, repository: str) -> dict[str, str]:
        """Version → status, in a repository itself."""
        codeartifact = self.aws.client("codeartifact")
        try:
            listed = codeartifact.list_package_versions(
                domain=DOMAIN, repository=repository, **named(package)
            )
        except codeartifact.exceptions.ResourceNotFoundException:
            return {}
        return {each["version"]: each["status"] for each in listed["versions"]}

    def revision(self, package: str, version: str, repository: str) -> str:
        """Of a version, in a repository itself."""
        found = self.aws.client("codeartifact").describe_package_version(
            domain=DOMAIN, repository=repository, **named(package), packageVersion=version
        )
        return str(found["packageVersion"]["revision"])

    def events(self, package: str) -> list[dict[str, Any]]:
        """Those that CodeArtifact has sent of a package, from whichever repository."""
        wanted = named(package)
        told = (each["detail"] for each in self.aws.ask_codeartifact("GET", "events")["events"])
        return [
            detail
            for detail in told
            if (detail["packageName"], detail["packageNamespace"])
            == (wanted["package"], wanted.get("namespace"))
        ]

    def builds(self, *projects: str) -> list[dict[str, Any]]:
        """All builds of these projects, as CodeBuild describes them, the first one first."""
        codebuild = self.aws.client("codebuild")
        ids = [
            build
            for project in projects
            for page in codebuild.get_paginator("list_builds_for_project").paginate(projectName=project)
            for build in page["ids"]
        ]
        pages = [ids[start : start + 100] for start in range(0, len(ids), 100)]
        found = [build for page in pages for build in codebuild.batch_get_builds(ids=page)["builds"]]
        return sorted(found, key=lambda build: build["startTime"])

    def executions(self) -> dict[str, str]:
        """The status of every execution, by its name."""
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        listed = pages.paginate(stateMachineArn=self.outputs["PackagesStateMachineArn"])
        return {each["name"]: each["status"] for page in listed for each in page["executions"]}

    def is_quiet(self) -> bool:
        """Whether no event is on its way, and no execution runs."""
        return not any(map(self._depth, ("Intake", "Builds"))) and "RUNNING" not in self.executions().values()

    def rebuild_index(self) -> None:
        """Does what the nightly job does."""
        answer = self.aws.client("lambda").invoke(FunctionName=self.physical("PackagesRebuildIndexFunction"))
        if "FunctionError" in answer:
            raise RuntimeError(f"the index was not rebuilt: {answer['Payload'].read().decode()}")

    def physical(self, logical_id: str) -> str:
        """The name that CloudFormation gave a resource of the template."""
        found = self.aws.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=logical_id
        )
        name: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return name

    # Plumbing

    @property
    def _place(self) -> str:
        return self.outputs["PackagesPolicyParameter"].removesuffix("policy")

    def _put(self, parameter: str, value: str) -> None:
        self.aws.client("ssm").put_parameter(Name=parameter, Value=value, Type="String", Overwrite=True)

    def _depth(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.outputs[f"Packages{queue}QueueUrl"]
        found = self.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def _role(self) -> str:
        """That of all projects: they may write their logs."""
        iam = self.aws.client("iam")
        trust = _policy("sts:AssumeRole", Principal={"Service": "codebuild.amazonaws.com"})
        logs = _policy("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", Resource="*")
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=ROLE, PolicyName="logs", PolicyDocument=logs)
        return f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"


def _policy(*actions: str, **about: Any) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), **about}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def named(package: str) -> dict[str, str]:
    """A package as CodeArtifact's calls name it, by its key."""
    of = Package.parse_key(package)
    return {
        "format": str(of.format),
        "package": of.name,
        **({"namespace": of.namespace} if of.namespace else {}),
    }


def _dependency(package: str, range_: str) -> dict[str, str]:
    of = named(package)
    of.pop("format")
    return {**of, "dependencyType": "regular", "versionRequirement": range_}
