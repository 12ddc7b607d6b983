"""NuGet: versions of up to four numbers, interval notation, and floating versions ("Package versioning",
NuGet documentation). No library on PyPI reads the intervals as NuGet does."""

import re
from typing import NamedTuple

from signalbox.packages.ranges.scheme import UnparsableError, Version, Width

LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
VERSION = re.compile(rf"([0-9]+(?:\.[0-9]+){{0,3}})(?:-({LABELS}))?(?:\+{LABELS})?")
FLOATING = re.compile(
    r"((?:[0-9]+\.){0,3})\*(?:-([0-9A-Za-z.-]*)\*)?"  # 1.*, *-beta*
    r"|([0-9]+(?:\.[0-9]+){0,3})-([0-9A-Za-z.-]*)\*"  # 1.0.0-beta.*
)
INTERVAL = re.compile(r"([\[(])([^\[\](),]*)(,[^\[\](),]*)?([\])])")


class Pattern(NamedTuple):
    """A floating version: these numbers in front, and of prereleases those whose labels begin so.

    Attributes:
        labels: in lower case; None where no prerelease is meant.
    """

    numbers: tuple[int, ...]
    labels: str | None

    @property
    def low(self) -> Version:
        """The least that it may match, or nearly: ``-a`` for ``-a*``, ``-0`` for ``-*``."""
        text = ".".join(map(str, self.numbers or (0,)))
        if self.labels is None:
            return read_version(text)
        return read_version(f"{text}-{self.labels.rstrip('.') or '0'}")

    def matches(self, version: Version) -> bool:
        if version.release[: len(self.numbers)] != self.numbers:
            return False
        if not version.prerelease:
            return True
        _, _, labels = version.text.partition("-")
        return self.labels is not None and labels.lower().startswith(self.labels)


class IntervalRange:
    """From one version to another, in the notation of mathematics. Without brackets it has no upper end.

    A prerelease is admitted only where an end is one. A floating version admits what it would float to: its
    pattern. Admitted is not picked: restoring picks the *lowest* version that is admitted, unless it floats.
    """

    soft = False

    def __init__(
        self,
        low: Version | None,
        high: Version | None,
        *,
        with_low: bool = True,
        with_high: bool = False,
        pattern: Pattern | None = None,
    ) -> None:
        self._low, self._high = low, high
        self._with_low, self._with_high = with_low, with_high
        self._pattern = pattern
        self._prereleases = any(end.prerelease for end in (low, high) if end)
        self.floors = (low,) if low else ()

    @property
    def width(self) -> Width:
        if self._high is None:
            return Width.BOUNDED if self._pattern and self._pattern.numbers else Width.OPEN
        return Width.EXACT if self._low == self._high else Width.BOUNDED

    def admits(self, version: Version) -> bool:
        if self._pattern and not self._pattern.matches(version):
            return False
        if version.prerelease and not self._prereleases:
            return False
        if self._low and (version < self._low or (version == self._low and not self._with_low)):
            return False
        return not (self._high and (self._high < version or (version == self._high and not self._with_high)))


def read_version(text: str) -> Version:
    matched = VERSION.fullmatch(text)
    if not matched:
        what = f"{text!r} is no NuGet version: expected one like 1.4.2 or 2.0.0-beta.1"
        raise UnparsableError(what)
    numbers = [int(each) for each in matched[1].split(".")]
    release = tuple(numbers + [0] * (4 - len(numbers)))
    labels = tuple(_label(each) for each in matched[2].lower().split(".")) if matched[2] else ()
    return Version(text, (release, not labels, labels), release, prerelease=bool(labels))


def _label(text: str) -> tuple[int, int, str]:
    """Numbers come before names ("Precedence", Semantic Versioning 2.0.0)."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def read_range(text: str) -> IntervalRange:
    inside = text.strip()
    if not inside:
        return IntervalRange(None, None)
    if inside[0] not in "[(":
        low, pattern = _low(inside)
        return IntervalRange(low, None, pattern=pattern)
    matched = INTERVAL.fullmatch(inside)
    if not matched:
        raise UnparsableError(f"{text!r} is no NuGet range: expected one like 1.0, [1.0,2.0) or 1.*")
    return _interval(text, *matched.groups())


def _interval(text: str, opening: str, first: str, second: str | None, closing: str) -> IntervalRange:
    with_low, with_high = opening == "[", closing == "]"
    first = first.strip()
    if second is None:
        if not (first and with_low and with_high):
            raise UnparsableError(f"{text!r}: a single version stands in square brackets, as in [1.0]")
        only = read_version(first)
        return IntervalRange(only, only, with_high=True)
    last = second[1:].strip()
    low, pattern = _low(first) if first else (None, None)
    high = read_version(last) if last else None
    if low and high and high < low:
        raise UnparsableError(f"{text!r}: nothing lies between {first} and {last}")
    return IntervalRange(low, high, with_low=with_low, with_high=with_high, pattern=pattern)


def _low(text: str) -> tuple[Version, Pattern | None]:
    matched = FLOATING.fullmatch(text)
    if not matched:
        return read_version(text), None
    floating, labels, fixed, own_labels = matched.groups()
    if fixed is None:
        numbers = tuple(int(each) for each in floating.split(".") if each)
        pattern = Pattern(numbers, None if labels is None else labels.lower())
    else:
        pattern = Pattern(read_version(fixed).release, own_labels.lower())
    return pattern.low, pattern
