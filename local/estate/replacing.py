"""Replaces methods of moto's classes for a while, and puts them back."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Replacements:
    """A context: on leaving it, every class is as it was."""

    def __init__(self) -> None:
        self._originals: list[tuple[type, str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._originals:
            owner, name, original = self._originals.pop()
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    def methods(self, owner: type, *functions: Callable[..., Any]) -> None:
        """Each function takes the place of the class's own, or inherited, method of the same name."""
        for function in functions:
            name = function.__name__
            self._originals.append((owner, name, owner.__dict__.get(name)))
            setattr(owner, name, function)

    def around(self, owner: type, *functions: Callable[..., Any]) -> None:
        """Like `methods`; a function gets the method it replaces as its first argument."""
        for function in functions:
            self.methods(owner, _around(function, getattr(owner, function.__name__)))


def _around(function: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def method(*args: Any, **kwargs: Any) -> Any:
        return function(original, *args, **kwargs)

    return method
