"""`python -m local dashboards`: a run on an embedded AWS of its own, and pictures of its dashboards.

Warnings in time and late, recommendations, bad input and a call that AWS refuses, within about two minutes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import events, fleet
from local.account import Account
from local.deployment import STACK, deploy
from local.embedded import EmbeddedAws
from local.exits import exit_code
from local.pictures import panels
from local.pictures.body import BodyError, MetricName, parse
from local.pictures.drawing import draw
from local.pictures.insights import Query, QueryError, found_in
from local.pictures.observed import DERIVED, Datum, Run, embedded_metrics, log_bytes, records
from local.progress import Steps
from local.settings import ROOT, LocalSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from local.pictures.body import Widget
    from local.pictures.insights import Record

PICTURES = ROOT / "docs" / "pictures"
SAMPLES = ROOT / "events" / "spot"
PERIOD = 10
"""Seconds of a point. On AWS it is a minute, and of the cost an hour: the run is over in two minutes."""
WHOLE_TIME = 10**9
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 180.0
LOG_GROUPS = (f"/aws/lambda/{STACK}/", f"/aws/vendedlogs/states/{STACK}/")
PAGES = {STACK: "operator", f"{STACK}-spot": "spot"}
"""Dashboard → its picture's name."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Events of one kind, about so many instances of each group that no wave before was about.

    Attributes:
        at: seconds after the beginning.
        age: how many seconds ago they say that they were sent.
        changes: members of the sample event that are to be otherwise.
        refused: AWS refuses to detach instances of this group.
    """

    at: float
    sample: str
    instances: Mapping[str, int]
    age: float
    changes: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""


WAVES = (
    Wave(0, "interruption_warning", {"web": 2, "batch": 1}, age=80),
    Wave(12, "rebalance_recommendation", {"web": 1, "batch": 1}, age=5),
    Wave(22, "interruption_warning", {"web": 1, "batch": 2, "apps": 1}, age=85),
    Wave(38, "interruption_warning", {"web": 2}, age=5, changes={"detail.instance-action": "explode"}),
    Wave(50, "interruption_warning", {"web": 2, "batch": 1}, age=82),
    Wave(65, "interruption_warning", {"web": 2}, age=125),
    Wave(80, "interruption_warning", {"web": 3, "queue": 2}, age=80),
    Wave(95, "interruption_warning", {"web": 1, "batch": 2}, age=84, refused="batch"),
)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m local dashboards",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=PICTURES, help="folder (default: docs/pictures)")
    options = parser.parse_args(arguments)
    return exit_code(
        "dashboards",
        lambda: _picture(LocalSettings.from_env().state / "dashboards", options.output),
        failures=(BodyError, QueryError),
    )


def _picture(state: Path, output: Path) -> int:
    with Steps() as report:
        report("Starting the embedded AWS")
        with EmbeddedAws.start(state) as aws:
            deployment = deploy(aws, report=report)
            report("Making the fleet")
            fleet.create(aws)
            run = Run(aws, deployment.outputs, float(int(time.time())))
            data = _play(run, report)
            report("Reading logs and executions")
            shown = _collect(run, data)
            for dashboard, name in PAGES.items():
                report(f"Drawing {output / name}.png")
                body = aws.client("cloudwatch").get_dashboard(DashboardName=dashboard)["DashboardBody"]
                widgets = [(widget, shown.panel(widget)) for widget in parse(body)]
                draw(widgets, shown.foot, output / f"{name}.png")
    return 0


def _play(run: Run, report: Steps) -> list[Datum]:
    """Sends the waves and waits until all is over; meanwhile it asks the queues."""
    data: list[Datum] = []
    used: set[str] = set()
    expected: set[str] = set()
    waiting = list(WAVES)
    give_up_at = time.monotonic() + PATIENCE_SECONDS + WAVES[-1].at
    while time.monotonic() < give_up_at:
        if waiting and time.time() - run.since >= waiting[0].at:
            wave = waiting.pop(0)
            report(f"{wave.sample} of {sum(wave.instances.values())} instances, {wave.age:.0f} s old")
            chosen = _chosen(run, wave, used)
            used |= chosen
            expected |= set() if wave.changes else chosen
            data += _send(run, wave, chosen)
        data += run.waiting()
        if not waiting and _is_over(run, expected):
            return data
        time.sleep(POLL_SECONDS)
    return data


def _chosen(run: Run, wave: Wave, used: set[str]) -> set[str]:
    members = fleet.members(run.aws)
    return {
        instance
        for group, count in wave.instances.items()
        for instance in [each for each in members[group] if each not in used][:count]
    }


def _send(run: Run, wave: Wave, instances: set[str]) -> Iterator[Datum]:
    """What the bus and the intake queue have to tell of it."""
    if wave.refused:
        run.aws.order_fault(
            {
                "operation": "autoscaling:DetachInstances",
                "match": {"AutoScalingGroupName": wave.refused},
                "fault": "error",
                "times": None,
                "status": 403,
                "code": "AccessDenied",
                "message": "refused for the picture",
            }
        )
    placed, given = events.place(events.read(SAMPLES / f"{wave.sample}.json"), dict(wave.changes))
    noticed = datetime.fromtimestamp(time.time() - wave.age, UTC)
    values = events.Values(noticed, iter(sorted(instances)), given)
    sent = run.aws.deliver(events.fill(placed * len(instances), values))
    now = time.time()
    queue = run.outputs["SpotIntakeQueueUrl"].rpartition("/")[2]
    for rule in (rule for event in sent for rule in event["rules"]):
        yield Datum(MetricName("AWS/Events", "MatchedEvents", (("RuleName", rule),)), now, (1,))
        yield Datum(MetricName("AWS/SQS", "NumberOfMessagesSent", (("QueueName", queue),)), now, (1,))


def _is_over(run: Run, expected: set[str]) -> bool:
    windows = Account(run.aws, run.outputs).windows(most=100)
    if not expected <= {i for window in windows if window.state == "settled" for i in window.episodes}:
        return False
    running = run.aws.client("stepfunctions").list_executions(
        stateMachineArn=run.outputs["SpotStateMachineArn"], statusFilter="RUNNING"
    )
    return not running["executions"]


def _collect(run: Run, data: Sequence[Datum]) -> Shown:
    """Puts all that is known into the embedded CloudWatch."""
    lines = run.lines(LOG_GROUPS)
    found = [datum for members in lines.values() for line in members for datum in embedded_metrics(line)]
    run.put([*data, *found, *run.invocations(lines), *run.executions(), *_alerts(run), *log_bytes(lines)])
    return Shown(run, records(lines), time.time())


def _alerts(run: Run) -> Iterator[Datum]:
    topic = run.outputs["AlertTopicArn"].rpartition(":")[2]
    metric = MetricName("AWS/SNS", "NumberOfMessagesPublished", (("TopicName", topic),))
    for window in Account(run.aws, run.outputs).windows(most=100):
        for action in window.actions:
            if action.kind == "alert" and action.status == "succeeded":
                yield Datum(metric, action.finished_at, (1,))


@dataclass(frozen=True, slots=True)
class Shown:
    """A run as the dashboards show it at its end, `until`."""

    run: Run
    records: Mapping[str, Sequence[Record]]
    until: float

    @property
    def foot(self) -> str:
        """How the picture came about."""
        derived = "; ".join(f"{name}: {how}" for name, how in DERIVED.items())
        return (
            f"A run of {self.until - self.run.since:.0f} s on the embedded AWS, {datetime.now(UTC):%Y-%m-%d}."
            f" A point is {PERIOD} s; on AWS it is a minute, and of the cost an hour. The embedded AWS has no"
            " metrics of DynamoDB, no ages of messages,\nno composite alarms, and no alarms on metric math"
            " (grey). * derived, where it has no metric of the service:\n"
            f"{derived}."
        )

    def panel(self, widget: Widget) -> panels.Panel:
        """What a widget shows. Raises BodyError, QueryError."""
        match widget.kind:
            case "text":
                return panels.text(widget)
            case "log":
                query = Query.parse(widget.properties["query"])
                rows = found_in(query, self.records)
                return panels.Table(query.fields, tuple(tuple(row) for row in rows))
            case "alarm":
                return self._alarms(widget.properties["alarms"])
            case "metric" if widget.properties["view"] == "singleValue":
                points = self.run.points(widget.series(), WHOLE_TIME, self.until)
                return panels.numbers(widget, points)
            case "metric":
                points = self.run.points(widget.series(), PERIOD, self.until)
                times = [
                    float(at) for at in range(int(self.run.since) // PERIOD * PERIOD, int(self.until), PERIOD)
                ]
                return panels.graph(widget, points, times, frozenset(DERIVED))
        raise BodyError(f"{widget.title}: a widget of kind {widget.kind} is not known here")

    def _alarms(self, arns: Sequence[str]) -> panels.Alarms:
        names = [arn.rpartition(":")[2] for arn in arns]
        pages = self.run.aws.client("cloudwatch").get_paginator("describe_alarms")
        known = {alarm["AlarmName"]: alarm for page in pages.paginate() for alarm in page["MetricAlarms"]}
        return panels.Alarms(tuple((_short(name), self._state(known.get(name))) for name in names))

    def _state(self, alarm: Mapping[str, Any] | None) -> str:
        if alarm is None:
            return "not here"
        if "MetricName" not in alarm:
            return "not worked out here"
        points = self.run.alarm_points(alarm, self.until)
        return panels.alarm_state(alarm, points, self.until)


def _short(name: str) -> str:
    """An alarm's logical id, as far as its name shows it."""
    if name.startswith("left-out-"):
        return name.removeprefix("left-out-").removesuffix(".Arn")
    return name.removeprefix(f"{STACK}-").rpartition("-")[0] or name
