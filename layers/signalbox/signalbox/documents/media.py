"""What an object is, by its first bytes: a name says what somebody thought it was.

The key decides only between kinds of text that look alike (``.md``, ``.csv``). What a ZIP or an OLE file
holds, the converter finds out.

Sources: "MIME Sniffing", WHATWG; the formats' own specifications.
"""

import re
from codecs import (
    BOM_UTF8,
    BOM_UTF16_BE,
    BOM_UTF16_LE,
    BOM_UTF32_BE,
    BOM_UTF32_LE,
    getincrementaldecoder,
)
from pathlib import PurePosixPath

FIRST_BYTES = 4_096
"""How many suffice."""

EMPTY = "application/x-empty"
UNKNOWN = "application/octet-stream"
OLE = "application/x-ole-storage"
"""Microsoft's container: Office before 2007, Outlook's messages, and newer documents with a password."""
ZIP = "application/zip"
PDF = "application/pdf"
HTML = "text/html"
MAIL = "message/rfc822"
JSON = "application/json"
JSON_LINES = "application/jsonl"
CSV = "text/csv"
MARKDOWN = "text/markdown"
XML = "application/xml"
TEXT = "text/plain"

_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),  # an empty one
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"(\xb5/\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"%!PS", "application/postscript"),
    (0, b"{\\rtf", "application/rtf"),
)
_RIFF = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}
_BRANDS = {b"qt  ": "video/quicktime", b"heic": "image/heic", b"avif": "image/avif", b"M4A ": "audio/mp4"}
"""The brands of ISO 14496-12 that aren't ``video/mp4``."""

_PDF_WITHIN = 1_024  # readers take a header anywhere in there (ISO 32000-1, annex H)
_HTML = re.compile(
    rb"\s*(?:<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html|head|body|title|script|style|meta|table"
    rb"|div|h[1-6]|p|br|a|font|iframe|b|link)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*")
_MAIL_FIELDS = frozenset(
    b"bcc cc date delivered-to dkim-signature from in-reply-to message-id mime-version received references"
    b" reply-to return-path sender subject to x-mailer x-originating-ip".split()
)
_JSON = re.compile(rb'\s*(?:\{\s*(?:"|\}\s*$)|\[\s*(?:["\[{\]]|-?\d|true|false|null))')
_JSON_LINES = re.compile(rb"\{[^\n]*\}[ \t]*\r?\n\s*\{")
_HINTS = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".csv": CSV,
    ".tsv": CSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".html": HTML,
    ".htm": HTML,
}
_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


def media_type(first: bytes, key: str = "") -> str:
    """The media type, of what may be an object's first `FIRST_BYTES` alone.

    Args:
        key: the object's, as it is.
    """
    if not first:
        return EMPTY
    for offset, signature, found in _SIGNATURES:
        if first.startswith(signature, offset):
            return found
    if first[:4] == b"RIFF" and first[8:12] in _RIFF:
        return _RIFF[first[8:12]]
    if first[4:8] == b"ftyp":
        return _BRANDS.get(first[8:12], "video/mp4")
    if b"%PDF-" in first[:_PDF_WITHIN]:
        return PDF
    plain = _as_ascii(first)
    return UNKNOWN if plain is None else _text_type(plain, key)


def pixel_size(first: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG in pixels; None where these bytes don't tell.

    A JPEG may have its size behind any number of kilobytes of metadata.
    """
    if first.startswith(b"\x89PNG\r\n\x1a\n") and first[12:16] == b"IHDR" and len(first) >= 24:
        return int.from_bytes(first[16:20]), int.from_bytes(first[20:24])
    return _jpeg_size(first) if first.startswith(b"\xff\xd8") else None


def _jpeg_size(first: bytes) -> tuple[int, int] | None:
    """Walks the segments up to the frame header (ITU-T T.81, B.1.1 and B.2.2)."""
    at = 2
    while at + 9 <= len(first) and first[at] == 0xFF:
        marker = first[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(first[at + 7 : at + 9]), int.from_bytes(first[at + 5 : at + 7])
        else:
            at += 2 + int.from_bytes(first[at + 2 : at + 4])
    return None


def _as_ascii(first: bytes) -> bytes | None:
    """What is to be looked at of a text in any encoding, a byte a character; None where it is none."""
    marked = first.startswith((BOM_UTF32_LE, BOM_UTF32_BE, BOM_UTF16_LE, BOM_UTF16_BE))
    plain = first.lstrip(b"\xff\xfe\0").replace(b"\0", b"") if marked or wide(first) else first
    plain = plain.removeprefix(BOM_UTF8)
    controls = len(_CONTROLS.findall(plain))
    return None if controls * 100 > len(plain) else plain


def wide(first: bytes) -> str:
    """``utf-16-le`` or ``utf-16-be`` for a text without a mark that looks like one, "" for any other.

    Every other byte of one is zero wherever it has ASCII in it: spaces and ends of lines, if nothing else.
    """
    low, high = first[1::2].count(0), first[::2].count(0)
    zeros = low or high
    if len(first) % 2 or (low and high) or zeros * 40 <= len(first):
        return ""
    if zeros * 4 < len(first) and _is_utf8(first):
        return ""  # with a stray zero in it
    return "utf-16-le" if low else "utf-16-be"


def _is_utf8(first: bytes) -> bool:
    try:
        getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return False
    return True


def _text_type(plain: bytes, key: str) -> str:
    if _HTML.match(plain):
        return HTML
    if plain.startswith(b"From ") or _is_mail(plain):
        return MAIL
    hint = _HINTS.get(PurePosixPath(key).suffix.lower(), "")
    if _JSON.match(plain):
        return JSON_LINES if hint == JSON_LINES or _JSON_LINES.match(plain.lstrip()) else JSON
    if plain.lstrip().startswith(b"<?xml"):
        return XML
    return hint or TEXT


def _is_mail(plain: bytes) -> bool:
    """Fields of mail at the top, and behind them an empty line: a text may well begin with ``Date:``."""
    seen = set()
    at = 0
    while field := _FIELD.match(plain, at):
        seen.add(field[1].lower())
        at = field.end()
    ended = not plain[at:].split(b"\n", 1)[0].strip()
    return len(seen & _MAIL_FIELDS) >= 2 and (ended or len(seen) > 3)
