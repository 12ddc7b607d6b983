"""Maven: versions and ranges by the POM Reference.

"Version Order Specification" is followed, not Maven's own classes: by ``ComparableVersion`` ``1.ga`` comes
before ``1.ga.1``, that before ``1.0-b2``, and that before ``1.ga``; the resolver has another order. Where the
two agree, so does this.
"""

import re
from functools import cmp_to_key
from itertools import pairwise, zip_longest
from typing import NamedTuple

from signalbox.packages.ranges.scheme import UnparsableError, Version, Width

VERSION = re.compile(r"[^\s,\[\](){}$]+")
TOKEN = re.compile(r"([.-]?)(\d+|[^\d.-]+|)")
QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
"""In order, and before all others."""
PRERELEASES = frozenset(QUALIFIERS[:5])
SAME = {"ga": "", "final": "", "release": "", "cr": "rc"}
BEFORE_A_DIGIT = {"a": "alpha", "b": "beta", "m": "milestone"}
DIGITS = re.compile(r"[0-9]+")
RANGES = re.compile(r"\s*([\[(])([^\[\]()]*)([\])])\s*(,|$)")


class _Token(NamedTuple):
    """A number or a qualifier, with what separates it from the one before."""

    separator: str
    value: int | str

    @property
    def is_null(self) -> bool:
        return self.value in (0, "")

    @property
    def rank(self) -> tuple[int, int, str]:
        """Qualifiers come before ``-1``, and that before ``.1``."""
        if isinstance(self.value, int):
            return (1 if self.separator == "-" else 2, self.value, "")
        if self.value in QUALIFIERS:
            return (0, QUALIFIERS.index(self.value), "")
        return (0, len(QUALIFIERS), self.value)


def read_version(text: str) -> Version:
    """Nearly any text is a version of Maven's; not one with a placeholder, or that looks like a range."""
    if not VERSION.fullmatch(text):
        what = f"{text!r} is no Maven version: expected one like 1.4.2 or 2.0-SNAPSHOT"
        raise UnparsableError(what)
    tokens = _tokens(text.lower())
    prerelease = any(each.value in PRERELEASES for each in tokens)
    return Version(text, _rank(_trimmed(tokens)), _release(tokens), prerelease=prerelease)


def _tokens(text: str) -> list[_Token]:
    found = [each.groups() for each in TOKEN.finditer(text) if each[0]]
    if found[0][0]:
        found.insert(0, ("", ""))
    tokens = []
    for place, (separator, value) in enumerate(found):
        touched = found[place + 1] if place + 1 < len(found) else ("", "")
        digit_follows = not touched[0] and touched[1].isdigit()
        before = (
            "." if place == 0 else separator or "-"
        )  # a change between digits and letters counts as a hyphen
        tokens.append(_Token(before, _value(value, digit_follows=digit_follows)))
    return tokens


def _value(text: str, *, digit_follows: bool) -> int | str:
    if not text or DIGITS.fullmatch(text):
        return int(text or 0)
    named = BEFORE_A_DIGIT.get(text, text) if digit_follows else text
    return SAME.get(named, named)


def _trimmed(tokens: list[_Token]) -> list[_Token]:
    """Without the nulls at the end, and at the end of each part before a hyphen or a qualifier."""
    kept: list[_Token] = []
    ends_a_part = True
    for token in reversed(tokens):
        if ends_a_part and token.is_null:
            continue
        kept.append(token)
        ends_a_part = token.separator == "-" or isinstance(token.value, str)
    return kept[::-1]


def _compare(one: list[_Token], other: list[_Token]) -> int:
    for left, right in zip_longest(one, other):
        a, b = (left or _null_like(right)).rank, (right or _null_like(left)).rank
        if a != b:
            return 1 if a > b else -1
    return 0


_rank = cmp_to_key(_compare)


def _null_like(token: _Token) -> _Token:
    """What a missing token counts as beside this one."""
    return token._replace(value=0 if token.separator == "." and isinstance(token.value, int) else "")


def _release(tokens: list[_Token]) -> tuple[int, ...]:
    numbers: list[int] = []
    for token in tokens:
        if token.separator != "." or not isinstance(token.value, int):
            break
        numbers.append(token.value)
    return tuple(numbers)


class Interval(NamedTuple):
    """Between two versions; None where there is no end."""

    low: Version | None
    high: Version | None
    with_low: bool
    with_high: bool

    @property
    def has_room(self) -> bool:
        if self.low is None or self.high is None:
            return True
        return self.low < self.high or (self.low == self.high and self.with_low and self.with_high)

    def admits(self, version: Version) -> bool:
        if self.low and (version < self.low or (version == self.low and not self.with_low)):
            return False
        return not (self.high and (self.high < version or (version == self.high and not self.with_high)))


class RequirementRange:
    """Intervals that are required, as in ``[1.0,2.0)``, or one version that is recommended, as in ``1.0``."""

    def __init__(self, intervals: tuple[Interval, ...], recommended: Version | None = None) -> None:
        self._intervals = intervals
        self.soft = recommended is not None
        self.floors = (recommended,) if recommended else tuple(each.low for each in intervals if each.low)
        self.width = Width.EXACT if recommended else _width(intervals)

    def admits(self, version: Version) -> bool:
        return self.soft or any(each.admits(version) for each in self._intervals)


def read_range(text: str) -> RequirementRange:
    """By "Dependency Version Requirement Specification", POM Reference."""
    if not text.strip():
        raise UnparsableError("no version: it is managed elsewhere, in a parent or a bill of materials")
    if text.lstrip()[0] not in "[(":
        return RequirementRange((), read_version(text.strip()))
    return RequirementRange(tuple(_intervals(text)))


def _intervals(text: str) -> list[Interval]:
    found: list[Interval] = []
    place = 0
    while place < len(text):
        matched = RANGES.match(text, place)
        if not matched:
            raise UnparsableError(f"{text!r} is no Maven range: expected one like [1.0,2.0) or [1.0],[1.2,)")
        found.append(_interval(text, *matched.group(1, 2, 3)))
        place = matched.end()
    for before, after in pairwise(found):
        if before.high is None or after.low is None or after.low < before.high:
            raise UnparsableError(f"{text!r}: its parts overlap, or are not in order")
    return found


def _interval(text: str, opening: str, inside: str, closing: str) -> Interval:
    with_low, with_high = opening == "[", closing == "]"
    low, comma, high = (part.strip() for part in inside.partition(","))
    if not comma and not (with_low and with_high and low):
        raise UnparsableError(f"{text!r}: a single version stands in square brackets, as in [1.0]")
    if not comma:
        high = low
    interval = Interval(
        read_version(low) if low else None, read_version(high) if high else None, with_low, with_high
    )
    if not interval.has_room:
        raise UnparsableError(f"{text!r}: nothing lies between {low} and {high}")
    return interval


def _width(intervals: tuple[Interval, ...]) -> Width:
    if any(each.high is None for each in intervals):
        return Width.OPEN
    exact = len(intervals) == 1 and intervals[0].low == intervals[0].high
    return Width.EXACT if exact else Width.BOUNDED
