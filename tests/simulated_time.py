"""A clock for many threads: one runs at a time, and goes on when the moment that it waits for has come.

What takes minutes on AWS, many at once, takes no longer here than its computing, and comes in the same order
each time.
"""

import threading
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count

type Work = Callable[[], None]


class SimulatedTime:
    """Seconds since 1970. They pass only where every thread waits."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._due: list[tuple[float, int, Work]] = []
        self._numbers = count()
        self._idle: list[_Thread] = []
        self._over = _closed()
        self._error: BaseException | None = None

    def __call__(self) -> float:
        return self.now

    def begin(self, work: Work) -> None:
        """Has it run in a thread of its own, as soon as whoever runs now waits."""
        self._at(self.now, lambda: self._in_a_thread(work))

    def wait(self, seconds: float) -> None:
        """Called in a thread that was begun."""
        turn = _closed()
        self._at(self.now + seconds, turn.release)
        self._stop(turn)

    def wait_for_all(self, works: Sequence[Work]) -> None:
        """Begins them, and goes on when the last one has ended."""
        turn, left = _closed(), len(works)

        def counted(work: Work) -> None:
            nonlocal left
            work()
            left -= 1
            if left == 0:
                self._at(self.now, turn.release)

        for work in works:
            self.begin(lambda work=work: counted(work))  # type: ignore[misc]  # binds now
        if works:
            self._stop(turn)

    def run(self) -> None:
        """Until nobody waits for anything. Raises the first error of a thread."""
        self._go_on()
        self._over.acquire()
        for thread in self._idle:
            thread.go_on(None)
        if self._error is not None:
            raise self._error

    def _at(self, moment: float, what: Work) -> None:
        heappush(self._due, (moment, next(self._numbers), what))

    def _stop(self, turn: threading.Lock) -> None:
        self._go_on()
        turn.acquire()

    def _go_on(self) -> None:
        """Wakes whoever is due next: called by a thread as the last thing before it stops."""
        if not self._due or self._error is not None:
            self._over.release()
            return
        self.now, _, wake = heappop(self._due)
        wake()

    def _in_a_thread(self, work: Work) -> None:
        (self._idle.pop() if self._idle else _Thread(self._live)).go_on(work)

    def _live(self, thread: "_Thread", work: Work) -> None:
        try:
            work()
        except BaseException as error:  # whatever it is, `run` raises it
            self._error = error
        self._idle.append(thread)
        self._go_on()


class _Thread:
    """Does one work after the other; None is its end."""

    def __init__(self, live: Callable[["_Thread", Work], None]) -> None:
        self._live = live
        self._turn = _closed()
        self._work: Work | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def go_on(self, work: Work | None) -> None:
        self._work = work
        self._turn.release()

    def _run(self) -> None:
        while self._turn.acquire() and self._work is not None:
            self._live(self, self._work)


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
