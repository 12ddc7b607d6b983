"""CodeDeploy and Lambda, as a check needs them."""

from typing import TYPE_CHECKING, Any

import msgspec

from signalbox.aws.calls import call
from signalbox.deployment.checking import Candidate, Hook
from signalbox.deployment.probing import PROBE
from signalbox.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class AwsDeployments:
    """CodeDeploy. Its client is `Any`: three calls are not worth another package of stubs."""

    def __init__(self, codedeploy: Any) -> None:
        self._codedeploy = codedeploy

    def revision(self, deployment: str) -> str:
        """The AppSpec of a deployment. GetDeployment may have its digest only."""
        info = call(self._codedeploy.get_deployment, deploymentId=deployment)["deploymentInfo"]
        if text := _content(info["revision"]):
            return text
        found = call(
            self._codedeploy.get_application_revision,
            applicationName=info["applicationName"],
            revision=info["revision"],
        )
        return _content(found["revision"])

    def report(self, hook: Hook, *, healthy: bool) -> None:
        call(
            self._codedeploy.put_lifecycle_event_hook_execution_status,
            deploymentId=hook.deployment,
            lifecycleEventHookExecutionId=hook.execution,
            status="Succeeded" if healthy else "Failed",
        )


def _content(revision: Any) -> str:
    """The text of an AppSpec; ``string`` is how it used to be kept (RevisionLocation, CodeDeploy API)."""
    kept = revision.get("appSpecContent") or revision.get("string") or {}
    return str(kept.get("content", ""))


class AwsVersions:
    """Lambda."""

    def __init__(self, functions: "LambdaClient") -> None:
        self._functions = functions

    def probe(self, candidate: Candidate, asker: str) -> dict[str, Any]:
        answer = call(
            self._functions.invoke,
            FunctionName=candidate.function,
            Qualifier=candidate.version,
            Payload=msgspec.json.encode({PROBE: asker}),
        )
        said = answer["Payload"].read()
        if kind := answer.get("FunctionError"):
            raise RefusedError(f"{candidate} failed ({kind}): {said.decode(errors='replace')[:1000]}")
        return msgspec.json.decode(said, type=dict[str, Any])
