"""Dollars, from a small table of list prices: to compare two algorithms, not to foretell an invoice."""

from __future__ import annotations

from dataclasses import dataclass

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
}
NOT_COUNTED = "DynamoDB reads, log storage, traces, KMS requests and e-mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is billed."""

    invocations: float = 0
    gb_seconds: float = 0
    write_units: float = 0
    transitions: float = 0
    sqs_requests: float = 0
    messages: float = 0
    custom_events: float = 0


def dollars(usage: Usage) -> dict[str, float]:
    """Item of the table → its share of the bill."""
    amounts = (
        usage.invocations,
        usage.gb_seconds,
        usage.write_units,
        usage.transitions,
        usage.sqs_requests,
        usage.messages,
        usage.custom_events,
    )
    return {name: price * amount for (name, price), amount in zip(PRICES.items(), amounts, strict=True)}


def per_thousand(usage: Usage, interruptions: int) -> float:
    """Dollars for 1,000 interruptions."""
    return sum(dollars(usage).values()) * 1_000 / interruptions
