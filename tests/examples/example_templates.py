"""The templates of examples/, as the tests of this folder read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import loads  # type: ignore[import-untyped] # ships no types

type Node = dict[str, Any]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Example:
    """One folder of examples/ that has a template."""

    name: str

    @property
    def path(self) -> Path:
        return EXAMPLES / self.name / "template.yaml"

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def readme(self) -> str:
        return self.path.with_name("README.md").read_text()

    @cached_property
    def template(self) -> Node:
        """Every intrinsic function in its long form; each mapping knows its line."""
        parsed: Node = loads(self.text)
        return parsed

    def properties(self, name: str) -> Node:
        found: Node = self.template["Resources"][name]["Properties"]
        return found

    def resources(self, kind: str) -> dict[str, Node]:
        return {name: r for name, r in self.template["Resources"].items() if r["Type"] == kind}

    def mappings(self, wanted: Callable[[Node], bool]) -> list[Node]:
        """Every mapping, however deep, of which that is true."""
        return [node for node in _mappings(self.template) if wanted(node)]

    def comment_above(self, node: Node) -> str:
        """The comment right above the first line of a mapping, or ""."""
        lines = self.text.splitlines()[: node.start_mark.line]  # type: ignore[attr-defined] # cfn-lint's own dict
        comment: list[str] = []
        while lines and (line := lines.pop().strip()).startswith("#"):
            comment.insert(0, line.removeprefix("#").strip())
        return " ".join(comment)


def _mappings(node: object) -> Iterator[Node]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _mappings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _mappings(value)


def spelled(node: object) -> str:
    """A part of a template as text, to compare and to look into."""
    return json.dumps(node, sort_keys=True)


def attributes(target_group: Node) -> dict[str, str]:
    """A target group's attributes by key."""
    return {item["Key"]: item["Value"] for item in target_group["TargetGroupAttributes"]}


def tags(group: Node) -> dict[str, Any]:
    """An Auto Scaling group's tags by key: the value, and whether its instances get it."""
    return {tag["Key"]: (tag["Value"], tag["PropagateAtLaunch"]) for tag in group["Tags"]}


DOCUMENT_CONSUMER = Example("document-consumer")
WEB_FLEET = Example("web-fleet")
ECS_ON_SPOT = Example("ecs-on-spot")
MEMBER = Example("member")
PIPELINE = Example("pipeline")
PACKAGE_DOMAIN = Example("package-domain")
REBUILD_PROJECT = Example("rebuild-project")
SCHEDULED_JOB = Example("scheduled-job")
EXAMPLE_TEMPLATES = [
    *(DOCUMENT_CONSUMER, WEB_FLEET, ECS_ON_SPOT, MEMBER, PIPELINE),
    *(PACKAGE_DOMAIN, REBUILD_PROJECT, SCHEDULED_JOB),
]
