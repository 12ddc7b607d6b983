"""Serves the estate on the loopback: `python -m local.estate --port N [--spine URL]`."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from local.estate.authorization import Authorization
from local.estate.guard import Guard
from local.estate.semantics import aws_semantics
from local.estate.spine import SpineIdentity
from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.estate.guard import Application

logger = logging.getLogger(__name__)


class Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher, which lists the folders of its package anew for every request."""

    @cache  # noqa: B019 - a process has one dispatcher, and it asks for a dozen hosts
    def get_backend_for_host(self, host: str | None) -> Any:
        return super().get_backend_for_host(host)


class QuietHandler(MotoRequestHandler):
    """Logs errors only, and doesn't hold small answers back."""

    # The head and the body of an answer are written apart; with Nagle's algorithm on, a kept-alive client's
    # delayed acknowledgement would add 40 ms to each call.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: a fleet's calls would fill the disk."""


@contextmanager
def estate_server(port: int, application: Application) -> Iterator[BaseWSGIServer]:
    """A threaded server on the loopback, bound but not serving yet; port 0 takes a free one."""
    server = make_server(HOST, port, application, threaded=True, request_handler=QuietHandler)
    try:
        yield server
    finally:
        server.server_close()


def moto_application() -> Application:
    """moto's servers, told apart by the service a request is signed for."""
    return Dispatcher(create_backend_app)


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # EC2's errors are in no service model; moto remarks on each of them.
    warnings.filterwarnings("ignore", message=r"Exception\(.*does not match an error shape")
    authorization = Authorization(SpineIdentity(arguments.spine)) if arguments.spine else None
    guard = Guard(moto_application(), authorization)
    with aws_semantics(), estate_server(arguments.port, guard) as server:
        _stop_on_signals(server)
        logger.info("the estate listens on http://%s:%s", HOST, server.port)
        server.serve_forever()
    logger.info("stopped")


def _stop_on_signals(server: BaseWSGIServer) -> None:
    def stop(*_: Any) -> None:
        # shutdown() waits for the loop this handler has interrupted: another thread must do it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.estate",
        description="The embedded AWS's estate: EC2, Auto Scaling, load balancing, ECS, SSM.",
    )
    parser.add_argument("--port", type=int, default=4567, help="on the loopback (default: %(default)s)")
    parser.add_argument(
        "--spine",
        metavar="URL",
        help="where callers' roles and policies are looked up; without it every caller may do everything",
    )
    return parser.parse_args()
