"""Nothing is granted in vain: each action is taken away from its role, and what needs it is seen to fail."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from local import events
from local.deployment import STACK
from local.settings import ROOT
from tests.e2e.rehearsals import NOBODY, REHEARSALS, Stage
from tests.e2e.stack import Event, Scene, Stack, wait_until
from tests.template.sources import as_list, resources

pytestmark = pytest.mark.embedded

UNCHECKED = {
    "WriteLogs": "the embedded Lambda writes a function's log as itself",
    "SendTraces": "the segments go to a socket that asks nobody",
    "DeliverLogs": "the embedded Step Functions delivers no log",
    "TellMissing": "the embedded S3 answers 404 also to whoever may not list the bucket",
    "SeeWhatIsGone": "the same",
    "ReadExistingDocuments": "no bucket is named: on AWS it isn't there (test_documents_patterns.py)",
    "SeeWhatIsGoneThere": "the same",
    "DecryptExistingDocuments": "no key is named: on AWS it isn't there",
    "DropFiles": "what the index's runs have merged is dropped 45 minutes later",
    "LeaveFailures": "the embedded Lambda sends what it gave up to the destination as itself",
    "ReadOwnersPath": "the estate asks for what lies below a path alone",
    "PromoteIntoRepository": "the embedded CodeArtifact asks for the package alone",
    "StopStrays": "a release must be over between the start of a build and its note (test_building.py)",
}
"""Statements that the embedded AWS never looks at, and why; docs/security.md says how to check them."""
NOT_REHEARSED = {"DeploymentCheckVersionFunctionRole", "DeploymentRole"}
"""Of CodeDeploy, which the embedded AWS lacks: nobody there says what to check, or takes the answer."""
SHARED_POLICIES = [("DocumentsInspectObjectFunctionRole", "sources")]
"""Those that several roles have, and the one that needs all of it."""
NOTHING = {"Sid": "Nothing", "Effect": "Deny", "Action": "none:*", "Resource": "*"}
"""A policy has one statement at least."""
SWEEPS = "SpotSweepWindowsFunctionEveryMinute"


@dataclass(frozen=True)
class Grant:
    """One action that one statement of a role allows on one resource."""

    sid: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.sid}: {self.action} on {self.resource}"

    def is_missed_in(self, said: str) -> bool:
        """Whether something was refused for lack of it. Who calls Lambda itself is told of no resource."""
        refused = f"not authorized to perform: {self.action} "
        if self.action == "lambda:InvokeFunction":
            return f"{refused}on resource: {self.resource} " in said or f"{refused}because" in said
        return refused in said

    def taken_from(self, statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The statement without it, in parts where it has several resources."""
        if statement["Sid"] != self.sid:
            yield statement
            return
        for resource in as_list(statement["Resource"]):
            actions = [
                a for a in as_list(statement["Action"]) if (a, resource) != (self.action, self.resource)
            ]
            if actions:
                yield {**statement, "Action": actions, "Resource": resource}


@dataclass(frozen=True)
class Role:
    """A deployed role, and one of its policies."""

    stack: Stack
    name: str
    policy: str

    @property
    def statements(self) -> list[dict[str, Any]]:
        iam = self.stack.aws.client("iam")
        policy = iam.get_role_policy(RoleName=self.name, PolicyName=self.policy)["PolicyDocument"]
        found: list[dict[str, Any]] = policy["Statement"]
        return found

    def grants(self) -> list[Grant]:
        """All but those that nobody here checks."""
        return [
            Grant(statement["Sid"], action, resource)
            for statement in self.statements
            if statement["Sid"] not in UNCHECKED
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
        ]

    @contextmanager
    def without(self, grants: Iterable[Grant]) -> Iterator[None]:
        """Takes them away, for a while."""
        before = after = self.statements
        for grant in grants:
            after = [part for statement in after for part in grant.taken_from(statement)]
        try:
            self._put(after)
            yield
        finally:
            self._put(before)

    def _put(self, statements: list[dict[str, Any]]) -> None:
        iam, name = self.stack.aws.client("iam"), {"RoleName": self.name, "PolicyName": self.policy}
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(**name, PolicyDocument=document)
        else:  # a policy has at least one
            iam.delete_role_policy(**name)
        self.stack.policies_changed()


@pytest.fixture(scope="module")
def stage(stack: Stack) -> Iterator[Stage]:
    events, rule = stack.aws.client("events"), stack.physical(SWEEPS)
    events.disable_rule(Name=rule)
    try:
        yield Stage.set(Scene.begin(stack))
    finally:
        wait_until(stack.is_quiet, "the stack is quiet", stack.executions)
        events.enable_rule(Name=rule)


def test_each_role_is_rehearsed(stack: Stack) -> None:
    listed = stack.aws.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    roles = {each["LogicalResourceId"] for each in listed if each["ResourceType"] == "AWS::IAM::Role"}
    assert REHEARSALS.keys() <= roles <= REHEARSALS.keys() | NOT_REHEARSED
    assert REHEARSALS.keys() | NOT_REHEARSED == resources("AWS::IAM::Role").keys()


def together(role_id: str, grants: list[Grant]) -> list[list[Grant]]:
    """Those that one rehearsal can do without, each failing for itself: of a window, all after the plan; of a
    release, with which an execution may begin, all."""
    apart = role_id in {"SpotWindowStateMachineRole", "PackagesReleaseStateMachineRole"}
    steps = [
        g for g in grants if apart and g.action == "lambda:InvokeFunction" and "PlanWindow" not in g.resource
    ]
    return [steps, *([grant] for grant in grants if grant not in steps)] if steps else [[g] for g in grants]


def went_well(said: str) -> bool:
    return "not authorized" not in said and "errorType" not in said


@pytest.mark.parametrize(
    ("role_id", "policy"), [*((role_id, "least") for role_id in REHEARSALS), *SHARED_POLICIES]
)
def test_nothing_is_granted_in_vain(stage: Stage, role_id: str, policy: str) -> None:
    rehearse, role = REHEARSALS[role_id], Role(stage.stack, stage.stack.physical(role_id), policy)
    assert went_well(rehearse(stage))
    in_vain = []
    for grants in together(role_id, role.grants()):
        with role.without(grants):
            said = rehearse(stage)
        print(*grants, said, sep="\n")  # shown with a test that fails
        in_vain += [str(grant) for grant in grants if not grant.is_missed_in(said)]
    assert in_vain == []
    assert went_well(rehearse(stage))


@pytest.mark.parametrize(
    ("rule", "sample", "queue"),
    [
        ("SpotInstanceEventsRule", "spot/interruption_warning", "Intake"),
        ("SpotLifecycleActionRule", "spot/terminate_lifecycle_action", "Intake"),
        ("SpotScheduledChangeRule", "spot/health_scheduled_change", "Intake"),
        ("DocumentsObjectEventsRule", "documents/object_created", "Intake"),
        ("PackagesVersionEventsRule", "packages/version_published", "Intake"),
        ("PackagesBuildEventsRule", "packages/build_succeeded", "Builds"),
    ],
)
def test_a_queue_takes_the_events_of_each_rule_by_name(
    stage: Stage, rule: str, sample: str, queue: str
) -> None:
    """And what it does not take, the rule's dead-letter queue does, if it names the rule too."""
    stack, event = stage.stack, sample_event(sample, stage.stack.outputs["DocumentsBucketName"])
    domain = sample.partition("/")[0].capitalize()
    kept_in = f"{domain}RuleDeadLetterQueue"

    def kept() -> int:
        return stack.depth(kept_in).visible

    before = kept()
    with without_rule(stack, f"{domain}{queue}Queue", rule):
        with without_rule(stack, kept_in, rule):
            assert stage.scene.send(event) == [[stack.physical(rule)]]
        stage.scene.send(event)
        wait_until(lambda: kept() > before, "the second is kept")
    assert kept() == before + 1
    stack.aws.client("sqs").purge_queue(QueueUrl=stack.outputs[f"{kept_in}Url"])


def sample_event(name: str, bucket: str) -> Event:
    values = events.Values(datetime.now(UTC), iter([NOBODY]), bucket=lambda: bucket)
    [event] = events.fill(events.read(ROOT / "events" / f"{name}.json"), values)
    return event


@contextmanager
def without_rule(stack: Stack, queue: str, rule: str) -> Iterator[None]:
    """Takes a rule out of those that a queue's policy admits, for a while."""
    sqs, url = stack.aws.client("sqs"), stack.outputs[f"{queue}Url"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    arn = f":rule/{stack.physical(rule)}"
    policy = json.loads(before)
    [admitted] = [s["Condition"]["ArnEquals"] for s in policy["Statement"] if s["Effect"] == "Allow"]
    sources = as_list(admitted["aws:SourceArn"])
    left = [source for source in sources if not source.endswith(arn)]
    assert len(left) == len(sources) - 1
    admitted["aws:SourceArn"] = left
    try:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": before})
