"""Text in any encoding: by its mark, as UTF-8 where all of it is, else as a detector thinks.

chardet 7 rather than charset-normalizer: of 66 short texts, in 15 languages and their usual encodings, it
tells 64, the other 55 (docs/benchmarks.md).
"""

import codecs
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from signalbox.documents.media import wide

CHUNK_BYTES = 1 << 16
SAMPLE_BYTES = 1 << 16
WESTERN = "cp1252"
FEW_CHARACTERS = 8
"""So few beyond ASCII in a text that is mostly ASCII say nothing of its language."""
ESCAPE = b"\x1b"  # begins what isn't ASCII in ISO 2022
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_MARKS = (
    (BOM_UTF8, "utf-8-sig"),
    (BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (BOM_UTF32_BE, "utf-32"),
    (BOM_UTF16_LE, "utf-16"),
    (BOM_UTF16_BE, "utf-16"),
)


def open_text(path: Path, declared: str = "", newline: str | None = None) -> TextIO:
    """The file as text; what does not decode becomes U+FFFD.

    Args:
        declared: the encoding that the file itself names, if any.
        newline: as in `open`.
    """
    encoding = encoding_of_file(path, declared)
    return path.open(encoding=encoding, errors="replace", newline=newline)


def chunks(file: TextIO) -> Iterator[str]:
    """What a text holds, in pieces that need little memory."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def decode(raw: bytes, declared: str = "") -> str:
    """A short text."""
    encoding = _marked(raw) or ("utf-8" if is_utf8([raw]) else _known(declared) or guess(raw))
    return raw.decode(encoding, "replace")


def encoding_of_file(path: Path, declared: str = "") -> str:
    with path.open("rb") as file:
        first = file.read(SAMPLE_BYTES)
        if marked := _marked(first):
            return marked
        file.seek(0)
        if is_utf8(iter(lambda: file.read(CHUNK_BYTES), b"")):
            return "utf-8"
        if known := _known(declared):
            return known
        file.seek(0)
        return guess(_telling(file.read(16 * SAMPLE_BYTES)))


def is_utf8(pieces: Iterable[bytes]) -> bool:
    """Whether all is, but perhaps for a last character that is cut off."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    plain, escaped = True, False
    try:
        for piece in pieces:
            plain = decoder.decode(piece).isascii() and plain
            escaped = escaped or ESCAPE in piece
    except UnicodeDecodeError:
        return False
    cut_off = decoder.getstate()[0]
    return not (plain and (cut_off or escaped))


def guess(sample: bytes) -> str:
    """A legacy encoding, of a text that is not UTF-8."""
    beyond = len(_BEYOND_ASCII.findall(sample))
    if beyond < FEW_CHARACTERS and beyond * 4 < len(sample) and ESCAPE not in sample:
        return WESTERN
    import chardet  # noqa: PLC0415 - slow to import, and almost every text is UTF-8

    found = chardet.detect(sample, prefer_superset=True, compat_names=False, no_match_encoding=WESTERN)
    return _known(found["encoding"] or "") or WESTERN


def _marked(first: bytes) -> str:
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    return wide(first)


def _known(name: str) -> str:
    """The codec's own name; "" where Python has none of it, or none of text."""
    try:
        codec = codecs.lookup(name)
    except LookupError:
        return ""
    return codec.name if codec._is_text_encoding else ""


def _telling(raw: bytes) -> bytes:
    """A sample that begins where ASCII ends."""
    found = re.search(rb"[\x1b\x80-\xff]", raw)
    at = max(found.start() - 200, 0) if found else 0
    return raw[at : at + SAMPLE_BYTES]
