"""Whose a package is, which project builds it, and what declarations are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import RejectedError
from signalbox.packages.findings import Finding
from signalbox.packages.owners import PROJECT, Owner, Owners, parse_owner


def owner(name: str, *packages: str, **declared: Any) -> Owner:
    return parse_owner(name, json.dumps({"packages": packages, **declared}))


def test_an_owner_is_read_as_declared() -> None:
    read = owner("web", "npm/acme/*", "pypi//acme-*", project="rebuild-{name}", contact="#web")
    assert (read.name, read.declared.packages) == ("web", ("npm/acme/*", "pypi//acme-*"))
    assert (read.declared.project, read.declared.contact) == ("rebuild-{name}", "#web")


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("no JSON", "unreadable", "$"),
        (b"\xff", "unreadable", "$"),
        ("[]", "malformed", "$"),
        ("{}", "malformed", "$"),
        ('{"packages": []}', "malformed", "$.packages"),
        ('{"packages": ["npm//a", 1]}', "malformed", "$.packages[1]"),
        ('{"packages": ["npm//a"], "projects": "x"}', "malformed", "$"),
        ('{"packages": ["npm//a", "npm/acme"]}', "malformed-pattern", "$.packages[1]"),
        ('{"packages": ["cargo//a"]}', "malformed-pattern", "$.packages[0]"),
        ('{"packages": ["npm//a"], "project": "{nmae}"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x{name"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x{}"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x{name!r}"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x{name:>9}"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x{name.a}"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "re build"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "-{name}"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x{{"}', "malformed-project", "$.project"),
        ('{"packages": ["npm//a"], "project": "x"}', "malformed-project", "$.project"),
        (json.dumps({"packages": ["npm//a"], "project": "x" * 151}), "malformed-project", "$.project"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str | bytes, code: str, where: str) -> None:
    with pytest.raises(RejectedError) as refused:
        parse_owner("web", text)
    assert (refused.value.code, refused.value.where) == (code, where)


def test_the_longest_pattern_decides_and_then_the_name() -> None:
    owners = Owners(
        [
            owner("all", "*/*/*"),
            owner("web", "npm/acme/*"),
            owner("ui", "npm/acme/ui", "pypi//u*"),
            owner("b", "npm/x/a*"),
            owner("a", "npm/x/*a"),
        ]
    )
    found = {
        package: each.name if (each := owners.of(package)) else None
        for package in ("npm/acme/ui", "npm/acme/core", "npm//ui", "pypi//ui", "npm/x/aa", "npm/x/ab")
    }
    assert found == {
        "npm/acme/ui": "ui",
        "npm/acme/core": "web",
        "npm//ui": "all",
        "pypi//ui": "ui",
        "npm/x/aa": "a",
        "npm/x/ab": "b",
    }


def test_nobody_owns_what_no_pattern_matches() -> None:
    assert Owners([owner("web", "npm/acme/*")]).of("npm//acme") is None
    assert Owners().of("npm//acme") is None


def test_two_owners_of_one_pattern_are_an_error_that_names_both() -> None:
    with pytest.raises(RejectedError, match="web and by ui") as refused:
        Owners([owner("web", "npm/acme/*"), owner("ui", "npm/x/*", "npm/acme/*")])
    assert (refused.value.code, refused.value.where) == ("same-pattern", "$.packages[1]")


@pytest.mark.parametrize(
    ("package", "project", "made"),
    [
        ("npm/acme/ui", "rebuild-{name}", "rebuild-ui"),
        ("maven/org.acme/core", "{format}_{namespace}-{name}", "maven_org-acme-core"),
        ("npm//left.pad", "{namespace}x{name}", "xleft-pad"),
        ("npm/acme/ui", "rebuild", "rebuild"),
        ("npm/acme/größe", "rebuild-{name}", "rebuild-gr--e"),
    ],
)
def test_a_project_is_named_after_the_package(package: str, project: str, made: str) -> None:
    assert Owners([owner("web", "*/*/*", project=project)]).project(package) == made


@pytest.mark.parametrize(
    ("package", "project", "what"),
    [
        ("npm/other/ui", "rebuild", "nobody owns it"),
        ("npm/acme/ui", "", "its owner web names no project"),
        ("npm/acme/_ui", "{name}", "no project can be called '_ui'"),
        ("npm/acme/" + "u" * 150, "rebuild-{name}", "no project can be called"),
    ],
)
def test_a_package_that_no_project_builds_is_a_finding(package: str, project: str, what: str) -> None:
    found = Owners([owner("web", "npm/acme/*", project=project)]).project(package)
    assert isinstance(found, Finding)
    assert (found.code, found.subject) == ("no-project", package)
    assert package in found.text
    assert what in found.text


@given(st.from_regex(r"[^#/\s]{1,40}", fullmatch=True), st.from_regex(r"[^#/\s]{1,40}", fullmatch=True))
def test_whatever_a_package_is_called_its_project_has_a_name_that_codebuild_takes(
    namespace: str, name: str
) -> None:
    made = owner("web", "*/*/*", project="r-{namespace}-{name}").project(f"maven/{namespace}/{name}")
    assert isinstance(made, str)
    assert PROJECT.fullmatch(made)
