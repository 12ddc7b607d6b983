"""The buildspecs of examples/: as a script for a linter, and run with stand-ins for the tools they call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.builds.buildspec import Buildspec
from local.builds.shell import Shell

PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
SECONDS = 120.0
STAND_IN = """\
#!/bin/sh
name=$(basename "$0")
{ printf '%s' "$name"; printf '\\t%s' "$@"; echo; } >> "$CALLS"
case "$name $*" in
  $FAILING) echo "not this time" >&2; exit 1 ;;
  aws*get-authorization-token*) echo "$TOKEN" ;;
  aws*get-repository-endpoint*) echo "https://example.com/maven/" ;;
  mvn*dependency:tree*) echo "[INFO] +- $TREE" ;;
  aws*lambda*invoke*) echo "$ANSWER" > answer.json; echo "$ERROR" ;;
esac
"""


@dataclass(frozen=True)
class Ran:
    """How the commands ended: which failed ("" for none), what was written, how stand-ins were called."""

    failed: str
    output: str
    calls: tuple[tuple[str, ...], ...]


def commands(spec: Buildspec) -> list[str]:
    """Of all phases, in order."""
    return [command for phase in PHASES for command in spec.commands.get(phase, ())]


def script(spec: Buildspec) -> str:
    """The whole as one script."""
    exported = [f'export {name}="{value}"' for name, value in spec.variables.items()]
    return "\n".join(["#!/bin/bash", *exported, *commands(spec)]) + "\n"


def run(spec: Buildspec, folder: Path, variables: Mapping[str, str]) -> Ran:
    """One command after the other, until one fails, in `folder`/src and with `folder`/home."""
    shell, failed = Shell(folder, {**spec.variables, **variables}), ""
    try:
        for command in commands(spec):
            if shell.run(command, succeeding=True, seconds=SECONDS):
                failed = command
                break
        return Ran(failed, "\n".join(shell.lines()), ())
    finally:
        shell.end()


def rehearse(
    spec: Buildspec, folder: Path, tools: Sequence[str], variables: Mapping[str, str], failing: str = ""
) -> Ran:
    """The same with stand-ins for the tools: all succeed.

    Args:
        failing: but those calls do not; a pattern of the shell.
    """
    image, calls = folder / "image", folder / "calls"
    image.mkdir()
    calls.touch()
    for tool in tools:
        (image / tool).touch(mode=0o755)
        (image / tool).write_text(STAND_IN.replace("$FAILING", failing or "nothing"))
    found = {"PATH": f"{image}:/usr/bin:/bin", "CALLS": str(calls), **variables}
    ran = run(spec, folder, found)
    lines = calls.read_text().splitlines()
    return Ran(ran.failed, ran.output, tuple(tuple(line.split("\t")) for line in lines))
