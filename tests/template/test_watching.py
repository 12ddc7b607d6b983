"""The check itself: on a small template that lacks nothing, each thing taken away is found."""

from typing import Any

import pytest
import yaml

from tests.template.watching import (
    ALARM,
    COMPOSITE,
    Template,
    malformed,
    undelivered,
    unexplained,
    unheard,
    unknown,
    unwatched,
)

GOOD = """
Globals: {Function: {Timeout: 60}}
Resources:
  Dlq: {Type: AWS::SQS::Queue, Properties: {}}
  Inbox:
    Type: AWS::SQS::Queue
    Properties: {RedrivePolicy: {deadLetterTargetArn: {"Fn::GetAtt": [Dlq, Arn]}}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: {Ref: Bus}
      Targets: [{Arn: {"Fn::GetAtt": [Inbox, Arn]}, DeadLetterConfig: {Arn: {"Fn::GetAtt": [Dlq, Arn]}}}]
  Bus: {Type: AWS::Events::EventBus}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      ReservedConcurrentExecutions: 10
      EventInvokeConfig: {DestinationConfig: {OnFailure: {Destination: {"Fn::GetAtt": [Dlq, Arn]}}}}
      Events: {Tick: {Type: Schedule, Properties: {DeadLetterConfig: {Arn: {"Fn::GetAtt": [Dlq, Arn]}}}}}
  Machine: {Type: AWS::Serverless::StateMachine, Properties: {}}
  Role:
    Type: AWS::IAM::Role
    Properties: {Statement: [{Action: [dynamodb:GetItem], Resource: {"Fn::GetAtt": [Table, Arn]}}]}
  Table: {Type: AWS::DynamoDB::Table}
  Api: {Type: AWS::ApiGatewayV2::Api}
  Topic: {Type: AWS::SNS::Topic}
  Project: {Type: AWS::CodeBuild::Project}
"""
METRICS = {
    "Depth": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": "Dlq"}),
    "Age": ("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "Inbox"}),
    "Failed": ("AWS/Events", "FailedInvocations", {"RuleName": "Rule", "EventBusName": "Bus"}),
    "Lost": ("AWS/Events", "InvocationsFailedToBeSentToDlq", {"RuleName": "Rule", "EventBusName": "Bus"}),
    "TickFailed": ("AWS/Events", "FailedInvocations", {"RuleName": "WorkerTick"}),
    "TickLost": ("AWS/Events", "InvocationsFailedToBeSentToDlq", {"RuleName": "WorkerTick"}),
    **{
        metric: ("AWS/Lambda", metric, {"FunctionName": "Worker"})
        for metric in (
            "Errors",
            "Throttles",
            "Duration",
            "ConcurrentExecutions",
            "AsyncEventsDropped",
            "AsyncEventAge",
            "DestinationDeliveryFailures",
        )
    },
    **{
        metric: ("AWS/States", metric, {"StateMachineArn": "Machine"})
        for metric in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionThrottled")
    },
    "Reads": ("AWS/DynamoDB", "ReadThrottleEvents", {"TableName": "Table"}),
    "Writes": ("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": "Table"}),
    "Gets": ("AWS/DynamoDB", "SystemErrors", {"TableName": "Table", "Operation": "GetItem"}),
    "FailedBuilds": ("AWS/CodeBuild", "FailedBuilds", {"ProjectName": "Project"}),
    "Broken": ("AWS/ApiGateway", "5xx", {"ApiId": "Api"}),
    "Unsent": ("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": "Topic"}),
}
THRESHOLDS = {"Duration": 48_000, "ConcurrentExecutions": 8}


def alarm(name: str) -> dict[str, Any]:
    namespace, metric, dimensions = METRICS[name]
    return {
        "AlarmDescription": {"Fn::Sub": f"Bad. Runbook: ${{RunbookUrl}}#{name.lower()}alarm"},
        "Namespace": namespace,
        "MetricName": metric,
        "Statistic": "p99" if metric == "Duration" else "Sum",
        "Dimensions": [
            {"Name": key, "Value": value if key == "Operation" else {"Ref": value}}
            for key, value in dimensions.items()
        ],
        "Threshold": THRESHOLDS.get(name, 0),
        "EvaluationPeriods": 5,
        "DatapointsToAlarm": 1,
        "TreatMissingData": "notBreaching",
    }


def small() -> dict[str, Any]:
    """A template that lacks nothing, to be spoilt."""
    document: dict[str, Any] = yaml.safe_load(GOOD)
    alarms = {f"{name}Alarm": {"Type": ALARM, "Properties": alarm(name)} for name in METRICS}
    rule = {"Fn::Sub": " OR ".join(f'ALARM("${{{name}}}")' for name in alarms)}
    description = {"Fn::Sub": "Bad. Runbook: ${RunbookUrl}#pagealarm"}
    page = {"AlarmRule": rule, "AlarmActions": [{"Ref": "Topic"}], "AlarmDescription": description}
    document["Resources"] |= alarms | {"PageAlarm": {"Type": COMPOSITE, "Properties": page}}
    return document


HEADINGS = "\n".join(f"### {name}" for name in [*(f"{name}Alarm" for name in METRICS), "PageAlarm", "Dlq"])


def problems(document: dict[str, Any], runbook: str = HEADINGS) -> list[str]:
    """Everything that the checks find."""
    found = Template(document)
    return [
        *unwatched(found, {}),
        *malformed(found),
        *unheard(found, {}),
        *undelivered(found, {}),
        *unexplained(found, runbook),
        *unknown(found, runbook),
    ]


def test_a_template_that_lacks_nothing_passes() -> None:
    assert problems(small()) == []


@pytest.mark.parametrize("name", METRICS)
def test_each_alarm_that_is_missing_is_found(name: str) -> None:
    document = small()
    del document["Resources"][f"{name}Alarm"]
    owner = next(value for value in METRICS[name][2].values())
    assert f"{owner}: {METRICS[name][1]}" in problems(document, HEADINGS.replace(f"### {name}Alarm\n", ""))


@pytest.mark.parametrize("name", METRICS)
def test_an_alarm_on_something_else_is_none(name: str) -> None:
    document = small()
    document["Resources"][f"{name}Alarm"]["Properties"]["Dimensions"][0]["Value"] = {"Ref": "Other"}
    assert len(problems(document)) == 1


def test_one_alarm_may_watch_several() -> None:
    document = small()
    metrics = [
        {
            "Id": name.lower(),
            "ReturnData": False,
            "MetricStat": {
                "Stat": "p99" if name == "Duration" else "Sum",
                "Period": 60,
                "Metric": {key: alarm(name)[key] for key in ("Namespace", "MetricName", "Dimensions")},
            },
        }
        for name in ("Errors", "Duration")
    ]
    expression = {"Id": "sum", "Expression": "SUM([FILL(errors, 0), IF(FILL(duration, 0) > 48000, 1, 0)])"}
    properties = document["Resources"]["ErrorsAlarm"]["Properties"]
    properties["Metrics"] = [
        expression,
        metrics[0],
        {"Fn::If": ["Some", metrics[1], {"Ref": "AWS::NoValue"}]},
    ]
    del properties["MetricName"]
    document["Resources"]["DurationAlarm"]["Properties"]["MetricName"] = "Something"
    assert problems(document) == []
    expression["Expression"] = "SUM([FILL(errors, 0), IF(FILL(duration, 0) > 59000, 1, 0)])"
    assert problems(document) == ["Worker: Duration: rings above 59000, not 48000"]
    expression["Expression"] = "SUM([errors, IF(FILL(duration, 0) > 48000, 1, 0)])"
    assert any(problem.startswith("ErrorsAlarm: errors is not filled") for problem in problems(document))
    expression["Expression"] = "FILL(errors, 0)"
    assert "ErrorsAlarm: duration is in no expression" in problems(document)
    properties["Metrics"] = [expression, *(metrics[0] | {"Id": f"m{n}"} for n in range(11))]
    assert "ErrorsAlarm: looks at 11 metrics; 10 are allowed" in problems(document)


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        (("DurationAlarm", "Threshold"), 50_000, "Worker: Duration: rings above 50000, not 48000"),
        (("DurationAlarm", "Statistic"), "Maximum", "Worker: Duration: statistic Maximum, not p99"),
        (
            ("ConcurrentExecutionsAlarm", "Threshold"),
            10,
            "Worker: ConcurrentExecutions: rings above 10, not 8",
        ),
        (("AgeAlarm", "TreatMissingData"), None, "AgeAlarm: does not say what missing data means"),
        (("AgeAlarm", "TreatMissingData"), {"Fn::If": ["Some", "breaching", "notBreaching"]}, None),
        (
            ("AgeAlarm", "TreatMissingData"),
            {"Fn::If": ["Some", "breaching", "often"]},
            "AgeAlarm: does not say what missing data means",
        ),
        (("AgeAlarm", "DatapointsToAlarm"), 6, "AgeAlarm: does not say how many data points of how many"),
        (("AgeAlarm", "AlarmActions"), [{"Ref": "Topic"}], "AgeAlarm: pages 2 times"),
        (("PageAlarm", "AlarmActions"), [], "AgeAlarm: pages 0 times"),
        (
            ("AgeAlarm", "AlarmDescription"),
            "Bad.",
            "AgeAlarm: its description does not end with its place in the runbook",
        ),
        (("Inbox", "RedrivePolicy"), None, "Inbox: no RedrivePolicy, and it is nobody's dead-letter queue"),
        (("Rule", "Targets"), [{"Arn": "queue"}], "Rule: a target has no DeadLetterConfig"),
        (
            ("Worker", "Events"),
            {"Tick": {"Type": "Schedule", "Properties": {}}},
            "WorkerTick: a target has no DeadLetterConfig",
        ),
        (
            ("Worker", "EventInvokeConfig"),
            None,
            "Worker: invoked asynchronously, with neither OnFailure nor DeadLetterQueue",
        ),
        (("Role", "Statement"), [], None),
    ],
)
def test_what_is_wrong_is_found(path: tuple[str, str], value: object, found: str | None) -> None:
    document = small()
    properties = document["Resources"][path[0]]["Properties"]
    if value is None:
        del properties[path[1]]
    else:
        properties[path[1]] = value
    assert (found in problems(document)) if found else (problems(document) == [])


def test_a_kind_that_nobody_thought_of_is_found() -> None:
    document = small()
    document["Resources"]["Stream"] = {"Type": "AWS::Kinesis::Stream"}
    [problem] = problems(document)
    assert problem.startswith("AWS::Kinesis::Stream: nobody has said")


def test_the_runbook_is_held_to_the_template() -> None:
    assert problems(small(), HEADINGS.replace("### Dlq", "")) == ["Dlq: no heading in the runbook"]
    assert problems(small(), f"{HEADINGS}\nSee OldDeadLetterQueue.") == ["OldDeadLetterQueue"]


def test_exceptions_are_by_name() -> None:
    document = small()
    del document["Resources"]["AgeAlarm"]
    assert unwatched(Template(document), {"Inbox: ApproximateAgeOfOldestMessage": "why"}) == []
    del document["Resources"]["Inbox"]["Properties"]["RedrivePolicy"]
    assert undelivered(Template(document), {"Inbox": "why"}) == []
    assert unheard(Template(small()), {"DepthAlarm": "why"}) == ["DepthAlarm: is to be silent, and pages"]
