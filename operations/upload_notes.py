"""What is remembered of an upload until it is done, so that it can be gone on with: a small file for each."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import msgspec


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that was begun. ``path`` is absolute, ``url`` the API's."""

    path: str
    url: str
    size: int
    upload: str


class Notes:
    """A folder of notes: below XDG_STATE_HOME, as the XDG Base Directory Specification has it."""

    def __init__(self, folder: Path | None = None) -> None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self._folder = folder or Path(state) / "signalbox" / "uploads"

    def find(self, path: Path, url: str) -> Note | None:
        """The upload of this file by this API that is not done; None also where the note makes no sense."""
        try:
            return msgspec.json.decode(self._file(path, url).read_bytes(), type=Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, path: Path, url: str, size: int, upload: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(path, url)
        note = Note(path=str(path.absolute()), url=url, size=size, upload=upload)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(note))
        fresh.replace(file)

    def drop(self, path: Path, url: str) -> None:
        self._file(path, url).unlink(missing_ok=True)

    def _file(self, path: Path, url: str) -> Path:
        name = sha256(f"{url}\0{path.absolute()}".encode(errors="surrogateescape")).hexdigest()
        return self._folder / f"{name[:32]}.json"
