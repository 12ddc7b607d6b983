"""The benchmark of a release's plan: just so many packages are affected, and the index is what is kept."""

from bench.releasing import DEPTH, Graph, measure, planning_table, results
from local.display import terminal


def test_as_many_are_affected_as_are_asked_for() -> None:
    cost = measure(Graph(packages=120, affected=36))
    assert (cost.packages, cost.affected, cost.waves) == (120, 36, DEPTH)
    assert 0 < cost.largest_shard_bytes < cost.index_bytes
    assert cost.plan_bytes > 0
    assert cost.peak_mb >= cost.peak_before_mb > 0


def test_each_graph_is_a_column_and_has_its_named_results() -> None:
    cost = measure(Graph(packages=120, affected=36))
    assert dict(results([cost]))["release.120.36.waves"] == DEPTH
    console = terminal()
    with console.capture() as shown:
        console.print(planning_table([cost, cost]))
    assert ["affected", "36", "36"] in [line.split() for line in shown.get().splitlines()]
