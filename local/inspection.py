"""Checking the estate itself after interruptions: what EC2, Auto Scaling, ELB, SSM and SNS say, not what the
ledger claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import fleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.account import WindowAccount
    from local.embedded import EmbeddedAws
    from local.inbox import Heard


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was warned of, by group, and the groups' members before; times in seconds since 1970."""

    groups: Mapping[str, frozenset[str]]
    members: Mapping[str, frozenset[str]]
    target_groups: Mapping[str, str]
    noticed_at: float
    deadline: float

    @property
    def instances(self) -> frozenset[str]:
        """All that were warned."""
        return frozenset().union(*self.groups.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what should be, whether it is, and what was seen."""

    check: str
    holds: bool
    seen: str


def inspect(
    aws: EmbeddedAws,
    outputs: Mapping[str, str],
    expectation: Expectation,
    windows: Sequence[WindowAccount],
    heard: Heard,
) -> list[Finding]:
    """Every check of a handled interruption."""
    return [
        _detached(aws, expectation),
        *_replaced(aws, expectation),
        *_draining(aws, expectation),
        _commanded(aws, outputs, expectation),
        _alerted(expectation, heard),
        _told(expectation, heard),
        _settled(expectation, windows),
        _executed(aws, outputs, windows),
    ]


def _detached(aws: EmbeddedAws, expectation: Expectation) -> Finding:
    instances = sorted(expectation.instances)
    found = aws.client("autoscaling").describe_auto_scaling_instances(InstanceIds=instances)
    still = [member["InstanceId"] for member in found["AutoScalingInstances"]]
    seen = f"{len(instances) - len(still)} of {len(instances)} in no group any more"
    return Finding("detached", not still, seen)


def _replaced(aws: EmbeddedAws, expectation: Expectation) -> list[Finding]:
    now = fleet.members(aws)
    findings = []
    for group, warned in expectation.groups.items():
        in_service = set(now[group])
        new = in_service - expectation.members[group]
        holds = len(in_service) == len(expectation.members[group]) and len(new) == len(warned)
        seen = f"{len(in_service)} in service, {len(new)} of them new"
        findings.append(Finding(f"replaced in {group}", holds, seen))
    return findings


def _draining(aws: EmbeddedAws, expectation: Expectation) -> list[Finding]:
    findings = []
    for group, arn in expectation.target_groups.items():
        warned = sorted(expectation.groups[group])
        health = aws.client("elbv2").describe_target_health(
            TargetGroupArn=arn, Targets=[{"Id": instance} for instance in warned]
        )
        states = [target["TargetHealth"]["State"] for target in health["TargetHealthDescriptions"]]
        findings.append(
            Finding(
                f"draining behind {group}",
                states == ["draining"] * len(warned),
                ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "none known",
            )
        )
    return findings


def _commanded(aws: EmbeddedAws, outputs: Mapping[str, str], expectation: Expectation) -> Finding:
    """Each instance got the document once, before its deadline; the groups' other members did not."""
    members = frozenset().union(*expectation.members.values())
    times: dict[str, list[float]] = {instance: [] for instance in members}
    for command in aws.client("ssm").list_commands()["Commands"]:
        if command["DocumentName"] == outputs["SpotCommandDocumentName"]:
            for instance in members.intersection(command["InstanceIds"]):
                times[instance].append(command["RequestedDateTime"].timestamp())
    once = all(len(sent) == (instance in expectation.instances) for instance, sent in times.items())
    last = max((at for sent in times.values() for at in sent), default=float("inf"))
    seen = f"{sum(map(len, times.values()))} sent, the last {expectation.deadline - last:.1f} s before"
    return Finding("command sent before the deadline", once and last < expectation.deadline, seen)


def _alerted(expectation: Expectation, heard: Heard) -> Finding:
    """Per group one alert when it began and one when it ended."""
    keys = sorted(
        (alert["MessageAttributes"]["group"]["Value"], alert["MessageAttributes"]["stage"]["Value"])
        for alert in heard.alerts
    )
    expected = sorted((group, stage) for group in expectation.groups for stage in ("notice", "settled"))
    return Finding("alerts published", keys == expected, ", ".join(f"{g} {s}" for g, s in keys) or "none")


def _told(expectation: Expectation, heard: Heard) -> Finding:
    told = sorted(instance["instance_id"] for e in heard.events for instance in e["detail"]["instances"])
    seen = f"{len(heard.events)} events about {len(told)} instances"
    return Finding("domain events on the bus", told == sorted(expectation.instances), seen)


def _settled(expectation: Expectation, windows: Sequence[WindowAccount]) -> Finding:
    outcomes = {i: e.outcome for w in windows for i, e in w.episodes.items() if e.status == "settled"}
    handled = [i for i in expectation.instances if outcomes.get(i) == "handled"]
    return Finding(
        "settled in the ledger",
        len(handled) == len(expectation.instances),
        f"{len(handled)} of {len(expectation.instances)} handled",
    )


def _executed(aws: EmbeddedAws, outputs: Mapping[str, str], windows: Sequence[WindowAccount]) -> Finding:
    """Every execution of these windows, recoveries included."""
    found = aws.client("stepfunctions").list_executions(stateMachineArn=outputs["SpotStateMachineArn"])
    names = tuple(window.window.execution_name for window in windows)
    states = [execution["status"] for execution in found["executions"] if execution["name"].startswith(names)]
    seen = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "none"
    return Finding("executions ended well", bool(states) and set(states) == {"SUCCEEDED"}, seen)
