"""Finding what a bulk call is refused for, where AWS does not say which one it is."""

from collections.abc import Callable, Sequence
from itertools import batched

from signalbox.errors import RefusedError


def by_halves[A, E: RefusedError](
    items: Sequence[str], act: Callable[[Sequence[str]], A], refusal: type[E], *, most: int
) -> tuple[list[A], dict[str, E]]:
    """Acts on all items, up to ``most`` at once; where that is refused, on each half of them.

    Returns:
        What was answered, and the refusal of each item that was refused on its own.
    """
    answers: list[A] = []
    refused: dict[str, E] = {}
    waiting: list[Sequence[str]] = [list(part) for part in batched(items, most, strict=False)]
    while waiting:
        part = waiting.pop(0)
        try:
            answers.append(act(part))
        except refusal as error:
            if len(part) == 1:
                refused[part[0]] = error
            else:
                middle = len(part) // 2
                waiting += [part[:middle], part[middle:]]
    return answers, refused
