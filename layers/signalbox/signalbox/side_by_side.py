"""Several calls at once, in threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


class SideBySide:
    """A `signalbox.spreading.Spread` over so many threads.

    They are an invocation's own: what they know of its trace ends with it.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once

    def __call__[A, B](self, work: Callable[[A], B], items: Iterable[A], /) -> list[B]:
        with ThreadPoolExecutor(self._at_once) as pool:
            return list(pool.map(work, items))
