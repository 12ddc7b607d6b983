"""Who may do what: one role each, reasons next to permissions, and a snapshot for the review."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.template.sources import ROOT, Statement, resources, statements

SNAPSHOT = Path(__file__).with_name("snapshot.json")
PAGE = ROOT / "docs" / "security.md"
ROLE_TABLE = re.compile(r"(<!-- roles: .*? -->\n).*?(<!-- end of roles -->)", re.DOTALL)
OF_EVERY_ROLE = {"WriteLogs", "SendTraces"}
FUNCTIONS = resources("AWS::Serverless::Function")
BUCKETS = resources("AWS::S3::Bucket")
STATEMENTS = statements()


def is_wildcard(statement: Statement) -> bool:
    return "*" in statement.resources or any(
        action == "*" or action.endswith(":*") for action in statement.actions
    )


OF_THE_STACK = {"dynamodb", "events", "lambda", "sns", "sqs", "states"}
BY_PATTERN = {
    "SpotSweepWindowsFunctionRole-FindExecution": "executions of the one machine, named after windows",
    "DeploymentCheckVersionFunctionRole-ProbeVersions": "functions that wait for this very function",
    "DeploymentRole-MoveAliases": "functions that wait for this very role",
    **{
        f"Packages{name}FunctionRole-LetGo": "SendTaskSuccess knows no resources: a token names its execution"
        for name in ("AdmitEvents", "BuildWave", "AdmitBuilds")
    },
}
"""What is of the stack and can't be referred to, and why."""
BESIDE_THE_FUNCTIONS = {
    "DeploymentRole": "CodeDeploy's own",
    "PackagesRebuildIndexProjectRole": "CodeBuild's, for the job",
    "PackagesRebuildIndexScheduleRole": "EventBridge's, to begin it",
}
"""Roles, and whose they are."""
ESTATE = {"autoscaling", "ec2", "ecs", "eks", "elasticloadbalancing", "ssm"}
READS = ("Describe", "Get", "List")
UNTAGGED = {
    "SpotDeregisterTargetsFunctionRole-DeregisterTargets",
    "SpotDeregisterTargetsFunctionRole-DeregisterInstances",
    "SpotSendCommandsFunctionRole-SendDocument",
}
"""docs/security.md says why."""


def changes_the_estate(statement: Statement) -> bool:
    parted = (action.partition(":") for action in statement.actions)
    return any(service in ESTATE and not name.startswith(READS) for service, _, name in parted)


def label(statement: Statement) -> str:
    return f"{statement.owner}-{statement.content.get('Sid', 'trust')}"


def test_no_two_functions_or_state_machines_share_a_role() -> None:
    users = resources("AWS::Serverless::Function", "AWS::Serverless::StateMachine")
    roles = [user["Properties"]["Role"]["Fn::GetAtt"][0] for user in users.values()]
    assert roles == [f"{name}Role" for name in users]
    assert sorted([*roles, *BESIDE_THE_FUNCTIONS]) == sorted(resources("AWS::IAM::Role"))


def test_permissions_are_written_out() -> None:
    for role in resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]
    for function in FUNCTIONS.values():
        assert not {"Policies", "Connectors"} & function["Properties"].keys()


@pytest.mark.parametrize("statement", STATEMENTS, ids=label)
def test_no_statement_allows_every_action(statement: Statement) -> None:
    """But the key's own, without which nobody could ever administer it again; and denials."""
    every = [action for action in statement.actions if action == "*" or action.endswith(":*")]
    if statement.content["Effect"] == "Allow" and label(statement) != "SignalboxKey-AdministerThroughIam":
        assert every == []


def is_of_the_stack(statement: Statement) -> bool:
    """It allows one of our roles something about what the stack has made."""
    services = {action.partition(":")[0] for action in statement.actions}
    return "Principal" not in statement.content and bool(services & OF_THE_STACK)


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if is_of_the_stack(s)], ids=label)
def test_what_is_of_the_stack_is_named_and_no_wider(statement: Statement) -> None:
    exact = all(set(resource) <= {"Ref", "Fn::GetAtt"} for resource in statement.resources)
    assert exact != (label(statement) in BY_PATTERN)


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if is_wildcard(s)], ids=label)
def test_a_wildcard_has_its_reason_above_it(statement: Statement) -> None:
    assert len(statement.comment.split()) >= 3


@pytest.mark.parametrize(
    "statement",
    [s for s in statements("AWS::IAM::Role") if s.content.get("Sid") not in {None, "WriteLogs"}],
    ids=label,
)
def test_every_permission_of_a_role_has_its_reason_above_it(statement: Statement) -> None:
    assert len(statement.reason.split()) >= 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_logs_into_its_own_group_only(name: str) -> None:
    [logs] = [s for s in statements() if s.owner == f"{name}Role" and s.content.get("Sid") == "WriteLogs"]
    assert logs.resources == [{"Fn::GetAtt": [f"{name}LogGroup", "Arn"]}]
    assert logs.actions == ["logs:CreateLogStream", "logs:PutLogEvents"]


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if "Principal" in s.content], ids=label)
def test_a_principal_is_narrowed_down(statement: Statement) -> None:
    """To this account, to one of its resources, or it is a service that takes no such condition."""
    content = statement.content
    without_condition = {
        "SignalboxKey-AdministerThroughIam",
        "SignalboxKey-DeliverEvents",  # see the comment there
        "AlertTopicPolicy-PublishFailedJobs",  # likewise
    }
    if content["Principal"] == {"Service": "lambda.amazonaws.com"} or label(statement) in without_condition:
        return
    if content["Principal"] == {"AWS": {"Ref": "SpotMemberAccounts"}}:  # narrow enough: those named
        return
    if content["Effect"] == "Allow":
        conditions = json.dumps(content["Condition"])
        assert "AWS::AccountId" in conditions


@pytest.mark.parametrize(
    "action",
    [
        "autoscaling:DetachInstances",
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat",
    ],
)
def test_groups_opt_in_to_being_changed(action: str) -> None:
    [change] = [s for s in STATEMENTS if action in s.actions]
    assert change.content["Condition"] == {
        "Fn::If": [
            "ActsByDefault",
            {"Ref": "AWS::NoValue"},
            {"StringEquals": {"aws:ResourceTag/signalbox:spot": "act"}},
        ]
    }


def test_ending_on_a_recommendation_asks_for_both_tags_whatever_the_default() -> None:
    """As the planner does: see docs/security.md."""
    [end] = [s for s in STATEMENTS if "autoscaling:TerminateInstanceInAutoScalingGroup" in s.actions]
    assert end.content["Condition"] == {
        "StringEquals": {
            "aws:ResourceTag/signalbox:spot": "act",
            "aws:ResourceTag/signalbox:spot-rebalance": "act",
        }
    }


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if changes_the_estate(s)], ids=label)
def test_what_changes_the_estate_is_held_to_its_tags(statement: Statement) -> None:
    """But for what carries no tags of ours, and the document, which is the stack's own."""
    if label(statement) in UNTAGGED:
        assert "Condition" not in statement.content
    else:
        assert "esourceTag/signalbox:spot" in json.dumps(statement.content["Condition"])


def test_container_instances_may_opt_out() -> None:
    [drain] = [s for s in STATEMENTS if "ecs:UpdateContainerInstancesState" in s.actions]
    assert drain.content["Condition"] == {"StringEqualsIfExists": {"aws:ResourceTag/signalbox:spot": "act"}}


def test_a_layer_that_one_function_needs_is_that_functions() -> None:
    layers = {name: function["Properties"].get("Layers", []) for name, function in FUNCTIONS.items()}
    assert {name: own for name, own in layers.items() if own} == {
        "SpotDrainNodesFunction": [{"Ref": "KubernetesLayer"}],
        "DocumentsConvertObjectFunction": [{"Ref": "DocumentsLayer"}],
        "DocumentsLoadDocumentFunction": [{"Ref": "OpenSearchLayer"}],
        # Those that read versions, ranges and licences: tests/unit/packages has who does not.
        "PackagesAdmitEventsFunction": [{"Ref": "PackagesLayer"}],
        "PackagesInspectVersionFunction": [{"Ref": "PackagesLayer"}],
        "PackagesPlanReleaseFunction": [{"Ref": "PackagesLayer"}],
        "PackagesRebuildIndexFunction": [{"Ref": "PackagesLayer"}],
    }


@pytest.mark.parametrize(
    ("statement", "action", "resource"),
    [
        pytest.param(statement, action, resource, id=f"{label(statement)}-{action}")
        for statement in statements("AWS::IAM::Role")
        for action in statement.actions
        for resource in statement.resources
        if action.startswith("s3:")
    ],
)
def test_a_function_works_below_prefixes_of_the_stacks_buckets(
    statement: Statement, action: str, resource: Any
) -> None:
    """What it reads of other buckets is in DocumentsSourceAccess."""
    if action == "s3:ListBucket":
        assert resource["Fn::GetAtt"][0] in BUCKETS
    else:
        bucket, _, prefix = resource["Fn::Sub"].partition("/")
        assert bucket.removeprefix("${").removesuffix(".Arn}") in BUCKETS
        assert re.fullmatch(r"[a-z]+(/[a-z]+)*/\*", prefix)


def test_objects_of_others_are_read_and_no_more() -> None:
    found = {action for s in STATEMENTS if s.owner == "DocumentsSourceAccess" for action in s.actions}
    assert found == {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "kms:Decrypt"}


def test_commands_go_through_the_own_document_only() -> None:
    send = [s for s in STATEMENTS if "ssm:SendCommand" in s.actions]
    assert [s.content["Sid"] for s in send] == ["SendDocument", "SendToInstances"]
    document = resources("AWS::SSM::Document")["SpotCommandDocument"]["Properties"]["Name"]["Fn::Sub"]
    assert send[0].resources[0]["Fn::Sub"].endswith(f":document/{document}")


def current() -> dict[str, Any]:
    """What a reviewer wants to see change: what exists, who may do what, what a function is told."""
    kinds = sorted({resource["Type"] for resource in resources().values()})
    return {
        "resources": {kind: sorted(resources(kind)) for kind in kinds},
        "statements": {
            owner: [s.content for s in STATEMENTS if s.owner == owner]
            for owner in sorted({s.owner for s in STATEMENTS})
        },
        "environment": {
            name: function["Properties"]["Environment"]["Variables"]
            for name, function in sorted(FUNCTIONS.items())
        },
    }


def test_versions_are_copied_into_the_shared_repository_and_nothing_else_is_written() -> None:
    reads = tuple(f"codeartifact:{verb}" for verb in (*READS, "Read"))
    writing = [
        s
        for s in STATEMENTS
        if any(a.startswith("codeartifact:") and not a.startswith(reads) for a in s.actions)
    ]
    for copy, kind in zip(writing, ("package", "repository"), strict=True):
        assert copy.actions == ["codeartifact:CopyPackageVersions"]
        [resource] = copy.resources
        assert f"}}:{kind}/${{PackagesDomain}}/${{PackagesSharedRepository}}" in resource["Fn::Sub"][0]


def test_builds_are_of_the_projects_that_a_parameter_names_by_their_prefix() -> None:
    """But for the stack's own job, which its schedule begins."""
    for statement in (s for s in STATEMENTS if any(a.startswith("codebuild:") for a in s.actions)):
        if label(statement) == "PackagesRebuildIndexScheduleRole-StartJob":
            assert statement.resources == [{"Fn::GetAtt": ["PackagesRebuildIndexProject", "Arn"]}]
        else:
            [resource] = statement.resources
            assert resource["Fn::Sub"].endswith(":project/${PackagesProjectPrefix}*")


def test_the_snapshot_is_current() -> None:
    """Changed on purpose? SIGNALBOX_RENEW_SNAPSHOT=1 pytest tests/template, and read the difference."""
    if os.environ.get("SIGNALBOX_RENEW_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(current(), indent=2) + "\n")
    assert json.loads(json.dumps(current())) == json.loads(SNAPSHOT.read_text())


def role_table() -> Iterator[str]:
    """A row for each statement of a role, but for those that every function has."""
    yield "\n| Role | May | On | For |\n|---|---|---|---|"
    for statement in statements("AWS::IAM::Role", "AWS::IAM::Policy"):
        if "Principal" in statement.content or statement.content["Sid"] in OF_EVERY_ROLE:
            continue
        actions = " ".join(f"`{action}`" for action in statement.actions)
        on = ", ".join(short(resource) for resource in statement.resources)
        yield f"| {owner(statement)} | {actions} | {on} | {statement.reason} |"
    yield ""


def owner(statement: Statement) -> str:
    return statement.owner.removesuffix("Role").removesuffix("Function")


WHERE = re.compile(r":\$\{AWS::Region\}:\$\{(AWS::AccountId|Owner)\}")


def short(resource: Any) -> str:
    """The name of a resource of the stack, or what comes after the account in an ARN."""
    if resource == "*":
        return "`*`"
    [(function, of)] = resource.items()
    match function:
        case "Ref":
            return str(of)
        case "Fn::GetAtt":
            return str(of[0])
        case "Fn::Sub":
            place = str(of if isinstance(of, str) else of[0]).removeprefix("arn:${AWS::Partition}:")
            place = re.sub(r"\$\{(\w+)\.Arn\}", r"\1", place)
            return f"`{re.sub(WHERE, '', place)}`"
    pattern, [(name, joined)] = of[1]["Fn::Sub"][0], of[1]["Fn::Sub"][1].items()  # one for each of a list
    return f"`{pattern.replace(name, joined['Fn::Join'][1]['Ref']).removeprefix('arn:*:')}`"


def test_the_page_has_every_permission_with_its_reason() -> None:
    """Renewed as the snapshot is."""
    page = PAGE.read_text()
    renewed = ROLE_TABLE.sub(lambda found: found[1] + "\n".join(role_table()) + "\n" + found[2], page)
    if os.environ.get("SIGNALBOX_RENEW_SNAPSHOT"):
        PAGE.write_text(renewed)
        page = renewed
    assert page == renewed
    assert "|  |" not in page  # nothing without a reason
    assert page.count("\n| SpotPlanWindow |") > 1
