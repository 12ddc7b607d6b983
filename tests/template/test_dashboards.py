"""The dashboards and saved queries show what there is: metrics, resources, alarms, prices, log lines."""

import re
from itertools import combinations, product
from typing import Any

import pytest

from bench.prices import DATED, DOCUMENT_PRICES, PRICES, READ_UNIT, X86_GB_SECOND
from local.pictures.arithmetic import evaluate, names_in
from local.pictures.body import COLUMNS, Series, Widget, parse
from local.pictures.insights import Query
from signalbox.telemetry.metrics import NAMESPACE
from tests.template.deployed import Deployed
from tests.template.domains import DOMAINS, LOGGED, Domain, domain_of
from tests.template.sources import ROOT, resources, template

DASHBOARDS = resources("AWS::CloudWatch::Dashboard")
QUERIES = resources("AWS::Logs::QueryDefinition")
ALARMS = resources("AWS::CloudWatch::Alarm")
COMPOSITES = resources("AWS::CloudWatch::CompositeAlarm")
ARCHITECTURES = {"arm64": PRICES["Lambda GB-seconds"], "x86_64": X86_GB_SECOND}
REGION = "us-east-1"
OF_AWS = {
    "AWS/ApiGateway": ({"ApiId": "AWS::ApiGatewayV2::Api"}, {"4xx", "5xx", "Count"}),
    "AWS/CodeBuild": ({"ProjectName": "AWS::CodeBuild::Project"}, {"FailedBuilds", "SucceededBuilds"}),
    "AWS/DynamoDB": (
        {"TableName": "AWS::DynamoDB::Table"},
        {
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        },
    ),
    "AWS/Events": ({"RuleName": "AWS::Events::Rule"}, {"FailedInvocations", "MatchedEvents"}),
    "AWS/Lambda": ({"FunctionName": "AWS::Serverless::Function"}, {"Duration", "Errors", "Invocations"}),
    "AWS/Logs": ({"LogGroupName": "AWS::Logs::LogGroup"}, {"IncomingBytes"}),
    "AWS/SNS": ({"TopicName": "AWS::SNS::Topic"}, {"NumberOfMessagesPublished"}),
    "AWS/SQS": (
        {"QueueName": "AWS::SQS::Queue"},
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfEmptyReceives",
            "NumberOfMessagesReceived",
            "NumberOfMessagesSent",
        },
    ),
    "AWS/States": (
        {"StateMachineArn": "AWS::Serverless::StateMachine"},
        {
            "ExecutionThrottled",
            "ExecutionsAborted",
            "ExecutionsFailed",
            "ExecutionsStarted",
            "ExecutionsSucceeded",
            "ExecutionsTimedOut",
            "ExpressExecutionBilledDuration",
        },
    ),
}
"""Namespace → (dimension → type of resource, metrics), as each service's guide has them."""
OPERATOR = "OperatorDashboard"
SHOWN_WHATEVER = {"ActionsFailed", "DocumentsQuarantined", "ReleasesFailed"}
"""What failed, for every value of its dimension."""
STATISTIC = re.compile(r"Sum|Minimum|Maximum|Average|p\d{1,2}")


def deployed(**parameters: str) -> Deployed:
    return Deployed({"RunbookUrl": "https://example.com/runbook.md", **parameters})


def body(name: str, **parameters: str) -> str:
    text: str = deployed(**parameters).value(DASHBOARDS[name]["Properties"]["DashboardBody"])
    return text.replace("${!", "${")


def widgets(*kinds: str) -> list[tuple[str, Widget]]:
    """(dashboard, widget) of every page, of these kinds or of all."""
    found = [(name, widget) for name in DASHBOARDS for widget in parse(body(name))]
    return [(name, widget) for name, widget in found if not kinds or widget.kind in kinds]


def label(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "title", "") or "text"


def series() -> list[Series]:
    return [each for _, widget in widgets("metric") for each in widget.series()]


@pytest.mark.parametrize(("name", "architecture"), list(product(DASHBOARDS, ARCHITECTURES)))
def test_a_body_is_what_cloudwatch_takes(name: str, architecture: str) -> None:
    found = parse(body(name, Architecture=architecture))
    assert 0 < len(found) <= 500
    assert {widget.kind for widget in found} <= {"text", "metric", "alarm", "log"}
    for widget in found:
        assert 0 <= widget.x < widget.x + widget.width <= COLUMNS
        assert widget.y >= 0
        assert widget.height > 0
    assert "${" not in body(name).replace("${SUM}", "")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_two_widgets_overlap_and_no_row_is_left_empty(name: str) -> None:
    found = parse(body(name))
    assert [(a.title, b.title) for a, b in combinations(found, 2) if a.overlaps(b)] == []
    covered = {row for widget in found for row in range(widget.y, widget.y + widget.height)}
    assert covered == set(range(max(covered) + 1))


@pytest.mark.parametrize(("dashboard", "widget"), widgets("metric", "alarm", "log"), ids=label)
def test_a_widget_says_what_it_shows_and_where_from(dashboard: str, widget: Widget) -> None:
    assert widget.title
    if widget.kind != "alarm":
        assert widget.properties["region"] == REGION
    if widget.kind == "metric":
        assert 0 < len(widget.series()) <= 500
        assert all(STATISTIC.fullmatch(each.stat) for each in widget.series())
        assert widget.properties["view"] in ("timeSeries", "singleValue")
        ids = [each.id for each in widget.series()]
        assert len(set(ids)) == len(ids)


def test_only_metrics_that_the_program_emits_are_shown() -> None:
    for each in series():
        if each.metric and each.metric.namespace == NAMESPACE:
            dimensions = dict(each.metric.dimensions)
            domain = DOMAINS[dimensions["Domain"]]
            [known] = [metric for metric in domain.metrics if metric.name == each.metric.name]
            assert dimensions.keys() == set(known.dimensions), each
            for name in dimensions.keys() - {"Domain"}:
                assert dimensions[name] in domain.values[name], each


@pytest.mark.parametrize(("name", "domain"), DOMAINS.items())
def test_every_metric_that_the_program_emits_is_shown_for_every_value(name: str, domain: Domain) -> None:
    shown = [
        (each.metric.name, dict(each.metric.dimensions))
        for each in series()
        if each.metric and each.metric.namespace == NAMESPACE and ("Domain", name) in each.metric.dimensions
    ]
    assert {metric.name for metric in domain.metrics} == {metric for metric, _ in shown}
    for dimension, values in domain.values.items():
        failures = {d[dimension] for metric, d in shown if metric in SHOWN_WHATEVER}
        assert failures == values


@pytest.mark.parametrize(("name", "domain"), DOMAINS.items())
def test_every_metric_is_in_the_documentation_as_it_is(name: str, domain: Domain) -> None:
    page = (ROOT / "docs" / "dashboards.md").read_text()
    [text] = re.findall(
        rf"^### {name.capitalize()}\n(.*?)(?=^##)",
        page.partition("\n## Metrics\n")[2],
        re.MULTILINE | re.DOTALL,
    )
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w`, ]+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [
        (metric.name, metric.unit, ", ".join(f"`{name}`" for name in metric.dimensions), metric.about)
        for metric in domain.metrics
    ]
    values = {value for values in domain.values.values() for value in values}
    assert [value for value in values if f"`{value}`" not in text] == []


@pytest.mark.parametrize("each", list({s.metric: s for s in series() if s.metric}.values()), ids=str)
def test_a_metric_of_aws_is_one_and_is_of_a_resource_of_ours(each: Series) -> None:
    assert each.metric
    if each.metric.namespace == NAMESPACE:
        return
    types, names = OF_AWS[each.metric.namespace]
    [(dimension, value)] = each.metric.dimensions
    assert each.metric.name in names
    assert value.partition(".")[0] in resources(types[dimension])


def test_expressions_speak_of_what_the_widget_has() -> None:
    for _, widget in widgets("metric"):
        points = {each.id: {0.0: 1.0} for each in widget.series() if each.metric}
        for each in widget.series():
            if each.expression:
                assert names_in(each.expression) <= points.keys()
                assert evaluate(each.expression, points, [0.0]).keys() == {0.0}


def cost(architecture: str) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Expressions by id, and (metric, resource) by id, of the widget that tells what it costs."""
    [widget] = [w for w in parse(body(OPERATOR, Architecture=architecture)) if "cost? Dollars" in w.title]
    found = widget.series()
    return (
        {each.id: each.expression for each in found if each.expression},
        {each.id: (each.metric.name, each.metric.dimensions[0][1]) for each in found if each.metric},
    )


@pytest.mark.parametrize(("architecture", "gb_second"), ARCHITECTURES.items())
def test_the_cost_is_usage_times_price(architecture: str, gb_second: float) -> None:
    expressions, metrics = cost(architecture)
    calls = [name for name in metrics if name.startswith("calls_")]
    used: dict[str, dict[float, float]] = {name: {0.0: 0.0} for name in metrics}

    def dollars(what: str, **amounts: float) -> float:
        points = used | {name: {0.0: amount} for name, amount in amounts.items()}
        return evaluate(expressions[what], points, [0.0])[0.0]

    assert dollars("lambda", **dict.fromkeys(calls, 1.0)) == pytest.approx(
        len(calls) * PRICES["Lambda requests"]
    )
    for name, (metric, function) in metrics.items():
        if metric == "Duration":
            memory = memory_of(function)
            assert name.startswith(f"mb{memory}_")
            assert dollars("lambda", **{name: 1_000.0}) == pytest.approx(memory / 1024 * gb_second)
    transition = PRICES["Step Functions transitions"]
    assert dollars("transitions", windows=1, calls_verify_window=7) == pytest.approx(51 * transition)
    steps = {"inspect_version": 1, "plan_release": 1, "build_wave": 2, "promote_version": 1}
    steps = {f"calls_{name}": count for name, count in steps.items()}
    assert dollars("transitions", releases=1, **steps) == pytest.approx(13 * transition)
    assert dollars("dynamodb", writes=1) == pytest.approx(PRICES["DynamoDB write units"])
    assert dollars("dynamodb", reads=1) == pytest.approx(READ_UNIT)
    assert dollars("sqs", sent_spot=10, received_documents=10) == pytest.approx(12 * PRICES["SQS requests"])
    for queue in ("spot", "documents", "packages", "builds"):
        assert dollars("sqs", **{f"empty_{queue}": 1}) == pytest.approx(PRICES["SQS requests"])
    assert dollars("express", objects=1) == pytest.approx(DOCUMENT_PRICES["Step Functions Express requests"])
    express = 1_000 * 64 / 1024 * DOCUMENT_PRICES["Step Functions Express GB-seconds"]
    assert dollars("express", express_duration=1_000_000) == pytest.approx(express)
    assert dollars("analyses", pages=1) == pytest.approx(DOCUMENT_PRICES["Textract pages"])
    assert dollars("analyses", images=1) == pytest.approx(DOCUMENT_PRICES["Rekognition images"])
    assert dollars("sns", published=1) == pytest.approx(PRICES["SNS messages"])
    assert dollars("logs", bytes1=1e9) == pytest.approx(PRICES["CloudWatch Logs GB"])


def memory_of(function: str) -> int:
    shared: int = template()["Globals"]["Function"]["MemorySize"]
    return int(resources()[function]["Properties"].get("MemorySize", shared))


def test_the_cost_is_of_every_function_log_group_and_resource() -> None:
    _, metrics = cost("arm64")
    of = {
        name: {found for metric, found in metrics.values() if metric == name} for name, _ in metrics.values()
    }
    functions = set(resources("AWS::Serverless::Function"))
    assert of["Invocations"] == of["Duration"] == functions
    assert of["IncomingBytes"] == set(resources("AWS::Logs::LogGroup"))
    assert f"list prices of {REGION}, {DATED}" in body(OPERATOR)


def shown_alarms(dashboard: str) -> set[str]:
    return {
        arn.removesuffix(".Arn")
        for name, widget in widgets("alarm")
        if name == dashboard
        for arn in widget.properties["alarms"]
    }


def test_every_alarm_is_shown_composite_ones_first_and_a_domains_on_its_own_page() -> None:
    for domain in DOMAINS:
        own = {name for name in ALARMS if domain_of(name) == domain}
        assert shown_alarms(f"{domain.capitalize()}Dashboard") == own
    assert shown_alarms(OPERATOR) == COMPOSITES.keys() | {name for name in ALARMS if not domain_of(name)}
    assert all(len(widget.properties["alarms"]) <= 100 for _, widget in widgets("alarm"))


def thresholds(name: str) -> str:
    alarm = ALARMS[name]["Properties"]
    return f"{name}: {alarm['DatapointsToAlarm']} of {alarm['EvaluationPeriods']} minutes above"


def test_a_threshold_that_is_drawn_is_the_alarms() -> None:
    drawn = {
        item["label"]: (item["value"], widget)
        for _, widget in widgets("metric")
        for item in widget.properties.get("annotations", {}).get("horizontal", ())
        if "Alarm" in item["label"]
    }
    for text, (value, widget) in drawn.items():
        name = text.partition(":")[0]
        alarm = ALARMS[name]["Properties"]
        assert (text, value) == (thresholds(name), alarm["Threshold"])
        watched = (alarm["Namespace"], alarm["MetricName"])
        assert watched in {(s.metric.namespace, s.metric.name) for s in widget.series() if s.metric}
        assert alarm["Period"] == 60


def test_every_threshold_of_a_metric_that_is_drawn_over_time_is_drawn() -> None:
    """But those of 0, which every point of a count is above."""
    over_time = [
        (s.metric.namespace, s.metric.name, dict(s.metric.dimensions).get("QueueName"))
        for _, widget in widgets("metric")
        for s in widget.series()
        if s.metric and s.visible and widget.properties["view"] == "timeSeries"
    ]
    for name, alarm in ALARMS.items():
        properties = alarm["Properties"]
        if properties["Threshold"] and "MetricName" in properties:
            queue = {
                dimension["Name"]: dimension["Value"] for dimension in properties.get("Dimensions", [])
            }.get("QueueName")
            where = (
                properties["Namespace"],
                properties["MetricName"],
                queue and ".".join(queue["Fn::GetAtt"]),
            )
            if where in over_time:
                assert thresholds(name) in "".join(map(body, DASHBOARDS))


def log_queries() -> list[tuple[str, str, list[str]]]:
    """(name, query, log groups)."""
    shown = [
        (widget.title, widget.properties["query"], list(Query.parse(widget.properties["query"]).sources))
        for _, widget in widgets("log")
    ]
    saved = [
        (name, query["Properties"]["QueryString"], deployed().value(query["Properties"]["LogGroupNames"]))
        for name, query in QUERIES.items()
    ]
    return shown + saved


@pytest.mark.parametrize(("name", "query", "groups"), log_queries(), ids=label)
def test_a_query_asks_for_what_is_logged(name: str, query: str, groups: list[str]) -> None:
    assert set(groups) <= set(resources("AWS::Logs::LogGroup"))
    assert 0 < len(groups) <= 50
    theirs = [DOMAINS[domain].logged for domain in {domain_of(group) for group in groups} - {""}]
    assert set(Query.parse(query).fields) <= LOGGED.union(*theirs)
    assert "limit" in query


def test_errors_are_looked_for_in_every_functions_log() -> None:
    [(_, _, groups)] = [found for found in log_queries() if "newest errors" in found[0]]
    assert {f"{name}LogGroup" for name in resources("AWS::Serverless::Function")} == set(groups)


def test_pages_lead_to_each_other_to_the_runbook_and_to_the_trace_map() -> None:
    names = {deployed().value(each["Properties"]["DashboardName"]) for each in DASHBOARDS.values()}
    whole = {deployed().value(DASHBOARDS[OPERATOR]["Properties"]["DashboardName"])}
    for name in DASHBOARDS:
        text = body(name)
        others = set(re.findall(r"#dashboards/dashboard/([\w-]+)", text))
        assert others == (names - whole if name == OPERATOR else whole)
        assert "https://example.com/runbook.md" in text
        assert f"home?region={REGION}#xray:service-map/map" in text
