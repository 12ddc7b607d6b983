"""What must be watched, kept and explained: a template in, what it lacks out. Knows no resource by name.

Which metrics AWS writes, and with which dimensions, stands in each service's user guide under "metrics":
Lambda, EventBridge, EventBridge Scheduler, SQS, Step Functions, DynamoDB, SNS, API Gateway, CodeBuild.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

type Node = dict[str, Any]

ALARM = "AWS::CloudWatch::Alarm"
COMPOSITE = "AWS::CloudWatch::CompositeAlarm"
MOST_METRICS = 10
"""CloudWatch's limit for an alarm on a metric math expression."""
MOST_CHILDREN = 100
"""CloudWatch's limit for a composite alarm."""
SLOW = 0.8
"""The share of its timeout, or of its reserved concurrency, that a function should not exceed."""
NO_METRICS = {
    # Of which AWS writes no metric that could tell of trouble.
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",  # its API counts
    "AWS::AppConfig::Application",
    "AWS::AppConfig::ConfigurationProfile",
    "AWS::AppConfig::HostedConfigurationVersion",
    "AWS::ApplicationInsights::Application",
    "AWS::Athena::NamedQuery",
    "AWS::Athena::WorkGroup",  # who searches is told what went wrong
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::EventBus",  # PutEvents tells its caller; what its rules don't deliver counts for them
    "AWS::Events::EventBusPolicy",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",  # a call that it refuses fails where it is made
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::Logs::QueryDefinition",
    "AWS::ResourceGroups::Group",
    "AWS::S3::Bucket",  # counts requests when asked to, for a price; what it refuses fails where it is called
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",  # its topic counts what it could not deliver
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Document",
    "AWS::Serverless::LayerVersion",
    "AWS::XRay::Group",
    "AWS::XRay::SamplingRule",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """One metric that an alarm looks at."""

    alarm: str
    namespace: str
    metric: str
    statistic: str
    dimensions: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A metric that some alarm must look at: each dimension's value refers to that resource, or is that text.

    `fits` says more of an alarm that does: "" or what is wrong with it.
    """

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    fits: Callable[[Node, Watched], str] = field(default=lambda _alarm, _watched: "")


class Template:
    """A parsed template, intrinsic functions in their long form."""

    def __init__(self, document: Node) -> None:
        self.resources: Mapping[str, Node] = document["Resources"]
        self.defaults: Node = document.get("Globals", {}).get("Function", {})

    def of(self, *types: str) -> dict[str, Node]:
        """Logical id → properties, of these types."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] in types
        }

    def watched(self) -> list[Watched]:
        """Every metric of every alarm."""
        return [watched for name, alarm in self.of(ALARM).items() for watched in _watched(name, alarm)]

    def rules(self) -> dict[str, Node]:
        """EventBridge rules, those included that SAM makes of a function's or a state machine's event."""
        implicit = {
            f"{owner}{event}": {"Targets": [item["Properties"]]}
            for owner, properties in self.of(
                "AWS::Serverless::Function", "AWS::Serverless::StateMachine"
            ).items()
            for event, item in properties.get("Events", {}).items()
            if item["Type"] in {"Schedule", "EventBridgeRule", "CloudWatchEvent"}
        }
        return self.of("AWS::Events::Rule") | implicit

    def dead_letter_queues(self) -> set[str]:
        """Queues that take what another hop could not deliver or do."""
        return {name for node in _nodes(dict(self.resources)) for name in _dead_letters(node)}


def _watched(name: str, alarm: Node) -> Iterator[Watched]:
    if "MetricName" in alarm:
        statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic", "")
        dimensions = _pairs(alarm.get("Dimensions", []))
        yield Watched(name, alarm["Namespace"], alarm["MetricName"], statistic, dimensions)
    for query in queries(alarm):
        if "MetricStat" in query:
            found, metric = query["MetricStat"], query["MetricStat"]["Metric"]
            yield Watched(
                name,
                metric["Namespace"],
                metric["MetricName"],
                found["Stat"],
                _pairs(metric.get("Dimensions", [])),
                query["Id"],
            )


def queries(alarm: Node) -> list[Node]:
    """The metrics and expressions of an alarm, those included that a condition may leave out."""
    return [query.get("Fn::If", [None, query])[1] for query in alarm.get("Metrics", [])]


def _pairs(dimensions: Iterable[Node]) -> dict[str, Any]:
    return {dimension["Name"]: dimension["Value"] for dimension in dimensions}


def _nodes(node: Any) -> Iterator[Node]:
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(value)


def _dead_letters(node: Node) -> Iterator[str]:
    targets = [node.get("deadLetterTargetArn"), node.get("DeadLetterConfig"), node.get("DeadLetterQueue")]
    targets += [node["OnFailure"].get("Destination")] if isinstance(node.get("OnFailure"), dict) else []
    for target in targets:
        yield from references(target)


def references(node: Any) -> set[str]:
    """The logical ids that a part of a template refers to by Ref or GetAtt, or in a text."""
    if isinstance(node, str):
        return set(re.findall(r"\$\{(\w+)(?:\.\w+)?\}", node))
    found: set[str] = set()
    for part in _nodes(node):
        found |= {part["Ref"]} if isinstance(part.get("Ref"), str) else set()
        attribute = part.get("Fn::GetAtt")
        found |= (
            {attribute[0] if isinstance(attribute, list) else attribute.split(".")[0]} if attribute else set()
        )
        text = part.get("Fn::Sub", "")
        found |= references(text if isinstance(text, str) else text[0])
    return found


# ------------------------------------------------------------------------------------------------- Alarms


def unwatched(template: Template, excused: Mapping[str, str]) -> list[str]:
    """What no alarm looks at: `<resource>: <metric>`, and why an alarm that does is not enough.

    `excused` are those that need none, each with its reason.
    """
    lacking = [
        f"{name}: {problem}"
        for name, wanted in wanted_metrics(template)
        if (problem := _problem(template, wanted)) and f"{name}: {wanted.metric}" not in excused
    ]
    kinds = {resource["Type"] for resource in template.resources.values()} - NO_METRICS - WANTED.keys()
    return lacking + [
        f"{kind}: nobody has said which of its metrics must be watched" for kind in sorted(kinds)
    ]


def wanted_metrics(template: Template) -> Iterator[tuple[str, Wanted]]:
    """Every metric that must be watched, with the logical id of its resource."""
    for name, rule in template.rules().items():
        yield from ((name, wanted) for wanted in _of_rule(template, name, rule))
    for name, resource in template.resources.items():
        of_kind = WANTED.get(resource["Type"])
        if of_kind and resource["Type"] != "AWS::Events::Rule":
            yield from ((name, wanted) for wanted in of_kind(template, name, resource.get("Properties", {})))


def _problem(template: Template, wanted: Wanted) -> str:
    candidates = [
        watched
        for watched in template.watched()
        if (watched.namespace, watched.metric) == (wanted.namespace, wanted.metric)
        and watched.dimensions.keys() == wanted.dimensions.keys()
        and all(_is(watched.dimensions[name], value) for name, value in wanted.dimensions.items())
    ]
    problems = [wanted.fits(template.of(ALARM)[watched.alarm], watched) for watched in candidates]
    if not problems:
        return wanted.metric
    return "" if "" in problems else f"{wanted.metric}: {problems[0]}"


def _is(value: Any, wanted: str) -> bool:
    return value == wanted or wanted in references(value)


def _of_rule(_template: Template, name: str, rule: Node) -> Iterator[Wanted]:
    bus = {"EventBusName": _named(rule["EventBusName"])} if "EventBusName" in rule else {}
    for metric in ("FailedInvocations", "InvocationsFailedToBeSentToDlq"):
        yield Wanted("AWS/Events", metric, {"RuleName": name, **bus})


def _of_schedule(_template: Template, _name: str, schedule: Node) -> Iterator[Wanted]:
    group = _named(schedule.get("GroupName", "default"))
    for metric in (
        "TargetErrorCount",
        "InvocationDroppedCount",
        "InvocationsFailedToBeSentToDeadLetterCount",
    ):
        yield Wanted("AWS/Scheduler", metric, {"ScheduleGroup": group})


def _named(node: Any) -> str:
    return node if isinstance(node, str) else next(iter(references(node)))


def _of_queue(template: Template, name: str, _queue: Node) -> Iterator[Wanted]:
    dead = name in template.dead_letter_queues()
    metric = "ApproximateNumberOfMessagesVisible" if dead else "ApproximateAgeOfOldestMessage"
    yield Wanted("AWS/SQS", metric, {"QueueName": name})


def _of_function(template: Template, name: str, function: Node) -> Iterator[Wanted]:
    own = partial(Wanted, "AWS/Lambda", dimensions={"FunctionName": name})
    timeout = int(function.get("Timeout") or template.defaults.get("Timeout", 3))
    yield own("Errors")
    yield own("Throttles")
    yield own("Duration", fits=partial(_is_slow, timeout * 1000 * SLOW))
    if "ReservedConcurrentExecutions" in function:
        reserved = function["ReservedConcurrentExecutions"]
        yield own("ConcurrentExecutions", fits=partial(_exceeds, reserved * SLOW))
    if is_asynchronous(function):
        for metric in ("AsyncEventsDropped", "AsyncEventAge", "DestinationDeliveryFailures"):
            yield own(metric)


def is_asynchronous(function: Node) -> bool:
    """Whether events reach a function through Lambda's own queue: all but of streams, queues and APIs."""
    synchronous = {"SQS", "Kinesis", "DynamoDB", "MSK", "MQ", "SelfManagedKafka", "Api", "HttpApi", "Cognito"}
    kinds = {event["Type"] for event in function.get("Events", {}).values()}
    return bool(kinds - synchronous) or "EventInvokeConfig" in function


def _is_slow(milliseconds: float, alarm: Node, watched: Watched) -> str:
    if watched.statistic != "p99":
        return f"statistic {watched.statistic}, not p99"
    return _exceeds(milliseconds, alarm, watched)


def _exceeds(limit: float, alarm: Node, watched: Watched) -> str:
    """Whether the alarm rings above that: by its threshold, or by its part of the expression."""
    if not watched.id:
        found = float(alarm["Threshold"])
    else:
        text = " ".join(str(query["Expression"]) for query in queries(alarm) if "Expression" in query)
        part = re.search(rf"IF\(FILL\({watched.id}, 0\) > ([\d.]+), 1, 0\)", text)
        found = float(part[1]) if part else float("nan")
    return "" if found == limit else f"rings above {found:g}, not {limit:g}"


def _of_state_machine(_template: Template, name: str, _machine: Node) -> Iterator[Wanted]:
    for metric in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionThrottled"):
        yield Wanted("AWS/States", metric, {"StateMachineArn": name})


def _of_table(template: Template, name: str, _table: Node) -> Iterator[Wanted]:
    for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
        yield Wanted("AWS/DynamoDB", metric, {"TableName": name})
    for operation in sorted(_operations_granted(template, name)):
        yield Wanted("AWS/DynamoDB", "SystemErrors", {"TableName": name, "Operation": operation})


def _operations_granted(template: Template, table: str) -> set[str]:
    """What anybody may do to the table's items. DynamoDB counts by operation, and has no sum."""
    statements = (
        node for node in _nodes(template.of("AWS::IAM::Role", "AWS::IAM::Policy")) if "Action" in node
    )
    granted = chain.from_iterable(
        [node["Action"]] if isinstance(node["Action"], str) else node["Action"]
        for node in statements
        if table in references(node.get("Resource"))
    )
    return {action.removeprefix("dynamodb:") for action in granted if action.startswith("dynamodb:")}


def _of_topic(_template: Template, name: str, _topic: Node) -> Iterator[Wanted]:
    yield Wanted("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": name})


def _of_project(_template: Template, name: str, _project: Node) -> Iterator[Wanted]:
    yield Wanted("AWS/CodeBuild", "FailedBuilds", {"ProjectName": name})


def _of_http_api(_template: Template, name: str, _api: Node) -> Iterator[Wanted]:
    yield Wanted("AWS/ApiGateway", "5xx", {"ApiId": name})


WANTED: Mapping[str, Callable[[Template, str, Node], Iterator[Wanted]]] = {
    "AWS::ApiGatewayV2::Api": _of_http_api,
    "AWS::CodeBuild::Project": _of_project,
    "AWS::DynamoDB::Table": _of_table,
    "AWS::Events::Rule": _of_rule,
    "AWS::SNS::Topic": _of_topic,
    "AWS::SQS::Queue": _of_queue,
    "AWS::Scheduler::Schedule": _of_schedule,
    "AWS::Serverless::Function": _of_function,
    "AWS::Serverless::StateMachine": _of_state_machine,
}


def malformed(template: Template) -> list[str]:
    """Alarms that CloudWatch would refuse, or that don't say what they must."""
    return [
        f"{name}: {problem}"
        for name, alarm in template.of(ALARM).items()
        for problem in _problems_of_form(name, alarm)
    ]


def _problems_of_form(name: str, alarm: Node) -> Iterator[str]:
    if not _either(alarm.get("TreatMissingData")) <= {"breaching", "notBreaching", "ignore", "missing"}:
        yield "does not say what missing data means"
    if not 1 <= alarm.get("DatapointsToAlarm", 0) <= alarm.get("EvaluationPeriods", 0):
        yield "does not say how many data points of how many"
    metrics = [query for query in queries(alarm) if "MetricStat" in query]
    expressions = " ".join(str(query["Expression"]) for query in queries(alarm) if "Expression" in query)
    if len(metrics) > MOST_METRICS:
        yield f"looks at {len(metrics)} metrics; {MOST_METRICS} are allowed"
    for query in metrics:
        if query.get("ReturnData") is not False:
            yield f"{query['Id']} is returned beside the expression"
        if not re.search(rf"\b{query['Id']}\b", expressions):
            yield f"{query['Id']} is in no expression"
        elif re.search(rf"(?<!FILL\()\b{query['Id']}\b", expressions):
            yield f"{query['Id']} is not filled: while it is missing, so is what the expression says"


def _either(node: Any) -> set[Any]:
    """The values that a property may have, by a condition."""
    return set(node["Fn::If"][1:]) if isinstance(node, dict) else {node}


# ------------------------------------------------------------------------------------------------- Pages


def children(composite: Node) -> set[str]:
    """The alarms in a composite alarm's rule."""
    return references(composite["AlarmRule"])


def unheard(template: Template, silent: Mapping[str, str]) -> list[str]:
    """Alarms that page nobody, or twice; rules with too many children.

    An alarm pages by itself or through exactly one composite alarm that does. `silent` are those that are not
    meant to, each with its reason.
    """
    composites = template.of(COMPOSITE)
    alarms = template.of(ALARM) | composites
    heard = [children(each) for each in composites.values() if each.get("AlarmActions")]
    ways = {
        name: bool(alarm.get("AlarmActions")) + sum(name in each for each in heard)
        for name, alarm in alarms.items()
    }
    problems = [f"{name}: pages {n} times" for name, n in ways.items() if n != 1 and name not in silent]
    problems += [f"{name}: is to be silent, and pages" for name, n in ways.items() if n and name in silent]
    many = [name for name, each in composites.items() if len(children(each)) > MOST_CHILDREN]
    return problems + [f"{name}: more than {MOST_CHILDREN} children" for name in many]


# -------------------------------------------------------------------------------------- Dead-letter queues


def undelivered(template: Template, excused: Mapping[str, str]) -> list[str]:
    """Hops without a dead-letter queue: `<resource>: <what lacks>`."""
    return [problem for problem in _hops(template) if problem.partition(":")[0] not in excused]


def _hops(template: Template) -> Iterator[str]:
    targets = [
        (name, target) for name, rule in template.rules().items() for target in rule.get("Targets", [])
    ]
    targets += [(name, each["Target"]) for name, each in template.of("AWS::Scheduler::Schedule").items()]
    bare = [name for name, target in targets if not references(target.get("DeadLetterConfig"))]
    yield from (f"{name}: a target has no DeadLetterConfig" for name in bare)
    for name, queue in template.of("AWS::SQS::Queue").items():
        if "RedrivePolicy" not in queue and name not in template.dead_letter_queues():
            yield f"{name}: no RedrivePolicy, and it is nobody's dead-letter queue"
    for name, function in template.of("AWS::Serverless::Function").items():
        if is_asynchronous(function) and not _keeps_failures(function):
            yield f"{name}: invoked asynchronously, with neither OnFailure nor DeadLetterQueue"
    for name, subscription in template.of("AWS::SNS::Subscription").items():
        if not references(subscription.get("RedrivePolicy")):
            yield f"{name}: no RedrivePolicy"


def _keeps_failures(function: Node) -> bool:
    destinations = function.get("EventInvokeConfig", {}).get("DestinationConfig", {})
    return bool(references([destinations.get("OnFailure"), function.get("DeadLetterQueue")]))


# ------------------------------------------------------------------------------------------------ Runbook


def unexplained(template: Template, runbook: str) -> list[str]:
    """Alarms and dead-letter queues without a heading of their own, and alarms that don't name theirs."""
    headings = set(re.findall(r"^#+ (\w+)$", runbook, re.MULTILINE))
    alarms = template.of(ALARM, COMPOSITE)
    needed = alarms.keys() | template.dead_letter_queues()
    silent = [
        f"{name}: its description does not end with its place in the runbook"
        for name, alarm in alarms.items()
        if not re.search(
            rf"\w[.?] Runbook: \$\{{RunbookUrl\}}#{name.lower()}$", _text(alarm["AlarmDescription"])
        )
    ]
    return [f"{name}: no heading in the runbook" for name in sorted(needed - headings)] + silent


def _text(node: Any) -> str:
    return str(node.get("Fn::Sub", "") if isinstance(node, dict) else node)


NAMES = re.compile(
    r"\b(?:[A-Z][a-z]+)+(?:Alarm|Queue|Function|Rule|StateMachine|Table|Topic|Document|Dashboard|LogGroup|Role)\b"
)
"""What looks like the logical id of a resource."""
NO_NAMES = {"MetricAlarm", "CompositeAlarm"}
"""CloudWatch's own words."""


def unknown(template: Template, runbook: str) -> list[str]:
    """What the runbook calls by a name that nothing in the template has."""
    made = template.resources.keys() | template.rules().keys()
    return sorted(set(NAMES.findall(runbook)) - NO_NAMES - made)
