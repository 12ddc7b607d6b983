"""CodeArtifact as a part of the embedded AWS: everybody reaches it; events and roles are the spine's."""

from __future__ import annotations

import io
import json
import os
import signal
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from local.embedded import EmbeddedAws
from local.processes import ProcessError
from local.settings import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.embedded

UI = {"format": "npm", "package": "ui", "version": "1.0.0"}
HANDLER = """\
from botocore.exceptions import ClientError
from botocore.session import Session

def handle(event, context):
    client = Session().create_client("codeartifact")
    try:
        answer = client.list_package_versions(domain="acme", repository="team", format="npm", package="ui")
        return [found["version"] for found in answer["versions"]]
    except ClientError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("embedded")) as started:
        started.seed_packages(UI)
        yield started


@pytest.fixture(scope="module")
def function(aws: EmbeddedAws) -> str:
    """One that lists the versions of ui, with the role `lister`, which may do nothing yet."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = aws.client("iam").create_role(RoleName="lister", AssumeRolePolicyDocument=document(trust))
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", HANDLER)
    aws.client("lambda").create_function(
        FunctionName="lister",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="handler.handle",
        Code={"ZipFile": package.getvalue()},
    )
    return "lister"


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_its_clients_go_there_and_its_roles_are_known(aws: EmbeddedAws) -> None:
    assert aws.client("codeartifact").meta.endpoint_url == aws.codeartifact_url
    assert aws.environment()["AWS_ENDPOINT_URL_CODEARTIFACT"] == aws.codeartifact_url
    assert aws.ask_codeartifact("GET", "health") == {"status": "ok", "roles": True}


def test_a_function_is_held_to_its_role_and_a_change_of_it_is_seen_at_once(
    aws: EmbeddedAws, function: str
) -> None:
    functions, iam = aws.client("lambda"), aws.client("iam")

    def listed() -> Any:
        return json.load(functions.invoke(FunctionName=function)["Payload"])

    refusal = listed()
    assert (
        f"assumed-role/lister/{function} is not authorized to perform: codeartifact:ListPackageVersions"
        in (refusal)
    )
    allowed = {"Effect": "Allow", "Action": "codeartifact:ListPackageVersions", "Resource": "*"}
    iam.put_role_policy(RoleName="lister", PolicyName="least", PolicyDocument=document(allowed))
    aws.ask_codeartifact("POST", "forget")
    assert listed() == ["1.0.0"]
    iam.delete_role_policy(RoleName="lister", PolicyName="least")
    aws.ask_codeartifact("POST", "forget")
    assert listed() == refusal


def test_what_changes_there_is_an_event_on_the_bus(aws: EmbeddedAws) -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="packages")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    policy = document(sender | {"Action": "sqs:SendMessage", "Resource": arn})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="packages", EventPattern=json.dumps({"source": ["aws.codeartifact"]}))
    events.put_targets(Rule="packages", Targets=[{"Id": "queue", "Arn": arn}])
    aws.seed_packages(UI | {"package": "core"}, repository="platform")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    event = json.loads(message["Body"])
    assert (event["account"], event["detail"]["packageName"]) == (ACCOUNT, "core")
    assert aws.ask_codeartifact("GET", "events")["events"][-1] == event


def test_a_door_that_refuses_is_told_with_its_reason(aws: EmbeddedAws) -> None:
    with pytest.raises(ProcessError, match=r"POST /_codeartifact/seed was refused: .*format"):
        aws.seed_packages({"package": "ui", "version": "1"})


def test_without_it_nothing_is_whole(tmp_path: Path) -> None:
    with EmbeddedAws.start(tmp_path) as aws:
        assert EmbeddedAws.attach(tmp_path) is not None
        assert aws.codeartifact is not None
        os.kill(aws.codeartifact.record.pid, signal.SIGKILL)
        aws.codeartifact.stop()
        assert not aws.alive()
        assert EmbeddedAws.attach(tmp_path) is None
