"""AWS on the loopback: moto's answers once, then the same from memory, as fast as they can be sent."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from werkzeug.test import Client

from local.settings import HOST

if TYPE_CHECKING:
    from types import TracebackType

    from local.estate.guard import Application

ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z]+)")


class Answer(NamedTuple):
    """One, as it goes over the wire."""

    status: int
    content_type: str
    body: bytes


class Answers:
    """A server of AWS's protocols that asks an application once and repeats what it said.

    `remember` and `repeat` say for which first call the next requests are. Repeated are the answers to each
    operation, one after the other, the last one again and again; `lacking` holds what had none.
    """

    def __init__(self, application: Application) -> None:
        self._application = Client(application)
        self._known: dict[str, dict[str, list[Answer]]] = {}
        self._left: dict[str, list[Answer]] | None = None
        self._current = ""
        self._lock = threading.Lock()
        self.lacking: list[str] = []
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="answers", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def remember(self, name: str) -> None:
        """From now on the application answers, and what it says is kept under the name."""
        self._current, self._left = name, None
        self._known[name] = defaultdict(list)

    def repeat(self, name: str) -> None:
        """From now on the same answers as then, from the first."""
        self._current = name
        self._left = {operation: list(answers) for operation, answers in self._known[name].items()}

    def answer(self, operation: str, request: dict[str, Any]) -> Answer:
        """What to say to a request."""
        with self._lock:
            if self._left is None:
                said = self._application.open(**request)
                answer = Answer(said.status_code, said.content_type or "", said.get_data())
                self._known[self._current][operation].append(answer)
                return answer
            answers = self._left.get(operation)
            if not answers:
                self.lacking.append(f"{self._current}: {operation}")
                return Answer(400, "application/json", b'{"__type": "NotRemembered"}')
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answers = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = {"path": self.path, "method": self.command, "headers": list(self.headers.items())}
                answer = answers.answer(_operation(self, body), {**request, "data": body})
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Nothing: a request is no news."""

        return Handler


def _operation(request: BaseHTTPRequestHandler, body: bytes) -> str:
    """Of the JSON protocols by its header, of the query protocols by its parameter, else the path."""
    action = ACTION.search(body)
    return request.headers.get("X-Amz-Target") or (
        action[1].decode() if action else f"{request.command} {request.path.partition('?')[0]}"
    )
