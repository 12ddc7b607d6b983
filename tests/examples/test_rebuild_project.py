"""Rebuilding a dependent: what the buildspecs ask for with what Signalbox gives them, and what ends them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.builds.buildspec import Buildspec, parse
from signalbox.packages.owners import Declaration, Owner
from tests.examples.buildspecs import Ran, commands, rehearse, script
from tests.examples.example_templates import EXAMPLES, REBUILD_PROJECT
from tests.template.sources import ROOT, template

FOLDER = EXAMPLES / "rebuild-project"
FORMATS = ["npm", "pypi", "maven"]
TOOLS = ("aws", "npm", "python3", "python", "mvn")
TREE = "org.acme:core:jar:2.0.0:compile"
VARIABLES = {
    "PACKAGE_DOMAIN": "acme",
    "PACKAGE_DOMAIN_OWNER": "111122223333",
    "PACKAGE_REPOSITORY": "payments",
    "PACKAGE_VERSION": "2.0.0",
    "SIGNALBOX_RELEASE": "npm/acme/core#2.0.0",
    "SIGNALBOX_ROUND": "1",
    "SIGNALBOX_PACKAGE": "npm/acme/shop",
    "SIGNALBOX_ATTEMPT": "1",
    "SIGNALBOX_TOKEN": "t-1",
    "TOKEN": "a-token",
    "TREE": TREE,
}
RELEASED = {
    "npm": {"PACKAGE_FORMAT": "npm", "PACKAGE_NAMESPACE": "acme", "PACKAGE_NAME": "core"},
    "pypi": {"PACKAGE_FORMAT": "pypi", "PACKAGE_NAMESPACE": "", "PACKAGE_NAME": "acme-core"},
    "maven": {"PACKAGE_FORMAT": "maven", "PACKAGE_NAMESPACE": "org.acme", "PACKAGE_NAME": "core"},
}


def buildspec(format_: str) -> Buildspec:
    return parse((FOLDER / f"buildspec-{format_}.yml").read_text())


def ran(format_: str, folder: Path, failing: str = "", **variables: str) -> Ran:
    return rehearse(buildspec(format_), folder, TOOLS, VARIABLES | RELEASED[format_] | variables, failing)


def called(outcome: Ran, *beginning: str) -> list[tuple[str, ...]]:
    return [call for call in outcome.calls if call[: len(beginning)] == beginning]


def test_there_is_a_buildspec_for_each_format_that_the_readme_has() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.yml")) == sorted(f"buildspec-{f}.yml" for f in FORMATS)
    assert {f"buildspec-{format_}.yml" in REBUILD_PROJECT.readme for format_ in FORMATS} == {True}


@pytest.mark.parametrize("format_", FORMATS)
def test_shellcheck_finds_nothing(format_: str) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run(  # noqa: S603 - the linter of this environment
        [shellcheck, "--shell=bash", "--exclude=SC2155", "-"],  # an empty token is looked for right behind it
        input=script(buildspec(format_)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout + found.stderr == ""


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_used_is_what_signalbox_gives(format_: str) -> None:
    """Nothing else comes from outside: whatever else has a name is the buildspec's own."""
    used = set(re.findall(r"\$\{?((?:PACKAGE|SIGNALBOX)_\w+)", "\n".join(commands(buildspec(format_)))))
    builds = (ROOT / "layers/signalbox/signalbox/packages/builds.py").read_text()
    given = set(re.findall(r"\"((?:PACKAGE|SIGNALBOX)_\w+)\"", builds))
    assert {"PACKAGE_NAME", "PACKAGE_VERSION", "PACKAGE_REPOSITORY"} <= used <= given
    documented = set(re.findall(r"`((?:PACKAGE|SIGNALBOX)_\w+)`", REBUILD_PROJECT.readme))
    assert documented == given


@pytest.mark.parametrize("format_", FORMATS)
def test_it_logs_in_first_where_the_version_was_published(format_: str, tmp_path: Path) -> None:
    outcome = ran(format_, tmp_path)
    assert outcome.failed == ""
    first = outcome.calls[0]
    assert first[:2] == ("aws", "codeartifact")
    for option, value in (("--domain", "acme"), ("--domain-owner", "111122223333")):
        assert first[first.index(option) + 1] == value
    assert any("payments" in call for call in called(outcome, "aws"))


class TestNpm:
    def test_the_version_is_installed_over_what_is_locked(self, tmp_path: Path) -> None:
        outcome = ran("npm", tmp_path)
        assert [call[1:] for call in called(outcome, "npm")] == [
            ("ci",),
            ("install", "--save-exact", "@acme/core@2.0.0"),
            ("dedupe",),
            ("ls", "--all", "@acme/core"),
            ("run", "build", "--if-present"),
            ("test",),
        ]

    def test_a_package_without_a_scope_has_none(self, tmp_path: Path) -> None:
        outcome = ran("npm", tmp_path, PACKAGE_NAMESPACE="")
        assert called(outcome, "npm", "install") == [("npm", "install", "--save-exact", "core@2.0.0")]


class TestPypi:
    def test_the_version_is_resolved_together_with_the_package(self, tmp_path: Path) -> None:
        outcome = ran("pypi", tmp_path)
        assert called(outcome, "python", "-m", "pip", "install") == [
            ("python", "-m", "pip", "install", "--upgrade", ".[test]", "acme-core==2.0.0")
        ]
        assert outcome.calls[-1] == ("python", "-m", "pytest")


class TestMaven:
    def test_the_version_is_put_into_the_poms_and_looked_for(self, tmp_path: Path) -> None:
        outcome = ran("maven", tmp_path)
        use, tree, verify = called(outcome, "mvn")
        assert {"-Dincludes=org.acme:core", "-DdepVersion=2.0.0", "-DforceVersion=true"} <= set(use)
        assert "dependency:tree" in tree
        assert verify[-1] == "verify"

    def test_a_build_that_would_use_another_version_ends(self, tmp_path: Path) -> None:
        outcome = ran("maven", tmp_path, TREE=TREE.replace("2.0.0", "1.9.0"))
        assert "would not use 2.0.0" in outcome.output
        assert not any(call[-1] == "verify" for call in outcome.calls)

    def test_the_token_is_in_no_file_and_in_no_command(self, tmp_path: Path) -> None:
        outcome = ran("maven", tmp_path)
        settings = (tmp_path / "home" / "rebuild-settings.xml").read_text()
        assert "${env.CODEARTIFACT_AUTH_TOKEN}" in settings
        assert "a-token" not in settings + outcome.output
        assert not any("a-token" in word for call in outcome.calls for word in call)

    def test_no_token_ends_it(self, tmp_path: Path) -> None:
        outcome = ran("maven", tmp_path, TOKEN="")
        assert "CODEARTIFACT_AUTH_TOKEN" in outcome.failed
        assert called(outcome, "mvn") == []


@pytest.mark.parametrize(
    ("format_", "failing"),
    [
        *((format_, "aws*login*") for format_ in ("npm", "pypi")),
        *(("npm", pattern) for pattern in ("npm*ci", "npm*install*", "npm*ls*", "npm*build*", "npm*test")),
        *(("pypi", pattern) for pattern in ("python*pip*install*", "python*check", "python*pytest")),
        *(("maven", pattern) for pattern in ("aws*token*", "mvn*use-dep*", "mvn*tree*", "mvn*verify")),
    ],
)
def test_whatever_fails_ends_the_build(format_: str, failing: str, tmp_path: Path) -> None:
    outcome = ran(format_, tmp_path, failing)
    assert outcome.failed
    assert outcome.failed != commands(buildspec(format_))[-1] or failing.endswith(("test", "verify"))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_name_is_a_name_whatever_is_in_it(format_: str, tmp_path: Path) -> None:
    """What comes from outside is never a part of a command."""
    evil = '$(touch evil); touch evil "'
    outcome = ran(format_, tmp_path, PACKAGE_NAME=evil, SIGNALBOX_RELEASE=evil)
    assert [*tmp_path.rglob("evil")] == []
    assert any(evil in word for call in outcome.calls for word in call)


@pytest.mark.parametrize(
    ("package", "project"),
    [("npm/acme/shop", "rebuild-shop"), ("pypi//acme-shop", "rebuild-acme-shop")],
)
def test_the_readmes_owner_finds_the_project(package: str, project: str) -> None:
    owner = Owner("payments", Declaration(packages=("npm/acme/*",), project="rebuild-{name}"))
    assert owner.project(package) == project
    assert f"`{package}`" in REBUILD_PROJECT.readme
    assert f"`{project}`" in REBUILD_PROJECT.readme


def test_what_it_may_be_called_signalbox_may_start() -> None:
    pattern = REBUILD_PROJECT.template["Parameters"]["ProjectName"]["AllowedPattern"]
    prefix = template()["Parameters"]["PackagesProjectPrefix"]["Default"]
    assert pattern.startswith(f"^{prefix}[")


def test_the_role_publishes_nothing() -> None:
    [policy] = REBUILD_PROJECT.properties("ProjectRole")["Policies"]
    actions = [action for s in policy["PolicyDocument"]["Statement"] for action in _listed(s["Action"])]
    assert {action for action in actions if action.startswith("codeartifact:")} == {
        "codeartifact:GetAuthorizationToken",
        "codeartifact:GetRepositoryEndpoint",
        "codeartifact:ReadFromRepository",
    }


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
