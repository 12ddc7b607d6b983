"""Metrics in the embedded metric format: one JSON line on standard output, no call to CloudWatch.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

import asyncio
from collections.abc import Mapping
from typing import Literal

from aws_embedded_metrics.environment.lambda_environment import LambdaEnvironment
from aws_embedded_metrics.logger.metrics_context import MetricsContext
from aws_embedded_metrics.logger.metrics_logger import MetricsLogger

from signalbox.telemetry import logger

NAMESPACE = "Signalbox"

type Unit = Literal["Count", "Seconds"]


async def _lambda_environment() -> LambdaEnvironment:
    return LambdaEnvironment()


def emit(
    dimensions: Mapping[str, str],
    metrics: Mapping[str, tuple[float, Unit]],
    properties: Mapping[str, str | float] | None = None,
) -> None:
    """Writes one line, or none where there is no metric. Never raises: a metric must not fail the work.

    Args:
        dimensions: few values each: every combination is a metric that CloudWatch bills.
        metrics: name → (value, unit).
        properties: found by Logs Insights, not billed as metrics.
    """
    if not metrics:
        return
    try:
        embedded = MetricsLogger(_lambda_environment, MetricsContext.empty())
        embedded.set_namespace(NAMESPACE)
        embedded.set_dimensions(dict(dimensions), use_default=False)
        for name, (value, unit) in metrics.items():
            embedded.put_metric(name, value, unit)
        for name, text in (properties or {}).items():
            embedded.set_property(name, text)
        asyncio.run(embedded.flush())
    except Exception:
        logger.exception("metrics were lost", extra={"metrics": list(metrics)})
