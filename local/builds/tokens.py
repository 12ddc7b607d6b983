"""Idempotency tokens of StartBuild: good for five minutes (StartBuild, CodeBuild API Reference)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS = 300.0


class MismatchError(ValueError):
    """A token that comes again with other parameters."""


class Tokens:
    """Which build a token has started. A key is the token with whatever it is unique in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[tuple[str, ...], tuple[float, Mapping[str, Any], str]] = {}

    def begun(self, key: tuple[str, ...], request: Mapping[str, Any]) -> str | None:
        """The build that it has started with this request. Raises MismatchError for another request."""
        at, before, build = self._begun.get(key, (None, {}, ""))
        if at is None or self._clock() - at > SECONDS:
            return None
        if before != request:
            raise MismatchError("The idempotency token was used before, with other parameters")
        return build

    def keep(self, key: tuple[str, ...], request: Mapping[str, Any], build: str) -> None:
        self._begun[key] = (self._clock(), request, build)
