"""Whose turn it is: so many builds at once, in the order they came, and none that is held."""

from __future__ import annotations

from threading import Condition


class Turns:
    """Builds wait here by their ids. While `hold` is on, those that come are held until they are released."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._changed = Condition()
        self._holding = False
        self._held: list[str] = []
        self._queued: list[str] = []
        self._running: list[str] = []

    def join(self, build: str) -> None:
        """Takes a place in the queue, or among those that are held."""
        with self._changed:
            (self._held if self._holding else self._queued).append(build)

    def take(self, build: str) -> bool:
        """Waits for the turn; False if the build has left meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waits(build) or self._is_next(build))
            if not self._waits(build):
                return False
            self._queued.remove(build)
            self._running.append(build)
            self._changed.notify_all()
            return True

    def leave(self, build: str) -> None:
        """Ended, or no longer waiting. Harmless when repeated."""
        with self._changed:
            for place in (self._held, self._queued, self._running):
                if build in place:
                    place.remove(build)
            self._changed.notify_all()

    def hold(self, *, on: bool) -> None:
        """Whether builds that come from now on are held. Off, those that are go into the queue."""
        with self._changed:
            self._holding = on
        if not on:
            self.release()

    def release(self, build: str | None = None) -> list[str]:
        """Lets a held one go, or all of them; says which. Raises LookupError for one that isn't held."""
        with self._changed:
            if build is not None and build not in self._held:
                raise LookupError(f"no held build has the id {build}")
            let_go = [held for held in self._held if build in (None, held)]
            self._held = [held for held in self._held if held not in let_go]
            self._queued += let_go
            self._changed.notify_all()
            return let_go

    def document(self) -> dict[str, object]:
        with self._changed:
            return {
                "hold": self._holding,
                "held": list(self._held),
                "queued": list(self._queued),
                "running": list(self._running),
            }

    def _waits(self, build: str) -> bool:
        return build in self._held or build in self._queued

    def _is_next(self, build: str) -> bool:
        return self._queued[:1] == [build] and len(self._running) < self._at_once
