"""Markdown, as it is rendered: what is markup only goes, what it says stays."""

from collections.abc import Iterator

import pyromark

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.decoding import open_text
from signalbox.documents.conversion.hypertext import text_of

EXTENSIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_FOOTNOTES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
)


def convert(source: Source) -> Iterator[Page]:
    with open_text(source.path) as file:
        text = file.read()
    return map(Page, text_of(pyromark.html(text, options=EXTENSIONS)))
