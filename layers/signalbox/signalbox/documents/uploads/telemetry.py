"""The upload API's log lines. Counts and times are API Gateway's own metrics."""

from collections.abc import Mapping
from typing import Any

from signalbox.errors import SignalboxError
from signalbox.telemetry import logger
from signalbox.telemetry.steps import conclude, outcome_of


def report_failure(error: SignalboxError) -> None:
    """An error that is not the caller's."""
    logger.error("upload request failed", exc_info=error, extra={"code": error.code})
    conclude(outcome_of(error))


def report_answer(event: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """One request: its route, its upload, how it was answered. Signed URLs are never logged."""
    about = {
        "route": event.get("routeKey", ""),
        "upload": (event.get("pathParameters") or {}).get("id", ""),
        "status": answer["statusCode"],
    }
    logger.info("upload request", extra=about)
    if answer["statusCode"] < 500:
        conclude("answered" if answer["statusCode"] < 400 else "rejected")
