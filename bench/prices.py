"""Dollars, from one table of list prices: to see what costs what and to compare, not to foretell an invoice.

Every price of the project's is here: the dashboards and docs/cost.md are held to it. Without free tiers.
Each is of the page https://aws.amazon.com/<service>/pricing/ of its service.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

DATED = "2026-11"
REGION = "us-east-1"
MILLION = 1_000_000
PRICES = {
    "Lambda requests": 0.20 / MILLION,
    "Lambda GB-seconds": 0.0000133334,  # arm64
    "DynamoDB write units": 0.625 / MILLION,  # on demand
    "Step Functions transitions": 25 / MILLION,  # Standard
    "SQS requests": 0.40 / MILLION,
    "SNS messages": 0.50 / MILLION,
    "EventBridge custom events": 1 / MILLION,  # AWS's own on the default bus are free
    "CloudWatch Logs GB": 0.50,  # taken in
    "X-Ray traces": 5 / MILLION,  # recorded
}
"""Of what is used: for one."""
DOCUMENT_PRICES = {
    "Step Functions Express requests": 1 / MILLION,
    "Step Functions Express GB-seconds": 0.00001667,  # in chunks of 64 MB; the first 1,000 GB-hours
    "S3 writes": 5 / MILLION,  # PUT, COPY, LIST
    "S3 reads": 0.40 / MILLION,
    "Comprehend units": 0.0001,  # of 100 characters, at least 3 a text; the first 10 million
    "Rekognition images": 0.001,  # the first million a month
    "Textract pages": 0.0015,  # the first million a month; text alone
}
"""Of what a document uses beside that: for one."""
RELEASE_PRICES = {
    "CodeArtifact requests": 5 / MILLION,
    "CodeBuild minutes": 0.005,  # general1.small, Linux
}
"""Of what a release uses beside that, and its builds: for one."""
ATHENA_TB = 5.0
"""For each TB that a query reads, 10 MB at least."""
READ_UNIT = 0.125 / MILLION
X86_GB_SECOND = 0.0000166667
MONTHLY = {
    "alarm metric": 0.10,
    "composite alarm": 0.50,
    "dashboard": 3.00,  # the first three of an account are free
    "custom metric": 0.30,  # for the hours in which it is written
    "KMS key": 1.00,
}
"""Of what stands: for one, a month."""
NOT_COUNTED = "DynamoDB reads, log storage, traces, KMS requests and e-mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is billed, in the order of the prices."""

    invocations: float = 0
    gb_seconds: float = 0
    write_units: float = 0
    transitions: float = 0
    sqs_requests: float = 0
    messages: float = 0
    custom_events: float = 0
    log_gb: float = 0
    traces: float = 0


def dollars(usage: Usage) -> dict[str, float]:
    """Item of the table → its share of the bill."""
    return {
        name: price * amount for (name, price), amount in zip(PRICES.items(), astuple(usage), strict=True)
    }


def per_thousand(usage: Usage, events: int) -> float:
    """Dollars for 1,000 events."""
    return sum(dollars(usage).values()) * 1_000 / events
