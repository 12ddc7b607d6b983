"""boto3 clients, made when they are first needed and kept for the life of the execution environment."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 10
SDK_ATTEMPTS = 3
"""The SDK's own tries, a few and quick: beyond them the program decides, since it knows the deadline."""
ONCE = 1
"""For a call that must not be repeated blindly: the SDK would, after an answer that got lost on its way."""


@cache
def client(service: str, region: str | None = None, *, attempts: int = SDK_ATTEMPTS) -> Any:
    """A client of the service in the region, the function's own by default.

    `Any`, because boto3 makes its classes at run time; each adapter names the type it takes.
    """
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
    )
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]  # any service
