"""Metrics in the embedded metric format: JSON lines on standard output, no call to CloudWatch.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from aws_embedded_metrics.environment.lambda_environment import LambdaEnvironment
from aws_embedded_metrics.logger.metrics_context import MetricsContext
from aws_embedded_metrics.logger.metrics_logger import MetricsLogger

from signalbox.telemetry import logger
from signalbox.telemetry.steps import correlation

NAMESPACE = "Signalbox"

type Unit = Literal["Count", "Seconds"]


class Metric(NamedTuple):
    """One metric of the program.

    Attributes:
        about: what one value of it says.
        dimensions: their names. Few values each: every combination is a metric that CloudWatch bills.
    """

    name: str
    unit: Unit
    about: str
    dimensions: tuple[str, ...] = ("Domain",)


def counted(counts: Mapping[Metric, int]) -> dict[Metric, Sequence[float]]:
    """Counts as values to be written. One of zero is not."""
    return {metric: [count] for metric, count in counts.items() if count}


async def _lambda_environment() -> LambdaEnvironment:
    return LambdaEnvironment()


def emit(dimensions: Mapping[str, str], values: Mapping[Metric, Sequence[float]]) -> None:
    """Writes the values, a hundred of a metric on a line; nothing where there are none.

    Never raises: a metric must not fail the work. The ids of the step stand beside the values, unbilled.

    Args:
        dimensions: name → value; those that each of the metrics is declared with.
        values: every value that there is, so that CloudWatch can tell percentiles.
    """
    values = {metric: numbers for metric, numbers in values.items() if numbers}
    if not values:
        return
    try:
        embedded = MetricsLogger(_lambda_environment, MetricsContext.empty())
        embedded.set_namespace(NAMESPACE)
        embedded.set_dimensions(dict(dimensions), use_default=False)
        for metric, numbers in values.items():
            _check(metric, dimensions)
            for number in numbers:
                embedded.put_metric(metric.name, number, metric.unit)
        for name, value in correlation().items():
            embedded.set_property(name, value)
        asyncio.run(embedded.flush())
    except Exception:
        logger.exception("metrics were lost", extra={"metrics": [metric.name for metric in values]})


def _check(metric: Metric, dimensions: Mapping[str, str]) -> None:
    if set(metric.dimensions) != dimensions.keys():
        raise ValueError(f"{metric.name} has the dimensions {metric.dimensions}, not {tuple(dimensions)}")
