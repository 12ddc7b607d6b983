"""HTML, and XML, as a browser would show it: without its scripts, every block on a line of its own."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.decoding import SAMPLE_BYTES, open_text

_INLINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr output q rb rp rt"
    " ruby s samp small span strike strong sub sup time tt u var wbr"
)
INLINE = frozenset(_INLINE.split())
"""The elements that don't begin a new line: all others do, also those that nobody knows."""
UNSEEN = frozenset({"script", "style", "template", "noframes"})
CELLS = frozenset({"td", "th"})
AS_IT_IS = frozenset({"pre", "textarea", "listing", "xmp", "plaintext"})
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_BLANK = re.compile(r"[ \t\r\n\f]+")


def convert(source: Source) -> Iterator[Page]:
    with source.path.open("rb") as file:
        declared = _DECLARED.search(file.read(SAMPLE_BYTES))
    with open_text(source.path, declared[1].decode() if declared else "") as text:
        whole = text.read()
    return map(Page, text_of(whole))


def text_of(html: str) -> Iterator[str]:
    """Its text, in small pieces."""
    last = "\n"
    for piece in _pieces(html):
        shown = piece.lstrip(" ") if last.isspace() else piece
        if shown and not (shown == "\n" == last):
            yield shown
            last = shown[-1]
    yield "" if last == "\n" else "\n"


def _pieces(html: str) -> Iterator[str]:
    """Texts, and what goes between blocks. Without recursion: nobody bounds how deep a page goes."""
    node = LexborHTMLParser(html).root
    inside: list[LexborNode] = []
    as_it_is = 0
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            yield (node.text_content or "") if as_it_is else _BLANK.sub(" ", node.text_content or "")
        inner = None if tag in UNSEEN else node.child
        if inner is not None:
            yield _edge(tag)
            as_it_is += tag in AS_IT_IS
            inside.append(node)
            node = inner
            continue
        yield _edge(tag)
        while node.next is None and inside:
            node = inside.pop()
            yield _edge(node.tag or "")
            as_it_is -= node.tag in AS_IT_IS
        node = node.next if inside else None


def _edge(tag: str) -> str:
    """What separates an element from what is beside it."""
    if tag in CELLS:
        return "\t"
    return "" if tag.startswith("-") or tag in INLINE else "\n"
