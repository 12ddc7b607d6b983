"""CodeArtifact beside a spine: roles are the spine's, events arrive on its bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.service import CodeArtifact
from local.codeartifact.spine import SpineBus
from local.embedded import EmbeddedAws
from local.identity import SpineIdentity

pytestmark = pytest.mark.embedded

TEAM = {"domain": "acme", "repository": "team"}
UI = {"format": "npm", "package": "ui"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("embedded"), estate=False) as started:
        yield started


@pytest.fixture
def codeartifact(aws: EmbeddedAws) -> Iterator[EmbeddedCodeArtifact]:
    identities, bus = SpineIdentity(aws.spine_url), SpineBus(aws.spine_url)
    with embedded_codeartifact(CodeArtifact(identities, bus)) as running:
        yield running
    bus.close()
    identities.close()


def queue_of_events(aws: EmbeddedAws) -> str:
    sqs, events = aws.client("sqs"), aws.client("events")
    url: str = sqs.create_queue(QueueName="packages")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(sender | {"Resource": arn})})
    events.put_rule(Name="packages", EventPattern=json.dumps({"source": ["aws.codeartifact"]}))
    events.put_targets(Rule="packages", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def session_of(aws: EmbeddedAws, role: str, *actions: str) -> str:
    """The access key of a session of a new role that may do this."""
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="may", PolicyDocument=document(allowed))
    session = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
    key: str = session["Credentials"]["AccessKeyId"]
    return key


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_events_arrive_on_the_bus_as_they_are(aws: EmbeddedAws, codeartifact: EmbeddedCodeArtifact) -> None:
    queue = queue_of_events(aws)
    codeartifact.seed(UI | {"version": "1"})
    [told] = codeartifact.events()
    messages = aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    assert [json.loads(message["Body"]) for message in messages] == [told]
    assert codeartifact.ask("GET", "events").json()["failures"] == []


def test_a_role_may_what_its_policies_say(aws: EmbeddedAws, codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed(UI | {"version": "1"})
    client = codeartifact.client(session_of(aws, "reader", "codeartifact:List*"))
    assert client.list_package_versions(**TEAM, **UI)["versions"]
    with pytest.raises(ClientError, match="AccessDeniedException") as caught:
        client.delete_package(**TEAM, **UI)
    assert "assumed-role/reader/test" in str(caught.value)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        codeartifact.client("ASIANOBODY0000000000").list_domains()
