"""Uploads one file in parts, several at a time. No AWS and no HTTP here: ports only.

Memory: a chunk for each part that is on its way, and a checksum for each part there is.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from signalbox.errors import SignalboxError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

CHUNK_BYTES = 256 * 1024
TRIES = 6
"""Of a part: the pauses in between make half a minute on average."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 32.0
ROUNDS = 3
"""How often the API may say at completion that parts are missing or different."""
MOST_SIGNED = 100

type Report = Callable[[int], None]
"""Gets bytes that were sent, or as a negative number what of them was in vain."""


class ExpiredError(TransientError):
    """The part's URL does not hold any more: the API signs another."""

    code = "expired"


class PartsError(SignalboxError):
    """The API can't complete the upload: these parts are missing, or not what they should be."""

    code = "parts"

    def __init__(self, what: str, numbers: Sequence[int]) -> None:
        super().__init__(what)
        self.numbers = tuple(numbers)


class EndedError(SignalboxError):
    """The upload was aborted, or has expired: a new one must be begun."""

    code = "ended"


class ChangedError(SignalboxError):
    """The file is not what it was when the upload began."""

    code = "changed"


class StoppedError(Exception):
    """Somebody wants the upload to end here."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Where a part is to be PUT, and the headers that must come with it."""

    number: int
    size: int
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload as the API knows it. ``state`` is open, completed or aborted; sizes are in bytes."""

    id: str
    key: str
    size: int
    part_size: int
    part_count: int
    state: str = "open"


class Api(Protocol):
    """The upload API. Transient failures are already tried again behind it."""

    def begin(self, name: str, size: int, part_size: int) -> Begun: ...

    def sign(self, upload_id: str, first: int, checksums: Sequence[str]) -> list[Signed]:
        """Raises EndedError."""
        ...

    def look(self, upload_id: str) -> tuple[Begun, dict[int, str]]:
        """The upload, and the checksums of the parts that are there, by number; EndedError for none."""
        ...

    def complete(self, upload_id: str, checksums: Sequence[str]) -> Begun:
        """Raises PartsError or EndedError."""
        ...


class Sender(Protocol):
    """Sends a part to its URL."""

    def send(self, part: Signed, body: Iterable[bytes]) -> None:
        """Raises ExpiredError, TransientError, EndedError, or RefusedError for what no repetition mends."""
        ...


@dataclass(slots=True)
class LocalFile:
    """A file that is uploaded, in parts of some size."""

    path: Path
    size: int
    part_size: int = 0
    _seen: tuple[int, int] = (0, 0)

    @classmethod
    def look(cls, path: Path) -> LocalFile:
        """Raises OSError where it can't be read."""
        with path.open("rb"):
            pass
        found = path.stat()
        return cls(path, found.st_size, 0, (found.st_size, found.st_mtime_ns))

    def checksum(self, number: int, going_on: Callable[[], None]) -> str:
        """A part's SHA-256 in base64."""
        digest = sha256()
        for chunk in self.chunks(number):
            going_on()
            digest.update(chunk)
        return b64encode(digest.digest()).decode()

    def bytes_of(self, number: int) -> int:
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def chunks(self, number: int) -> Iterator[bytes]:
        """A part, counted from 1.

        Raises:
            ChangedError: the file has become shorter.
        """
        left = self.bytes_of(number)
        with self.path.open("rb") as file:
            file.seek((number - 1) * self.part_size)
            while left:
                chunk = file.read(min(CHUNK_BYTES, left))
                if not chunk:
                    raise ChangedError(f"{self.path} has become shorter while it was uploaded")
                left -= len(chunk)
                yield chunk

    def check_unchanged(self) -> None:
        """Raises ChangedError."""
        found = self.path.stat()
        if (found.st_size, found.st_mtime_ns) != self._seen:
            raise ChangedError(f"{self.path} was changed while it was uploaded")


class PartBody:
    """One part on its way: tells how much was read, and ends when somebody wants it to."""

    def __init__(self, chunks: Iterator[bytes], going_on: Callable[[], None], report: Report) -> None:
        self._chunks = chunks
        self._going_on = going_on
        self._report = report
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._going_on()
            self.sent += len(chunk)
            self._report(len(chunk))
            yield chunk


@dataclass(slots=True)
class Checksums:
    """The checksums of a file's parts, in the order of parts, as far as they are known."""

    of: dict[int, str] = field(default_factory=dict)

    def all(self, count: int) -> list[str]:
        return [self.of[number] for number in range(1, count + 1)]


class Uploader:
    """Uploads files.

    Args:
        api: the upload API.
        sender: sends a part.
        jobs: how many parts at a time.
        pause: waits so many seconds, or shorter if the upload is to end.
        jitter: a number from 0 to 1, another each time.
        stop: set by whoever wants the upload to end.
    """

    def __init__(
        self,
        api: Api,
        sender: Sender,
        jobs: int,
        pause: Callable[[float], object],
        jitter: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._api = api
        self._sender = sender
        self._jobs = jobs
        self._pause = pause
        self._jitter = jitter
        self._stop = stop

    def upload(self, file: LocalFile, begun: Begun, there: Mapping[int, str], report: Report) -> Begun:
        """Sends what is not there yet, and completes.

        Args:
            file: its parts are of the upload's size.
            begun: the upload.
            there: checksums of the parts that S3 has, by number. Only those that are the file's count.
            report: is told of the bytes.
        """
        checksums = Checksums()
        wanted = self._missing(file, begun, there, checksums, report)
        for _ in range(ROUNDS):
            self._send(_Parts(file, begun, wanted, checksums, self._api, self._page, self._check), report)
            file.check_unchanged()
            try:
                return self._api.complete(begun.id, checksums.all(begun.part_count))
            except PartsError as error:
                wanted, last = list(error.numbers), error
                report(-sum(map(file.bytes_of, wanted)))
        raise last

    @property
    def _page(self) -> int:
        """Some in advance, few enough that none waits long for its turn."""
        return min(MOST_SIGNED, 2 * self._jobs)

    def _missing(
        self,
        file: LocalFile,
        begun: Begun,
        there: Mapping[int, str],
        checksums: Checksums,
        report: Report,
    ) -> list[int]:
        """The numbers of the parts to send. What S3 has of other content is sent again.

        A completed upload takes no more: completing it again tells whether it was made of this file.
        """
        done, wanted = begun.state == "completed", []
        for number in range(1, begun.part_count + 1):
            if done or number in there:
                checksums.of[number] = file.checksum(number, self._check)
            if done or checksums.of.get(number, "-") == there.get(number):
                report(file.bytes_of(number))
            else:
                wanted.append(number)
        return wanted

    def _send(self, parts: _Parts, report: Report) -> None:
        lock = threading.Lock()

        def told(count: int) -> None:
            with lock:
                report(count)

        failed = threading.Event()
        with ThreadPoolExecutor(self._jobs, "part") as pool:
            try:
                works = [pool.submit(self._work, parts, failed, told) for _ in range(self._jobs)]
                done, _ = wait(works, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._stop.set()
                raise
            finally:
                failed.set()
        for work in done:
            work.result()

    def _work(self, parts: _Parts, ended: threading.Event, report: Report) -> None:
        """Sends part after part. ``ended`` is set once another worker has failed, or all is done."""
        while not ended.is_set() and (part := parts.take()) is not None:
            self._deliver(parts, part, report)

    def _deliver(self, parts: _Parts, part: Signed, report: Report) -> None:
        for attempt in range(TRIES):
            self._check()
            body = PartBody(parts.file.chunks(part.number), self._check, report)
            try:
                self._sender.send(part, body)
            except TransientError as error:
                report(-body.sent)
                parts.file.check_unchanged()
                if attempt == TRIES - 1:
                    raise
                if isinstance(error, ExpiredError):
                    part = parts.sign_again(part)
                else:
                    self._pause(self._jitter() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt))
            else:
                return

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError


class _Parts:
    """Parts to send, signed a page at a time, just before they are wanted: a URL holds for minutes only."""

    def __init__(
        self,
        file: LocalFile,
        begun: Begun,
        wanted: Iterable[int],
        checksums: Checksums,
        api: Api,
        page: int,
        going_on: Callable[[], None],
    ) -> None:
        self.file = file
        self._begun = begun
        self._wanted = deque(wanted)
        self._checksums = checksums
        self._api = api
        self._page = page
        self._going_on = going_on
        self._signed: deque[Signed] = deque()
        self._lock = threading.Lock()

    def take(self) -> Signed | None:
        """The next part; None when there is none left."""
        with self._lock:
            self._going_on()
            if not self._signed and self._wanted:
                self._signed.extend(self._sign(self._next_run()))
            return self._signed.popleft() if self._signed else None

    def sign_again(self, part: Signed) -> Signed:
        [signed] = self._sign([part.number])
        return signed

    def _next_run(self) -> list[int]:
        """Numbers without a gap: that is what one page can be signed for."""
        run = [self._wanted.popleft()]
        while self._wanted and self._wanted[0] == run[-1] + 1 and len(run) < self._page:
            run.append(self._wanted.popleft())
        return run

    def _sign(self, run: Sequence[int]) -> list[Signed]:
        for number in run:
            self._checksums.of[number] = self.file.checksum(number, self._going_on)
        return self._api.sign(self._begun.id, run[0], [self._checksums.of[number] for number in run])
