"""What holds data is encrypted and kept; what logs has a group; defaults are safe."""

from typing import Any

import pytest

from tests.template.sources import resources, template

KEY = ({"Ref": "SignalboxKey"}, {"Fn::GetAtt": ["SignalboxKey", "Arn"]})
# Where each kind of resource that holds data names its key.
ENCRYPTED: dict[str, tuple[str | int, ...]] = {
    "AWS::Athena::WorkGroup": (
        *("WorkGroupConfiguration", "ResultConfiguration", "EncryptionConfiguration"),
        "KmsKey",
    ),
    "AWS::CodeBuild::Project": ("EncryptionKey",),
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
    "AWS::Events::EventBus": ("KmsKeyIdentifier",),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::S3::Bucket": (
        *("BucketEncryption", "ServerSideEncryptionConfiguration", 0),
        *("ServerSideEncryptionByDefault", "KMSMasterKeyID"),
    ),
    "AWS::SNS::Topic": ("KmsMasterKeyId",),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
}
# Holds nothing of the user's, or keys and counts only (executions, under the key that AWS owns).
NOTHING_TO_ENCRYPT = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::AppConfig::Application",
    "AWS::AppConfig::ConfigurationProfile",
    "AWS::AppConfig::HostedConfigurationVersion",  # what the functions' environment says
    "AWS::Athena::NamedQuery",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::EventBusPolicy",
    "AWS::Events::Rule",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::Permission",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Document",
    "AWS::Serverless::Function",
    "AWS::Serverless::LayerVersion",
    "AWS::Serverless::StateMachine",
    "AWS::XRay::Group",
    "AWS::XRay::SamplingRule",
}
KEEPING = {
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
}
# Nothing in it is the only copy: a later sweep does what a failed one didn't, logs are kept for days.
MAY_GO = {
    "SpotSweepDeadLetterQueue",
    "DocumentsCompactDeadLetterQueue",
    "PackagesJobDeadLetterQueue",
    *resources("AWS::Logs::LogGroup"),
}
FUNCTIONS = resources("AWS::Serverless::Function")
KIND_OF_MACHINE = {
    "SpotWindowStateMachine": "STANDARD",
    "DocumentsObjectStateMachine": "EXPRESS",
    "PackagesReleaseStateMachine": "STANDARD",  # an Express one can't wait for builds
}


def test_every_kind_of_resource_is_known_to_hold_data_or_not() -> None:
    assert {resource["Type"] for resource in resources().values()} == ENCRYPTED.keys() | NOTHING_TO_ENCRYPT


@pytest.mark.parametrize("name", resources(*ENCRYPTED))
def test_what_holds_data_is_encrypted_with_the_key(name: str) -> None:
    value: Any = resources()[name]["Properties"]
    for part in ENCRYPTED[resources()[name]["Type"]]:
        value = value[part]
    assert value in KEY


def test_the_key_rotates() -> None:
    assert resources()["SignalboxKey"]["Properties"]["EnableKeyRotation"] is True


@pytest.mark.parametrize("name", resources(*KEEPING))
def test_what_holds_data_outlives_the_stack(name: str) -> None:
    resource = resources()[name]
    policies = {resource["DeletionPolicy"], resource["UpdateReplacePolicy"]}
    assert policies == ({"Delete"} if name in MAY_GO else {"Retain"})


def test_the_ledger_can_be_restored_and_forgets() -> None:
    table = resources()["LedgerTable"]["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_logs_into_a_group_of_its_own_that_forgets(name: str) -> None:
    group = FUNCTIONS[name]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    assert resources()[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    users = [
        other
        for other, function in FUNCTIONS.items()
        if function["Properties"]["LoggingConfig"]["LogGroup"] == {"Ref": group}
    ]
    assert users == [name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_named_after_its_folder(name: str) -> None:
    folder = FUNCTIONS[name]["Properties"]["CodeUri"].removeprefix("functions/").rstrip("/")
    assert name == "".join(part.capitalize() for part in folder.split("_")) + "Function"
    group = resources()[FUNCTIONS[name]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
    assert group["Properties"]["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}/{folder}"}


def test_functions_log_json_and_trace() -> None:
    shared = template()["Globals"]["Function"]
    assert shared["LoggingConfig"]["LogFormat"] == "JSON"
    assert shared["Tracing"] == "Active"
    assert not any("Tracing" in function["Properties"] for function in FUNCTIONS.values())


def test_state_machines_log_all_and_trace() -> None:
    machines = resources("AWS::Serverless::StateMachine")
    assert {n: machine["Properties"]["Type"] for n, machine in machines.items()} == KIND_OF_MACHINE
    for machine in machines.values():
        properties = machine["Properties"]
        assert properties["Logging"]["Level"] == "ALL"
        assert properties["Logging"]["IncludeExecutionData"] is True
        [destination] = properties["Logging"]["Destinations"]
        group = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]
        assert resources()[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert properties["Tracing"] == {"Enabled": True}


@pytest.mark.parametrize("name", template()["Parameters"])
def test_every_parameter_says_what_it_is_and_takes_no_nonsense(name: str) -> None:
    parameter = template()["Parameters"][name]
    assert parameter["Description"].endswith(".")
    assert "Default" in parameter
    assert (
        "AllowedValues" in parameter
        or "AllowedPattern" in parameter
        or {"MinValue", "MaxValue"} <= parameter.keys()
    )


def test_nothing_is_done_unless_asked_for() -> None:
    parameters = template()["Parameters"]
    assert parameters["SpotDefaultMode"]["Default"] == "observe"
    assert parameters["PackagesMode"]["Default"] == "observe"
    assert parameters["PackagesDomain"]["Default"] == ""
    assert parameters["AlertEmail"]["Default"] == ""
    assert resources()["AlertEmailSubscription"]["Condition"] == "HasAlertEmail"


def test_a_window_and_the_commands_fit_into_the_two_minutes() -> None:
    parameters = template()["Parameters"]
    assert parameters["SpotWindowSeconds"]["MaxValue"] < 120
    assert parameters["SpotCommandLeadSeconds"]["MaxValue"] < 120
    # EventBridge takes no less than 60 and no more than a day.
    assert parameters["SpotMaximumEventAgeSeconds"]["MinValue"] >= 120
    assert parameters["SpotMaximumEventAgeSeconds"]["MaxValue"] <= 86_400


def test_the_outputs_that_others_read_are_there() -> None:
    assert template()["Outputs"].keys() == {
        "LedgerTableName",
        "AlertTopicArn",
        "EventBusName",
        "SpotStateMachineArn",
        "SpotIntakeQueueUrl",
        "SpotIntakeDeadLetterQueueUrl",
        "SpotRuleDeadLetterQueueUrl",
        "SpotCommandDocumentName",
        "DocumentsBucketName",
        "DocumentsWorkBucketName",
        "DocumentsDatabaseName",
        "DocumentsWorkGroupName",
        "DocumentsIntakeQueueUrl",
        "DocumentsIntakeDeadLetterQueueUrl",
        "DocumentsRuleDeadLetterQueueUrl",
        "DocumentsStateMachineArn",
        "DocumentsRoutesParameter",
        "DocumentsUploadUrl",
        "PackagesStateMachineArn",
        "PackagesIntakeQueueUrl",
        "PackagesIntakeDeadLetterQueueUrl",
        "PackagesBuildsQueueUrl",
        "PackagesBuildsDeadLetterQueueUrl",
        "PackagesRuleDeadLetterQueueUrl",
        "PackagesPolicyParameter",
        "PackagesOwnersPath",
    }


def test_every_resource_is_in_one_group_of_the_canvas() -> None:
    """The template opens readable in Infrastructure Composer."""
    groups = template()["Metadata"]["AWS::Composer::Groups"]
    members = [name for group in groups.values() for name in group["Members"]]
    assert sorted(members) == sorted(resources())
    assert all(group["Label"] for group in groups.values())
