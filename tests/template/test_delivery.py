"""Nothing is lost on a hop: queues, rules and functions. Alarms: test_alarms.py."""

from typing import Any

import pytest

from tests.template.deployed import Deployed
from tests.template.domains import DOMAINS, domain_of
from tests.template.sources import as_list, attribute, resources, state_machines, statements, template

WITH_EVERYTHING = Deployed(
    {
        "DocumentsBucketPrefix": "team-",
        "DocumentsCloudTrailEvents": "true",
        "SpotMemberAccounts": "444455556666",
        "SpotMemberRegions": "eu-west-1",
    }
)
QUEUES = resources("AWS::SQS::Queue")
OTHER_QUEUES = {"packages": ["PackagesBuildsQueue"]}
"""Domain → those that rules deliver to beside its intake queue."""
FUNCTIONS = resources("AWS::Serverless::Function")


def dead_letter_queues() -> set[str]:
    """Queues that take what another hop could not deliver or do."""

    def targets(node: Any) -> list[Any]:
        if isinstance(node, dict):
            own = [node["deadLetterTargetArn"]] if "deadLetterTargetArn" in node else []
            own += [node["DeadLetterConfig"]["Arn"]] if "DeadLetterConfig" in node else []
            own += [node["OnFailure"]["Destination"]] if "OnFailure" in node else []
            return own + [target for value in node.values() for target in targets(value)]
        return [target for value in node for target in targets(value)] if isinstance(node, list) else []

    return {target["Fn::GetAtt"][0] for target in targets(resources())}


def event_targets() -> list[tuple[str, dict[str, Any]]]:
    """(rule, target); for a rule that SAM makes of a function's event, the rule's logical id."""
    rules = [
        (name, target)
        for name, rule in resources("AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
    ]
    events = [
        (f"{name}{event}", item["Properties"])
        for name, function in FUNCTIONS.items()
        for event, item in function["Properties"].get("Events", {}).items()
        if item["Type"] != "SQS"
    ]
    return rules + events


@pytest.mark.parametrize("name", QUEUES)
def test_every_queue_has_a_dead_letter_queue_or_is_one(name: str) -> None:
    redrive = QUEUES[name]["Properties"].get("RedrivePolicy")
    assert (redrive is not None) != (name in dead_letter_queues())
    if redrive:
        assert 3 <= redrive["maxReceiveCount"] <= 10


@pytest.mark.parametrize(("name", "target"), event_targets())
def test_every_rule_target_has_a_dead_letter_queue_that_takes_from_its_rules_only(
    name: str, target: dict[str, Any]
) -> None:
    queue = target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    assert {"MaximumEventAgeInSeconds", "MaximumRetryAttempts"} <= target["RetryPolicy"].keys()
    users = [rule for rule, each in event_targets() if each["DeadLetterConfig"] == target["DeadLetterConfig"]]
    assert name in users
    assert deliverers(queue) == [f"{rule}.Arn" for rule in users]


def deliverers(queue: str) -> list[Any]:
    """The rules whose events a queue takes."""
    [allowed] = [s for s in statements("AWS::SQS::QueuePolicy") if grants_delivery(s.content, queue)]
    arns: list[Any] = as_list(
        WITH_EVERYTHING.value(allowed.content["Condition"]["ArnEquals"]["aws:SourceArn"])
    )
    return arns


def grants_delivery(statement: dict[str, Any], queue: str) -> bool:
    return bool(
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "events.amazonaws.com"}
        and statement["Action"] == "sqs:SendMessage"
        and statement["Resource"] == attribute(queue)
        and statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    )


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_rule_of_a_domain_and_no_other_may_deliver_to_its_queue(domain: str) -> None:
    rules = {
        name: queue
        for name, rule in resources("AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
        if domain_of(name) == domain and (queue := target["Arn"].get("Fn::GetAtt", [""])[0]) in QUEUES
    }
    assert set(rules.values()) == {f"{domain.capitalize()}IntakeQueue", *OTHER_QUEUES.get(domain, ())}
    for queue in rules.values():
        assert deliverers(queue) == [f"{name}.Arn" for name in rules if rules[name] == queue]


@pytest.mark.parametrize("name", QUEUES)
def test_every_queue_refuses_plain_text(name: str) -> None:
    assert any(
        s.content["Effect"] == "Deny"
        and s.resources == [attribute(name)]
        and s.actions == ["sqs:*"]
        and s.content["Principal"] == "*"
        and s.content["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for s in statements("AWS::SQS::QueuePolicy")
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_cannot_do_goes_somewhere(name: str) -> None:
    """To the DLQ of its queue, to the Catch of the state machine that calls it, or to its failure queue.

    What CodeDeploy calls fails the deployment, what a job calls fails the job; whoever calls an API is told.
    """
    properties = FUNCTIONS[name]["Properties"]
    kinds = {event["Type"] for event in properties.get("Events", {}).values()}
    if kinds == {"SQS"}:
        sources = [event["Properties"]["Queue"]["Fn::GetAtt"][0] for event in properties["Events"].values()]
        assert all("RedrivePolicy" in QUEUES[queue]["Properties"] for queue in sources)
    elif kinds:
        assert properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Type"] == "SQS"
    else:
        callers = [value for machine in state_machines() for value in machine.substitutions.values()]
        integrations = resources("AWS::ApiGatewayV2::Integration").values()
        callers += [integration["Properties"]["IntegrationUri"] for integration in integrations]
        for job in resources("AWS::CodeBuild::Project").values():
            callers += [told["Value"] for told in job["Properties"]["Environment"]["EnvironmentVariables"]]
        hooks = template()["Globals"]["Function"]["DeploymentPreference"]["Hooks"].values()
        assert {"Ref": f"{name}.Alias"} in callers or {"Ref": name} in hooks


def test_the_intake_queue_tries_again_within_a_spot_deadline() -> None:
    queue = QUEUES["SpotIntakeQueue"]["Properties"]
    tries = [
        attempt * queue["VisibilityTimeout"] for attempt in range(queue["RedrivePolicy"]["maxReceiveCount"])
    ]
    assert len([start for start in tries if start < 120]) >= 3


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_intake_takes_batches_with_a_bounded_concurrency(domain: str) -> None:
    queue = QUEUES[f"{domain.capitalize()}IntakeQueue"]["Properties"]
    function = FUNCTIONS[f"{domain.capitalize()}AdmitEventsFunction"]["Properties"]
    source = WITH_EVERYTHING.value(function["Events"]["IntakeQueue"]["Properties"])
    gathering = source.get("MaximumBatchingWindowInSeconds", 0)
    # Lambda refuses a mapping whose queue shows a message again while the function may still work on it.
    assert queue["VisibilityTimeout"] >= function["Timeout"] + gathering
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert int(source["ScalingConfig"]["MaximumConcurrency"]) >= 2  # AWS's least
    # AWS: a batch of more than ten needs a batching window.
    assert source["BatchSize"] <= 10 or gathering >= 1


def test_the_intake_waits_for_an_execution_to_its_end() -> None:
    function = FUNCTIONS["DocumentsAdmitEventsFunction"]["Properties"]
    [machine] = [each for each in state_machines() if each.name == "DocumentsObjectStateMachine"]
    assert function["Timeout"] > machine.definition["TimeoutSeconds"]


@pytest.mark.parametrize(
    ("function", "queue"),
    [
        ("DocumentsAdmitEventsFunction", "DocumentsIntakeQueue"),
        ("PackagesAdmitEventsFunction", "PackagesIntakeQueue"),
        ("PackagesAdmitBuildsFunction", "PackagesBuildsQueue"),
    ],
)
def test_an_intake_knows_how_often_a_message_is_tried(function: str, queue: str) -> None:
    """The last try settles its failure, or looks as late as it may."""
    told = FUNCTIONS[function]["Properties"]["Environment"]["Variables"]
    [maximum] = [value for name, value in told.items() if name.endswith("_MAXIMUM_RECEIVES")]
    assert int(maximum) == QUEUES[queue]["Properties"]["RedrivePolicy"]["maxReceiveCount"]


def test_a_version_that_waits_to_be_quiet_rings_nothing() -> None:
    longest = template()["Parameters"]["PackagesQuietSeconds"]["MaxValue"]
    assert longest < 12 * 3_600  # ChangeMessageVisibility, SQS API Reference
    assert resources()["PackagesIntakeQueueAgeAlarm"]["Properties"]["Threshold"] > 2 * longest


def test_alarms_may_publish_to_the_encrypted_topic() -> None:
    services = [
        s.content["Principal"]
        for s in statements("AWS::SNS::TopicPolicy", "AWS::KMS::Key")
        if s.content["Effect"] == "Allow"
    ]
    assert services.count({"Service": "cloudwatch.amazonaws.com"}) == 2
