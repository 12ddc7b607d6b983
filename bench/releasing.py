"""What it takes to plan the release of a version, from what the ledger keeps.

A process of its own for each graph, so that its memory is that of the plan: the interpreter, the libraries,
the index as it is read and turned round, the plan. Nothing is asked of AWS.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import msgspec

from bench.apart import measured_apart
from bench.memory import peak_bytes
from local.display import table
from signalbox.packages.coordinates import Package, PackageVersion
from signalbox.packages.dependents import Dependency, Entry, Index, Shard
from signalbox.packages.planning import plan
from signalbox.packages.versions import newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

MB = 2**20
DEPENDENCIES = 10
DEPTH = 6
VERSIONS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """So many packages, of which so many are affected."""

    packages: int
    affected: int


GRAPHS = (
    Graph(packages=1_000, affected=200),
    Graph(packages=1_000, affected=999),
    Graph(packages=10_000, affected=1_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What planning one release took, in CPU seconds. `peak_before_mb` is the peak before it began."""

    packages: int
    affected: int
    waves: int
    index_bytes: int
    largest_shard_bytes: int
    plan_bytes: int
    read_seconds: float
    plan_seconds: float
    newest_seconds: float
    peak_mb: float
    peak_before_mb: float


def measure_apart(graph: Graph) -> Cost:
    """Measures in a process of its own."""
    return measured_apart(Cost, "bench.releasing", graph.packages, graph.affected)


def measure(graph: Graph) -> Cost:
    """Plans one release in such a graph, from the packed shards."""
    packed = [shard.pack() for shard in organisation(graph).split()]
    core = Package.parse_key(name(0))
    versions = [f"{number % 9}.{number % 40}.{number}" for number in range(VERSIONS)]
    before = peak_bytes()
    began = time.process_time()
    index = Index.of(map(Shard.unpack, packed))
    index.dependents(core.key)
    read = time.process_time()
    made = plan(index, PackageVersion(core, "1.5.0"))
    planned = time.process_time()
    newest(core, versions)
    ended = time.process_time()
    return Cost(
        packages=graph.packages,
        affected=sum(map(len, made.waves)),
        waves=len(made.waves),
        index_bytes=sum(map(len, packed)),
        largest_shard_bytes=max(map(len, packed)),
        plan_bytes=len(msgspec.json.encode(made)),
        read_seconds=read - began,
        plan_seconds=planned - read,
        newest_seconds=ended - planned,
        peak_mb=peak_bytes() / MB,
        peak_before_mb=before / MB,
    )


def name(number: int) -> str:
    """The key of a package."""
    return f"npm/acme/service-{number:05}"


def organisation(graph: Graph) -> Index:
    """The first package is published; the next ones are affected, on several levels; the others are not.

    Each has some dependencies, in ranges of its own: the affected also on one another, all on public packages
    and on what they do not admit.
    """
    chance = random.Random(7)  # noqa: S311 - the same graph each time
    entries = {name(0): Entry("1.4.0", 1, 1.0)}
    level = max(1, graph.affected // DEPTH)
    for number in range(1, graph.packages):
        affected = number <= graph.affected
        on = [max(0, number - level)] if affected else []
        others = [chance.randrange(max(1, number - level)) for _ in range(DEPENDENCIES // 2)]
        wanted = [Dependency(name(each), f"^1.{chance.randrange(4)}.{chance.randrange(9)}") for each in on]
        wanted += [Dependency(name(each), f"^0.{chance.randrange(9)}.0") for each in others if each not in on]
        public = [f"npm//public-{chance.randrange(500)}" for _ in range(DEPENDENCIES - len(wanted))]
        wanted += [Dependency(each, f"^{chance.randrange(20)}.0.0") for each in public]
        entries[name(number)] = Entry("1.4.0", number, float(number), tuple(wanted))
    return Index(entries)


def planning_table(costs: Sequence[Cost]) -> Table:
    """A column a graph."""
    made = table(
        "", *(f"{cost.packages:,} packages" for cost in costs), title="Planning one release, CPU seconds"
    )
    figures = [asdict(cost) for cost in costs]
    for figure in list(figures[0])[1:]:
        values = [each[figure] for each in figures]
        made.add_row(figure, *(f"{each:,.2f}" if isinstance(each, float) else f"{each:,}" for each in values))
    return made


def results(costs: Sequence[Cost]) -> Iterator[tuple[str, float]]:
    """Named, for .local/bench.json."""
    for cost in costs:
        for figure, value in list(asdict(cost).items())[2:]:
            yield f"release.{cost.packages}.{cost.affected}.{figure}", value


def main(arguments: list[str]) -> None:
    """Two numbers: what one graph costs, as JSON."""
    packages, affected = map(int, arguments)
    sys.stdout.buffer.write(msgspec.json.encode(measure(Graph(packages=packages, affected=affected))))


if __name__ == "__main__":
    main(sys.argv[1:])
