"""Cold starts as a table for a person, and by name for a program."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.start import OURS, PLAIN, UNCOMPILED
from local.display import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from bench.start import Start

MB = 1_000_000
EXPLANATION = """\
Milliseconds from the first import to the answer of the first call: median of {times}, in turn, in one run.
as SAM: the plain handler as `sam build` leaves it, not compiled. In Lambda code is read-only, so that every
cold start compiles it anew. compiled: the same with bytecode, for what is left without that difference.
CPU: these two ratios of CPU time, which other work on the machine disturbs less.
calls: of AWS in the first call, answered from memory. MB: what the function loads, unzipped, without the
Kubernetes client's layer, which SpotDrainNodes loads too."""


def start_table(starts: Sequence[Start]) -> Table:
    """A line for each function."""
    made = table(
        "function",
        *("ours", "plain, as SAM", "compiled", "ratio, as SAM", "compiled", "CPU, as SAM", "compiled"),
        *("modules", "plain", "calls", "MB"),
        title="Cold starts: import and first call",
    )
    for start in starts:
        made.add_row(
            start.name.removesuffix("Function"),
            *(f"{median(start.seconds[who]) * 1000:.0f}" for who in (OURS, UNCOMPILED, PLAIN)),
            *(f"{start.ratio(to):.2f}" for to in (UNCOMPILED, PLAIN)),
            *(f"{start.cpu_ratio(to):.2f}" for to in (UNCOMPILED, PLAIN)),
            *(str(start.modules[who]) for who in (OURS, PLAIN)),
            str(start.calls),
            f"{start.unzipped / MB:.1f}",
        )
    return made


def explanation(starts: Sequence[Start]) -> str:
    """What the columns are."""
    return EXPLANATION.format(times=len(starts[0].seconds[OURS]))


def results(starts: Sequence[Start]) -> Iterator[tuple[str, float]]:
    """Every figure by its name."""
    for start in starts:
        place = f"start.{start.name}"
        yield f"{place}.seconds", median(start.seconds[OURS])
        for who, name in ((UNCOMPILED, "as_sam"), (PLAIN, "compiled")):
            yield f"{place}.plain_{name}_seconds", median(start.seconds[who])
            yield f"{place}.ratio_to_plain_{name}", start.ratio(who)
            yield f"{place}.cpu_ratio_to_plain_{name}", start.cpu_ratio(who)
        yield f"{place}.modules", start.modules[OURS]
        yield f"{place}.plain_modules", start.modules[PLAIN]
        yield f"{place}.unzipped_bytes", start.unzipped
        for part, content in start.sizes.items():
            yield f"{place}.unzipped_bytes.{part}", content
