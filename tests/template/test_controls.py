"""The controls of AWS Foundational Security Best Practices in docs/security.md, each looked at here."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.template.sources import ROOT, Node, Statement, resources, statements, template

PAGE = (ROOT / "docs" / "security.md").read_text()
EVERYONE: tuple[Any, ...] = ("*", {"AWS": "*"})
SUPPORTED_RUNTIMES = {"python3.13"}
"""Lambda Developer Guide, "Lambda runtimes"; all of them alike, for the layers' sake."""

type Offenders = list[str]


def properties(*types: str) -> dict[str, Node]:
    return {name: resource["Properties"] for name, resource in resources(*types).items()}


def open_to_everyone(*types: str) -> Offenders:
    """Statements that allow somebody unknown something, with no condition."""
    return [
        f"{statement.owner}: {statement.content.get('Sid')}"
        for statement in statements(*types)
        if statement.content["Effect"] == "Allow"
        and statement.content.get("Principal") in EVERYONE
        and "Condition" not in statement.content
    ]


def of_identities() -> list[Statement]:
    return [s for s in statements("AWS::IAM::Role", "AWS::IAM::Policy") if "Principal" not in s.content]


def functions_are_private() -> Offenders:
    opened = [
        name
        for name, function in properties("AWS::Serverless::Function").items()
        if "FunctionUrlConfig" in function
    ]
    permissions = properties("AWS::Lambda::Permission").items()
    return opened + [name for name, permission in permissions if permission["Principal"] == "*"]


def runtimes_are_supported() -> Offenders:
    shared = template()["Globals"]["Function"]["Runtime"]
    functions = properties("AWS::Serverless::Function").items()
    return [name for name, own in functions if own.get("Runtime", shared) not in SUPPORTED_RUNTIMES]


def topics_are_private() -> Offenders:
    return open_to_everyone("AWS::SNS::TopicPolicy")


def queues_are_encrypted() -> Offenders:
    return [name for name, queue in properties("AWS::SQS::Queue").items() if not queue.get("KmsMasterKeyId")]


def queues_are_private() -> Offenders:
    return open_to_everyone("AWS::SQS::QueuePolicy")


def buses_have_a_policy() -> Offenders:
    governed = {
        policy["EventBusName"]["Ref"] for policy in properties("AWS::Events::EventBusPolicy").values()
    }
    return [name for name in resources("AWS::Events::EventBus") if name not in governed]


def nobody_may_decrypt_with_every_key() -> Offenders:
    return [
        f"{s.owner}: {s.content['Sid']}"
        for s in of_identities()
        if any(action.startswith(("kms:", "*")) for action in s.actions) and "*" in s.resources
    ]


def keys_outlive_the_stack() -> Offenders:
    keys = resources("AWS::KMS::Key").items()
    return [name for name, key in keys if key.get("DeletionPolicy") != "Retain"]


def keys_rotate() -> Offenders:
    return [name for name, key in properties("AWS::KMS::Key").items() if not key.get("EnableKeyRotation")]


def keys_are_private() -> Offenders:
    """Whoever is not named is known by account, and comes through a service."""
    unknown = [s for s in statements("AWS::KMS::Key") if s.content.get("Principal") in EVERYONE]
    held = {"kms:CallerAccount", "kms:ViaService"}
    return [
        s.content["Sid"]
        for s in unknown
        if not held <= s.content.get("Condition", {}).get("StringEquals", {}).keys()
    ]


def no_policy_allows_a_whole_service() -> Offenders:
    return [
        f"{s.owner}: {s.content['Sid']}"
        for s in of_identities()
        if s.content["Effect"] == "Allow" and any(action.endswith("*") for action in s.actions)
    ]


def tables_scale() -> Offenders:
    tables = properties("AWS::DynamoDB::Table").items()
    return [name for name, table in tables if table["BillingMode"] != "PAY_PER_REQUEST"]


def tables_can_be_restored() -> Offenders:
    return [
        name
        for name, table in properties("AWS::DynamoDB::Table").items()
        if table["PointInTimeRecoverySpecification"] != {"PointInTimeRecoveryEnabled": True}
    ]


def tables_are_protected() -> Offenders:
    return [
        name
        for name, table in properties("AWS::DynamoDB::Table").items()
        if table["DeletionProtectionEnabled"] != {"Fn::If": ["IsProduction", True, False]}
    ]


def machines_log() -> Offenders:
    machines = properties("AWS::Serverless::StateMachine").items()
    return [name for name, machine in machines if machine["Logging"]["Level"] != "ALL"]


def projects_have_no_source_of_others() -> Offenders:
    projects = properties("AWS::CodeBuild::Project").items()
    return [name for name, project in projects if project["Source"]["Type"] != "NO_SOURCE"]


def projects_hold_no_credentials() -> Offenders:
    secret = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    return [
        name
        for name, project in properties("AWS::CodeBuild::Project").items()
        if secret & {each["Name"] for each in project["Environment"]["EnvironmentVariables"]}
    ]


def projects_log_into_a_group_alone() -> Offenders:
    return [
        name
        for name, project in properties("AWS::CodeBuild::Project").items()
        if project["LogsConfig"].keys() != {"CloudWatchLogs"}
        or project["LogsConfig"]["CloudWatchLogs"]["Status"] != "ENABLED"
    ]


def documents_are_private() -> Offenders:
    """CloudFormation can't share a document: only ModifyDocumentPermission can, which no role may call."""
    return [s.owner for s in of_identities() if "ssm:ModifyDocumentPermission" in s.actions]


def buckets_are_private() -> Offenders:
    blocked = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    return [
        name
        for name, bucket in properties("AWS::S3::Bucket").items()
        if bucket.get("PublicAccessBlockConfiguration") != dict.fromkeys(blocked, True)
    ]


def buckets_refuse_plain_text() -> Offenders:
    refusing = {
        of["Fn::GetAtt"][0]
        for s in statements("AWS::S3::BucketPolicy")
        if s.content["Effect"] == "Deny"
        and s.content["Principal"] == "*"
        and s.actions == ["s3:*"]
        and s.content["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for of in s.resources
        if "Fn::GetAtt" in of and {"Fn::Sub": f"${{{of['Fn::GetAtt'][0]}.Arn}}/*"} in s.resources
    }
    return sorted(resources("AWS::S3::Bucket").keys() - refusing)


def no_other_account_may_use_a_bucket() -> Offenders:
    return [s.owner for s in statements("AWS::S3::BucketPolicy") if s.content["Effect"] == "Allow"]


def buckets_have_no_lists_of_access() -> Offenders:
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    return [n for n, b in properties("AWS::S3::Bucket").items() if b.get("OwnershipControls") != enforced]


def buckets_have_a_lifecycle() -> Offenders:
    buckets = properties("AWS::S3::Bucket").items()
    return [name for name, bucket in buckets if not bucket.get("LifecycleConfiguration", {}).get("Rules")]


def routes_ask_who_calls() -> Offenders:
    routes = properties("AWS::ApiGatewayV2::Route").items()
    return [name for name, route in routes if route.get("AuthorizationType", "NONE") == "NONE"]


def stages_log_access() -> Offenders:
    stages = properties("AWS::ApiGatewayV2::Stage").items()
    return [name for name, stage in stages if "DestinationArn" not in stage.get("AccessLogSettings", {})]


CONTROLS: Mapping[str, Callable[[], Offenders]] = {
    "APIGateway.8": routes_ask_who_calls,
    "APIGateway.9": stages_log_access,
    "CodeBuild.1": projects_have_no_source_of_others,
    "CodeBuild.2": projects_hold_no_credentials,
    "CodeBuild.3": projects_log_into_a_group_alone,
    "CodeBuild.4": projects_log_into_a_group_alone,
    "DynamoDB.1": tables_scale,
    "DynamoDB.2": tables_can_be_restored,
    "DynamoDB.6": tables_are_protected,
    "EventBridge.3": buses_have_a_policy,
    "IAM.21": no_policy_allows_a_whole_service,
    "KMS.1": nobody_may_decrypt_with_every_key,
    "KMS.2": nobody_may_decrypt_with_every_key,
    "KMS.3": keys_outlive_the_stack,
    "KMS.4": keys_rotate,
    "KMS.5": keys_are_private,
    "Lambda.1": functions_are_private,
    "Lambda.2": runtimes_are_supported,
    "S3.2": buckets_are_private,
    "S3.3": buckets_are_private,
    "S3.5": buckets_refuse_plain_text,
    "S3.6": no_other_account_may_use_a_bucket,
    "S3.8": buckets_are_private,
    "S3.12": buckets_have_no_lists_of_access,
    "S3.13": buckets_have_a_lifecycle,
    "SNS.4": topics_are_private,
    "SQS.1": queues_are_encrypted,
    "SQS.3": queues_are_private,
    "SSM.4": documents_are_private,
    "StepFunctions.1": machines_log,
}
NOT_HERE = {
    "CodeBuild.7": "AWS::CodeBuild::ReportGroup",
    "DynamoDB.3": "AWS::DAX::Cluster",
    "S3.19": "AWS::S3::AccessPoint",
    "S3.24": "AWS::S3::MultiRegionAccessPoint",
}
"""Control, or all of a service → the kind of resource that it is about, of which the template has none."""
OF_THE_ACCOUNT = {"S3.1"}
NOT_MET = {"S3.9": ("AWS::S3::Bucket", "LoggingConfiguration")}
"""Control → the resources that lack this property, for a reason that the page has."""


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading of the page: its first column → the other ones."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): rest for name, *rest in cells if name}


@pytest.mark.parametrize("control", CONTROLS)
def test_the_control_is_met(control: str) -> None:
    assert CONTROLS[control]() == []


def test_each_row_has_its_check_and_each_check_its_row() -> None:
    assert rows("Controls").keys() - {"Control"} == CONTROLS.keys()


def test_what_does_not_apply_is_about_what_is_not_there() -> None:
    kinds = {resource["Type"] for resource in resources().values()}
    excused = rows("Controls that do not apply").keys() - {"Control"}
    assert excused == NOT_HERE.keys() | OF_THE_ACCOUNT | {"Lambda.5"}
    assert kinds.isdisjoint(NOT_HERE.values())
    assert not any("VpcConfig" in f for f in properties("AWS::Serverless::Function").values())  # Lambda.5


def test_what_is_not_met_is_so() -> None:
    assert rows("Controls that are not met").keys() - {"Control"} == NOT_MET.keys()
    for kind, lacking in NOT_MET.values():
        assert not any(lacking in each for each in properties(kind).values())


def test_the_audit_skips_what_the_page_says_and_looks_at_every_template() -> None:
    checkov = yaml.safe_load((ROOT / ".checkov.yaml").read_text())
    serverless = yaml.safe_load((ROOT / ".cfnlintrc.serverless.yaml").read_text())
    everything = [
        "template.yaml",
        *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("examples/*/template.yaml")),
    ]
    assert checkov["file"] == serverless["templates"] == everything
    skipped = rows("What the linters are told to pass over").keys() - {"Rule"}
    assert skipped == {
        *checkov["skip-check"],
        *serverless["ignore_checks"],
        *skipped_in_templates(everything),
    }


def skipped_in_templates(paths: list[str]) -> Iterator[str]:
    for path in paths:
        found = re.findall(r"- id: (CKV\w+)\n\s+comment: (\S.*)", (ROOT / path).read_text())
        yield from (rule for rule, reason in found if reason)


@pytest.mark.parametrize("name", [".checkov.yaml", ".cfnlintrc.serverless.yaml"])
def test_what_is_skipped_has_its_reason_above_it(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    skipped = [number for number, line in enumerate(lines) if re.match(r"  - (CKV|WS|ES)", line)]
    assert skipped
    # Several in a row may share one.
    groups = [number for number in skipped if number - 1 not in skipped]
    assert [lines[number] for number in groups if not lines[number - 1].strip().startswith("#")] == []


def test_every_reason_names_a_file_that_is_there() -> None:
    texts = [PAGE, *((ROOT / name).read_text() for name in (".checkov.yaml", ".cfnlintrc.serverless.yaml"))]
    named = {path for text in texts for path in re.findall(r"tests/\w+/\w+\.py", text)}
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_no_secret_is_in_a_functions_environment() -> None:
    """CKV_AWS_173 is passed over for this reason: none but the external id comes from a NoEcho parameter."""
    hidden = {name for name, parameter in template()["Parameters"].items() if parameter.get("NoEcho")}
    told = json.dumps([f.get("Environment") for f in properties("AWS::Serverless::Function").values()])
    assert {name for name in hidden if name in told} <= {"SpotMemberExternalId"}
