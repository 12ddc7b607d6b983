"""Serves the estate on the loopback: `python -m local.estate --port N [--spine URL]`."""

from __future__ import annotations

import argparse
import logging
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from local.estate.authorization import Authorization
from local.estate.guard import Guard
from local.estate.semantics import aws_semantics
from local.estate.spine import SpineStorage
from local.identity import SpineIdentity
from local.serving import POLL_SECONDS, QuietHandler, log_to_stderr, loopback_server, stop_on_signals
from local.settings import HOST

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from werkzeug.serving import BaseWSGIServer

    from local.estate.guard import Application

logger = logging.getLogger(__name__)


class Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher, which lists the folders of its package anew for every request."""

    @cache  # noqa: B019 - a process has one dispatcher, and it asks for a dozen hosts
    def get_backend_for_host(self, host: str | None) -> Any:
        return super().get_backend_for_host(host)


class Handler(QuietHandler, MotoRequestHandler):
    """moto's, and quiet."""


def estate_server(port: int, application: Application) -> AbstractContextManager[BaseWSGIServer]:
    """A server of the estate, bound but not serving yet; port 0 takes a free one."""
    return loopback_server(port, application, Handler)


def moto_application() -> Application:
    """moto's servers, told apart by the service a request is signed for."""
    return Dispatcher(create_backend_app)


def main() -> None:
    arguments = _arguments()
    log_to_stderr()
    # EC2's errors are in no service model; moto remarks on each of them.
    warnings.filterwarnings("ignore", message=r"Exception\(.*does not match an error shape")
    authorization = Authorization(SpineIdentity(arguments.spine)) if arguments.spine else None
    storage = SpineStorage(arguments.spine) if arguments.spine else None
    guard = Guard(moto_application(), authorization)
    with aws_semantics(storage=storage), estate_server(arguments.port, guard) as server:
        stop_on_signals(server)
        logger.info("the estate listens on http://%s:%s", HOST, server.port)
        server.serve_forever(POLL_SECONDS)
    logger.info("stopped")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.estate",
        description="The embedded AWS's estate: EC2, Auto Scaling, load balancing, ECS, SSM, Comprehend, "
        "Rekognition, Textract.",
    )
    parser.add_argument("--port", type=int, default=4567, help="on the loopback (default: %(default)s)")
    parser.add_argument(
        "--spine",
        metavar="URL",
        help="where callers' roles and policies are looked up; without it every caller may do everything",
    )
    return parser.parse_args()
