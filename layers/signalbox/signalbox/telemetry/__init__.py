"""What the functions tell about themselves: structured logs, traces, metrics.

The libraries behind it are named in this package alone, so that another can take their place.
"""

import logging

from aws_lambda_powertools import Logger, Tracer

# Its own lines would lack the ids of a step; what it has to say of an error, the step says itself.
logging.getLogger("aws_lambda_powertools").propagate = False

logger = Logger()
"""Structured logs; the service name comes from POWERTOOLS_SERVICE_NAME."""

tracer = Tracer(patch_modules=("botocore",))
"""X-Ray segments of the handler and of every AWS call; silent outside Lambda."""

__all__ = ["logger", "tracer"]
