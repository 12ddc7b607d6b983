"""Says that a deployment is under way, so that what it shakes for a moment pages nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signalbox.aws.calls import call

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "Signalbox"
METRIC = "DeploymentsAnnounced"
DIMENSION = "Stack"


def announce(cloudwatch: CloudWatchClient, stack: str) -> None:
    """One data point of the metric that `DeploymentAlarm` watches. It may be said before the stack exists."""
    call(
        cloudwatch.put_metric_data,
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": METRIC,
                "Dimensions": [{"Name": DIMENSION, "Value": stack}],
                "Value": 1,
                "Unit": "Count",
            }
        ],
    )
