"""CodeDeploy and Lambda as a check needs them: what is asked of AWS, and what its answers come to.

The calls are held to botocore's models of both services; nothing that runs here has CodeDeploy.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from signalbox.deployment.aws_checking import AwsDeployments, AwsVersions
from signalbox.deployment.checking import Candidate, Hook
from signalbox.deployment.probing import PROBE
from signalbox.errors import NotFoundError, RefusedError, UnavailableError

APPSPEC = '{"Resources": []}'
CANDIDATE = Candidate("plan", "8")


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture
def codedeploy() -> Iterator[Stubber]:
    with Stubber(client("codedeploy")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def functions() -> Iterator[Stubber]:
    with Stubber(client("lambda")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def deployment(revision: dict[str, Any]) -> dict[str, Any]:
    return {"deploymentInfo": {"applicationName": "app", "revision": revision}}


@pytest.mark.parametrize(
    "revision",
    [
        {"revisionType": "AppSpecContent", "appSpecContent": {"content": APPSPEC, "sha256": "5f"}},
        {"revisionType": "String", "string": {"content": APPSPEC, "sha256": "5f"}},
    ],
)
def test_the_appspec_is_read_from_the_deployment(codedeploy: Stubber, revision: dict[str, Any]) -> None:
    codedeploy.add_response("get_deployment", deployment(revision), {"deploymentId": "d-1"})
    assert AwsDeployments(codedeploy.client).revision("d-1") == APPSPEC


def test_or_from_the_revision_where_the_deployment_has_its_digest(codedeploy: Stubber) -> None:
    digest = {"revisionType": "String", "string": {"sha256": "5f"}}
    whole = {"revisionType": "String", "string": {"sha256": "5f", "content": APPSPEC}}
    codedeploy.add_response("get_deployment", deployment(digest), {"deploymentId": "d-1"})
    codedeploy.add_response(
        "get_application_revision", {"revision": whole}, {"applicationName": "app", "revision": digest}
    )
    assert AwsDeployments(codedeploy.client).revision("d-1") == APPSPEC


def test_a_deployment_that_is_gone(codedeploy: Stubber) -> None:
    codedeploy.add_client_error("get_deployment", "DeploymentDoesNotExistException", http_status_code=400)
    with pytest.raises(RefusedError):
        AwsDeployments(codedeploy.client).revision("d-1")


@pytest.mark.parametrize(("healthy", "status"), [(True, "Succeeded"), (False, "Failed")])
def test_codedeploy_is_told(codedeploy: Stubber, healthy: bool, status: str) -> None:  # noqa: FBT001 - a row of the table
    asked = {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "hook-1", "status": status}
    codedeploy.add_response("put_lifecycle_event_hook_execution_status", {}, asked)
    AwsDeployments(codedeploy.client).report(Hook("d-1", "hook-1"), healthy=healthy)


def answered(said: object, **more: Any) -> dict[str, Any]:
    raw = json.dumps(said).encode()
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(raw), len(raw)), **more}


def asked(functions: Stubber) -> Any:
    """The client behind a stub, which knows it as any service's."""
    return functions.client


ASKED = {
    "FunctionName": "plan",
    "Qualifier": "8",
    "Payload": json.dumps({PROBE: "d-1"}, separators=(",", ":")).encode(),
}


def test_the_version_itself_is_asked(functions: Stubber) -> None:
    functions.add_response("invoke", answered({"version": "8"}), ASKED)
    assert AwsVersions(asked(functions)).probe(CANDIDATE, "d-1") == {"version": "8"}


def test_what_a_version_fails_with_is_told(functions: Stubber) -> None:
    said = {"errorType": "Runtime.ImportModuleError", "errorMessage": "No module named 'msgspec'"}
    functions.add_response("invoke", answered(said, FunctionError="Unhandled"), ASKED)
    with pytest.raises(
        RefusedError, match=r"version 8 of plan failed \(Unhandled\): .*No module named 'msgspec'"
    ):
        AwsVersions(asked(functions)).probe(CANDIDATE, "d-1")


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("ResourceNotFoundException", 404, NotFoundError), ("ServiceException", 500, UnavailableError)],
)
def test_a_version_that_cannot_be_asked(
    functions: Stubber, code: str, status: int, error: type[Exception]
) -> None:
    functions.add_client_error("invoke", code, http_status_code=status)
    with pytest.raises(error):
        AwsVersions(asked(functions)).probe(CANDIDATE, "d-1")
