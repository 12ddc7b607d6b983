"""One suite for CodeBuild: what holds for the fake holds for the adapter, on the embedded one."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from botocore.session import Session
from botocore.stub import Stubber

from local.embedded import EmbeddedAws
from local.settings import ACCOUNT
from signalbox.aws.clients import SDK_ATTEMPTS, client_config
from signalbox.errors import (
    AccessDeniedError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from signalbox.packages.aws_builds import BUILDS_A_CALL, CodeBuild
from signalbox.packages.building import Builds
from signalbox.packages.builds import TOKEN_VARIABLE, Built, End
from signalbox.packages.releases import Progress
from tests.unit.packages.fake_codeartifact import NOON
from tests.unit.packages.fake_codebuild import FakeCodeBuild

SPECIFICATION = "version: 0.2\nphases:\n  build:\n    commands: [{}]\n"
GOOD, BAD, SLOW = "rebuild-good", "rebuild-bad", "rebuild-slow"
COMMANDS = {GOOD: "pwd", BAD: "exit 3", SLOW: "sleep 120"}
PATIENCE_SECONDS = 60.0
ASKED = {"projectName": "p", "sortOrder": "DESCENDING"}


class Site(Protocol):
    """Projects whose builds end well, badly, or not before they are stopped."""

    builds: Builds

    def ended(self, id_: str) -> End:
        """Waits for the end of a build."""
        ...


class FakeSite:
    def __init__(self) -> None:
        self.fake = FakeCodeBuild(*COMMANDS, clock=time.time)
        self.builds: Builds = self.fake

    def ended(self, id_: str) -> End:
        build = self.fake.builds[id_]
        if build.status == "IN_PROGRESS":
            self.fake.end(
                id_, "FAILED" if build.project == BAD else "SUCCEEDED", "exit 3. Reason: exit status 3"
            )
        end = build.built.end
        assert end is not None
        return end


class EmbeddedSite:
    def __init__(self, aws: EmbeddedAws) -> None:
        client = aws.client("codebuild")
        for name, command in COMMANDS.items():
            client.create_project(
                name=name,
                source={"type": "NO_SOURCE", "buildspec": SPECIFICATION.format(command)},
                artifacts={"type": "NO_ARTIFACTS"},
                environment={
                    "type": "LINUX_CONTAINER",
                    "image": "any",
                    "computeType": "BUILD_GENERAL1_SMALL",
                },
                serviceRole=f"arn:aws:iam::{ACCOUNT}:role/builder",
            )
        self.builds: Builds = CodeBuild(client)

    def ended(self, id_: str) -> End:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while (end := self.builds.look([id_])[id_].end) is None:
            assert time.monotonic() < give_up_at, id_
            time.sleep(0.05)
        return end


@pytest.fixture(scope="module", params=["fake", pytest.param("embedded", marks=pytest.mark.embedded)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if request.param == "fake":
        yield FakeSite()
        return
    state = tmp_path_factory.mktemp("embedded")
    with EmbeddedAws.start(state, estate=False, enforce_iam=False) as aws:
        yield EmbeddedSite(aws)


def told(token: str, **more: str) -> dict[str, str]:
    return {TOKEN_VARIABLE: token, "PACKAGE_NAMESPACE": "", **more}


def test_a_token_starts_one_build(site: Site) -> None:
    first = site.builds.start(GOOD, "once", told("once"))
    assert first.startswith(f"{GOOD}:")
    assert site.builds.start(GOOD, "once", told("once")) == first
    assert site.builds.start(GOOD, "another", told("another")) != first


def test_a_token_is_of_one_environment(site: Site) -> None:
    site.builds.start(GOOD, "same", told("same"))
    with pytest.raises(RefusedError):
        site.builds.start(GOOD, "same", told("same", OTHER="1"))


def test_a_project_that_is_not_there(site: Site) -> None:
    with pytest.raises(NotFoundError, match="rebuild-gone"):
        site.builds.start("rebuild-gone", "t", told("t"))


def test_a_build_that_ends_well(site: Site) -> None:
    begun = time.time()
    id_ = site.builds.start(GOOD, "well", told("well"))
    end = site.ended(id_)
    assert (end.id, end.outcome, end.why) == (id_, Progress.SUCCEEDED, "")
    assert begun - 2 < end.ended_at < time.time() + 2
    assert end.seconds is not None
    assert site.builds.look([id_]) == {id_: Built(id_, end)}


def test_a_build_that_fails_says_where_and_why(site: Site) -> None:
    id_ = site.builds.start(BAD, "badly", told("badly"))
    end = site.ended(id_)
    assert end.outcome is Progress.FAILED
    assert end.why.startswith(f"build {id_} failed in phase BUILD: COMMAND_EXECUTION_ERROR: ")
    assert "exit status 3" in end.why
    assert "Its log: https://" in end.why


def test_a_build_runs_until_it_is_stopped(site: Site) -> None:
    id_ = site.builds.start(SLOW, "slow", told("slow"))
    assert site.builds.look([id_]) == {id_: Built(id_)}
    site.builds.stop(id_)
    assert site.ended(id_).outcome is Progress.STOPPED
    site.builds.stop(id_)


def test_a_build_that_nobody_knows(site: Site) -> None:
    assert site.builds.look([f"{GOOD}:9999"]) == {}
    assert site.builds.look([]) == {}
    with pytest.raises(SignalboxError):
        site.builds.stop(f"{GOOD}:9999")


def test_a_build_is_found_by_what_it_was_told(site: Site) -> None:
    since = time.time() - 5
    id_ = site.builds.start(GOOD, "found", told("found"))
    site.builds.start(GOOD, "later", told("later"))
    end = site.ended(id_)
    assert site.builds.find(GOOD, "found", since) == Built(id_, end)
    assert site.builds.find(GOOD, "never", since) is None
    assert site.builds.find(BAD, "found", since) is None
    with pytest.raises(NotFoundError):
        site.builds.find("rebuild-gone", "found", since)


# What AWS says beside


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    """A real client whose answers are checked against the service's model."""
    codebuild: Any = Session().create_client(
        "codebuild",
        "us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=client_config(SDK_ATTEMPTS),
    )
    with Stubber(codebuild) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def builds_of(stubber: Stubber) -> CodeBuild:
    codebuild: Any = stubber.client
    return CodeBuild(codebuild)


def test_what_a_build_is_started_with(stubber: Stubber) -> None:
    stubber.add_response(
        "start_build",
        {"build": {"id": "p:1"}},
        {
            "projectName": "p",
            "idempotencyToken": "t",
            "environmentVariablesOverride": [{"name": "A", "value": "", "type": "PLAINTEXT"}],
        },
    )
    assert builds_of(stubber).start("p", "t", {"A": ""}) == "p:1"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccountLimitExceededException", 400, ThrottledError),
        ("ThrottlingException", 400, ThrottledError),
        ("ResourceNotFoundException", 400, NotFoundError),
        ("InvalidInputException", 400, RefusedError),
        ("AccessDeniedException", 400, AccessDeniedError),
        ("InternalFailure", 500, UnavailableError),
    ],
)
def test_why_a_build_is_not_started(
    stubber: Stubber, code: str, status: int, error: type[SignalboxError]
) -> None:
    stubber.add_client_error("start_build", code, "Cannot have more than 0 builds in queue", status)
    with pytest.raises(error, match=code) as refused:
        builds_of(stubber).start("p", "t", {})
    assert type(refused.value) is error


def answer(*ids: str, at: float = NOON, token: str = "") -> dict[str, Any]:
    variables = [{"name": TOKEN_VARIABLE, "value": token, "type": "PLAINTEXT"}]
    moment = datetime.fromtimestamp(at, UTC)
    return {
        "builds": [
            {
                "id": id_,
                "startTime": moment,
                "buildStatus": "FAULT",
                "environment": {
                    "type": "LINUX_CONTAINER",
                    "image": "any",
                    "computeType": "BUILD_GENERAL1_SMALL",
                    "environmentVariables": variables if token else [],
                },
                "phases": [{"phaseType": "PROVISIONING", "phaseStatus": "FAULT"}],
            }
            for id_ in ids
        ]
    }


def test_a_build_without_an_end_of_its_own_and_without_a_log(stubber: Stubber) -> None:
    stubber.add_response("batch_get_builds", answer("p:1"), {"ids": ["p:1"]})
    end = End(
        id="p:1",
        outcome=Progress.FAILED,
        ended_at=NOON,
        seconds=0.0,
        why="build p:1 had a fault in phase PROVISIONING.",
    )
    assert builds_of(stubber).look(["p:1"]) == {"p:1": Built("p:1", end)}


def test_builds_are_looked_at_a_hundred_at_a_time(stubber: Stubber) -> None:
    ids = [f"p:{number}" for number in range(250)]
    for start in range(0, 250, BUILDS_A_CALL):
        part = ids[start : start + BUILDS_A_CALL]
        stubber.add_response("batch_get_builds", answer(*part), {"ids": part})
    assert list(builds_of(stubber).look(ids)) == ids


def test_a_build_is_looked_for_page_by_page_and_not_further_back_than_it_can_be(stubber: Stubber) -> None:
    stubber.add_response("list_builds_for_project", {"ids": ["p:4", "p:3"], "nextToken": "2"}, ASKED)
    stubber.add_response(
        "batch_get_builds", answer("p:4", "p:3", at=NOON + 90, token="other"), {"ids": ["p:4", "p:3"]}
    )
    page = {"ids": ["p:2", "p:1"], "nextToken": "3"}
    stubber.add_response("list_builds_for_project", page, ASKED | {"nextToken": "2"})
    stubber.add_response("batch_get_builds", answer("p:2", "p:1", at=NOON - 61), {"ids": ["p:2", "p:1"]})
    assert builds_of(stubber).find("p", "mine", NOON) is None


def test_a_project_that_has_built_nothing_yet(stubber: Stubber) -> None:
    stubber.add_response("list_builds_for_project", {}, ASKED)
    assert builds_of(stubber).find("p", "mine", NOON) is None


def test_looking_for_a_build_may_fail_for_now(stubber: Stubber) -> None:
    stubber.add_client_error("list_builds_for_project", "ThrottlingException")
    with pytest.raises(ThrottledError):
        builds_of(stubber).find("p", "mine", NOON)
