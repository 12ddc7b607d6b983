"""Tells a person what is going on while it takes time: a line with a running clock for each step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from types import TracebackType


class Steps:
    """Call it with what begins; the step before is then over. On leaving, so is the last, well or not.

    with Steps() as report:
        report("Building")
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._current: tuple[TaskID, str, float] | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __call__(self, text: str) -> None:
        self._end("[green]✓[/]")
        if not self._console.is_terminal:
            self._console.print(f"  {escape(text)} …", soft_wrap=True)
        self._current = (self._progress.add_task(escape(text), total=None), text, time.monotonic())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end("[red]✗[/]" if error else "[green]✓[/]")
        if self._console.is_terminal:
            self._progress.stop()

    def _end(self, mark: str) -> None:
        if self._current is None:
            return
        task, text, began = self._current
        self._current = None
        self._progress.remove_task(task)
        self._console.print(f"{mark} {escape(text)} [dim]{time.monotonic() - began:.1f} s[/]", soft_wrap=True)
