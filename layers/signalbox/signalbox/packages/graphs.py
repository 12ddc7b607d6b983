"""Two things about directed graphs: what goes in circles, and in which waves the rest can be done.

A graph is node → the nodes that must be done before it. Answers are by name, so the same for the same graph.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

type Graph = Mapping[str, AbstractSet[str]]


def circles(graph: Graph) -> list[tuple[str, ...]]:
    """The nodes that wait for one another, directly or through others; alone where one waits for itself.

    Tarjan's algorithm for strongly connected components.
    """
    search = _Search(graph)
    for root in sorted(graph):
        if root not in search.number:
            search.explore(root)
    return sorted(part for part in search.found if len(part) > 1 or part[0] in graph[part[0]])


class _Search:
    """Depth first, without recursion: a chain may be longer than Python's stack is deep."""

    def __init__(self, graph: Graph) -> None:
        self.number: dict[str, int] = {}
        self.found: list[tuple[str, ...]] = []
        self._graph = graph
        self._low: dict[str, int] = {}
        self._open: dict[str, None] = {}  # in the order in which they were entered

    def explore(self, root: str) -> None:
        path = [(root, self._enter(root))]
        while path:
            node, before = path[-1]
            following = next(before, None)
            if following is None:
                path.pop()
                self._leave(node, path[-1][0] if path else None)
            elif following not in self.number:
                path.append((following, self._enter(following)))
            elif following in self._open:
                self._low[node] = min(self._low[node], self.number[following])

    def _enter(self, node: str) -> Iterator[str]:
        self.number[node] = self._low[node] = len(self.number)
        self._open[node] = None
        return iter(sorted(self._graph[node]))

    def _leave(self, node: str, parent: str | None) -> None:
        if parent is not None:
            self._low[parent] = min(self._low[parent], self._low[node])
        if self._low[node] != self.number[node]:
            return
        members = []
        while node in self._open:
            members.append(self._open.popitem()[0])
        self.found.append(tuple(sorted(members)))


def waves(graph: Graph) -> list[tuple[str, ...]]:
    """Each node in the first wave after all that it waits for (Kahn's algorithm).

    What goes in circles is in none, nor is what waits for that.
    """
    waiting = {node: len(before) for node, before in graph.items()}
    behind: dict[str, list[str]] = {node: [] for node in graph}
    for node, before in graph.items():
        for each in before:
            behind[each].append(node)
    found: list[tuple[str, ...]] = []
    ready = [node for node, count in waiting.items() if not count]
    while ready:
        found.append(tuple(sorted(ready)))
        freed = []
        for node in (each for done in ready for each in behind[done]):
            waiting[node] -= 1
            if not waiting[node]:
                freed.append(node)
        ready = freed
    return found
