"""One hook checks every function: which version is meant, what it answered, what CodeDeploy is told."""

import json
from typing import Any

import pytest

from signalbox.deployment.checking import Candidate, CheckVersion, Hook, candidate_of, parse_hook
from signalbox.errors import RefusedError, RejectedError, SignalboxError, UnavailableError

HOOK = Hook("d-1", "hook-1")
PLAN_8 = Candidate("signalbox-test-SpotPlanWindowFunction-1A2B", "8")


def appspec(*candidates: Candidate) -> str:
    """As CloudFormation writes it for an alias that moves."""
    resources = [
        {
            candidate.function: {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Name": candidate.function,
                    "Alias": "live",
                    "CurrentVersion": "7",
                    "TargetVersion": candidate.version,
                },
            }
        }
        for candidate in candidates
    ]
    hooks = [{"BeforeAllowTraffic": "DeploymentCheckVersionFunction"}]
    return json.dumps({"version": 0.0, "Resources": resources, "Hooks": hooks})


class FakeDeployments:
    """One deployment, and what it was told."""

    def __init__(self, revision: str | SignalboxError) -> None:
        self._revision = revision
        self.told: list[tuple[Hook, bool]] = []

    def revision(self, deployment: str) -> str:
        assert deployment == HOOK.deployment
        if isinstance(self._revision, SignalboxError):
            raise self._revision
        return self._revision

    def report(self, hook: Hook, *, healthy: bool) -> None:
        self.told.append((hook, healthy))


class FakeVersions:
    """Versions that answer, or fail, as they are told to; and who asked which."""

    def __init__(self, answer: dict[str, Any] | SignalboxError) -> None:
        self._answer = answer
        self.asked: list[tuple[Candidate, str]] = []

    def probe(self, candidate: Candidate, asker: str) -> dict[str, Any]:
        self.asked.append((candidate, asker))
        if isinstance(self._answer, SignalboxError):
            raise self._answer
        return self._answer


def test_a_version_that_answers_may_take_over() -> None:
    deployments, versions = FakeDeployments(appspec(PLAN_8)), FakeVersions({"version": "8"})
    verdict = CheckVersion(deployments, versions).check(HOOK)
    assert (verdict.healthy, verdict.candidate, verdict.reason) == (True, PLAN_8, "")
    assert versions.asked == [(PLAN_8, "d-1")]
    assert deployments.told == [(HOOK, True)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RefusedError("version 8 failed"), "refused: version 8 failed"),
        (UnavailableError("no answer"), "unavailable: no answer"),
        ({"version": "7"}, "version '7' answered in its place"),
        ({}, "version None answered in its place"),
    ],
)
def test_a_version_that_does_not_is_refused(answer: Any, reason: str) -> None:
    deployments = FakeDeployments(appspec(PLAN_8))
    verdict = CheckVersion(deployments, FakeVersions(answer)).check(HOOK)
    assert (verdict.healthy, verdict.candidate, verdict.reason) == (False, PLAN_8, reason)
    assert deployments.told == [(HOOK, False)]


@pytest.mark.parametrize(
    "revision",
    [
        UnavailableError("CodeDeploy is down"),
        "",
        "version: 0.0",
        "{}",
        appspec(),
        appspec(PLAN_8, Candidate("another", "3")),
        json.dumps({"Resources": [{"f": {"Type": "AWS::Lambda::Function", "Properties": {"Name": "f"}}}]}),
    ],
    ids=str,
)
def test_a_deployment_that_does_not_say_which_version_is_refused(revision: Any) -> None:
    deployments, versions = FakeDeployments(revision), FakeVersions({"version": "8"})
    verdict = CheckVersion(deployments, versions).check(HOOK)
    assert not verdict.healthy
    assert verdict.candidate is None
    assert versions.asked == []
    assert deployments.told == [(HOOK, False)]


def test_the_function_is_named_by_its_properties() -> None:
    named_otherwise = json.loads(appspec(PLAN_8))
    [[resource]] = [list(named.values()) for named in named_otherwise["Resources"]]
    assert candidate_of(json.dumps({"Resources": [{"other": resource}]})) == PLAN_8


def test_a_call_of_codedeploys() -> None:
    event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1", "Combined": "d-1:hook-1"}
    assert parse_hook(event) == HOOK
    with pytest.raises(RejectedError, match="LifecycleEventHookExecutionId"):
        parse_hook({"DeploymentId": "d-1"})
