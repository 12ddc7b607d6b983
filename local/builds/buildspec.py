"""Reads a buildspec ("Build specification reference for CodeBuild", CodeBuild User Guide).

Understood are version 0.2, `env.variables`, and of each phase its `commands`. Anything else is refused with
its place, though CodeBuild may take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PHASES = ("install", "pre_build", "build", "post_build")
VERSION = "0.2"


class BuildspecError(ValueError):
    """A buildspec that can't be used; says where and why."""


@dataclass(frozen=True, slots=True)
class Buildspec:
    """What to run: `commands` has each phase, by CodeBuild's name for it in upper case."""

    variables: Mapping[str, str]
    commands: Mapping[str, tuple[str, ...]]


def parse(text: str) -> Buildspec:
    """Raises BuildspecError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(f"the buildspec is not YAML: {error}") from error
    root = _mapping(document, "the buildspec", ("version", "env", "phases"))
    if str(root.get("version")) != VERSION:
        raise BuildspecError(f"version is {root.get('version')!r}: only {VERSION} is understood")
    env = _mapping(root.get("env", {}), "env", ("variables",))
    phases = _mapping(root.get("phases"), "phases", PHASES)
    commands = {name.upper(): _commands(phases[name], f"phases.{name}") for name in PHASES if name in phases}
    if not any(commands.values()):
        raise BuildspecError("phases: there is no command in any of them")
    return Buildspec(_variables(env.get("variables", {})), commands)


def _mapping(value: object, place: str, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BuildspecError(f"{place} is no mapping")
    unknown = [str(name) for name in value if name not in known]
    if unknown:
        raise BuildspecError(f"{place}: {', '.join(unknown)} is not understood, only {', '.join(known)}")
    return value


def _commands(phase: object, place: str) -> tuple[str, ...]:
    commands = _mapping(phase, place, ("commands",)).get("commands", [])
    if not isinstance(commands, list):
        raise BuildspecError(f"{place}.commands is no list")
    for number, command in enumerate(commands):
        if not isinstance(command, str):
            raise BuildspecError(f"{place}.commands[{number}] is no text: {command!r}")
    return tuple(commands)


def _variables(given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        raise BuildspecError("env.variables is no mapping")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise BuildspecError(f"env.variables.{name} is no text: put {value!r} into quotes")
    return given
