"""Serves CodeArtifact on the loopback: `python -m local.codeartifact --port N [--spine URL]`."""

from __future__ import annotations

import argparse
import logging
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from local.codeartifact.service import CodeArtifact
from local.codeartifact.spine import SpineBus
from local.identity import SpineIdentity
from local.serving import POLL_SECONDS, log_to_stderr, loopback_server, stop_on_signals
from local.settings import CODEARTIFACT_PORT, HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

# How late a delayed event may be.
DELIVERY_SECONDS = 0.1

logger = logging.getLogger(__name__)


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
    log_to_stderr()
    with ExitStack() as resources:
        application = _application(arguments.spine, resources)
        server = resources.enter_context(loopback_server(arguments.port, application))
        resources.enter_context(delivering(application))
        stop_on_signals(server)
        logger.info("CodeArtifact listens on http://%s:%s", HOST, server.port)
        server.serve_forever(POLL_SECONDS)
    logger.info("stopped")


def _application(spine: str | None, resources: ExitStack) -> CodeArtifact:
    if spine is None:
        return CodeArtifact()
    identities, bus = SpineIdentity(spine), SpineBus(spine)
    resources.callback(identities.close)
    resources.callback(bus.close)
    return CodeArtifact(identities, bus)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.codeartifact",
        description="CodeArtifact for local work, in memory, on the loopback.",
    )
    parser.add_argument(
        "--port", type=int, default=CODEARTIFACT_PORT, help="on the loopback (default: %(default)s)"
    )
    parser.add_argument(
        "--spine",
        metavar="URL",
        help="where callers' roles are looked up and events are put on the bus; without it only the roots of "
        "accounts are known, and events are kept (GET /_codeartifact/events)",
    )
    return parser.parse_args()
