"""What is in an Office file: its parts by their types, and the text of one.

Text is pulled out of the XML as it streams by. python-docx leaves out what stands in content controls, text
boxes, footnotes and tracked insertions; it and python-pptx build each part as a tree, and bring lxml and
Pillow (docs/benchmarks.md). The reader below is all that is needed instead. It takes no document type
declaration, so that there is no entity to expand: the format allows none (ISO/IEC 29500-2).
"""

from collections.abc import Callable, Iterator, Mapping
from posixpath import dirname, join, normpath, split
from typing import IO
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import ZipFile

from signalbox.documents.conversion.converters import UnconvertibleError, damaged
from signalbox.documents.models import Outcome

CHUNK_BYTES = 1 << 16
TYPES = "[Content_Types].xml"
MARKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
UNSEEN = frozenset({"pPr", "rPr", "Fallback"})
"""Properties have elements named like text; a fallback says once more what stands before it."""


class Parts:
    """The parts of an Office file, by name: ``word/document.xml``."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self.types = {
            each["PartName"].removeprefix("/"): each["ContentType"]
            for each in self.elements(TYPES, "Override")
            if {"PartName", "ContentType"} <= each.keys()
        }

    def of_type(self, *endings: str) -> list[str]:
        """The names of those of the content types that end so, in the order of the endings."""
        return [name for ending in endings for name, kind in self.types.items() if kind.endswith(ending)]

    def related(self, name: str, *kinds: str) -> dict[str, str]:
        """The parts that a part refers to as one of the kinds, by the ids of the references."""
        folder, file = split(name)
        listed = join(folder, "_rels", f"{file}.rels")
        if listed not in self._archive.NameToInfo:
            return {}
        return {
            each["Id"]: normpath(join(dirname(name), each["Target"])).removeprefix("/")
            for each in self.elements(listed, "Relationship")
            if each["Type"].rpartition("/")[2] in kinds and each.get("TargetMode") != "External"
        }

    def elements(self, name: str, element: str) -> list[dict[str, str]]:
        """The attributes of every such element of a part."""
        found: list[dict[str, str]] = []

        def start(tag: str, attributes: dict[str, str]) -> None:
            if _local(tag) == element:
                found.append(attributes)

        with self._open(name) as part:
            for _ in parse(part, start, lambda _: None, lambda _: None):
                pass
        return found

    def text(self, name: str) -> Iterator[str]:
        """What a reader sees of a part, in small pieces; each paragraph ends a line."""
        with self._open(name) as part:
            yield from _text(part)

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self._archive.open(name)
        except KeyError as error:
            raise damaged(f"Its part {name} is missing.") from error


class _Reader:
    """Gathers what is text from the events of a parser."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._unseen = 0
        self._inside = 0

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        name = _local(tag)
        if name in UNSEEN:
            self._unseen += 1
        elif name == "t":
            self._inside += 1
        elif name in MARKS:
            self._add(MARKS[name])

    def end(self, tag: str) -> None:
        name = _local(tag)
        if name in UNSEEN:
            self._unseen -= 1
        elif name == "t":
            self._inside -= 1
        elif name == "p":
            self._add("\n")

    def characters(self, text: str) -> None:
        if self._inside:
            self._add(text)

    def _add(self, text: str) -> None:
        if not self._unseen:
            self.found.append(text)


def _text(part: IO[bytes]) -> Iterator[str]:
    reader = _Reader()
    for _ in parse(part, reader.start, reader.end, reader.characters):
        yield from reader.found
        reader.found.clear()


def parse(
    part: IO[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    characters: Callable[[str], None],
) -> Iterator[None]:
    """Calls back for what comes in XML, and stops after each piece of it.

    Raises:
        UnconvertibleError: CORRUPT.
    """
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        while chunk := part.read(CHUNK_BYTES):
            parser.Parse(chunk, False)  # noqa: FBT003 - it takes no names
            yield
        parser.Parse(b"", True)  # noqa: FBT003 - it takes no names
    except ExpatError as error:
        raise damaged(f"Its part {part.name} is no well-formed XML: {error}.") from error
    yield


def _refuse(*_: object) -> None:
    detail = "One of its parts declares a document type, and so perhaps entities: no Office program does."
    raise UnconvertibleError(Outcome.CORRUPT, "document-type", detail)


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]
