"""Checking the estate itself after the events: what EC2, Auto Scaling, ELB, ECS, SSM and SNS say, not what
the ledger claims."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local import fleet
from local.account import Account
from local.demo.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from local.account import WindowAccount
    from local.embedded import EmbeddedAws
    from local.inbox import Heard

type Instances = Mapping[str, frozenset[str]]
"""Group → some of its instances."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What AWS said of whom, and how the groups were before; times in seconds since 1970.

    Attributes:
        members: the groups before.
        interrupted: those that EC2 is about to take.
        recommended: those that are only at risk, in groups that act on that.
        replaced_at_once: how many of a group may be replaced because of recommendations.
        refused: the groups that AWS refuses to detach from.
        target_groups: group → target group's ARN.
        clusters: group → the ECS cluster whose nodes its instances are.
    """

    members: Instances
    interrupted: Instances
    noticed_at: float
    deadline: float
    recommended: Instances = field(default_factory=dict)
    replaced_at_once: Mapping[str, int] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    target_groups: Mapping[str, str] = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)

    @property
    def instances(self) -> frozenset[str]:
        """All that AWS said something of."""
        return frozenset().union(*self.interrupted.values(), *self.recommended.values())

    def outcomes(self, left: Instances) -> dict[str, dict[str, str]]:
        """Group → instance → how it should end, given who has left the groups."""
        expected: dict[str, dict[str, str]] = {}
        for group, instances in self.interrupted.items():
            expected[group] = dict.fromkeys(instances, "failed" if group in self.refused else "handled")
        for group, instances in self.recommended.items():
            ends = {i: "handled" if i in left[group] else "observed" for i in instances}
            expected[group] = expected.get(group, {}) | ends
        return expected


def inspect(
    aws: EmbeddedAws,
    outputs: Mapping[str, str],
    expectation: Expectation,
    windows: Sequence[WindowAccount],
    heard: Heard,
) -> list[Finding]:
    """Every check of what was done, and of what was left alone."""
    now = {group: frozenset(found) for group, found in fleet.members(aws, *expectation.members).items()}
    left = {group: before - now[group] for group, before in expectation.members.items()}
    by_group = expectation.outcomes(left)
    outcomes = {instance: outcome for ends in by_group.values() for instance, outcome in ends.items()}
    return [
        _detached(aws, expectation),
        *_replaced(expectation, now),
        *_rebalanced(aws, expectation, now),
        *_draining(aws, expectation),
        *_nodes(aws, expectation),
        _commanded(aws, outputs, expectation, outcomes),
        _alerted(by_group, heard),
        _told(outcomes, heard),
        _settled(outcomes, windows),
        *_executed(Account(aws, outputs), windows, outcomes),
    ]


def _detached(aws: EmbeddedAws, expectation: Expectation) -> Finding:
    """Those and only those that AWS let go are in no group any more."""
    interrupted = [i for instances in expectation.interrupted.values() for i in instances]
    found = aws.client("autoscaling").describe_auto_scaling_instances(InstanceIds=sorted(interrupted))
    still = {member["InstanceId"] for member in found["AutoScalingInstances"]}
    refused = {i for group in expectation.refused for i in expectation.interrupted[group]}
    seen = f"{len(interrupted) - len(still)} of {len(interrupted)} in no group any more"
    if refused:
        seen += f"; AWS refused {', '.join(sorted(expectation.refused))}"
    return Finding("detached", still == refused, seen)


def _replaced(expectation: Expectation, now: Instances) -> Iterator[Finding]:
    for group, warned in expectation.interrupted.items():
        before, after = expectation.members[group], now[group]
        new = after - before
        replaced = frozenset() if group in expectation.refused else warned
        holds = len(after) == len(before) and len(new) == len(replaced)
        yield Finding(f"replaced in {group}", holds, f"{len(after)} in service, {len(new)} of them new")


def _rebalanced(aws: EmbeddedAws, expectation: Expectation, now: Instances) -> Iterator[Finding]:
    """As many as may go at once were ended and replaced, the others run on."""
    for group, recommended in expectation.recommended.items():
        before, after = expectation.members[group], now[group]
        left, new = before - after, after - before
        ended = {i for i, state in _states(aws, recommended).items() if state != "running"}
        most = expectation.replaced_at_once[group]
        holds = left == ended and len(left) == len(new) == min(most, len(recommended))
        seen = f"{len(ended)} of {len(recommended)} ended, {len(new)} new; at most {most} at once"
        yield Finding(f"rebalanced in {group}", holds, seen)


def _states(aws: EmbeddedAws, instances: Iterable[str]) -> dict[str, str]:
    reservations = aws.client("ec2").describe_instances(InstanceIds=sorted(instances))["Reservations"]
    return {each["InstanceId"]: each["State"]["Name"] for r in reservations for each in r["Instances"]}


def _draining(aws: EmbeddedAws, expectation: Expectation) -> Iterator[Finding]:
    for group, arn in expectation.target_groups.items():
        warned = sorted(expectation.interrupted[group])
        health = aws.client("elbv2").describe_target_health(
            TargetGroupArn=arn, Targets=[{"Id": instance} for instance in warned]
        )
        states = [target["TargetHealth"]["State"] for target in health["TargetHealthDescriptions"]]
        yield Finding(f"draining behind {group}", states == ["draining"] * len(warned), _counted(states))


def _nodes(aws: EmbeddedAws, expectation: Expectation) -> Iterator[Finding]:
    """The container instances that go are drained, the cluster's others take tasks."""
    for group, cluster in expectation.clusters.items():
        states = fleet.container_states(aws, cluster)
        draining = {instance for instance, status in states.items() if status == "DRAINING"}
        yield Finding(
            f"ECS nodes of {group}", draining == expectation.interrupted[group], _counted(states.values())
        )


def _commanded(
    aws: EmbeddedAws, outputs: Mapping[str, str], expectation: Expectation, outcomes: Mapping[str, str]
) -> Finding:
    """Whoever was acted on got the document once, before the deadline; the groups' other members did not."""
    members = frozenset().union(*expectation.members.values())
    times: dict[str, list[float]] = {instance: [] for instance in members}
    for command in aws.client("ssm").list_commands()["Commands"]:
        if command["DocumentName"] == outputs["SpotCommandDocumentName"]:
            for instance in members.intersection(command["InstanceIds"]):
                times[instance].append(command["RequestedDateTime"].timestamp())
    acted = {instance for instance, outcome in outcomes.items() if outcome != "observed"}
    once = all(len(sent) == (instance in acted) for instance, sent in times.items())
    last = max((at for sent in times.values() for at in sent), default=float("inf"))
    seen = f"{sum(map(len, times.values()))} sent, the last {expectation.deadline - last:.1f} s before"
    return Finding("commands sent before the deadline", once and last < expectation.deadline, seen)


def _alerted(by_group: Mapping[str, Mapping[str, str]], heard: Heard) -> Finding:
    """Per group one alert for what was decided and one for what came of it; none comes of observing."""
    attributes = [alert["MessageAttributes"] for alert in heard.alerts]
    keys = sorted((a["group"]["Value"], a["outcome"]["Value"]) for a in attributes)
    expected = sorted(
        (group, said)
        for group, ends in by_group.items()
        for said in {word for end in ends.values() for word in ALERTS[end]}
    )
    return Finding("alerts published", keys == expected, ", ".join(f"{g} {o}" for g, o in keys) or "none")


ALERTS = {"handled": ("act", "handled"), "failed": ("act", "failed"), "observed": ("observe",)}
"""Outcome → the outcomes that alerts name: when the plan is made, and when it is settled."""


def _told(outcomes: Mapping[str, str], heard: Heard) -> Finding:
    details = [event["detail"] for event in heard.events]
    told = sorted((i["instance_id"], d["outcome"]) for d in details for i in d["instances"])
    seen = f"{len(heard.events)} events about {len(told)} instances"
    return Finding("domain events on the bus", told == sorted(outcomes.items()), seen)


def _settled(outcomes: Mapping[str, str], windows: Sequence[WindowAccount]) -> Finding:
    ends = {i: e.outcome for w in windows for i, e in w.episodes.items() if e.status == "settled"}
    return Finding("settled in the ledger", ends == outcomes, _counted(ends.values()))


def _executed(
    account: Account, windows: Sequence[WindowAccount], outcomes: Mapping[str, str]
) -> Iterator[Finding]:
    """A window's executions, recoveries included, fail if an action did, and only then."""
    for window in windows:
        failed = any(outcomes.get(instance) == "failed" for instance in window.episodes)
        expected = "FAILED ActionsFailed" if failed else "SUCCEEDED"
        ends = account.executions(window.window)
        check = "execution failed, for all to see" if failed else "execution succeeded"
        yield Finding(check, set(ends) == {expected}, ", ".join(ends) or "none")


def _counted(states: Iterable[str]) -> str:
    counts = Counter(states)
    return ", ".join(f"{counts[state]} {state}" for state in sorted(counts)) or "none known"
