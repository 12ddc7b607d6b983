"""What parts side by side gain over a single stream, on a line that is long and fat.

A loopback is neither, so a stand-in for S3 makes it one. It takes from each connection no more than a window
a round trip, which is what a single TCP stream gets over a distance, and from all together no more than the
line has. It answers a round trip later. That is an assumption, the same for all that is compared; what is
measured is the uploader as it is, its checksums and its pages of signed parts included.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from local.display import table
from local.settings import HOST
from operations.upload_http import Http, HttpSender
from operations.uploading import Begun, LocalFile, Signed, Uploader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

MB = 10**6
MIB = 2**20
FILE_BYTES = 120 * MIB
PART_BYTES = 5 * MIB
JOBS = (1, 4, 8, 12)
SINGLE = "single stream"
TAKEN_BYTES = 64 * 1024
RECEIVE_BUFFER_BYTES = 64 * 1024
"""Small: what lies in it has not yet been taken."""


@dataclass(frozen=True, slots=True)
class Line:
    """What lies between caller and bucket. Bytes a second, seconds."""

    window_bytes: int = 1 * MIB
    round_trip: float = 0.1
    line_bytes_a_second: float = 125 * MB  # 1 Gbit/s

    @property
    def stream_bytes_a_second(self) -> float:
        """What one connection gets."""
        return self.window_bytes / self.round_trip


@dataclass(frozen=True, slots=True)
class Timed:
    """One way to upload the file."""

    who: str
    jobs: int
    parts: int
    seconds: float

    @property
    def megabytes_a_second(self) -> float:
        return FILE_BYTES / MB / self.seconds


@dataclass(slots=True)
class StandIn:
    """Takes parts at the line's pace. ``received`` counts their bytes, by path."""

    line: Line
    received: dict[str, int] = field(default_factory=dict)
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def may_go_on_at(self, count: int, own: float) -> tuple[float, float]:
        """When the next bytes may be taken, and when this connection's own pace would have it."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count / self.line.line_bytes_a_second
            own = max(now, own) + count / self.line.stream_bytes_a_second
            return max(self._free_at, own), own

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its address."""
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                left, own = int(self.headers["content-length"]), time.monotonic()
                while left:
                    taken = len(self.rfile.read(min(TAKEN_BYTES, left)))
                    left -= taken
                    until, own = stand_in.may_go_on_at(taken, own)
                    time.sleep(max(0.0, until - time.monotonic()))
                time.sleep(stand_in.line.round_trip)
                stand_in.received[self.path] = int(self.headers["content-length"])
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def server_bind(self) -> None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
                super().server_bind()

        with Server((HOST, 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield f"http://{HOST}:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


class NearApi:
    """The upload API, a round trip away: it answers at once, and signs nothing."""

    def __init__(self, url: str, line: Line) -> None:
        self._url = url
        self._line = line

    def begin(self, name: str, size: int, part_size: int) -> Begun:
        self._wait()
        return Begun("bench", name, size, part_size, -(-size // part_size))

    def sign(self, upload_id: str, first: int, checksums: Sequence[str]) -> list[Signed]:
        self._wait()
        return [
            Signed(number, part_bytes(number), f"{self._url}/{upload_id}/{number}", {})
            for number in range(first, first + len(checksums))
        ]

    def look(self, upload_id: str) -> tuple[Begun, dict[int, str]]:
        raise NotImplementedError(f"nothing of {upload_id} is gone on with here")

    def complete(self, upload_id: str, checksums: Sequence[str]) -> Begun:
        self._wait()
        return Begun(upload_id, "", FILE_BYTES, PART_BYTES, len(checksums), "completed")

    def _wait(self) -> None:
        time.sleep(self._line.round_trip)


def part_bytes(number: int) -> int:
    return min(PART_BYTES, FILE_BYTES - (number - 1) * PART_BYTES)


def measure(step: Callable[[str], None], line: Line | None = None) -> list[Timed]:
    """The file as a single stream, and in parts, so many at a time."""
    line = line or Line()
    with TemporaryDirectory(prefix="signalbox-upload-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(random.Random(7).randbytes(MIB) * (FILE_BYTES // MIB))  # noqa: S311 - any bytes will do
        found = []
        for jobs in (0, *JOBS):
            step(f"Uploading {FILE_BYTES // MIB} MiB: " + (f"{jobs} parts at a time" if jobs else SINGLE))
            found.append(_measure(path, jobs, line))
        return found


def _measure(path: Path, jobs: int, line: Line) -> Timed:
    stand_in = StandIn(line)
    with stand_in.served() as url:
        began = time.monotonic()
        if jobs:
            _in_parts(path, jobs, url, line)
        else:
            file = LocalFile.look(path)
            file.part_size = file.size
            HttpSender(Http(1, url)).send(Signed(1, file.size, f"{url}/whole", {}), file.chunks(1))
        seconds = time.monotonic() - began
    if sum(stand_in.received.values()) != FILE_BYTES:
        raise RuntimeError(f"{sum(stand_in.received.values()):,} of {FILE_BYTES:,} bytes arrived")
    who = f"{jobs} at a time" if jobs else SINGLE
    return Timed(who, max(jobs, 1), len(stand_in.received), seconds)


def _in_parts(path: Path, jobs: int, url: str, line: Line) -> None:
    api, stop = NearApi(url, line), threading.Event()
    uploader = Uploader(api, HttpSender(Http(jobs, url)), jobs, stop.wait, random.random, stop)
    file = LocalFile.look(path)
    file.part_size = PART_BYTES
    uploader.upload(file, api.begin(path.name, file.size, PART_BYTES), {}, lambda _: None)


def upload_table(found: Sequence[Timed], line: Line | None = None) -> Table:
    """A line for each way."""
    line = line or Line()
    title = (
        f"{FILE_BYTES // MIB} MiB over an assumed line: {line.round_trip * 1000:.0f} ms round trip, "
        f"{line.window_bytes // MIB} MiB window, {line.line_bytes_a_second * 8 / 10**9:.0f} Gbit/s"
    )
    made = table("upload", "parts", "seconds", "MB a second", "times the single stream", title=title)
    for timed in found:
        made.add_row(
            timed.who,
            str(timed.parts),
            f"{timed.seconds:.2f}",
            f"{timed.megabytes_a_second:.1f}",
            f"{found[0].seconds / timed.seconds:.2f}",
        )
    return made


def results(found: Sequence[Timed]) -> Iterator[tuple[str, float]]:
    """By name."""
    for timed in found:
        name = f"upload.{timed.who.replace(' ', '-')}"
        yield f"{name}.seconds", timed.seconds
        yield f"{name}.times_single_stream", found[0].seconds / timed.seconds
