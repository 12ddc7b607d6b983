"""Counts what was asked of the estate: the meter of the benchmarks."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Any


class CallCounts:
    """Calls by `service:Operation`, and how many of them were throttled or refused.

    Every call is counted once in `calls`, whatever came of it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        self._calls: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def count(self, name: str) -> None:
        with self._lock:
            self._calls[name] += 1

    def count_throttled(self, name: str) -> None:
        with self._lock:
            self._throttled[name] += 1

    def count_refused(self, name: str) -> None:
        with self._lock:
            self._refused[name] += 1

    def document(self) -> dict[str, Any]:
        """What `GET /_guard/calls` answers."""
        with self._lock:
            return {
                "calls": dict(sorted(self._calls.items())),
                "throttled": dict(sorted(self._throttled.items())),
                "refused": dict(sorted(self._refused.items())),
                "total": self._calls.total(),
            }
