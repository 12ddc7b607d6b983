"""A job of one's own: its commands, run with the AWS CLI on the local CodeArtifact; what makes it a job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.builds import image
from local.builds.buildspec import Buildspec, parse
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from local.settings import ACCOUNT, REGION, SECRET_KEY
from operations.jobs import jobs_among
from tests.examples.buildspecs import Ran, run
from tests.examples.example_templates import SCHEDULED_JOB, Node
from tests.examples.people import People
from tests.template.deployed import PLACEHOLDER, PSEUDO_PARAMETERS, Deployed
from tests.template.sources import resources

DAYS = 180
UI, LIBRARY = (
    {"format": "npm", "namespace": "acme", "package": "ui"},
    {"format": "pypi", "package": "library"},
)


@dataclass
class Clock:
    """What the repository takes for the time."""

    days_ago: float = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=self.days_ago)


@dataclass(frozen=True)
class Shelf:
    """A repository with versions of different ages."""

    codeartifact: EmbeddedCodeArtifact
    clock: Clock
    people: People
    folder: Path
    image: Path

    def put(self, package: dict[str, str], version: str, status: str, days_ago: float) -> None:
        self.clock.days_ago = days_ago
        self.codeartifact.seed({**package, "version": version, "status": status})
        self.clock.days_ago = 0.0

    def versions(self, package: dict[str, str]) -> set[str]:
        listed = self.codeartifact.client().list_package_versions(domain="acme", repository="team", **package)
        return {version["version"] for version in listed["versions"]}

    def tidy(self, *, dry_run: bool, may_delete: bool | None = None) -> Ran:
        """As the job's role, which may delete where it is to."""
        may = not dry_run if may_delete is None else may_delete
        variables = {
            "PATH": image.path(self.image, os.environ["PATH"]),
            "AWS_ENDPOINT_URL": self.codeartifact.url,
            "AWS_ACCESS_KEY_ID": self.people.add(ACCOUNT, "job", permissions(may_delete=may)),
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "DOMAIN": "acme",
            "REPOSITORY": "team",
            "OLDER_THAN_DAYS": str(DAYS),
            "DRY_RUN": str(dry_run).lower(),
        }
        return run(buildspec(), self.folder, variables)


def buildspec() -> Buildspec:
    return parse(str(SCHEDULED_JOB.properties("Project")["Source"]["BuildSpec"]))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `aws` lies."""
    folder = tmp_path_factory.mktemp("tools") / "image"
    image.write_image(folder)
    return folder


@pytest.fixture
def shelf(tmp_path: Path, tools: Path) -> Iterator[Shelf]:
    clock, people = Clock(), People()
    with embedded_codeartifact(CodeArtifact(people, now=clock)) as codeartifact:
        made = Shelf(codeartifact, clock, people, tmp_path, tools)
        made.put(UI, "1.0.0", "Unlisted", DAYS + 10)
        made.put(UI, "1.1.0", "Unlisted", DAYS - 10)
        made.put(UI, "2.0.0", "Published", DAYS + 10)
        made.put(LIBRARY, "0.1", "Unlisted", DAYS + 400)
        made.put(LIBRARY, "0.2", "Archived", DAYS + 400)
        yield made


def test_a_dry_run_tells_and_changes_nothing(shelf: Shelf) -> None:
    ran = shelf.tidy(dry_run=True)
    assert ran.failed == ""
    assert "npm acme ui 1.0.0, published" in ran.output
    assert "pypi - library 0.1, published" in ran.output
    assert "2 would be deleted. Nothing was" in ran.output
    assert shelf.versions(UI) == {"1.0.0", "1.1.0", "2.0.0"}
    assert shelf.versions(LIBRARY) == {"0.1", "0.2"}


def test_what_is_unlisted_and_old_is_deleted_and_nothing_else(shelf: Shelf) -> None:
    ran = shelf.tidy(dry_run=False)
    assert (ran.failed, ran.output.splitlines()[-1]) == ("", "2 deleted.")
    assert shelf.versions(UI) == {"1.1.0", "2.0.0"}
    assert shelf.versions(LIBRARY) == {"0.2"}


def test_a_refusal_fails_the_build(shelf: Shelf) -> None:
    """Here of the role of a dry run, which may not delete whatever the commands do."""
    ran = shelf.tidy(dry_run=False, may_delete=False)
    assert ran.failed
    assert "AccessDenied" in ran.output
    assert shelf.versions(UI) == {"1.0.0", "1.1.0", "2.0.0"}


def test_an_empty_repository_is_fine(tmp_path: Path, tools: Path) -> None:
    people = People()
    with embedded_codeartifact(CodeArtifact(people)) as codeartifact:
        owner = codeartifact.client()
        owner.create_domain(domain="acme")
        owner.create_repository(domain="acme", repository="team")
        ran = Shelf(codeartifact, Clock(), people, tmp_path, tools).tidy(dry_run=True)
    assert (ran.failed, ran.output.splitlines()[-1][:19]) == ("", "0 would be deleted.")


def permissions(*, may_delete: bool) -> list[Node]:
    """Of the job's role, in this account."""
    [policy] = SCHEDULED_JOB.properties("ProjectRole")["Policies"]
    chosen = [
        each["Fn::If"][1 if may_delete else 2] if "Fn::If" in each else each
        for each in policy["PolicyDocument"]["Statement"]
    ]
    own_log = {"Fn::GetAtt": ["ProjectLogGroup", "Arn"]}
    return [
        {**each, "Resource": arn(each["Resource"]["Fn::Sub"])}
        for each in chosen
        if each != {"Ref": "AWS::NoValue"} and each["Resource"] != own_log
    ]


def arn(text: str) -> str:
    values = {**PSEUDO_PARAMETERS, "DomainName": "acme", "RepositoryName": "team"}
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)


def test_it_may_delete_only_where_it_is_to() -> None:
    may, may_not = permissions(may_delete=True), permissions(may_delete=False)
    assert [each["Sid"] for each in may if each not in may_not] == ["DeleteVersions"]
    assert SCHEDULED_JOB.template["Conditions"]["Deletes"] == {"Fn::Equals": [{"Ref": "DryRun"}, "false"]}
    assert SCHEDULED_JOB.template["Parameters"]["DryRun"]["Default"] == "true"


def test_its_name_makes_it_a_job_whose_failures_are_told_of() -> None:
    stack = "signalbox-test"
    name = SCHEDULED_JOB.properties("Project")["Name"]["Fn::Sub"].replace("${SignalboxStack}", stack)
    assert jobs_among([name], stack) == ("tidy-versions",)
    pattern = resources()["PackagesJobFailedRule"]["Properties"]["EventPattern"]["detail"]
    [prefix] = Deployed({}).value(pattern["project-name"])
    assert name.startswith(prefix["prefix"])


def test_signalboxs_own_job_is_made_the_same_way() -> None:
    """What an example recommends, the stack does: one at a time, a timeout, a log group, no privileges."""
    ours = resources()["PackagesRebuildIndexProject"]["Properties"]
    example = SCHEDULED_JOB.properties("Project")
    for each in (ours, example):
        assert each["ConcurrentBuildLimit"] == 1
        assert each["TimeoutInMinutes"] <= 60
        assert each["Environment"]["PrivilegedMode"] is False
        assert each["LogsConfig"]["CloudWatchLogs"]["Status"] == "ENABLED"
    assert ours["Environment"]["Image"] == example["Environment"]["Image"]
