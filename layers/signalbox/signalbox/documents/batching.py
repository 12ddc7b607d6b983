"""A text in pieces of a bounded length, cut where it hurts least: nothing is lost, whatever the script.

A piece ends behind the last sentence or paragraph that fits; else in its second half behind the last line or
word; else behind the last character as a reader sees it (a letter with its marks, a flag, a family of emoji).
Only one of these that is longer than a piece is cut inside. Two neighbours together have at least half of
what a piece may have: their number stays in bounds.

Sources: UAX #29, "Unicode Text Segmentation"; what is taken for one character here is at times two there,
never less than one.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from unicodedata import category, combining

import msgspec

from signalbox.documents.models import MAXIMUM_BATCH_CHARACTERS, Batch
from signalbox.errors import InvariantError

WIDEST_CHARACTER_BYTES = 4


class Page(msgspec.Struct, frozen=True, gc=False):
    """A part of a document's text.

    Attributes:
        number: of the page, slide or sheet that it is on, from 1; 0 where the format has none.
    """

    text: str
    number: int = 0


def batches(document: str | Iterable[Page], at_most: int = MAXIMUM_BATCH_CHARACTERS) -> Iterator[Batch]:
    """The whole text in batches of so many characters at most; joined they are the pages joined.

    Takes linear time, and no more memory than a page: it may be given pages without end.
    """
    pages = [Page(document)] if isinstance(document, str) else document
    held, pending = "", deque[tuple[int, int]]()  # of each page in it: how much of it is held, its number
    numbers = count()
    for page in pages:
        for at in range(0, len(page.text), at_most):
            piece = page.text[at : at + at_most]
            held += piece
            pending.append((len(piece), page.number))
            while len(held) > at_most:
                cut = best_cut(held, at_most)
                yield Batch(batch=next(numbers), text=held[:cut], page=pending[0][1])
                held = held[cut:]
                _drop(pending, cut)
    if held:
        yield Batch(batch=next(numbers), text=held, page=pending[0][1])


def _drop(pending: deque[tuple[int, int]], characters: int) -> None:
    while characters:
        length, number = pending.popleft()
        if length > characters:
            pending.appendleft((length - characters, number))
            return
        characters -= length


def split_by_bytes(text: str, limit: int) -> Iterator[str]:
    """The text in pieces of at most ``limit`` bytes of UTF-8 each, cut as batches are. Takes linear time.

    Raises:
        InvariantError: not every character fits.
    """
    if limit < WIDEST_CHARACTER_BYTES:
        raise InvariantError(f"a piece of {limit} bytes can't hold every character")
    at = 0
    while at < len(text):
        window = text[at : at + limit + 1]
        fitting = _characters_within(window, limit)
        cut = best_cut(window, fitting) if fitting < len(window) else fitting
        yield window[:cut]
        at += cut


def _characters_within(text: str, limit: int) -> int:
    encoded = text.encode(errors="surrogatepass")
    end = min(limit, len(encoded))
    while end < len(encoded) and encoded[end] & 0xC0 == 0x80:  # in the middle of a character
        end -= 1
    return len(encoded[:end].decode(errors="surrogatepass"))


def best_cut(text: str, at_most: int) -> int:
    """Where to cut a text that is longer than ``at_most``, of which there must be at least one: in front of
    that character, or of one before it, never of the first."""
    for places in _PLACES:
        for cut in places(text, at_most):
            if _whole(text, cut):
                return cut
    for cut in range(at_most, 0, -1):
        if _whole(text, cut):
            return cut
    return at_most - 1 if at_most > 1 and _pair(text[at_most - 1], text[at_most]) else at_most


def _sentence_ends(text: str, at_most: int) -> list[int]:
    ends = [
        min(found.end(), at_most)
        for found in _SENTENCE.finditer(text, 0, at_most + 1)
        if found.end(1) <= at_most and not text[found.end() : found.end() + 1].islower()
    ]
    return ends[::-1]


def _last(pattern: re.Pattern[str]) -> Callable[[str, int], Iterator[int]]:
    def places(text: str, at_most: int) -> Iterator[int]:
        end = at_most
        while (found := pattern.match(text, 0, end)) and found.end() > at_most // 2:
            yield found.end()
            end = found.end() - 1

    return places


_ENDS = "!.?\u2026"
"""They end a sentence where a space follows: not in 3.14, nor in example.com."""
_OTHER_ENDS = (
    "\u0589\u061d-\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u0f0d-\u0f12"
    "\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8-\u1aab"
    "\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047-\u2049\u2e2e\u3002\ua4ff\ua60e"
    "\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb\ufe12"
    "\ufe15\ufe16\ufe52\ufe56\ufe57\uff01\uff0e\uff1f\uff61"
)
"""Sentence_Terminal of the Unicode Character Database, and Tibetan's shad."""
_CLOSING = "\"')\\]}\u00bb\u2019\u201d\u203a\u300b\u300d\u300f\u3011\u3015\uff09\uff3d\uff5d\uff63"
_SENTENCE = re.compile(
    rf"((?<![{_ENDS}])[{_ENDS}]++[{_CLOSING}]*+(?=\s)|[{_OTHER_ENDS}]++[{_CLOSING}]*+|\n[^\S\n]*\n|[\f\u2029])\s*"
)
_LINE = re.compile(r"(?s:.*)[\n\r\v\x85\u2028]")
_WORD = re.compile(r"(?s:.*)[\s\u200b\u3001\uff0c\uff1a\uff1b]")
_PLACES: tuple[Callable[[str, int], Iterable[int]], ...] = (_sentence_ends, _last(_LINE), _last(_WORD))

_ZERO_WIDTH_SPACE = "\u200b"
_VIRAMA = 9  # the combining class of what joins two consonants
_CLINGING = frozenset({"Mn", "Me", "Mc", "Cf", "Cn"})  # what isn't assigned yet may be a mark
_CLINGS = re.compile(
    "[\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff"  # vowels, voicing marks, tones of skin
    "\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]"  # parts of Hangul syllables
)
_PULLS = re.compile(
    "[\u0d4e\u1cf5\u1cf6\U000111c2\U000111c3\U0001193f\U00011941"
    "\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_FLAG = range(0x1F1E6, 0x1F200)


def _whole(text: str, cut: int) -> bool:
    """Whether no character, as a reader sees it, is cut there."""
    before, after = text[cut - 1], text[cut]
    if before < "\u0300" and after < "\u0300":
        return not _pair(before, after)
    return not (_clings(after) or _pulls(text, cut) or _pair(before, after) or _in_flag(text, cut))


def _clings(character: str) -> bool:
    return category(character) in _CLINGING or bool(_CLINGS.match(character))


def _pulls(text: str, cut: int) -> bool:
    """Whether what is in front of the cut holds on to what follows."""
    before = text[cut - 1]
    if before != _ZERO_WIDTH_SPACE and (category(before) in {"Cf", "Cn"} or _PULLS.match(before)):
        return True
    while cut and category(text[cut - 1]) in {"Mn", "Mc"}:
        cut -= 1
        if combining(text[cut]) == _VIRAMA:
            return True
    return False


def _pair(before: str, after: str) -> bool:
    """An end of a line, or the halves of a surrogate pair."""
    if before == "\r":
        return after == "\n"
    return "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"


def _in_flag(text: str, cut: int) -> bool:
    """A flag is two letters, and nothing lies between flags."""
    if ord(text[cut]) not in _FLAG:
        return False
    began = cut
    while began and ord(text[began - 1]) in _FLAG:
        began -= 1
    return (cut - began) % 2 == 1
