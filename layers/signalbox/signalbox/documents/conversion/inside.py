"""What a container holds: ZIP and OLE files say so in their directories alone."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from signalbox.documents.conversion.converters import (
    DOCX,
    PPTX,
    XLS,
    XLSX,
    Limits,
    UnconvertibleError,
    damaged,
)
from signalbox.documents.conversion.office import TYPES, Parts
from signalbox.documents.media import OLE, ZIP
from signalbox.documents.models import Outcome

CHUNK_BYTES = 1 << 16
UNSUSPICIOUS_BYTES = 64 * 2**20
MOST_INFLATED = 250
"""By so much a file may grow: sheets of one number grow a hundredfold, bombs a thousandfold."""
_MAIN_PARTS = {
    "wordprocessingml": DOCX,
    "ms-word": DOCX,
    "presentationml": PPTX,
    "ms-powerpoint": PPTX,
    "spreadsheetml": XLSX,
    "ms-excel": XLSX,
}
_OLD = {
    "WordDocument": "Word document from before 2007 (.doc)",
    "PowerPoint Document": "PowerPoint presentation from before 2007 (.ppt)",
    "__properties_version1.0": "message of Outlook (.msg)",
}


def media_type_inside(path: Path, media_type: str, limits: Limits) -> str:
    """The media type of what it holds; the same again where it is no container.

    Raises:
        UnconvertibleError: ENCRYPTED, CORRUPT, UNSUPPORTED, or TOO_LARGE: a bomb.
    """
    if media_type == ZIP:
        return _in_zip(path, limits)
    return _in_ole(path) if media_type == OLE else media_type


def _in_zip(path: Path, limits: Limits) -> str:
    try:
        with ZipFile(path) as archive:
            if TYPES not in archive.NameToInfo:
                detail = "It is a ZIP archive of other files. Upload those instead."
                raise UnconvertibleError(Outcome.UNSUPPORTED, "archive", detail)
            _check_inflated(archive, path.stat().st_size, limits)
            return _office_type(Parts(archive).types)
    except (BadZipFile, EOFError, zlib.error) as error:
        raise damaged(f"The file is a damaged ZIP, perhaps cut off: {error}.") from error


def _check_inflated(archive: ZipFile, size: int, limits: Limits) -> None:
    """Inflates all of it once, keeping nothing: what a ZIP says of its sizes may be a lie."""
    most = min(limits.inflated_bytes, max(size * MOST_INFLATED, UNSUSPICIOUS_BYTES))
    inflated = 0
    for info in archive.infolist():
        with archive.open(info) as part:
            while chunk := part.read(CHUNK_BYTES):
                inflated += len(chunk)
                if inflated > most:
                    detail = f"Its {size:,} bytes inflate to more than {most:,}."
                    raise UnconvertibleError(Outcome.TOO_LARGE, "inflates-too-far", detail)


def _office_type(types: Mapping[str, str]) -> str:
    for content_type in types.values():
        if content_type.endswith((".main+xml", ".main")):
            for family, found in _MAIN_PARTS.items():
                if family in content_type:
                    return found
    detail = "It is packed as Office files are, but is none of Word, PowerPoint or Excel."
    raise UnconvertibleError(Outcome.UNSUPPORTED, "office-kind", detail)


def _in_ole(path: Path) -> str:
    import olefile  # noqa: PLC0415 - slow to import, and few files are of this kind

    try:
        with olefile.OleFileIO(str(path)) as container:
            names = {entry[0] for entry in container.listdir()}
    except OSError as error:
        raise damaged(f"The file is a damaged OLE container, perhaps cut off: {error}.") from error
    if "EncryptedPackage" in names:
        detail = "The Office file opens with a password only."
        raise UnconvertibleError(Outcome.ENCRYPTED, "password-needed", detail)
    if names & {"Workbook", "Book"}:
        return XLS
    what = next((what for name, what in _OLD.items() if name in names), "file in Microsoft's OLE format")
    detail = f"It is a {what}. Save it in a current format."
    raise UnconvertibleError(Outcome.UNSUPPORTED, "old-format", detail)
