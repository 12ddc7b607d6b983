"""What the demo checks, and how it shows what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from local.display import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what should be, whether it is, and what was seen."""

    check: str
    holds: bool
    seen: str


def findings_table(findings: Sequence[Finding]) -> Table:
    """One row a check."""
    checks = table("", "check", "seen", title="The estate itself")
    for finding in findings:
        checks.add_row("[green]✓[/]" if finding.holds else "[red]✗[/]", finding.check, escape(finding.seen))
    return checks
