"""Time, as the program passes it around."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], float]
"""Answers the time in seconds since 1970, UTC. Passed in, so that a test can move it."""


def iso(epoch: float) -> str:
    """``2026-01-31T12:00:00Z``, whole seconds: the form that EventBridge and Step Functions use."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_precise(epoch: float) -> str:
    """As `iso`, with milliseconds, rounded up: for a Step Functions ``Wait`` that must not end early."""
    moment = datetime.fromtimestamp(math.ceil(epoch * 1000) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Seconds since 1970 of an ISO-8601 time with an offset.

    Raises:
        ValueError: it is not such a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.timestamp()
