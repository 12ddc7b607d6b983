"""What the analysers have in common: content that none of them will ever take, and work done side by side."""

from collections.abc import Callable, Iterable
from typing import Protocol

from signalbox.documents.models import Verdict
from signalbox.errors import RefusedError, SignalboxError

MAXIMUM_NOTE_CHARACTERS = 500


class UnfitError(RefusedError):
    """The content is why the analyser refuses: another try would not help, nor would another permission."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.detail)
        self.code = verdict.reason
        self.verdict = verdict


class Spread(Protocol):
    """Does the work for each item, perhaps for several at once, and answers in the order of the items.

    Whichever error comes first in that order is raised, and what has not begun by then is left.
    """

    def __call__[A, B](self, work: Callable[[A], B], items: Iterable[A], /) -> Iterable[B]: ...


def in_order[A, B](work: Callable[[A], B], items: Iterable[A], /) -> list[B]:
    """The `Spread` that does one after the other."""
    return [work(item) for item in items]


def note_of(error: SignalboxError) -> str:
    """Why there is no analysis: the stable code, and for a person who refused what."""
    return f"{error.code}: {error}"[:MAXIMUM_NOTE_CHARACTERS]
