"""Athena's answers while a query runs, fails or is stopped, by AWS's own model of them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from signalbox.documents.aws_athena import POLL_SECONDS, AthenaSearch
from signalbox.documents.searching import COLUMNS, Query
from signalbox.errors import AccessDeniedError, RefusedError, UnavailableError

ID = "f7e1d1b2-0000-0000-0000-000000000001"
QUERY = Query(words=("apples",))


class Asked:
    """A search over a client that is told what Athena answers."""

    def __init__(self) -> None:
        client = boto3.client(
            "athena", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self.stub = Stubber(client)
        self.slept: list[float] = []
        self.seen: list[str] = []
        self.interrupted = False
        self.search = AthenaSearch(client, "db", "group", sleep=self.sleep, progress=self.seen.append)

    def sleep(self, seconds: float) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.slept.append(seconds)

    def starts(self) -> None:
        self.stub.add_response("start_query_execution", {"QueryExecutionId": ID})

    def looks(self, *states: str, **status: Any) -> None:
        for state in states:
            execution = {"QueryExecutionId": ID, "Status": {"State": state} | status}
            execution["Statistics"] = {"DataScannedInBytes": 12}
            self.stub.add_response("get_query_execution", {"QueryExecution": execution})

    def answers(self, *rows: list[str], token: str = "") -> None:
        cells = [{"Data": [{"VarCharValue": cell} if cell else {} for cell in row]} for row in rows]
        answer: dict[str, Any] = {"ResultSet": {"Rows": cells}} | ({"NextToken": token} if token else {})
        self.stub.add_response("get_query_results", answer)


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    with asked.stub:
        yield asked
    asked.stub.assert_no_pending_responses()


def row(key: str) -> list[str]:
    return ["bucket", key, "v", "0", "1", "text/plain", "2", "apples", ""]


def test_it_looks_less_and_less_often_and_reads_every_page(asked: Asked) -> None:
    asked.starts()
    asked.looks("QUEUED", *["RUNNING"] * 5, "SUCCEEDED")
    asked.answers(list(COLUMNS), row("a"), token="more")
    asked.answers(row("b"))

    found = asked.search.find(QUERY)
    assert [match.key for match in found.matches] == ["a", "b"]
    assert found.scanned_bytes == 12
    assert asked.slept == [*POLL_SECONDS, POLL_SECONDS[-1], POLL_SECONDS[-1]]
    assert asked.seen == ["QUEUED", *["RUNNING"] * 5]


def test_a_query_that_failed_is_asked_once_more(asked: Asked) -> None:
    """A file that it had listed may have been merged and deleted."""
    asked.starts()
    asked.looks("RUNNING", "FAILED")
    asked.starts()
    asked.looks("SUCCEEDED")
    asked.answers(list(COLUMNS), row("a"))

    assert [match.key for match in asked.search.find(QUERY).matches] == ["a"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"AthenaError": {"Retryable": True}}, UnavailableError),
        ({"AthenaError": {"Retryable": False}}, RefusedError),
        ({}, RefusedError),
    ],
)
def test_one_that_fails_twice_is_told_with_its_reason(
    asked: Asked, status: dict[str, Any], expected: type[Exception]
) -> None:
    for _ in range(2):
        asked.starts()
        asked.looks("FAILED", StateChangeReason="HIVE_BAD_DATA", **status)

    with pytest.raises(expected, match=f"{ID} failed: HIVE_BAD_DATA"):
        asked.search.find(QUERY)


def test_one_that_somebody_stopped_is_not_asked_again(asked: Asked) -> None:
    asked.starts()
    asked.looks("CANCELLED", StateChangeReason="by user")

    with pytest.raises(RefusedError, match="cancelled: by user"):
        asked.search.find(QUERY)


def test_who_does_not_wait_for_it_stops_it(asked: Asked) -> None:
    asked.interrupted = True
    asked.starts()
    asked.looks("RUNNING")
    asked.stub.add_response("stop_query_execution", {}, {"QueryExecutionId": ID})

    with pytest.raises(KeyboardInterrupt):
        asked.search.find(QUERY)


def test_who_may_not_ask_is_told_so(asked: Asked) -> None:
    asked.stub.add_client_error("start_query_execution", "AccessDeniedException", "not you", 400)

    with pytest.raises(AccessDeniedError, match="not you"):
        asked.search.find(QUERY)
