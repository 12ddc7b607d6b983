"""CSV and its like: each row a line, its cells apart by tabs."""

import csv
import sys
from collections.abc import Iterator

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.decoding import open_text

DELIMITERS = ",;\t|"


def convert(source: Source) -> Iterator[Page]:
    csv.field_size_limit(sys.maxsize)  # an unclosed quote makes one cell of the rest, and loses nothing
    with open_text(source.path, newline="") as file:
        first = file.readline()
        file.seek(0)
        for row in csv.reader(file, delimiter=max(DELIMITERS, key=first.count)):
            yield Page("\t".join(row) + "\n")
