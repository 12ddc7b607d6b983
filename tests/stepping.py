"""Runs several actors against one store, one store operation at a time, in an order that a test chooses.

Each actor is a thread that stops before every operation on the store until the scheduler lets it go on.
The scheduler may also crash an actor before the operation, or after it (the effect stays, the answer is
lost). So a test sees every interleaving and every crash that its choices lead to, and none by chance.
"""

import threading
from collections.abc import Callable
from typing import Any, Literal

type Fate = Literal["go", "crash-before", "crash-after"]


class CrashedError(BaseException):
    """The actor's process died. Not an `Exception`: nothing in the program may catch it."""


class Actor:
    """One process. Restarted after a crash, as a queue's redelivery or a state machine's retry would."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self._run = run
        self._may_go = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)
        self._fate: Fate = "go"
        self.finished = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._waits.acquire()

    def step(self, fate: Fate) -> None:
        """Lets it perform the operation before which it waits, and go on to the next one."""
        self._fate = fate
        self._may_go.release()
        self._waits.acquire()

    def before_operation(self) -> Fate:
        """Called in the actor's own thread."""
        self._waits.release()
        self._may_go.acquire()
        return self._fate

    def _live(self) -> None:
        _CURRENT.actor = self
        while True:
            try:
                self._run()
            except CrashedError:
                continue
            except BaseException as error:
                self.error = error
            break
        self.finished = True
        self._waits.release()


_CURRENT = threading.local()


class Stepped:
    """Wraps a store: every method call of an actor is one step. Outside an actor it just calls."""

    def __init__(self, store: object, methods: frozenset[str] | None = None) -> None:
        self._store = store
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method) or (self._methods is not None and name not in self._methods):
            return method

        def stepped(*args: Any, **kwargs: Any) -> Any:
            actor: Actor | None = getattr(_CURRENT, "actor", None)
            fate = actor.before_operation() if actor else "go"
            if fate == "crash-before":
                raise CrashedError(name)
            answer = method(*args, **kwargs)
            if fate == "crash-after":
                raise CrashedError(name)
            return answer

        return stepped


class Scheduler:
    """Steps the actors until all are done.

    Args:
        choose: answers a number below its argument: who is next.
        fate: what happens to the operation.
    """

    def __init__(self, choose: Callable[[int], int], fate: Callable[[], Fate]) -> None:
        self._choose = choose
        self._fate = fate
        self._actors: list[Actor] = []
        self.steps = 0

    def add(self, name: str, run: Callable[[], None]) -> None:
        actor = Actor(name, run)
        self._actors.append(actor)
        actor.start()

    def run(self, most: int = 5_000) -> None:
        """Raises the first error of an actor, or `AssertionError` after ``most`` steps: a livelock."""
        while alive := [actor for actor in self._actors if not actor.finished]:
            actor = alive[self._choose(len(alive))]
            actor.step(self._fate())
            self.steps += 1
            if self.steps > most:
                raise AssertionError(f"no end after {most} steps: {[a.name for a in alive]}")
        for actor in self._actors:
            if actor.error is not None:
                raise actor.error
