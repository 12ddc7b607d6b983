"""Work for many items, done one after the other or, by `signalbox.side_by_side`, several at once."""

from collections.abc import Callable, Iterable
from typing import Protocol


class Spread(Protocol):
    """Does the work for each item, perhaps for several at once, and answers in the order of the items.

    Whichever error comes first in that order is raised, and what has not begun by then is left.
    """

    def __call__[A, B](self, work: Callable[[A], B], items: Iterable[A], /) -> Iterable[B]: ...


def in_order[A, B](work: Callable[[A], B], items: Iterable[A], /) -> list[B]:
    """The `Spread` that does one after the other."""
    return [work(item) for item in items]
