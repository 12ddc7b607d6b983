"""Packages and versions as they are listed, described and fetched; how they are published and seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.publishing import ASSETS_PER_VERSION
from local.codeartifact.service import CodeArtifact

TEAM = {"domain": "acme", "repository": "team"}
UI = TEAM | {"format": "npm", "namespace": "acme", "package": "ui"}
TOOL = TEAM | {"format": "generic", "package": "tool", "packageVersion": "1.0"}


@dataclass
class Calendar:
    """Each look is a minute later."""

    now: datetime = field(default=datetime(2026, 1, 31, tzinfo=UTC))

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def codeartifact() -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact(CodeArtifact(clock=lambda: 0.0, now=Calendar())) as running:
        running.seed()
        running.ask("POST", "limits", {"enabled": False})
        yield running


@pytest.fixture
def client(codeartifact: EmbeddedCodeArtifact) -> Any:
    return codeartifact.client()


def ui(version: str, **members: Any) -> dict[str, Any]:
    return {"format": "npm", "namespace": "acme", "package": "ui", "version": version, **members}


def publish(client: Any, name: str, content: bytes = b"content", **members: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    given = TOOL | {"assetName": name, "assetContent": content, "assetSHA256": sha256} | members
    answer: dict[str, Any] = client.publish_package_version(**given)
    return answer


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_packages_are_listed_by_format_namespace_prefix_and_page(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    codeartifact.seed(
        ui("1"),
        {"format": "npm", "package": "util", "version": "1"},
        {"format": "npm", "package": "left-pad", "version": "1", "externalConnection": "public:npmjs"},
        {"format": "maven", "namespace": "com.acme", "package": "ui", "version": "1"},
    )

    def names(**asked: Any) -> list[str]:
        pages = client.get_paginator("list_packages").paginate(
            **TEAM, **asked, PaginationConfig={"PageSize": 1}
        )
        return [f"{one['format']}:{one['package']}" for page in pages for one in page["packages"]]

    assert names() == ["maven:ui", "npm:left-pad", "npm:util", "npm:ui"]
    assert names(format="npm", packagePrefix="u") == ["npm:util", "npm:ui"]
    assert names(namespace="com.acme") == ["maven:ui"]
    assert names(publish="BLOCK") == ["npm:left-pad"]
    assert names(upstream="ALLOW", format="maven") == []


def test_versions_are_listed_by_status_origin_and_time(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    codeartifact.seed(ui("2.0.0"))
    codeartifact.seed(ui("10.0.0", status="Unlisted"))
    codeartifact.seed(ui("1.0.0", externalConnection="public:npmjs"))
    codeartifact.seed(ui("3.0.0", status="Unfinished"))

    def versions(**asked: Any) -> list[str]:
        pages = client.get_paginator("list_package_versions").paginate(
            **UI, **asked, PaginationConfig={"PageSize": 2}
        )
        return [one["version"] for page in pages for one in page["versions"]]

    assert versions() == ["1.0.0", "10.0.0", "2.0.0", "3.0.0"]
    assert versions(sortBy="PUBLISHED_TIME") == ["1.0.0", "10.0.0", "2.0.0", "3.0.0"]
    assert versions(status="Unlisted") == ["10.0.0"]
    assert versions(originType="EXTERNAL") == ["1.0.0"]
    codeartifact.seed(ui("2.5.0"))
    assert versions(sortBy="PUBLISHED_TIME")[:2] == ["2.5.0", "1.0.0"]
    assert client.list_package_versions(**UI)["defaultDisplayVersion"] == "2.5.0"
    codeartifact.seed(ui("0.1.0", tags=["latest"]))
    assert client.list_package_versions(**UI)["defaultDisplayVersion"] == "0.1.0"


def test_a_page_s_token_is_for_its_own_question(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    codeartifact.seed(*(ui(f"{number}.0.0") for number in range(3)))
    token = client.list_package_versions(**UI, maxResults=1)["nextToken"]
    assert (
        code(client.list_package_versions, **UI, status="Published", nextToken=token) == "ValidationException"
    )
    assert code(client.list_package_versions, **UI, nextToken="mine") == "ValidationException"
    codeartifact.seed(ui("0.5.0"))
    rest = client.list_package_versions(**UI, nextToken=token)["versions"]
    assert [one["version"] for one in rest] == ["0.5.0", "1.0.0", "2.0.0"]


def test_a_version_is_described_with_what_its_files_say(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    said = {
        "summary": "widgets",
        "homePage": "https://example.com",
        "sourceCodeRepository": "https://example.com/git",
        "licenses": [{"name": "MIT", "url": "https://example.com/mit"}, {"name": "ISC"}],
    }
    [seeded] = codeartifact.seed(ui("1.0.0", **said, readme="# ui"))
    version = client.describe_package_version(**UI, packageVersion="1.0.0")["packageVersion"]
    assert {name: version[name] for name in said} == said
    assert version["displayName"] == "@acme/ui"
    assert version["revision"] == seeded["revision"]
    assert version["origin"] == {"domainEntryPoint": {"repositoryName": "team"}, "originType": "INTERNAL"}
    assert client.get_package_version_readme(**UI, packageVersion="1.0.0")["readme"] == "# ui"
    package = client.describe_package(**UI)["package"]
    assert (package["name"], package["namespace"]) == ("ui", "acme")
    codeartifact.seed(ui("2.0.0"))
    readme = client.get_package_version_readme
    assert code(readme, **UI, packageVersion="2.0.0") == "ResourceNotFoundException"


def test_assets_are_listed_in_pages_and_fetched(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    assets = [{"name": f"{number}.tgz", "content": "x" * number} for number in range(5)]
    codeartifact.seed(ui("1.0.0", assets=assets))
    version = UI | {"packageVersion": "1.0.0"}
    pages = client.get_paginator("list_package_version_assets").paginate(
        **version, PaginationConfig={"PageSize": 2}
    )
    listed = [one for page in pages for one in page["assets"]]
    assert [(one["name"], one["size"]) for one in listed] == [(f"{size}.tgz", size) for size in range(5)]
    assert listed[3]["hashes"]["SHA-256"] == hashlib.sha256(b"xxx").hexdigest()
    get = client.get_package_version_asset
    fetched = get(**version, asset="3.tgz")
    assert fetched["asset"].read() == b"xxx"
    assert get(**version, asset="3.tgz", packageVersionRevision=fetched["packageVersionRevision"])
    for wrong in ({"asset": "9.tgz"}, {"asset": "3.tgz", "packageVersionRevision": "another"}):
        assert code(get, **version, **wrong) == "ResourceNotFoundException"


@pytest.mark.parametrize("status", ["Archived", "Disposed"])
def test_assets_that_are_put_away_can_not_be_fetched(
    codeartifact: EmbeddedCodeArtifact, client: Any, status: str
) -> None:
    codeartifact.seed(ui("1.0.0", status=status))
    get = client.get_package_version_asset
    assert code(get, **UI, packageVersion="1.0.0", asset="ui-1.0.0.tgz") == "ResourceNotFoundException"


def test_dependencies_are_those_of_the_repository_s_own_version(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    asked = [
        {
            "namespace": "acme",
            "package": "core",
            "dependencyType": "regular",
            "versionRequirement": "^2.0.0",
        },
        {"package": "jest", "dependencyType": "dev", "versionRequirement": "*"},
    ]
    codeartifact.seed(ui("1.0.0", dependencies=asked))
    depends = client.list_package_version_dependencies
    assert depends(**UI, packageVersion="1.0.0")["dependencies"] == asked
    codeartifact.seed(repository="app")
    client.update_repository(domain="acme", repository="app", upstreams=[{"repositoryName": "team"}])
    downstream = UI | {"repository": "app", "packageVersion": "1.0.0"}
    assert code(depends, **downstream) == "ResourceNotFoundException"


def test_many_dependencies_come_in_pages(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    names = [f"package-{number}" for number in range(250)]
    codeartifact.seed(ui("1.0.0", dependencies=[{"package": name} for name in names]))
    found, token = list[str](), dict[str, str]()
    while True:
        page = client.list_package_version_dependencies(**UI, packageVersion="1.0.0", **token)
        found += [one["package"] for one in page["dependencies"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert found == names


def test_a_python_package_is_known_by_its_normal_name(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    codeartifact.seed({"format": "pypi", "package": "My_Lib", "version": "1.0"})
    found = client.describe_package(**TEAM, format="pypi", package="my.lib")["package"]
    assert found["name"] == "my-lib"


def test_a_generic_version_is_published_asset_by_asset(client: Any) -> None:
    first = publish(client, "a", unfinished=True)
    assert first["status"] == "Unfinished"
    assert "publishedTime" not in client.describe_package_version(**TOOL)["packageVersion"]
    last = publish(client, "b")
    assert last["status"] == "Published"
    assert last["versionRevision"] != first["versionRevision"]
    assert client.describe_package_version(**TOOL)["packageVersion"]["publishedTime"]


def test_what_is_published_stays_as_it_is(client: Any) -> None:
    done = publish(client, "a")
    assert publish(client, "a")["versionRevision"] == done["versionRevision"]
    assert publish(client, "a", unfinished=True)["status"] == "Published"
    with pytest.raises(client.exceptions.ConflictException, match="another content"):
        publish(client, "a", b"other")
    with pytest.raises(client.exceptions.ConflictException, match="while unfinished"):
        publish(client, "b")


def test_a_publication_is_generic_and_whole(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationException, match="generic packages only"):
        publish(client, "a", format="npm")
    with pytest.raises(client.exceptions.ValidationException, match="SHA-256"):
        publish(client, "a", assetSHA256="0" * 64)
    assert client.list_packages(**TEAM)["packages"] == []


def test_a_version_has_so_many_assets(codeartifact: EmbeddedCodeArtifact) -> None:
    assets = [{"name": str(number)} for number in range(ASSETS_PER_VERSION + 1)]
    codeartifact.seed(ui("1.0.0", assets=assets[1:]))
    with pytest.raises(requests.HTTPError) as caught:
        codeartifact.seed(ui("1.0.0", assets=assets))
    assert caught.value.response.status_code == 402


def steps(codeartifact: EmbeddedCodeArtifact) -> list[tuple[str, str, int]]:
    return [
        (
            event["detail"]["operationType"],
            event["detail"]["packageVersionState"],
            event["detail"]["changes"]["assetsAdded"],
        )
        for event in codeartifact.events()
    ]


@pytest.mark.parametrize(
    ("package_format", "expected"),
    [
        ("npm", [("Created", "Published", 2)]),
        ("pypi", [("Created", "Published", 1), ("Updated", "Published", 1)]),
        (
            "maven",
            [("Created", "Unfinished", 1), ("Updated", "Unfinished", 1), ("Updated", "Published", 0)],
        ),
    ],
)
def test_a_seed_comes_in_the_steps_of_its_tool(
    codeartifact: EmbeddedCodeArtifact, package_format: str, expected: list[tuple[str, str, int]]
) -> None:
    package = {
        "format": package_format,
        "package": "lib",
        "version": "1",
        "assets": [{"name": "a"}, {"name": "b"}],
    }
    codeartifact.seed(package | {"asPublished": True})
    assert steps(codeartifact) == expected


def test_a_seed_comes_at_once_if_it_is_not_told_otherwise(codeartifact: EmbeddedCodeArtifact) -> None:
    assets = [{"name": "a"}, {"name": "b"}]
    codeartifact.seed({"format": "maven", "package": "lib", "version": "1", "assets": assets})
    assert steps(codeartifact) == [("Created", "Published", 2)]


def test_a_null_in_a_seed_counts_as_not_given(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed(ui("1.0.0", tags=None, assets=None, dependencies=None) | {"namespace": None})
    answer = codeartifact.ask("POST", "seed", TEAM | {"packages": [ui("1.0.0", format=None)]})
    assert "packages[0].format: it is needed" in answer.json()["message"]


def test_a_version_without_assets_comes_in_one_step(codeartifact: EmbeddedCodeArtifact) -> None:
    bare = {"format": "maven", "package": "lib", "version": "1", "assets": [], "asPublished": True}
    codeartifact.seed(bare)
    assert steps(codeartifact) == [("Created", "Published", 0)]


def test_the_same_seed_again_changes_nothing(codeartifact: EmbeddedCodeArtifact) -> None:
    assert codeartifact.seed(ui("1.0.0")) == codeartifact.seed(ui("1.0.0"))
    assert len(codeartifact.events()) == 1


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "domain"),
        ({"domain": "acme"}, "repository"),
        (TEAM | {"packages": [{"format": "deb", "package": "a", "version": "1"}]}, r"packages[0].format"),
        (TEAM | {"packages": [ui("1"), {"format": "npm", "package": "a"}]}, "packages[1].version"),
        (TEAM | {"packages": [ui("1", status="Gone")]}, "packages[0].status"),
        (TEAM | {"packages": [ui("1", asset=[])]}, "packages[0].asset"),
        (TEAM | {"packages": [ui("1", status="Deleted")]}, "packages[0].status"),
        (TEAM | {"packages": [ui("1", assets=[{}])]}, "packages[0].assets[0].name"),
        (
            TEAM | {"packages": [ui("1", assets=[{"name": "a", "content": 1}])]},
            "packages[0].assets[0].content",
        ),
        (TEAM | {"packages": [ui("1", assets={})]}, "packages[0].assets"),
        (TEAM | {"packages": [ui("1", summary=1)]}, "packages[0].summary"),
        (TEAM | {"packages": [ui("1", dependencies=[{"name": "a"}])]}, "packages[0].dependencies[0].name"),
        (TEAM | {"packages": [ui("with space")]}, "packages[0].version"),
        (TEAM | {"packages": [ui("1", tags="latest")]}, "packages[0].tags"),
        (TEAM | {"packages": {}}, "packages"),
        (TEAM | {"domain": "UPPER"}, "domain"),
        (TEAM | {"account": "111122223333"}, "account"),
        (TEAM | {"packages": ["ui"]}, "packages[0]"),
    ],
)
def test_a_seed_with_an_error_is_refused_as_a_whole_with_its_place(
    codeartifact: EmbeddedCodeArtifact, document: dict[str, Any], place: str
) -> None:
    answer = codeartifact.ask("POST", "seed", document)
    assert answer.status_code == 400
    assert place in answer.json()["message"]
    assert codeartifact.events() == []
