"""Word: the body, then notes, comments, headers and footers."""

from collections.abc import Iterator
from zipfile import ZipFile

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.office import Parts

PARTS = (".main+xml", ".footnotes+xml", ".endnotes+xml", ".comments+xml", ".header+xml", ".footer+xml")


def convert(source: Source) -> Iterator[Page]:
    with ZipFile(source.path) as archive:
        parts = Parts(archive)
        for name in parts.of_type(*PARTS):
            yield from map(Page, parts.text(name))
