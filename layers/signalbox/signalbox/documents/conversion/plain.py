"""Plain text, in any encoding."""

from collections.abc import Iterator

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.decoding import chunks, open_text


def convert(source: Source) -> Iterator[Page]:
    with open_text(source.path) as file:
        yield from map(Page, chunks(file))
