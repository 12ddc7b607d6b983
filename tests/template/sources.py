"""The template and the state machines, as the tests of this folder and of `tests/workflow` read them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import yaml
from cfnlint.decode.cfn_yaml import loads  # type: ignore[import-untyped] # ships no types

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
STATE_MACHINES = ROOT / "statemachines"
CONDITION = re.compile(r"\s*- (!If|\w+)")

type Node = dict[str, Any]


@cache
def template() -> Node:
    """template.yaml with every intrinsic function in its long form; each mapping knows its line."""
    parsed: Node = loads(TEMPLATE.read_text())
    return parsed


def resources(*types: str) -> dict[str, Node]:
    """Logical id → resource, of these types; of all types when none is given."""
    return {
        name: resource
        for name, resource in template()["Resources"].items()
        if not types or resource["Type"] in types
    }


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy and where it is: the logical id of the resource that has it."""

    owner: str
    content: Node

    @property
    def comment(self) -> str:
        """The comment right above it, or ""."""
        above: int = self.content.start_mark.line - 1  # type: ignore[attr-defined] # cfn-lint's own dict
        line = TEMPLATE.read_text().splitlines()[above].strip()
        return line.removeprefix("#").strip() if line.startswith("#") else ""

    @property
    def reason(self) -> str:
        """All of the comment above it, or above the condition that it depends on, in one line."""
        first: int = self.content.start_mark.line  # type: ignore[attr-defined] # cfn-lint's own dict
        above = dropwhile(CONDITION.fullmatch, reversed(TEMPLATE.read_text().splitlines()[:first]))
        lines = [line.strip().lstrip("# ") for line in takewhile(lambda each: each.strip()[:1] == "#", above)]
        return " ".join(reversed(lines))

    @property
    def actions(self) -> list[str]:
        return as_list(self.content["Action"])

    @property
    def resources(self) -> list[Any]:
        return as_list(self.content.get("Resource", []))


def statements(*types: str) -> list[Statement]:
    """Every policy statement in the resources of these types, trust policies included."""
    return [
        Statement(name, content)
        for name, resource in resources(*types).items()
        for content in _statements(resource)
    ]


def _statements(node: object) -> Iterator[Node]:
    if isinstance(node, dict):
        if "Effect" in node:
            yield node
        for value in node.values():
            yield from _statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from _statements(value)


def as_list(value: Any) -> list[Any]:
    """IAM and Step Functions take one value where they take a list."""
    return list(value) if isinstance(value, list) else [value]


def attribute(name: str, of: str = "Arn") -> Node:
    """How the template refers to an attribute of a resource."""
    return {"Fn::GetAtt": [name, of]}


def mentions(node: object, name: str) -> bool:
    """Whether a part of the template refers to a resource."""
    if isinstance(node, Mapping):
        return (
            node.get("Ref") == name
            or as_list(node.get("Fn::GetAtt"))[0] == name
            or any(mentions(value, name) for value in node.values())
        )
    if isinstance(node, str):
        return f"${{{name}}}" in node or f"${{{name}." in node
    return isinstance(node, list) and any(mentions(value, name) for value in node)


PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9]+)\}")


@dataclass(frozen=True, slots=True)
class Definition:
    """A state machine's definition, placeholders not replaced."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def definition(self) -> Node:
        parsed: Node = yaml.safe_load(self.text)
        return parsed

    @property
    def placeholders(self) -> set[str]:
        return set(PLACEHOLDER.findall(self.text))

    def substituted(self, values: Mapping[str, str]) -> Node:
        """With `${name}` replaced, as CloudFormation does it: as text."""
        parsed: Node = yaml.safe_load(PLACEHOLDER.sub(lambda match: values[match[1]], self.text))
        return parsed


@dataclass(frozen=True, slots=True)
class StateMachine(Definition):
    """One state machine of the template: its resource and its definition."""

    name: str
    properties: Node

    @property
    def substitutions(self) -> Node:
        found: Node = self.properties["DefinitionSubstitutions"]
        return found


def state_machines() -> list[StateMachine]:
    """Those of the template."""
    return [
        StateMachine(ROOT / resource["Properties"]["DefinitionUri"], name, resource["Properties"])
        for name, resource in resources("AWS::Serverless::StateMachine").items()
    ]


def scopes(definition: Node) -> Iterator[Node]:
    """The state machine itself, then each branch: what has a StartAt and States of its own."""
    yield definition
    for state in definition["States"].values():
        for branch in state.get("Branches", []):
            yield from scopes(branch)


def states(definition: Node) -> dict[str, Node]:
    """Every state by name, those of the branches included."""
    return {name: state for scope in scopes(definition) for name, state in scope["States"].items()}
