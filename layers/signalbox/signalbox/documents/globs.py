"""Patterns of bucket names and object keys, and which texts several of them match. Pure.

``*`` is any characters, also none, also slashes; ``?`` is any one; ``{a,b}`` is either, and each may hold
``*`` and ``?``; a backslash takes the next character as it is. Case counts.

A pattern is a non-deterministic automaton in the bits of a number: a bit for each place in the pattern, set
while the text read so far may end there. One character moves all of them at once, so matching takes no longer
for a pattern of many stars (the "Shift-And" method of Baeza-Yates and Gonnet).
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import msgspec

from signalbox.errors import RejectedError

MAXIMUM_ALTERNATIVES = 64
MAXIMUM_STATES = 20_000
"""How many states are looked at before a question about patterns is given up."""
STAR = None
"""A place that any number of characters may pass."""
ANY = ""
"""A place that any one character may pass."""

type Token = str | None
"""`STAR`, `ANY`, or the characters of which one must come."""


class UndecidedError(Exception):
    """The patterns are too involved: the answer would take more than `MAXIMUM_STATES`."""


class Glob(msgspec.Struct, frozen=True):
    """A pattern, ready to be matched.

    Attributes:
        text: as it was written.
        start: the places before any character.
        loops: those that any character leaves as they are.
        ends: those that the whole pattern ends at.
        other: the places that a character may move which is none of `moves`.
        moves: the same for each character that the pattern names.
    """

    text: str
    start: int
    loops: int
    ends: int
    other: int
    moves: dict[str, int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a pattern.

        Raises:
            RejectedError: ``malformed-pattern``; the place within the pattern is in the message.
        """
        if not text:
            raise RejectedError(
                "malformed-pattern", "$", 'an empty pattern matches nothing: write "*" for all'
            )
        return cls.of(text, _alternatives(text))

    @classmethod
    def of(cls, text: str, alternatives: Iterable[Sequence[Token]]) -> Self:
        """The pattern that matches what one of the alternatives does."""
        start = loops = ends = other = place = 0
        named: dict[str, int] = {}
        for tokens in alternatives:
            start |= 1 << place
            for token in tokens:
                if token is STAR:
                    loops |= 1 << place
                    continue
                if token == ANY:
                    other |= 1 << place
                for character in token:
                    named[character] = named.get(character, 0) | 1 << place
                place += 1
            ends |= 1 << place
            place += 1
        return cls(text, start, loops, ends, other, {each: bits | other for each, bits in named.items()})

    def after(self, places: int, character: str) -> int:
        """Where one may be after the character, having been at the places."""
        return (places & self.moves.get(character, self.other)) << 1 | places & self.loops

    def matches(self, text: str) -> bool:
        """Whether the whole text is one that the pattern means."""
        places = self.start
        for character in text:
            places = self.after(places, character)
        return bool(places & self.ends)


def literal(text: str) -> Glob:
    """The pattern of this text alone, whatever is in it."""
    return Glob.of(text, [list(text)])


def texts(globs: Sequence[Glob], alphabet: str, *, most: int) -> Iterator[tuple[str, frozenset[int]]]:
    """For every way to match some of the patterns, the shortest text; not the empty one.

    Only texts that the first pattern matches. Every set of patterns that some text matches is answered at
    least once, with the numbers of its patterns.

    Args:
        alphabet: the characters of the texts.
        most: how many characters a text may have.

    Raises:
        UndecidedError: too many states.
    """
    begin = tuple(glob.start for glob in globs)
    waiting, known = deque([("", begin)]), set[tuple[int, ...]]()
    while waiting:
        text, states = waiting.popleft()
        if len(text) == most:
            return
        for character in alphabet:
            after = tuple(glob.after(state, character) for glob, state in zip(globs, states, strict=True))
            if not after[0] or after in known:
                continue
            if len(known) == MAXIMUM_STATES:
                raise UndecidedError
            known.add(after)
            waiting.append((text + character, after))
            matched = frozenset(n for n, glob in enumerate(globs) if after[n] & glob.ends)
            if 0 in matched:
                yield text + character, matched


def alphabet_of(globs: Iterable[Glob]) -> str:
    """The characters that the patterns name, after one that stands for all that they don't."""
    named = {character for glob in globs for character in glob.moves}
    other = next(each for each in _STAND_INS if each not in named)
    return other + "".join(sorted(named))


_STAND_INS = "xyz" + "".join(map(chr, range(0x4E00, 0x9FFF)))


def _alternatives(text: str) -> list[list[Token]]:
    """What a pattern without braces would have to say, once for each way through the braces."""
    whole: list[list[Token]] = [[]]
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            raise _malformed(text, position, _COMPLAINTS[text[position]])
        braced, plain = piece.groups()
        branches = [_tokens(plain)] if braced is None else _branches(_tokens(braced))
        if len(whole) * len(branches) > MAXIMUM_ALTERNATIVES:
            what = f"its braces mean more than {MAXIMUM_ALTERNATIVES} patterns: make several routes of it"
            raise _malformed(text, position, what)
        whole = [[*before, *branch] for before in whole for branch in _meant(branches)]
        position = piece.end()
    return whole


_PIECE = re.compile(r"\{((?:\\.|[^{}\\])*)\}|((?:\\.|[^{}\\])+)", re.DOTALL)
_CHARACTER = re.compile(r"\\.|.", re.DOTALL)
_COMPLAINTS = {
    "{": r"this brace is not closed, or holds another one: write \{ for the character itself",
    "}": r"no brace was opened: write \} for the character itself",
    "\\": r"nothing follows the backslash: write \\ for the character itself",
}
_WILD: dict[str, Token] = {"*": STAR, "?": ANY}


def _tokens(written: str) -> list[str]:
    """Characters, an escaped one still with its backslash."""
    return _CHARACTER.findall(written)


def _branches(written: list[str]) -> list[list[str]]:
    branches: list[list[str]] = [[]]
    for each in written:
        if each == ",":
            branches.append([])
        else:
            branches[-1].append(each)
    return branches


def _meant(branches: list[list[str]]) -> list[list[Token]]:
    return [[_WILD.get(each, each[-1]) for each in branch] for branch in branches]


def _malformed(text: str, position: int, what: str) -> RejectedError:
    return RejectedError("malformed-pattern", "$", f"pattern {text!r}, character {position + 1}: {what}")
