"""The uploader against the API itself, with S3 and the ledger in memory."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.uploading import (
    Begun,
    EndedError,
    ExpiredError,
    LocalFile,
    PartsError,
    Signed,
    Uploader,
)
from signalbox.errors import RejectedError, UnavailableError
from tests.unit.documents.uploads.scene import Scene


@dataclass
class SceneApi:
    """The upload API, without HTTP. Counts its calls by route."""

    scene: Scene
    calls: list[str] = field(default_factory=list)

    def begin(self, name: str, size: int, part_size: int) -> Begun:
        return begun(self._ask("POST /uploads", "", {"name": name, "size": size, "part_size": part_size}))

    def sign(self, upload_id: str, first: int, checksums: Sequence[str]) -> list[Signed]:
        query = {"from": str(first), "checksums": ",".join(checksums)}
        answer = self._ask("GET /uploads/{id}/parts", upload_id, query=query)
        return [Signed(**part) for part in answer["parts"]]

    def look(self, upload_id: str) -> tuple[Begun, dict[int, str]]:
        answer = self._ask("GET /uploads/{id}", upload_id)
        return begun(answer), {part["number"]: part["checksum"] for part in answer["parts"]}

    def complete(self, upload_id: str, checksums: Sequence[str]) -> Begun:
        return begun(self._ask("POST /uploads/{id}/complete", upload_id, {"parts": list(checksums)}))

    def _ask(self, route: str, upload: str, body: Any = None, **more: Any) -> dict[str, Any]:
        self.calls.append(route)
        status, answer = self.scene.call(route, upload, body, **more)
        if numbers := answer.get("missing") or answer.get("different"):
            raise PartsError(answer["message"], numbers)
        if status in {404, 410}:
            raise EndedError(answer["message"])
        if status >= 400:
            raise RejectedError(answer["code"], answer["where"], answer["message"])
        return answer


@dataclass
class MemorySender:
    """Sends parts to S3 in memory. ``before`` is called with each part, and may fail."""

    scene: Scene
    before: Callable[[Signed], None] = lambda _: None
    sent: list[int] = field(default_factory=list)
    largest_chunk: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, part: Signed, body: Iterable[bytes]) -> None:
        chunks = list(body)
        with self.lock:
            self.largest_chunk = max(self.largest_chunk, *map(len, chunks), 0)
            self.before(part)
            status = self.scene.s3.put(part.url, b"".join(chunks), part.headers)
            if status == 403:
                raise ExpiredError(f"part {part.number}")
            if status != 200:
                raise UnavailableError(f"part {part.number}: {status}")
            self.sent.append(part.number)


@dataclass
class Desk:
    """Somebody who uploads a file."""

    path: Path
    scene: Scene = field(default_factory=Scene)
    jobs: int = 2
    stop: threading.Event = field(default_factory=threading.Event)
    pauses: list[float] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.api = SceneApi(self.scene)
        self.sender = MemorySender(self.scene)

    def begin(self) -> tuple[LocalFile, Begun]:
        file = LocalFile.look(self.path)
        begun = self.api.begin(self.path.name, file.size, 5 * 2**20)
        file.part_size = begun.part_size
        return file, begun

    def upload(self, file: LocalFile, begun: Begun, there: dict[int, str] | None = None) -> Begun:
        uploader = Uploader(self.api, self.sender, self.jobs, self.pauses.append, lambda: 1.0, self.stop)
        return uploader.upload(file, begun, there or {}, self.reported.append)

    def object(self, begun: Begun) -> bytes:
        return self.scene.s3.objects[begun.key][2]


def begun(answer: dict[str, Any]) -> Begun:
    names = ("id", "key", "size", "part_size", "part_count", "state")
    return Begun(**{name: answer[name] for name in names})
