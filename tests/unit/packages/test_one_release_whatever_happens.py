"""One release of each version, each build started once for each attempt, and promoted at most once, and only
when all is green: the whole domain, whatever comes twice, late or never, and whoever dies on the way.
"""

import itertools
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.entries import Entry
from signalbox.packages.releases import Reason, State
from signalbox.packages.repositories import Status
from tests.stepping import Fate
from tests.unit.packages.fake_codeartifact import SHARED, TEAM
from tests.unit.packages.release_world import VERSIONS, World

DOINGS = st.lists(
    st.tuples(st.sampled_from(VERSIONS), st.sampled_from(["publish", "publish", "change", "withdraw"])),
    min_size=0,
    max_size=6,
)
FATES: tuple[Fate, ...] = (*("go",) * 40, "crash-before", "crash-after")


def check(world: World) -> None:
    """In the end."""
    assert world.intake_queue.dead == world.builds_queue.dead == []
    assert world.codebuild.running() == []
    for version in VERSIONS:
        entry = world.releases.read(version.key)
        begun = [each for each in world.executions.values() if each.release == version.key]
        assert len({(each.round, each.tries) for each in begun}) == len(begun), "one execution a try"
        if entry is None:
            assert version.key not in world.codeartifact.held[TEAM].get(version.package.key, {})
            continue
        check_release(world, version, entry)


def check_release(world: World, version: PackageVersion, entry: Entry) -> None:
    release = entry.release
    there = world.codeartifact.describe(SHARED, version)
    assert (there is not None) == (release.state is State.PROMOTED)
    found = world.codeartifact.describe(TEAM, version)
    if release.state is State.PROMOTED:
        assert there is not None
        assert there.revision == release.revision
        assert entry.settled == release.execution, "and it is told"
    elif found is None or found.status is not Status.PUBLISHED:
        # Refused: it was withdrawn when somebody was about to promote it.
        withdrawn = release.reason in {Reason.WITHDRAWN, Reason.REFUSED}
        assert release.state is State.SUPERSEDED or withdrawn
    else:
        assert release.state is State.SUPERSEDED
        assert PackageVersion.parse_key(release.by) in VERSIONS


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOINGS, st.sampled_from([0.3, 0.7, 0.95]), st.integers(0, 2**32))
def test_whatever_happens(doings: list[tuple[PackageVersion, str]], idle: float, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    doings = [(VERSIONS[0], "publish"), *doings]
    world = World(doings, random, (random.choice(FATES) for _ in itertools.count()), idle=idle)
    world.run()
    check(world)


def released(fates: Iterator[Fate]) -> World:
    """One version, by one worker of each kind, one step after the other."""
    world = World([(VERSIONS[0], "publish")], Random(7), fates, workers=1, idle=0.0)  # noqa: S311 - no secret
    world.run()
    check(world)
    assert world.releases.known(VERSIONS[0].key).release.state is State.PROMOTED
    return world


@pytest.mark.parametrize("fate", ["crash-before", "crash-after"])
def test_a_crash_at_any_one_step_changes_nothing(fate: Fate) -> None:
    calm = released(iter(()))
    steps = sorted(set(range(calm.scheduler.steps)) - calm.pauses)
    for step in steps:
        before: list[Fate] = ["go"] * step
        released(iter([*before, fate]))
    assert len(steps) > 60
