"""The Documents domain as it is deployed on the embedded AWS: its bucket, its ledger, its index."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from signalbox.documents.aws_athena import AthenaSearch
from signalbox.documents.entries import Entry, entry_key, entry_of
from signalbox.ledger.dynamodb import DynamoLedger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from local.embedded import EmbeddedAws
    from signalbox.documents.searching import Match, Query

POLL_SECONDS = 0.05
"""Athena here answers sooner than AWS's."""


@dataclass(frozen=True, slots=True)
class Library:
    """One deployment, by the outputs of its stack."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]

    @property
    def bucket(self) -> str:
        return self.outputs["DocumentsBucketName"]

    def put(self, key: str, body: bytes, bucket: str = "") -> None:
        self.aws.client("s3").put_object(Bucket=bucket or self.bucket, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.aws.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def entries(self, keys: Iterable[str], bucket: str = "") -> dict[str, Entry]:
        """Key → what the ledger knows of it; of another bucket than the stack's own where one is named."""
        ledger = DynamoLedger(self.aws.client("dynamodb"), self.outputs["LedgerTableName"], time.time)
        names = {entry_key(bucket or self.bucket, key): key for key in keys}
        return {names[name]: entry_of(record) for name, record in ledger.records(list(names)).items()}

    def is_quiet(self) -> bool:
        """Whether no event is on its way."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.outputs["DocumentsIntakeQueueUrl"]
        found = self.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return not any(int(found["Attributes"][name]) for name in names)

    def search(self, query: Query) -> tuple[Match, ...]:
        """What Athena answers."""
        database, workgroup = (self.outputs[f"Documents{name}Name"] for name in ("Database", "WorkGroup"))
        search = AthenaSearch(
            self.aws.client("athena"), database, workgroup, sleep=lambda _: time.sleep(POLL_SECONDS)
        )
        return search.find(query).matches

    def quarantine(self) -> dict[str, str]:
        """Key → the reason that lies in the quarantine."""
        s3, bucket = self.aws.client("s3"), self.outputs["DocumentsWorkBucketName"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/").get("Contents", [])
        bodies = (
            s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
            for each in listed
            if each["Key"].endswith("/reason.json")
        )
        reasons: list[dict[str, Any]] = [msgspec.json.decode(body) for body in bodies]
        return {reason["key"]: reason["reason"] for reason in reasons}
