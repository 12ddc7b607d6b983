"""What a check of a version tells."""

from signalbox.deployment.checking import Verdict
from signalbox.telemetry import logger
from signalbox.telemetry.steps import conclude


def report_verdict(verdict: Verdict) -> None:
    """Which version may take over, or why it may not: the reason of a rollback is found here."""
    known = {"candidate": str(verdict.candidate or "unknown")}
    if verdict.healthy:
        logger.info("version may take over", extra=known)
    else:
        logger.error("version refused", extra={**known, "reason": verdict.reason})
    conclude("healthy" if verdict.healthy else "failed")
