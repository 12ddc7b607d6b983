from hypothesis import given
from hypothesis import strategies as st

from signalbox.packages.graphs import circles, waves

NODES = "abcdefgh"
GRAPHS = st.fixed_dictionaries({node: st.frozensets(st.sampled_from(NODES), max_size=4) for node in NODES})


def reachable(graph: dict[str, frozenset[str]]) -> dict[str, set[str]]:
    """Warshall's closure: node → what it waits for, through others too."""
    found = {node: set(before) for node, before in graph.items()}
    for middle in graph:
        for node in graph:
            if middle in found[node]:
                found[node] |= found[middle]
    return found


@given(GRAPHS)
def test_circles_are_the_nodes_that_wait_for_one_another(graph: dict[str, frozenset[str]]) -> None:
    far = reachable(graph)
    expected = {
        tuple(sorted({node} | {each for each in far[node] if node in far[each]}))
        for node in graph
        if node in far[node]
    }
    assert circles(graph) == sorted(expected)


@given(GRAPHS)
def test_a_wave_is_the_longest_way_to_a_node(graph: dict[str, frozenset[str]]) -> None:
    far = reachable(graph)
    stuck = {node for node in graph if any(each in far[each] for each in far[node] | {node})}

    def depth(node: str) -> int:
        return max((depth(each) + 1 for each in graph[node]), default=0)

    found = waves(graph)
    assert {node: number for number, wave in enumerate(found) for node in wave} == {
        node: depth(node) for node in graph if node not in stuck
    }
    assert all(list(wave) == sorted(wave) for wave in found)


def test_a_chain_longer_than_the_stack_is_deep() -> None:
    chain = {f"{n:05}": {f"{n - 1:05}"} if n else set() for n in range(5_000)}
    assert circles(chain) == []
    assert len(waves(chain)) == 5_000
    ring = chain | {"00000": {"04999"}}
    assert [len(each) for each in circles(ring)] == [5_000]
    assert waves(ring) == []


def test_nothing() -> None:
    assert circles({}) == []
    assert waves({}) == []
