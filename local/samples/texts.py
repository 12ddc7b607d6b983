"""Texts, and what is text with marks in it."""

import gzip
from textwrap import dedent

WORD = "Kranichfeld"
"""A place in Thuringia: in each text."""
PROSE = (
    f"The board met in {WORD} on 14 March 2026. Dr. Ada Byron of Example Engines Ltd. reported on the year. "
    "Sales rose by 3.5 percent, costs fell. What remains is to be decided in June.\n"
)


def utf8() -> bytes:
    return (
        PROSE + "\u00c7a va? \u65e5\u672c\u8a9e \u0420\u0443\u0441\u0441\u043a\u0438\u0439 \U0001f600\n"
    ).encode()


def western() -> bytes:
    text = (
        f"Caf\u00e9 in {WORD}: ge\u00f6ffnet t\u00e4glich, au\u00dfer \u2013 na ja \u2013 \u00fcber Ostern.\n"
    )
    return text.encode("cp1252")


def utf16() -> bytes:
    return ("\ufeff" + PROSE).encode("utf-16-le")


def japanese() -> bytes:
    return (f"{WORD}\u3067\u4f1a\u8b70\u304c\u958b\u304b\u308c\u305f\u3002" * 20).encode("shift_jis")


def blank() -> bytes:
    return b" \r\n\t\n" * 500


def markdown() -> bytes:
    return dedent(f"""\
        # Minutes

        Of *the board*, in **{WORD}**.

        - [Agenda](agenda.md)

        | what | when |
        |---|---|
        | AGM | June |
        """).encode()


def html() -> bytes:
    return dedent(f"""\
        <!DOCTYPE html>
        <html><head><title>Minutes</title><script>var hidden = "secret";</script><style>p {{}}</style></head>
        <body><h1>Minutes</h1><p>Of the bo<b>ard</b> &amp; its guests,<br>in {WORD}.<div>By
        hand</div><table><tr><td>June<td>AGM</table></body></html>
        """).encode()


def legacy_html() -> bytes:
    """Says itself which encoding it is in."""
    said = f"<p>Z\u00e1pis, {WORD}: \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148</p>"
    page = f'<html><head><meta charset="iso-8859-2"></head><body>{said}</body></html>'
    return page.encode("iso-8859-2")


def xml() -> bytes:
    return f'<?xml version="1.0"?><feed><title>News</title><entry>From {WORD}</entry></feed>'.encode()


def csv() -> bytes:
    return f'name;place;note\r\n"Byron; Ada";{WORD};"two\nlines"\r\nBabbage;London;\r\n'.encode()


def json() -> bytes:
    """One name comes twice."""
    people = '[{"name": "Andr\\u00e9"}, 3, true, null]'
    return f'{{"place": "{WORD}", "people": {people}, "place": "Erfurt"}}'.encode()


def json_lines() -> bytes:
    return f'{{"at": 1, "what": "begin"}}\n{{"at": 2, "where": "{WORD}"}}\nnot JSON\n'.encode()


def cut_off_json() -> bytes:
    return json()[:-9]


def deep_html() -> bytes:
    """Takes a parser time that grows with the square of its size."""
    return b"<div>" * 400_000


def gzipped() -> bytes:
    return gzip.compress(PROSE.encode(), mtime=0)
