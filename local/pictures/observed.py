"""What a run has left behind, as CloudWatch would have it.

The embedded CloudWatch takes no metrics out of log lines, and is told nothing by the other services of what
happens in a workflow. So the functions' metrics are taken out of their logs here, and those of the services
derived from what the emulator itself knows, as far as it does; all are put into the embedded CloudWatch, from
which the pictures are drawn.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, NamedTuple

from local.pictures.body import MetricName, Series
from local.pictures.insights import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from local.embedded import EmbeddedAws
    from local.pictures.insights import Record

DERIVED = {
    "AWS/Events": "counted by the bus's own answers",
    "AWS/Lambda": "from the report lines, without Errors",
    "AWS/Logs": "from the log lines' lengths",
    "AWS/SNS": "from the ledger's alerts",
    "AWS/SQS": "asked of the queues each second",
    "AWS/States": "from the executions' own times",
}
"""Namespaces that the emulator has no metrics in → where they come from instead."""
EVENT_OVERHEAD_BYTES = 26
"""What CloudWatch Logs adds to each line ("CloudWatch Logs quotas")."""
REPORT = re.compile(r"^REPORT RequestId: \S+\tDuration: (?P<milliseconds>\d+) ms\t")
ENDINGS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
DATA_IN_A_CALL = 500


class Datum(NamedTuple):
    """Values of a metric at one moment, in seconds since 1970."""

    metric: MetricName
    at: float
    values: tuple[float, ...]


class Line(NamedTuple):
    """One log event."""

    at: float
    text: str


def embedded_metrics(line: Line) -> Iterator[Datum]:
    """The metrics that CloudWatch takes out of a log line ("Specification: Embedded metric format")."""
    try:
        content = json.loads(line.text)
    except ValueError:
        return
    about = content.get("_aws", {}) if isinstance(content, dict) else {}
    for directive in about.get("CloudWatchMetrics", ()):
        for names in directive["Dimensions"]:
            dimensions = tuple(sorted((name, str(content[name])) for name in names))
            for metric in directive["Metrics"]:
                values = content[metric["Name"]]
                yield Datum(
                    MetricName(directive["Namespace"], metric["Name"], dimensions),
                    about["Timestamp"] / 1000,
                    tuple(values) if isinstance(values, list) else (values,),
                )


@dataclass(frozen=True, slots=True)
class Run:
    """A run on the embedded AWS that began at `since`, in seconds since 1970."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]
    since: float

    def lines(self, prefixes: Iterable[str]) -> dict[str, list[Line]]:
        """Log group → what was written to it."""
        logs = self.aws.client("logs")
        pages = logs.get_paginator("filter_log_events")
        groups = [
            group["logGroupName"]
            for prefix in prefixes
            for group in logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        ]
        return {
            group: [
                Line(event["timestamp"] / 1000, event["message"])
                for page in pages.paginate(logGroupName=group, startTime=int(self.since * 1000))
                for event in page["events"]
            ]
            for group in groups
        }

    def invocations(self, lines: Mapping[str, Sequence[Line]]) -> Iterator[Datum]:
        """Of each function, at its end: that there was one, and its milliseconds."""
        pages = self.aws.client("lambda").get_paginator("list_functions")
        for function in (each for page in pages.paginate() for each in page["Functions"]):
            dimensions = (("FunctionName", function["FunctionName"]),)
            for line in lines.get(function["LoggingConfig"]["LogGroup"], ()):
                if found := REPORT.match(line.text):
                    yield Datum(MetricName("AWS/Lambda", "Invocations", dimensions), line.at, (1,))
                    duration = MetricName("AWS/Lambda", "Duration", dimensions)
                    yield Datum(duration, line.at, (float(found["milliseconds"]),))

    def executions(self) -> Iterator[Datum]:
        """Of the state machine: begun, and how they ended."""
        machine = self.outputs["SpotStateMachineArn"]
        dimensions = (("StateMachineArn", machine),)
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        for execution in (e for page in pages.paginate(stateMachineArn=machine) for e in page["executions"]):
            started = MetricName("AWS/States", "ExecutionsStarted", dimensions)
            yield Datum(started, execution["startDate"].timestamp(), (1,))
            if execution["status"] in ENDINGS:
                ended = MetricName("AWS/States", ENDINGS[execution["status"]], dimensions)
                yield Datum(ended, execution["stopDate"].timestamp(), (1,))

    def waiting(self) -> list[Datum]:
        """How many messages wait in each queue that the outputs name, now."""
        sqs = self.aws.client("sqs")
        names = ["ApproximateNumberOfMessages"]
        found = []
        for url in (url for name, url in self.outputs.items() if name.endswith("QueueUrl")):
            count = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]]
            metric = MetricName(
                "AWS/SQS", "ApproximateNumberOfMessagesVisible", (("QueueName", url.rpartition("/")[2]),)
            )
            found.append(Datum(metric, time.time(), (float(count),)))
        return found

    def put(self, data: Iterable[Datum]) -> None:
        """Into the embedded CloudWatch."""
        cloudwatch = self.aws.client("cloudwatch")
        by_namespace: dict[str, list[Datum]] = defaultdict(list)
        for datum in data:
            by_namespace[datum.metric.namespace].append(datum)
        for namespace, members in by_namespace.items():
            for part in batched(members, DATA_IN_A_CALL, strict=False):
                cloudwatch.put_metric_data(Namespace=namespace, MetricData=[_as_put(datum) for datum in part])

    def points(self, series: Sequence[Series], period: int, until: float) -> dict[str, dict[float, float]]:
        """Id → time → value, of those of the series that are metrics."""
        queries = [
            {
                "Id": f"m{place}",
                "MetricStat": {"Metric": _as_asked(each.metric), "Period": period, "Stat": each.stat},
            }
            for place, each in enumerate(series)
            if each.metric
        ]
        if not queries:
            return {}
        found = self.aws.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(self.since, UTC),
            EndTime=datetime.fromtimestamp(until, UTC),
        )["MetricDataResults"]
        return {
            series[int(result["Id"][1:])].id: {
                at.timestamp(): value
                for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            }
            for result in found
        }

    def alarm_points(self, alarm: Mapping[str, Any], until: float) -> dict[float, float]:
        """Time → value of the metric that an alarm watches, at the alarm's own period."""
        dimensions = tuple(sorted((item["Name"], item["Value"]) for item in alarm["Dimensions"]))
        watched = Series(
            id="watched",
            label="",
            visible=True,
            color=None,
            stat=alarm.get("ExtendedStatistic") or alarm["Statistic"],
            metric=MetricName(alarm["Namespace"], alarm["MetricName"], dimensions),
        )
        return self.points([watched], alarm["Period"], until).get("watched", {})


def log_bytes(lines: Mapping[str, Sequence[Line]]) -> Iterator[Datum]:
    """What CloudWatch Logs bills for taking in."""
    for group, members in lines.items():
        metric = MetricName("AWS/Logs", "IncomingBytes", (("LogGroupName", group),))
        for line in members:
            yield Datum(metric, line.at, (len(line.text.encode()) + EVENT_OVERHEAD_BYTES,))


def records(lines: Mapping[str, Sequence[Line]]) -> dict[str, list[Record]]:
    """The same lines as Logs Insights sees them."""
    return {group: [record(line.at, line.text) for line in members] for group, members in lines.items()}


def _as_put(datum: Datum) -> dict[str, Any]:
    return {
        "MetricName": datum.metric.name,
        "Dimensions": _dimensions(datum.metric),
        "Timestamp": datetime.fromtimestamp(datum.at, UTC),
        "Values": list(datum.values),
    }


def _as_asked(metric: MetricName) -> dict[str, Any]:
    return {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": _dimensions(metric)}


def _dimensions(metric: MetricName) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in metric.dimensions]
