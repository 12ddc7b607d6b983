"""What a function is compared with: the same calls from a handler written as the libraries' guides have it.

The event holds the calls; SERVICES names those whose clients it makes.
"""

import os
from typing import Any

import boto3
import msgspec  # noqa: F401 - the program's choice: here so that both carry it
from aws_embedded_metrics.logger.metrics_logger import MetricsLogger
from aws_embedded_metrics.metric_scope import metric_scope
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

for _module in filter(None, os.environ["LIBRARIES"].split(",")):
    __import__(_module)

logger = Logger()
tracer = Tracer()
clients: dict[str, Any] = {
    service: boto3.client(service)  # type: ignore[call-overload]  # any service
    for service in os.environ["SERVICES"].split(",")
}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metric_scope
def lambda_handler(event: dict[str, Any], context: LambdaContext, metrics: MetricsLogger) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    """Makes the calls, one after the other."""
    for service, operation, parameters in event["calls"]:
        try:
            getattr(clients[service], operation)(**parameters)
        except ClientError as error:
            logger.warning("refused", extra={"error": str(error)})
    metrics.put_metric("Calls", len(event["calls"]), "Count")
    logger.info("done", extra={"calls": len(event["calls"])})
    return {"calls": len(event["calls"])}
