"""CopyPackageVersions: copied, already there, or failed together; and the same of changes of status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local.codeartifact.copying import CopyPlan, plan_copy
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.model import Asset, Metadata, Origin, PackageVersion, Status, revision_of

UI = {"domain": "acme", "format": "npm", "package": "ui"}
TEAM = UI | {"repository": "team"}
COPY = UI | {"sourceRepository": "team", "destinationRepository": "shared"}
NAMES = ("1.0.0", "2.0.0", "3.0.0", "4.0.0")


def version(name: str, content: str, status: Status = Status.PUBLISHED) -> PackageVersion:
    asset = Asset.of(f"{name}.tgz", content.encode())
    revision = revision_of([asset], Metadata())
    published = datetime(2026, 1, 31, tzinfo=UTC)
    return PackageVersion(name, status, {asset.name: asset}, Metadata(), Origin("team"), published, revision)


contents = st.sampled_from(["one", "two"])
shelves = st.dictionaries(st.sampled_from(NAMES), contents, max_size=4).map(
    lambda shelf: {name: version(name, content) for name, content in shelf.items()}
)
pins = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([None, "right", "wrong"]), min_size=1)


def asked(pinned: dict[str, str | None], source: dict[str, PackageVersion]) -> dict[str, str | None]:
    def revision(name: str, pin: str | None) -> str | None:
        right = source[name].revision if name in source else "none"
        return {"right": right, "wrong": "another", None: None}[pin]

    return {name: revision(name, pin) for name, pin in pinned.items()}


def apply(plan: CopyPlan, destination: dict[str, PackageVersion]) -> dict[str, PackageVersion]:
    return destination | dict(plan.copied)


@given(pins, shelves, shelves, st.booleans())
def test_a_copy_is_all_or_nothing_and_every_version_is_accounted_for(
    pinned: dict[str, str | None],
    source: dict[str, PackageVersion],
    destination: dict[str, PackageVersion],
    overwrite: bool,  # noqa: FBT001 - drawn
) -> None:
    wanted = asked(pinned, source)
    plan = plan_copy(wanted, source, destination, overwrite=overwrite)
    identical = {
        name
        for name in wanted
        if name in source and name in destination and source[name].revision == destination[name].revision
    }
    unpinned = {name for name, pin in pinned.items() if pin != "wrong"}
    assert not (plan.copied and plan.failed)
    assert set(wanted) - set(plan.copied) - set(plan.failed) == identical & unpinned
    codes = {name: code for name, (code, _) in plan.failed.items()}
    for name, code in codes.items():
        match code:
            case "NOT_FOUND":
                assert name not in source
            case "MISMATCHED_REVISION":
                assert pinned[name] == "wrong"
            case "ALREADY_EXISTS":
                assert name in destination
                assert not overwrite
            case "SKIPPED":
                assert set(codes.values()) != {"SKIPPED"}
            case _:
                pytest.fail(f"{code} for {name}")


@given(pins, shelves, shelves, st.booleans())
def test_a_copy_that_is_repeated_copies_nothing_more_and_fails_no_other_way(
    pinned: dict[str, str | None],
    source: dict[str, PackageVersion],
    destination: dict[str, PackageVersion],
    overwrite: bool,  # noqa: FBT001 - drawn
) -> None:
    wanted = asked(pinned, source)
    first = plan_copy(wanted, source, destination, overwrite=overwrite)
    after = apply(first, destination)
    again = plan_copy(wanted, source, after, overwrite=overwrite)
    assert not again.copied
    assert again.failed == first.failed
    if not first.failed:
        assert all(after[name].revision == source[name].revision for name in wanted)


@pytest.mark.parametrize("status", [Status.ARCHIVED, Status.DISPOSED])
def test_what_is_put_away_is_not_copied(status: Status) -> None:
    source = {"1.0.0": version("1.0.0", "one", status), "2.0.0": version("2.0.0", "two")}
    plan = plan_copy(dict.fromkeys(source), source, {}, overwrite=True)
    assert {name: code for name, (code, _) in plan.failed.items()} == {
        "1.0.0": "NOT_ALLOWED",
        "2.0.0": "SKIPPED",
    }


@pytest.fixture
def codeartifact() -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact() as running:
        running.ask("POST", "limits", {"enabled": False})
        running.seed(*(ui(name) for name in NAMES[:3]))
        running.seed(repository="shared")
        yield running


@pytest.fixture
def client(codeartifact: EmbeddedCodeArtifact) -> Any:
    return codeartifact.client()


def ui(name: str, content: str = "one", **members: Any) -> dict[str, Any]:
    asset = {"name": f"ui-{name}.tgz", "content": content}
    return {"format": "npm", "package": "ui", "version": name, "assets": [asset], **members}


def codes(answer: dict[str, Any]) -> dict[str, str]:
    return {name: failed["errorCode"] for name, failed in answer["failedVersions"].items()}


def revisions(client: Any, repository: str) -> dict[str, str]:
    found = client.list_package_versions(**UI, repository=repository)["versions"]
    return {one["version"]: one["revision"] for one in found}


def invalid(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    return str(error["Message"])


def test_copied_versions_are_told_with_revision_and_status(client: Any) -> None:
    answer = client.copy_package_versions(**COPY, versions=["1.0.0", "2.0.0"])
    source = revisions(client, "team")
    assert answer["successfulVersions"] == {
        name: {"revision": source[name], "status": "Published"} for name in ("1.0.0", "2.0.0")
    }
    assert answer["failedVersions"] == {}
    assert revisions(client, "shared") == {name: source[name] for name in ("1.0.0", "2.0.0")}


def test_what_is_identical_already_is_in_neither_map_and_makes_no_event(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    client.copy_package_versions(**COPY, versions=["1.0.0"])
    before = len(codeartifact.events())
    answer = client.copy_package_versions(**COPY, versions=["1.0.0"])
    assert (answer["successfulVersions"], answer["failedVersions"]) == ({}, {})
    assert len(codeartifact.events()) == before
    answer = client.copy_package_versions(**COPY, versions=["1.0.0", "2.0.0"])
    assert list(answer["successfulVersions"]) == ["2.0.0"]


def test_one_that_differs_stops_all_unless_overwriting_is_allowed(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    codeartifact.seed(ui("1.0.0", "changed"), repository="shared")
    answer = client.copy_package_versions(**COPY, versions=["1.0.0", "2.0.0"])
    assert codes(answer) == {"1.0.0": "ALREADY_EXISTS", "2.0.0": "SKIPPED"}
    assert list(revisions(client, "shared")) == ["1.0.0"]
    answer = client.copy_package_versions(**COPY, versions=["1.0.0", "2.0.0"], allowOverwrite=True)
    assert list(answer["successfulVersions"]) == ["1.0.0", "2.0.0"]
    source = revisions(client, "team")
    assert revisions(client, "shared") == {name: source[name] for name in ("1.0.0", "2.0.0")}
    overwritten = [
        one["detail"] for one in codeartifact.events() if one["detail"]["repositoryName"] == "shared"
    ][1]
    assert (overwritten["operationType"], overwritten["changes"]["assetsUpdated"]) == ("Updated", 1)


def test_a_revision_that_is_pinned_must_match(client: Any) -> None:
    right = revisions(client, "team")
    pinned = {"1.0.0": right["1.0.0"], "2.0.0": "another"}
    answer = client.copy_package_versions(**COPY, versionRevisions=pinned)
    assert codes(answer) == {"1.0.0": "SKIPPED", "2.0.0": "MISMATCHED_REVISION"}
    message = answer["failedVersions"]["2.0.0"]["errorMessage"]
    assert right["2.0.0"] in message
    answer = client.copy_package_versions(**COPY, versionRevisions={"1.0.0": right["1.0.0"]})
    assert list(answer["successfulVersions"]) == ["1.0.0"]


def test_a_version_that_is_not_there_stops_all(client: Any) -> None:
    answer = client.copy_package_versions(**COPY, versions=["1.0.0", "9.0.0"])
    assert codes(answer) == {"1.0.0": "SKIPPED", "9.0.0": "NOT_FOUND"}


def test_upstreams_are_searched_only_on_request(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    codeartifact.seed(ui("1.0.0", "nearer"), repository="app")
    client.update_repository(domain="acme", repository="app", upstreams=[{"repositoryName": "team"}])
    copy = COPY | {"sourceRepository": "app"}
    answer = client.copy_package_versions(**copy, versions=["2.0.0"])
    assert codes(answer) == {"2.0.0": "NOT_FOUND"}
    answer = client.copy_package_versions(**copy, versions=["1.0.0", "2.0.0"], includeFromUpstream=True)
    assert len(answer["successfulVersions"]) == 2
    found = revisions(client, "shared")
    assert found["1.0.0"] == revisions(client, "app")["1.0.0"]
    assert found["2.0.0"] == revisions(client, "team")["2.0.0"]


def test_dist_tags_go_along(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    codeartifact.seed(ui("1.0.0", tags=["latest"]), ui("2.0.0", tags=["next"]))
    client.copy_package_versions(**COPY, versions=["1.0.0", "3.0.0"])
    listed = client.list_package_versions(**UI, repository="shared")
    assert listed["defaultDisplayVersion"] == "1.0.0"


def test_a_copy_names_up_to_100_versions_in_one_way(client: Any) -> None:
    copy = client.copy_package_versions
    many = [f"{number}.0.0" for number in range(101)]
    assert "100" in invalid(copy, **COPY, versions=many)
    assert "100" in invalid(copy, **COPY, versionRevisions=dict.fromkeys(many, "r"))
    assert "not both" in invalid(copy, **COPY, versions=["1.0.0"], versionRevisions={"1.0.0": "r"})
    assert "not both" in invalid(copy, **COPY)
    assert "same" in invalid(copy, **(COPY | {"destinationRepository": "team"}), versions=["1.0.0"])


def test_a_package_that_is_not_there_is_no_result(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.copy_package_versions(**(COPY | {"package": "gone"}), versions=["1.0.0"])


def test_a_status_is_changed_for_all_or_none(client: Any) -> None:
    update = client.update_package_versions_status
    answer = update(**TEAM, versions=["1.0.0", "2.0.0"], targetStatus="Archived")
    assert {one["status"] for one in answer["successfulVersions"].values()} == {"Archived"}
    answer = update(
        **TEAM, versions=["2.0.0", "3.0.0", "9.0.0"], targetStatus="Unlisted", expectedStatus="Published"
    )
    assert answer["successfulVersions"] == {}
    assert codes(answer) == {"2.0.0": "MISMATCHED_STATUS", "3.0.0": "SKIPPED", "9.0.0": "NOT_FOUND"}
    wrong = dict.fromkeys(["1.0.0", "3.0.0"], "another")
    answer = update(**TEAM, versions=["1.0.0", "3.0.0"], versionRevisions=wrong, targetStatus="Published")
    assert codes(answer) == dict.fromkeys(wrong, "MISMATCHED_REVISION")
    right = {"1.0.0": revisions(client, "team")["1.0.0"]}
    assert update(**TEAM, versions=["1.0.0"], versionRevisions=right, targetStatus="Published")[
        "successfulVersions"
    ]


def test_a_status_is_one_of_three(client: Any) -> None:
    update = client.update_package_versions_status
    for target in ("Unfinished", "Disposed", "Deleted"):
        assert "DisposePackageVersions" in invalid(update, **TEAM, versions=["1.0.0"], targetStatus=target)
    other = {"versionRevisions": {"2.0.0": "r"}, "targetStatus": "Archived"}
    assert "other versions" in invalid(update, **TEAM, versions=["1.0.0"], **other)
    assert "at least one" in invalid(update, **TEAM, versions=[], targetStatus="Archived")


def test_an_unfinished_version_is_published_by_its_status(
    codeartifact: EmbeddedCodeArtifact, client: Any
) -> None:
    codeartifact.seed(ui("4.0.0", status="Unfinished"))
    client.update_package_versions_status(**TEAM, versions=["4.0.0"], targetStatus="Published")
    described = client.describe_package_version(**TEAM, packageVersion="4.0.0")["packageVersion"]
    assert described["publishedTime"]


def test_a_disposed_version_loses_its_assets_and_can_only_be_deleted(client: Any) -> None:
    before = revisions(client, "team")["1.0.0"]
    answer = client.dispose_package_versions(**TEAM, versions=["1.0.0"], expectedStatus="Published")
    assert answer["successfulVersions"] == {"1.0.0": {"revision": before, "status": "Disposed"}}
    assert client.list_package_version_assets(**TEAM, packageVersion="1.0.0")["assets"] == []
    again = client.update_package_versions_status(**TEAM, versions=["1.0.0"], targetStatus="Published")
    assert codes(again) == {"1.0.0": "NOT_ALLOWED"}
    deleted = client.delete_package_versions(**TEAM, versions=["1.0.0"])
    assert deleted["successfulVersions"]["1.0.0"]["status"] == "Deleted"
    assert "1.0.0" not in revisions(client, "team")


def test_versions_are_deleted_all_or_none_and_the_package_with_the_last(client: Any) -> None:
    delete = client.delete_package_versions
    answer = delete(**TEAM, versions=["1.0.0", "9.0.0"])
    assert codes(answer) == {"1.0.0": "SKIPPED", "9.0.0": "NOT_FOUND"}
    assert len(delete(**TEAM, versions=list(NAMES[:3]))["successfulVersions"]) == 3
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_package_versions(**TEAM)


def test_a_package_goes_with_all_its_versions(codeartifact: EmbeddedCodeArtifact, client: Any) -> None:
    client.delete_package(**TEAM)
    deleted = [one["detail"] for one in codeartifact.events() if one["detail"]["operationType"] == "Deleted"]
    assert [one["packageVersion"] for one in deleted] == list(NAMES[:3])
