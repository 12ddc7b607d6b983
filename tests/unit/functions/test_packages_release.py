"""What goes into the steps of a release, from inspection to promotion, and what comes out."""

from typing import Any

import pytest

from signalbox.errors import InvariantError
from tests.unit.functions.test_handlers import handle
from tests.unit.packages import test_inspection, test_preparation, test_promotion
from tests.unit.packages.releases_under_way import UI

EVENT: dict[str, Any] = {"release": UI.key, "round": 1, "tries": 0}


def test_an_inspection(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = test_inspection.Stack()
    stack.begin(test_inspection.CORE)
    answer = handle("PackagesInspectVersionFunction", stack, EVENT, monkeypatch)
    assert answer == EVENT | {"next": "plan"}


def test_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = test_preparation.Stack()
    answer = handle("PackagesPlanReleaseFunction", stack, EVENT, monkeypatch)
    assert answer == EVENT | {"next": "build"}


def test_a_promotion(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = test_promotion.Stack()
    answer = handle("PackagesPromoteVersionFunction", stack, EVENT, monkeypatch)
    assert answer == EVENT | {"next": "settle"}


@pytest.mark.parametrize("name", ["InspectVersion", "PlanRelease", "PromoteVersion"])
def test_an_input_that_no_state_machine_of_ours_sends_fails_loudly(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvariantError, match="a step's input"):
        handle(f"Packages{name}Function", None, {"release": UI.key}, monkeypatch)
