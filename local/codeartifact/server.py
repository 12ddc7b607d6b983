"""Serves CodeArtifact on the loopback: `python -m local.codeartifact --port N [--spine URL]`."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.codeartifact.service import CodeArtifact
from local.codeartifact.spine import SpineBus
from local.estate.spine import SpineIdentity
from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 4568
# How late a delayed event may be.
DELIVERY_SECONDS = 0.1

logger = logging.getLogger(__name__)


class QuietHandler(WSGIRequestHandler):
    """Logs errors only."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: a release's calls would fill the disk."""


@contextmanager
def codeartifact_server(port: int, application: CodeArtifact) -> Iterator[BaseWSGIServer]:
    """A threaded server on the loopback, bound but not serving yet; port 0 takes a free one."""
    server = make_server(HOST, port, application, threaded=True, request_handler=QuietHandler)
    try:
        yield server
    finally:
        server.server_close()


@contextmanager
def delivering(application: CodeArtifact) -> Iterator[None]:
    """Delivers delayed events while it lasts, and the rest at its end."""
    stopped = threading.Event()

    def deliver() -> None:
        while not stopped.wait(DELIVERY_SECONDS):
            application.courier.deliver()

    thread = threading.Thread(target=deliver, daemon=True, name="courier")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        application.courier.deliver(everything=True)


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as resources:
        application = _application(arguments.spine, resources)
        server = resources.enter_context(codeartifact_server(arguments.port, application))
        resources.enter_context(delivering(application))
        _stop_on_signals(server)
        logger.info("CodeArtifact listens on http://%s:%s", HOST, server.port)
        server.serve_forever()
    logger.info("stopped")


def _application(spine: str | None, resources: ExitStack) -> CodeArtifact:
    if spine is None:
        return CodeArtifact()
    identities, bus = SpineIdentity(spine), SpineBus(spine)
    resources.callback(identities.close)
    resources.callback(bus.close)
    return CodeArtifact(identities, bus)


def _stop_on_signals(server: BaseWSGIServer) -> None:
    def stop(*_: Any) -> None:
        # shutdown() waits for the loop this handler has interrupted: another thread must do it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.codeartifact",
        description="CodeArtifact for local work, in memory, on the loopback.",
    )
    parser.add_argument("--port", type=int, default=PORT, help="on the loopback (default: %(default)s)")
    parser.add_argument(
        "--spine",
        metavar="URL",
        help="where callers' roles are looked up and events are put on the bus; without it only the roots of "
        "accounts are known, and events are kept (GET /_codeartifact/events)",
    )
    return parser.parse_args()
