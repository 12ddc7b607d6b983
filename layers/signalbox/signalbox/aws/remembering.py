"""What AWS said a few seconds ago, for what changes seldom and is asked for by every window."""

from collections.abc import Callable, Collection, Mapping

from signalbox.clock import Clock


class Remembering[V]:
    """Reads by name, and each name once in so many seconds; also that there is nothing by it.

    Args:
        read: answers those that exist among the names.
        seconds: how long an answer holds.
        clock: seconds, from wherever.
    """

    def __init__(
        self, read: Callable[[Collection[str]], Mapping[str, V]], seconds: float, clock: Clock
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, tuple[float, V | None]] = {}

    def __call__(self, names: Collection[str]) -> dict[str, V]:
        """Those that exist among the names."""
        now = self._clock()
        self._known = {name: known for name, known in self._known.items() if known[0] > now}
        unknown = {name for name in names if name not in self._known}
        if unknown:
            found = self._read(unknown)
            self._known |= {name: (now + self._seconds, found.get(name)) for name in unknown}
        answers = {name: self._known[name][1] for name in names}
        return {name: value for name, value in answers.items() if value is not None}
