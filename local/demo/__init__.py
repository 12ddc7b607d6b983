"""`python -m local demo`: each domain from beginning to end, on an embedded AWS of its own, and checked."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from local.cli import print_left_out
from local.demo import documents, packages, spot
from local.demo.findings import findings_table
from local.deployment import deploy
from local.display import terminal
from local.embedded import EmbeddedAws
from local.exits import exit_code
from local.inbox import Inbox
from local.progress import Steps
from local.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

ACTS = {"spot": spot, "documents": documents, "packages": packages}


def main(arguments: Sequence[str]) -> int:
    """Runs it; 0 only if every check of the estate itself holds."""
    parser = argparse.ArgumentParser(prog="python -m local demo", description=__doc__)
    parser.add_argument("acts", nargs="*", metavar="DOMAIN", help=f"{', '.join(ACTS)} (default: all)")
    chosen = parser.parse_args(arguments).acts or list(ACTS)
    if unknown := sorted(set(chosen) - ACTS.keys()):
        parser.error(f"there is no act {', '.join(unknown)}; there are: {', '.join(ACTS)}")
    console = terminal()
    return exit_code("demo", lambda: _demo(console, LocalSettings.from_env().state / "demo", chosen))


def _demo(console: Console, state: Path, chosen: Sequence[str]) -> int:
    acts = [ACTS[name] for name in chosen]
    overrides = {name: value for act in acts for name, value in act.PARAMETERS.items()}
    with Steps() as report:
        report("Starting the embedded AWS")
        aws = EmbeddedAws.start(state)
    with aws:
        with Steps() as report:
            deployment = deploy(aws, overrides=overrides, report=report)
            inbox = Inbox.open(aws, deployment.outputs)
        print_left_out(deployment.left_out)
        findings = [finding for act in acts for finding in act.play(console, aws, deployment.outputs, inbox)]
    console.print(findings_table(findings))
    broken = [finding.check for finding in findings if not finding.holds]
    if broken:
        console.print(f"[red]The demo failed:[/] {'; '.join(broken)}. Logs: {state / 'logs'}")
        return 1
    console.print("[green]Every check holds.[/] Next: make up, make send, make status (see README.md).")
    return 0
