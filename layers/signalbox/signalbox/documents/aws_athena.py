"""Asking the index in S3, through Athena."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from signalbox.aws.calls import call
from signalbox.documents.searching import Found, Query, match_of, statement
from signalbox.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

POLL_SECONDS = (0.2, 0.3, 0.5, 1.0)
"""Between looks; the last goes on."""
RUNNING = frozenset({"QUEUED", "RUNNING"})


class AthenaSearch:
    """One workgroup's queries (`signalbox.documents.searching.Search`).

    Args:
        database: of the Glue Data Catalog.
        progress: called at every look, with Athena's word for how far the query is.
    """

    def __init__(
        self,
        athena: "AthenaClient",
        database: str,
        workgroup: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._athena = athena
        self._database = database
        self._workgroup = workgroup
        self._sleep = sleep
        self._progress = progress

    def find(self, query: Query) -> Found:
        """Interrupted, it stops the query: what it has scanned by then is billed.

        A query that fails is asked once more: a file that it had listed may have been merged and deleted
        (`signalbox.documents.compaction`).

        Raises:
            UnavailableError: the query failed in a way that may pass.
            RefusedError: it can't be answered as it is; names the query in Athena's history.
        """
        text = statement(query)
        execution, ended = self._ask(text)
        if ended["Status"]["State"] == "FAILED":
            execution, ended = self._ask(text)
        if ended["Status"]["State"] != "SUCCEEDED":
            raise _failure(execution, ended["Status"])
        matches = tuple(match_of(row, query.words) for row in self._rows(execution))
        scanned = ended.get("Statistics", {}).get("DataScannedInBytes", 0)
        return Found(matches=matches, scanned_bytes=scanned)

    def _ask(self, text: str) -> tuple[str, Any]:
        """The execution's id, and how it ended."""
        started = call(
            self._athena.start_query_execution,
            QueryString=text,
            QueryExecutionContext={"Database": self._database},
            WorkGroup=self._workgroup,
        )
        execution = started["QueryExecutionId"]
        try:
            return execution, self._wait(execution)
        except BaseException:
            call(self._athena.stop_query_execution, QueryExecutionId=execution)
            raise

    def _wait(self, execution: str) -> Any:
        """The execution, once it has ended."""
        pauses = chain(POLL_SECONDS, repeat(POLL_SECONDS[-1]))
        while True:
            answer = call(self._athena.get_query_execution, QueryExecutionId=execution)
            found = answer["QueryExecution"]
            if found["Status"]["State"] not in RUNNING:
                return found
            self._progress(found["Status"]["State"])
            self._sleep(next(pauses))

    def _rows(self, execution: str) -> list[dict[str, str]]:
        rows: list[list[str]] = []
        token: dict[str, Any] = {}
        while True:
            answer = call(self._athena.get_query_results, QueryExecutionId=execution, **token)
            rows += [
                [cell.get("VarCharValue", "") for cell in row.get("Data", [])]
                for row in answer["ResultSet"]["Rows"]
            ]
            if not answer.get("NextToken"):
                break
            token = {"NextToken": answer["NextToken"]}
        names, *found = rows  # the first row of a SELECT's answer is its head
        return [dict(zip(names, row, strict=True)) for row in found]


def _failure(execution: str, status: Any) -> RefusedError | UnavailableError:
    """Athena says itself whether to try again ("AthenaError", Athena API Reference)."""
    why = f"query {execution} {status['State'].lower()}: {status.get('StateChangeReason', '')}"
    passing = status.get("AthenaError", {}).get("Retryable", False)
    return UnavailableError(why) if passing else RefusedError(why)
