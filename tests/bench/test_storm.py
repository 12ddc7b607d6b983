"""A small storm, met by both: the benchmark measures what it says."""

from pathlib import Path

import pytest

from bench.floor import floor
from bench.outcome import OURS, THEIRS, Outcome
from bench.shape import Bucket, group_sizes
from bench.storm import Settings, grid, storms

pytestmark = pytest.mark.embedded

INSTANCES = 20
ROOMY = Bucket(100, 20)


def test_a_storm_of_twenty(tmp_path: Path) -> None:
    outcomes: dict[str, Outcome] = {}
    steps: list[str] = []
    storms(
        tmp_path,
        grid([INSTANCES], [ROOMY], full=False),
        Settings(workers=5, cold=True),
        steps.append,
        lambda outcome: outcomes.update({outcome.algorithm: outcome}),
    )
    for outcome in outcomes.values():
        assert (outcome.detached, outcome.drained, outcome.commanded) == (INSTANCES,) * 3
        assert len(outcome.waits) == INSTANCES
        assert not outcome.refused
        assert not outcome.throttled
    ours, theirs = outcomes[OURS], outcomes[THEIRS]
    assert ours.states == {"handled": INSTANCES}
    assert sum(window.decisions for window in ours.windows) == INSTANCES
    assert all(0 < window.planned_after < window.acted_after for window in ours.windows)
    assert ours.calls["autoscaling:DetachInstances"] >= floor(group_sizes(INSTANCES))["ssm:SendCommand"]
    assert min(ours.usage.invocations, ours.usage.transitions, ours.usage.write_units) >= INSTANCES / 2
    assert ours.usage.gb_seconds > 0
    assert theirs.total == 4 * INSTANCES
    assert theirs.usage.invocations == theirs.states["done"] == INSTANCES
    assert {f"20 warnings, Auto Scaling's bucket 100/20: {by}" for by in (OURS, THEIRS)} <= set(steps)
