"""A stand-in for the instance metadata service, on the loopback: IMDSv2 only, with a clock to move.

Source: "Use IMDSv2" and "Spot Instance interruption notices", Amazon EC2 User Guide.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    type Answer = tuple[int, dict[str, str], str]

INSTANCE_ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class MetadataService:
    """What is announced (path → text), the tokens given out, and every request as it came.

    `failing`: a status for each of the next requests; 0 for the usual answer.
    """

    clock: Clock
    documents: dict[str, str] = field(default_factory=dict)
    failing: list[int] = field(default_factory=list)
    turned_off: bool = False
    requests: list[tuple[str, str]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    _expiry: dict[str, float] = field(default_factory=dict)

    def forget_tokens(self) -> None:
        """As after the instance was stopped and started."""
        self._expiry.clear()

    @property
    def tokens_given(self) -> int:
        return sum(method == "PUT" for method, _ in self.requests)

    def answer(self, method: str, path: str, headers: Callable[[str], str | None]) -> Answer:
        self.requests.append((method, path))
        if self.failing and (status := self.failing.pop(0)):
            return status, {}, ""
        if method == "PUT":
            return self._token(path, headers(TTL_HEADER), headers("X-Forwarded-For"))
        token = headers("X-aws-ec2-metadata-token")
        if token is None or self.clock() >= self._expiry.get(token, 0.0):
            return 401, {}, ""
        self.asked.set()
        text = self.documents.get(path)
        return (200, {}, text) if text is not None else (404, {}, "")

    def _token(self, path: str, ttl: str | None, forwarded: str | None) -> Answer:
        if path != "/latest/api/token":
            return 404, {}, ""
        if self.turned_off or forwarded is not None:
            return 403, {}, ""
        if ttl is None or not ttl.isdecimal() or not 1 <= int(ttl) <= 21600:
            return 400, {}, ""
        token = f"token-{len(self.requests)}=="
        self._expiry[token] = self.clock() + int(ttl)
        return 200, {TTL_HEADER: ttl}, token


@contextmanager
def served(answer: Callable[[str, str, Callable[[str], str | None]], Answer]) -> Iterator[str]:
    """Serves `answer` (method, path, header by name) over HTTP; yields the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            status, headers, text = answer(self.command, self.path, self.headers.get)
            body = text.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = _handle  # noqa: N815 # the base class calls them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
