"""The plan benchmark: the program's own planner and adapters, on answers as large as AWS's."""

import pytest

from bench.floor import floor
from bench.parsing import measure as plan_window
from bench.plan import measure as plan_purely
from bench.shape import group_sizes

INSTANCES = 300


def test_the_pure_planner_needs_the_floors_calls() -> None:
    planned = plan_purely(INSTANCES)
    fewest = floor(group_sizes(INSTANCES))
    assert planned.calls["detach"] == fewest["autoscaling:DetachInstances"]
    assert planned.calls["command"] == fewest["ssm:SendCommand"]
    assert planned.alone == 4 * INSTANCES


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_window_is_planned_from_answers_that_boto3_has_parsed() -> None:
    cost = plan_window(INSTANCES)
    fewest = floor(group_sizes(INSTANCES))
    reads = ("DescribeAutoScalingInstances", "DescribeTags", "GetParameters")
    assert cost.calls == sum(fewest[n] for n in fewest if n.endswith(reads)) + 1  # the groups, once
    assert cost.actions["detach"] == fewest["autoscaling:DetachInstances"]
    assert cost.actions["command"] == fewest["ssm:SendCommand"]
    assert cost.parsed_mb > 0
    assert cost.cpu_seconds > cost.cpu_seconds_outside_answers > 0
    assert cost.peak_mb >= cost.peak_before_mb > 0
