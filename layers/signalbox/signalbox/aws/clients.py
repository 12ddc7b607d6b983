"""botocore clients, made when they are first needed and kept for the life of the execution environment.

Without boto3: a cold start would pay for its resources and transfers, which nothing here uses.
"""

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session

from signalbox.aws.models import Models

CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 10
SDK_ATTEMPTS = 3
"""The SDK's own tries, a few and quick: beyond them the program decides, since it knows the deadline."""
ONCE = 1
"""For a call that must not be repeated blindly: the SDK would, after an answer that got lost on its way."""


@cache
def session() -> Session:
    """What all clients share: the function's credentials, and the models that were read."""
    shared = Session()
    shared.register_component("data_loader", Models())
    return shared


@cache
def client(
    service: str,
    region: str | None = None,
    *,
    attempts: int = SDK_ATTEMPTS,
    read_timeout: int = READ_TIMEOUT_SECONDS,
) -> Any:
    """A client of the service in the region, the function's own by default.

    `Any`, because botocore makes its classes at run time; each adapter names the type it takes.
    """
    return session().create_client(service, region, config=client_config(attempts, read_timeout))


def client_config(attempts: int, read_timeout: int = READ_TIMEOUT_SECONDS) -> Config:
    """Short timeouts and few tries: what every client is made with."""
    return Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
    )
