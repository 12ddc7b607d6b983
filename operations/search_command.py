"""The command `search`: asks the stack's index, through Athena or in OpenSearch, and shows the answer."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

import msgspec
from rich.markup import escape

from local.display import table, terminal
from local.progress import Steps
from signalbox.documents.aws_athena import AthenaSearch
from signalbox.documents.searching import MOST_MATCHES, Found, Query, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from operations.stacks import Stack
    from signalbox.documents.aws_opensearch import Service
    from signalbox.documents.searching import Search

SEARCH = """\
Finds documents that hold all of the words, in lower or upper case and anywhere, best first. Filters narrow it
down; with filters alone no word is needed.

The index in S3 is asked through Athena, which bills what a query reads; it says how much. With the parameter
DocumentsOpenSearchEndpoint, OpenSearch is asked instead, with the credentials of your shell."""
PARAMETER = "DocumentsOpenSearchEndpoint"
SERVICE = re.compile(r"arn:[^:]+:(es|aoss):")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What may be asked."""
    command.add_argument("words", nargs="*", metavar="WORDS")
    command.add_argument("--bucket", default="", help="only objects of this bucket")
    command.add_argument("--prefix", default="", help="only objects whose key begins so")
    command.add_argument(
        "--entity", default="", metavar="NAME", help="only where this is named: 'Ada Lovelace'"
    )
    command.add_argument("--label", default="", metavar="NAME", help="only pictures that show this")
    command.add_argument("--media-type", default="", metavar="TYPE", help="only such, as application/pdf")
    command.add_argument(
        "--limit", type=_limit, default=20, metavar="N", help="at most so many (default: 20)"
    )
    command.add_argument("--json", action="store_true", help="the same as JSON, for programs")


def _limit(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MOST_MATCHES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and {MOST_MATCHES:,}")


def query_of(options: argparse.Namespace) -> Query:
    """What the options ask."""
    return Query(
        words=words_of(" ".join(options.words)),
        bucket=options.bucket,
        prefix=options.prefix,
        entity=options.entity,
        label=options.label,
        media_type=options.media_type,
        limit=options.limit,
    )


def is_empty(query: Query) -> bool:
    """Neither a word nor a filter."""
    return query == Query(limit=query.limit)


def search(query: Query, stack: Stack, clients: Callable[[str], Any], *, as_json: bool) -> int:
    """Asks and shows; 0 also where nothing is found."""
    with Steps() as report:
        found = _search(stack, clients, report).find(query)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
        return 0
    console = terminal()
    if found.matches:
        console.print(matches_table(found))
    console.print(_summary(found, query))
    return 0


def _search(stack: Stack, clients: Callable[[str], Any], report: Callable[[str], None]) -> Search:
    endpoint = stack.parameters.get(PARAMETER, "")
    if not endpoint:
        report("Asking Athena")
        database, workgroup = stack.output("DocumentsDatabaseName"), stack.output("DocumentsWorkGroupName")
        return AthenaSearch(clients("athena"), database, workgroup)
    # Only where it is the index: it takes half a second to import.
    from signalbox.documents.aws_opensearch import connect  # noqa: PLC0415 - see above
    from signalbox.documents.opensearch_index import OpenSearchIndex  # noqa: PLC0415 - see above

    report("Asking OpenSearch")
    named = SERVICE.match(stack.parameters.get("DocumentsOpenSearchArn", ""))
    service: Service = "aoss" if named and named[1] == "aoss" else "es"
    return OpenSearchIndex(connect(endpoint, service, stack.region))


def matches_table(found: Found) -> Table:
    """One row a match."""
    rows = table("object", "page", "what it says")
    for match in found.matches:
        said = match.snippet or ", ".join(match.labels)
        rows.add_row(escape(f"s3://{match.bucket}/{match.key}"), str(match.page or "-"), escape(said))
    return rows


def _summary(found: Found, query: Query) -> str:
    objects = len({(match.bucket, match.key) for match in found.matches})
    more = f"; there may be more than --limit {query.limit}" if len(found.matches) == query.limit else ""
    read = f" {found.scanned_bytes:,} bytes were read." if found.scanned_bytes else ""
    return f"{len(found.matches)} places in {objects} objects{more}.{read}"
