"""What a release costs: the design's own numbers, each against what the design is made of."""

import pytest
import yaml

from bench.release_cost import (
    PARTS,
    WAYS,
    Way,
    builds_dollars,
    dollars,
    entry_units,
    invocations,
    releases_table,
    transitions,
    write_units,
)
from local.settings import ROOT
from tests.template.sources import resources

STATES = yaml.safe_load((ROOT / "statemachines" / "packages_release.asl.yaml").read_text())["States"]
MEMORY = {
    function["Properties"]["CodeUri"].removeprefix("functions/").rstrip("/"): 1_024
    for function in resources("AWS::Serverless::Function").values()
}
TWO_WAVES = Way(builds=20, waves=2)


def states_entered(steps: list[str]) -> int:
    """As the definition has it: the first state, then each step and what lies before it."""
    entered, state = 0, "Begin"
    waiting = [*steps]
    while True:
        entered += 1
        if STATES[state].get("End"):
            return entered
        choice = STATES[state]["Type"] == "Choice"
        state = waiting.pop(0) if choice else STATES[state]["Next"]


@pytest.mark.parametrize(
    ("way", "steps"),
    [
        (Way(builds=20, waves=2, acts=False), ["InspectVersion", "PlanRelease", "SettleRelease"]),
        (Way(builds=0, waves=0), ["InspectVersion", "PlanRelease", "PromoteVersion", "SettleRelease"]),
        (
            TWO_WAVES,
            ["InspectVersion", "PlanRelease", "BuildWave", "BuildWave", "PromoteVersion", "SettleRelease"],
        ),
    ],
)
def test_transitions_are_those_of_the_definition(way: Way, steps: list[str]) -> None:
    assert transitions(way) == states_entered(steps)


def test_what_is_called_are_functions_and_each_build_ends_once() -> None:
    called = invocations(TWO_WAVES)
    assert called.keys() <= MEMORY.keys()
    assert (called["packages_build_wave"], called["packages_admit_builds"]) == (2, 20)
    assert "packages_admit_builds" not in invocations(Way(builds=20, waves=2, acts=False))


def test_the_row_grows_with_its_builds_and_is_written_for_each() -> None:
    few, many = Way(builds=20, waves=1), Way(builds=200, waves=1)
    assert 1 < entry_units(few) < entry_units(many)
    assert write_units(many) > 200 * entry_units(many)
    # Those that wait for a place are noted when they get it.
    at_once = write_units(Way(builds=40, waves=2))
    assert write_units(Way(builds=40, waves=1)) == at_once + (20 - 3) * entry_units(Way(builds=40, waves=1))


def test_every_price_of_the_bill_is_in_a_column_and_the_builds_are_not() -> None:
    columns = [name for prices in PARTS.values() for name in prices]
    assert sorted(columns) == sorted(dollars(TWO_WAVES, MEMORY))
    assert "CodeBuild minutes" not in columns
    assert builds_dollars(TWO_WAVES) == pytest.approx(20 * 5 * 0.005)
    assert builds_dollars(Way(builds=20, waves=2, acts=False)) == 0.0


def test_the_table_has_a_row_for_each_way() -> None:
    found = releases_table(MEMORY)
    assert [line.split(" | ")[0].removeprefix("| ") for line in found.splitlines()[2:]] == list(WAYS)
