"""Stands in for aiohttp, which would double this layer and every cold start for nothing.

aws-embedded-metrics imports it, but uses it only to ask an EC2 instance where it runs. Inside Lambda it never
asks: AWS_LAMBDA_FUNCTION_NAME, or AWS_EMF_ENVIRONMENT=lambda, answers first.
"""


class ClientTimeout:
    """Only named by aws-embedded-metrics at import."""


class ClientSession:
    """Refuses to be used."""

    def __init__(self) -> None:
        raise RuntimeError("aiohttp is not in this layer: set AWS_EMF_ENVIRONMENT=lambda")
