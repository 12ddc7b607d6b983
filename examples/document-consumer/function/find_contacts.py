"""Finds e-mail addresses and bank account numbers (IBAN) in documents that Signalbox has indexed.

Its queue brings Signalbox's domain events. The text lies in Signalbox's work bucket; what is found goes into
a table of this program's own, one item a document. Events come at least once and in any order: an item is
never written over one of a higher generation, and what is removed leaves an item without findings.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

EMAIL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}\b"
)
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
KEPT = 500  # of each kind: an item of DynamoDB takes 400 KB


@cache
def s3() -> Any:
    return boto3.client("s3")


@cache
def table() -> Any:
    return boto3.resource("dynamodb").Table(os.environ["TABLE"])


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """A message that fails comes again, in the end goes to the dead-letter queue, and holds up no other."""
    failed = []
    for record in event["Records"]:
        try:
            take(json.loads(record["body"]))
        except Exception:
            logger.exception("message %s failed", record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def take(event: dict[str, Any]) -> None:
    """One domain event."""
    kind, detail = event["detail-type"], event["detail"]
    if kind == "Document Indexed v1":
        found = findings(read(detail["text"])) if detail["text"] else {}
        put(detail, found)
    elif detail["reason"] != "tries-used-up":  # then the index still has what it had before
        put(detail, {})


def read(reference: dict[str, str]) -> str:
    """A document's text. It is cut into batches at words; only joined it has all that is in it."""
    answer = s3().get_object(Bucket=reference["bucket"], Key=reference["key"])
    with gzip.open(answer["Body"], "rt", encoding="utf-8") as lines:
        return "".join(json.loads(line)["text"] for line in lines)


def findings(text: str) -> dict[str, list[str]]:
    """Kind → what there is of it, each once, in the text's order."""
    return {"emails": first(m[0].lower() for m in EMAIL.finditer(text)), "ibans": first(ibans(text))}


def first(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))[:KEPT]


def ibans(text: str) -> Iterator[str]:
    """Those whose check digits are right (ISO 13616). A word in capitals may follow one: the end is tried."""
    for match in IBAN.finditer(text):
        parts = match[0].split(" ")
        for end in range(len(parts), 0, -1):
            number = "".join(parts[:end])
            if 15 <= len(number) <= 34 and is_valid(number):
                yield number
                break


def is_valid(number: str) -> bool:
    """Its first four characters moved to the end, and A counted as 10 and so on, it leaves 1 (modulo 97)."""
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


def put(detail: dict[str, Any], found: dict[str, list[str]]) -> None:
    """Writes what is found, unless a later event has been here."""
    item = {name: detail[name] for name in ("document", "generation", "bucket", "key")}
    try:
        table().put_item(
            Item={**item, **found},
            ConditionExpression="attribute_not_exists(document) OR generation <= :generation",
            ExpressionAttributeValues={":generation": detail["generation"]},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        logger.info("%s: a later event was here", detail["document"])
