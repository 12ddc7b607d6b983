"""A WSGI application on the loopback, as a process of its own: quiet, threaded, ended by a signal."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIApplication

POLL_SECONDS = 0.05
"""How late `serve_forever` may see that it is told to stop."""


class QuietHandler(WSGIRequestHandler):
    """Logs errors only, and doesn't hold small answers back."""

    # The head and the body of an answer are written apart; with Nagle's algorithm on, a kept-alive client's
    # delayed acknowledgement would add 40 ms to each call.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: thousands of calls would fill the disk."""


@contextmanager
def loopback_server(
    port: int, application: WSGIApplication, handler: type[QuietHandler] = QuietHandler
) -> Iterator[BaseWSGIServer]:
    """A threaded server on the loopback, bound but not serving yet; port 0 takes a free one."""
    server = make_server(HOST, port, application, threaded=True, request_handler=handler)
    try:
        yield server
    finally:
        server.server_close()


def log_to_stderr() -> None:
    """What a server says of itself; of werkzeug's lines the errors only."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def stop_on_signals(server: BaseWSGIServer) -> None:
    """Ends `serve_forever` at SIGTERM or SIGINT."""

    def stop(*_: Any) -> None:
        # shutdown() waits for the loop this handler has interrupted: another thread must do it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
