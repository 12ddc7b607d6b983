"""A proxy before the embedded AWS that lets so many parts through, and holds the others."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Gate:
    """Counts the parts that went through, by number."""

    def __init__(self, most: int) -> None:
        self.through: list[int] = []
        self.held = threading.Event()
        self._left = most
        self._open = threading.Event()
        self._lock = threading.Lock()

    def lift(self) -> None:
        """Lets everything through from now on."""
        self._open.set()

    def passes(self, number: int) -> bool:
        """Waits until the part may pass; whether it may at all."""
        with self._lock:
            self._left -= 1
            held = self._left < 0 and not self._open.is_set()
        if held:
            self.held.set()
            self._open.wait()
            return False
        with self._lock:
            self.through.append(number)
        return True

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its address."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                number = parse_qs(urlsplit(self.path).query).get("partNumber")
                if number and self.command == "PUT" and not gate.passes(int(number[0])):
                    self.close_connection = True
                    return
                status, headers, answer = forwarded(self.command, self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in {
                        "transfer-encoding",
                        "content-length",
                        "connection",
                        "date",
                        "server",
                    }:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_DELETE = forward  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self.lift()
            server.shutdown()
            server.server_close()
            thread.join()


def forwarded(
    method: str, url: str, headers: dict[str, str], body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """What the server behind answers to a request in a proxy's form."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()
