"""What a version and a range of versions are, in whatever ecosystem, and what a module for one offers."""

from enum import StrEnum
from typing import Any, Protocol

from signalbox.errors import SignalboxError


class UnparsableError(SignalboxError):
    """No rule of the ecosystem reads this text. The message says what was expected."""

    code = "unparsable"


class Version:
    """One version: in order, among those of its format.

    Attributes:
        text: as it was published.
        rank: what it is compared by.
        release: the numbers in front, as in ``(1, 4, 2)``; none where the format has none.
        prerelease: comes before the release of its numbers, and is not picked unless asked for.
        epoch: PyPI's; 0 elsewhere.
    """

    __slots__ = ("epoch", "prerelease", "rank", "release", "text")

    def __init__(
        self, text: str, rank: Any, release: tuple[int, ...], *, prerelease: bool, epoch: int = 0
    ) -> None:
        self.text = text
        self.rank = rank
        self.release = release
        self.prerelease = prerelease
        self.epoch = epoch

    @property
    def line(self) -> tuple[int, ...]:
        """What is the same among compatible versions: the major number, below 1.0 the minor one too.

        Semantic Versioning says so, and npm's caret; in the other ecosystems it is a custom. None where there
        are no numbers.
        """
        numbers = self.release[:2] if self.release[:1] == (0,) else self.release[:1]
        return (self.epoch, *numbers) if numbers else ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and bool(self.rank == other.rank)

    def __lt__(self, other: "Version") -> bool:
        return bool(self.rank < other.rank)

    def __le__(self, other: "Version") -> bool:
        return not other < self

    __hash__ = None  # type: ignore[assignment] # equal versions may be spelt differently

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Version {self.text}>"


class Width(StrEnum):
    """How much a range leaves open."""

    EXACT = "exact"
    """One version."""
    BOUNDED = "bounded"
    """Ends somewhere."""
    OPEN = "open"
    """Admits whatever comes."""


class Range(Protocol):
    """Which versions of a package another one works with, by its own word."""

    @property
    def width(self) -> Width: ...

    @property
    def soft(self) -> bool:
        """Whether it only recommends its floor: then any version is admitted."""
        ...

    @property
    def floors(self) -> tuple[Version, ...]:
        """The versions at which it begins; none where it has no lower end."""
        ...

    def admits(self, version: Version) -> bool: ...


class Scheme(Protocol):
    """One ecosystem's rules: a module of this package."""

    def read_version(self, text: str) -> Version:
        """Raises UnparsableError."""
        ...

    def read_range(self, text: str) -> Range:
        """Raises UnparsableError."""
        ...
