"""What goes into the last step of a release, and what comes out."""

import pytest

from signalbox.errors import InvariantError
from tests.unit.functions.test_handlers import handle
from tests.unit.packages.settlements import KEY
from tests.unit.packages.test_settlement import World

FAILURE = {"step": "PlanRelease", "error": "BrokenPolicyError", "cause": "{}"}
NAME = "PackagesSettleReleaseFunction"


@pytest.mark.parametrize(
    ("name", "failure", "outcome"),
    [("promoted", {}, "promoted"), ("stuck", {"failure": FAILURE}, "stuck")],
)
def test_a_try_that_has_ended(
    name: str, failure: dict[str, object], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(name)
    event = {"release": KEY, "round": 1, "tries": 0, **failure}
    assert handle(NAME, world, event, monkeypatch) == {"outcome": outcome}
    assert ("team-ui", outcome) in world.topic.told


def test_an_input_that_no_state_machine_of_ours_sends_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvariantError, match="a step's input"):
        handle(NAME, World("promoted"), {"release": KEY}, monkeypatch)
