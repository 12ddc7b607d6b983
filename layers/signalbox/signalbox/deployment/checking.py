"""Asks a new version of a function whether it could work, and tells CodeDeploy. Pure: no AWS, no clock."""

from typing import Any, Protocol

import msgspec

from signalbox.errors import RejectedError, SignalboxError


class Hook(msgspec.Struct, frozen=True):
    """CodeDeploy's call before it lets events through to a version.

    Its form: "AppSpec 'hooks' section for an AWS Lambda deployment", AWS CodeDeploy User Guide.
    """

    deployment: str = msgspec.field(name="DeploymentId")
    execution: str = msgspec.field(name="LifecycleEventHookExecutionId")


class Candidate(msgspec.Struct, frozen=True):
    """The version of a function that is about to take over."""

    function: str
    version: str

    def __str__(self) -> str:
        return f"version {self.version} of {self.function}"


class Verdict(msgspec.Struct, frozen=True):
    """What was found. ``candidate`` is None where the deployment does not say which version it is about.

    Attributes:
        reason: why it may not take over; "" if it may.
    """

    candidate: Candidate | None
    reason: str = ""

    @property
    def healthy(self) -> bool:
        return not self.reason


class Deployments(Protocol):
    """CodeDeploy."""

    def revision(self, deployment: str) -> str:
        """The AppSpec of a deployment."""

    def report(self, hook: Hook, *, healthy: bool) -> None:
        """Ends the waiting: the deployment goes on, or back."""


class Versions(Protocol):
    """Versions of functions."""

    def probe(self, candidate: Candidate, asker: str) -> dict[str, Any]:
        """What the version answers. Raises RefusedError if it fails instead."""


class CheckVersion:
    """One hook for every function: the deployment says which version is meant."""

    def __init__(self, deployments: Deployments, versions: Versions) -> None:
        self._deployments = deployments
        self._versions = versions

    def check(self, hook: Hook) -> Verdict:
        """Finds the version, asks it, reports. A version that can't be found or asked is refused.

        Raises:
            SignalboxError: CodeDeploy could not be told; it waits on, an hour at most, and then goes back.
        """
        verdict = self._verdict(hook)
        self._deployments.report(hook, healthy=verdict.healthy)
        return verdict

    def _verdict(self, hook: Hook) -> Verdict:
        candidate = None
        try:
            candidate = candidate_of(self._deployments.revision(hook.deployment))
            answer = self._versions.probe(candidate, hook.deployment)
        except SignalboxError as error:
            return Verdict(candidate, f"{error.code}: {error}")
        version = answer.get("version")
        other = f"version {version!r} answered in its place" if version != candidate.version else ""
        return Verdict(candidate, other)


def parse_hook(event: dict[str, Any]) -> Hook:
    """The call as it comes in.

    Raises:
        RejectedError: it is none.
    """
    try:
        return msgspec.convert(event, Hook)
    except msgspec.ValidationError as error:
        raise RejectedError("hook-invalid", "$", str(error)) from error


class _Properties(msgspec.Struct, rename="pascal"):
    name: str
    target_version: str


class _Resource(msgspec.Struct, rename="pascal"):
    properties: _Properties


class _AppSpec(msgspec.Struct):
    resources: list[dict[str, _Resource]] = msgspec.field(name="Resources")


def candidate_of(revision: str) -> Candidate:
    """Which version an AppSpec is about. CloudFormation writes JSON, of one function and one target version.

    Raises:
        RejectedError: it does not say.
    """
    try:
        found = msgspec.json.decode(revision, type=_AppSpec)
        [resource] = [each.properties for named in found.resources for each in named.values()]
    except (msgspec.DecodeError, ValueError) as error:
        raise RejectedError(
            "revision-invalid", "$.Resources", f"one function was expected: {error}"
        ) from error
    return Candidate(resource.name, resource.target_version)
