"""What docs/packages.md says of policy and owners: every field with its default, and examples that hold."""

import re
from typing import Any

import msgspec
import pytest

from signalbox.packages.owners import Declaration, parse_owner
from signalbox.packages.policy import Policy, parse_policy
from tests.template.sources import ROOT

PAGE = (ROOT / "docs" / "packages.md").read_text()


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def example(heading: str) -> str:
    [found] = re.findall(r"```json\n(.*?)```", section(heading), re.DOTALL)
    return str(found)


def defaults() -> dict[str, Any]:
    """Field → what it is where nothing is declared."""
    found: dict[str, dict[str, Any]] = msgspec.to_builtins(Policy())
    found["denied"] = {}
    return {f"{part}.{name}": value for part, values in found.items() for name, value in values.items()}


@pytest.mark.parametrize(("name", "value"), defaults().items())
def test_every_field_of_the_policy_is_named_with_its_default(name: str, value: Any) -> None:
    row = f"`{name.removeprefix('findings.')}` | "
    assert row in section("Policy")
    if isinstance(value, str | int):
        assert f"{row}`{value}`" in section("Policy") or f"{row}{value} |" in section("Policy")


def test_the_examples_hold() -> None:
    assert parse_policy(example("Policy")) != Policy()
    declared = parse_owner("web", example("Owners")).declared
    assert all(getattr(declared, name) for name in Declaration.__struct_fields__)
