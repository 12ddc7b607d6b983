"""How the commands of the embedded AWS show tables to a person."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

FILE_WIDTH = 160


def terminal() -> Console:
    """As wide as the terminal, or wide enough to be read where the output goes into a file."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=FILE_WIDTH)


def table(*columns: str, title: str | None = None) -> Table:
    """A table whose first column is never broken: it is what a person copies."""
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0, overflow="fold")
    return made
