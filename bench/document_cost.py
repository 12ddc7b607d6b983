"""What a document costs: what its way through the workflow uses, times the table of prices.

Worked out from the design, not counted: which functions run, what each asks of S3 and of the ledger. What
depends on the document (pages, characters) and on the machine (seconds) is assumed, and named below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.prices import ATHENA_TB, DOCUMENT_PRICES, MILLION, PRICES

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP_SECONDS = 1.0
"""Of a step, assumed: most of it is waiting for AWS, or a cold start. The intake waits for all of them."""
STEP_LOG_BYTES = 9_000
"""Of a step, assumed: five events in the workflow's log, with what the step was given, and its own lines."""
EXPRESS_GB = 64 / 1_024
"""The least that is billed; an execution's data are names and counts."""
PAGE_CHARACTERS = 2_500
LANGUAGE_CHARACTERS = 1_000
BATCH_CHARACTERS = 5_000
SQS_REQUESTS = 3
"""Sent, received and deleted: of a document that comes alone. Five at once share the last two."""
LEDGER_WRITES = 3
"""Admitted, settled, told; an entry fits into one unit unless its key is long. Of a document that comes
alone: several are admitted in a transaction, and that one write costs two."""
EVENTS = 2
"""S3's own, which is opted into and so not free, and the domain's."""
ATHENA_LEAST_BYTES = 10_000_000
GIGABYTE = 1_000_000_000
PARTS = {
    "Lambda": ("Lambda requests", "Lambda GB-seconds"),
    "workflow": ("Step Functions Express requests", "Step Functions Express GB-seconds"),
    "S3": ("S3 writes", "S3 reads"),
    "ledger, queue, bus, topic": (
        "DynamoDB write units",
        "SQS requests",
        "EventBridge custom events",
        "SNS messages",
    ),
    "logs, trace": ("CloudWatch Logs GB", "X-Ray traces"),
    "analysis": ("Comprehend units", "Rekognition images", "Textract pages"),
}
"""Column of the table → the prices in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What one kind of document goes through.

    Attributes:
        steps: the folders of the functions that run, without the intake's.
        writes, reads: requests to S3.
        alerts: messages to the alert topic.
        analysis: price → how many.
    """

    steps: tuple[str, ...]
    writes: int = 0
    reads: int = 0
    alerts: int = 0
    analysis: Mapping[str, float]


INSPECT, CONVERT, RECOGNISE, ENTITIES, LABELS, LOAD, SETTLE = (
    f"documents_{step}"
    for step in (
        *("inspect_object", "convert_object", "recognise_text", "detect_entities", "detect_labels"),
        *("load_document", "settle_document"),
    )
)


def comprehend_units(characters: int) -> int:
    """Hundreds of characters: of the language's sample, and of each batch."""
    full, last = divmod(characters, BATCH_CHARACTERS)
    batches = [BATCH_CHARACTERS] * full + [last] * bool(last)
    sizes = [min(characters, LANGUAGE_CHARACTERS), *batches]
    return sum(max(3, math.ceil(size / 100)) for size in sizes)


# Inspecting reads twice (head, first bytes), loading lists and writes, and reads what each analyser left.
WAYS: Mapping[str, Way] = {
    "PDF of 10 pages": Way(steps=(INSPECT, CONVERT, LOAD, SETTLE), writes=3, reads=4, analysis={}),
    "… with entities": Way(
        steps=(INSPECT, CONVERT, ENTITIES, LOAD, SETTLE),
        writes=4,
        reads=6,
        analysis={"Comprehend units": comprehend_units(10 * PAGE_CHARACTERS)},
    ),
    "scan of 10 pages, read": Way(
        steps=(INSPECT, CONVERT, RECOGNISE, LOAD, SETTLE),
        writes=14,
        reads=14,
        analysis={"Textract pages": 10},
    ),
    "… with entities too": Way(
        steps=(INSPECT, CONVERT, RECOGNISE, ENTITIES, LOAD, SETTLE),
        writes=15,
        reads=16,
        analysis={"Textract pages": 10, "Comprehend units": comprehend_units(10 * PAGE_CHARACTERS)},
    ),
    "photo, with labels": Way(
        steps=(INSPECT, LABELS, LOAD, SETTLE), writes=2, reads=2, analysis={"Rekognition images": 1}
    ),
    "video: unsupported": Way(steps=(INSPECT, LOAD, SETTLE), writes=4, reads=2, alerts=1, analysis={}),
    "deleted, or not changed": Way(steps=(INSPECT, LOAD, SETTLE), writes=2, reads=2, analysis={}),
}
"""Kind of document → its way."""


def dollars(way: Way, memory_mb: Mapping[str, int]) -> dict[str, float]:
    """Price → its share of the bill of one document."""
    seconds = len(way.steps) * STEP_SECONDS
    gb_seconds = sum(memory_mb[step] for step in way.steps) / 1_024 * STEP_SECONDS
    used = {
        "Lambda requests": len(way.steps) + 1,
        "Lambda GB-seconds": gb_seconds + memory_mb["documents_admit_events"] / 1_024 * seconds,
        "Step Functions Express requests": 1,
        "Step Functions Express GB-seconds": EXPRESS_GB * seconds,
        "S3 writes": way.writes,
        "S3 reads": way.reads,
        "DynamoDB write units": LEDGER_WRITES,
        "SQS requests": SQS_REQUESTS,
        "EventBridge custom events": EVENTS,
        "SNS messages": way.alerts,
        "CloudWatch Logs GB": len(way.steps) * STEP_LOG_BYTES / 1e9,
        "X-Ray traces": 1,
        **way.analysis,
    }
    prices = PRICES | DOCUMENT_PRICES
    return {name: prices[name] * amount for name, amount in used.items()}


def documents_table(memory_mb: Mapping[str, int]) -> str:
    """Dollars for a thousand documents of each kind, and what they are for."""
    rows = [f"| 1,000 documents | $ | {' | '.join(PARTS)} |", "|---|---|" + "---|" * len(PARTS)]
    for name, way in WAYS.items():
        bill = dollars(way, memory_mb)
        parts = [sum(bill.get(each, 0.0) for each in prices) * 1_000 for prices in PARTS.values()]
        rows.append(f"| {name} | {_money(sum(parts))} | {' | '.join(map(_money, parts))} |")
    return "\n".join(rows)


def searches_table() -> str:
    """Dollars for a thousand searches with Athena, by what each reads."""
    rows = ["| 1,000 searches, each of | $ |", "|---|---|"]
    for name, size in {
        "10 MB of the index or less": ATHENA_LEAST_BYTES,
        "1 GB of it": GIGABYTE,
        "100 GB of it": 100 * GIGABYTE,
    }.items():
        rows.append(f"| {name} | {size / GIGABYTE / 1_000 * ATHENA_TB * 1_000:,.2f} |")
    return "\n".join(rows)


def unit_prices() -> str:
    """The prices that the table of documents has beside those of all events."""
    rows = ["| | price |", "|---|---|"]
    rows += [f"| {name} | ${price * MILLION:g}/M |" for name, price in DOCUMENT_PRICES.items()]
    return "\n".join([*rows, f"| Athena | ${ATHENA_TB:g} a TB read, 10 MB at least |"])


def _money(amount: float) -> str:
    if not amount:
        return ""
    return f"{amount:.2f}" if amount >= 0.995 else f"{amount:.4f}"
