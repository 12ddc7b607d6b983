"""JSON, also a value a line: each name and value a line of text, escapes resolved.

What can't be parsed is text all the same: JSON with comments, a template, a file that is cut off.
"""

import json
from collections.abc import Iterator
from itertools import repeat

from signalbox.documents.batching import Page
from signalbox.documents.conversion import plain
from signalbox.documents.conversion.converters import Source
from signalbox.documents.conversion.decoding import open_text
from signalbox.documents.media import JSON_LINES

WHOLE_BYTES = 32 * 2**20
"""A larger one would take many times its size of memory: it is read as text."""


class Members(list[tuple[str, object]]):
    """An object's, every one: a name may come twice."""


def convert(source: Source) -> Iterator[Page]:
    if source.media_type == JSON_LINES:
        return _by_line(source)
    if source.path.stat().st_size > WHOLE_BYTES:
        return plain.convert(source)
    with open_text(source.path) as file:
        text = file.read()
    return map(Page, lines_of(text))


def _by_line(source: Source) -> Iterator[Page]:
    with open_text(source.path) as file:
        for line in file:
            yield from map(Page, lines_of(line))


def lines_of(text: str) -> Iterator[str]:
    """What a text in JSON says, a line each; the text itself where it is none."""
    try:
        value = json.loads(text, object_pairs_hook=Members)
    except (ValueError, RecursionError):
        return iter([text])
    return _spread(value)


def _spread(value: object) -> Iterator[str]:
    """Depth first, without recursion: as deep as can be parsed."""
    pending = [iter([("", value)])]
    while pending:
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
            continue
        name, value = found
        if isinstance(value, Members):
            yield f"{name}:\n" if name else ""
            pending.append(iter(value))
        elif isinstance(value, list) and value:
            pending.append(zip(repeat(name), value, strict=False))
        else:
            yield f"{name}: {_shown(value)}\n" if name else f"{_shown(value)}\n"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
