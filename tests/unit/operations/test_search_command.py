"""The command that asks the index: what it asks, what it shows, what it refuses."""

from typing import Any

import pytest

from operations import cli, search_command
from operations.stacks import Stack, StackError
from signalbox.documents.searching import Found, Match, Query

OUTPUTS = {"DocumentsDatabaseName": "database", "DocumentsWorkGroupName": "workgroup"}
MATCH = Match(
    bucket="b",
    key="a [report].pdf",
    version="1",
    batch=0,
    page=3,
    media_type="application/pdf",
    score=2.0,
    snippet="\u2026 of the year",
)


class Index:
    """Answers every query alike, and remembers them."""

    def __init__(self, *matches: Match) -> None:
        self.matches = matches
        self.asked: list[Query] = []

    def find(self, query: Query) -> Found:
        self.asked.append(query)
        return Found(matches=self.matches, scanned_bytes=12_345)


def stack(**parameters: str) -> Stack:
    return Stack(None, "signalbox-test", parameters, OUTPUTS)  # type: ignore[arg-type] # is not asked


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index(MATCH)
    monkeypatch.setattr(search_command, "AthenaSearch", lambda *_: index)
    return index


def search(query: Query, *, as_json: bool = False) -> int:
    return search_command.search(query, stack(), lambda _: None, as_json=as_json)


def test_a_person_reads_what_was_found_and_what_it_took(
    index: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(Query(words=("year",))) == 0
    shown = capsys.readouterr().out
    assert "s3://b/a [report].pdf" in shown
    assert "1 places in 1 objects. 12,345 bytes were read." in shown


def test_it_says_where_there_may_be_more(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    search(Query(words=("year",), limit=1))
    assert "there may be more than --limit 1" in capsys.readouterr().out


def test_a_program_reads_json(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    search(Query(words=("year",)), as_json=True)
    assert '"key": "a [report].pdf"' in capsys.readouterr().out


def test_a_stack_without_an_index_says_so(index: Index) -> None:
    bare = Stack(None, "signalbox-test", {}, {})  # type: ignore[arg-type] # is not asked
    with pytest.raises(StackError, match="DocumentsDatabaseName"):
        search_command.search(Query(words=("year",)), bare, lambda _: None, as_json=False)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["Annual", "report!"], {"words": ("annual", "report")}),
        (["--entity", "Ada Byron", "--limit", "5"], {"entity": "Ada Byron", "limit": 5}),
        (["x", "--bucket", "b", "--prefix", "p/"], {"words": ("x",), "bucket": "b", "prefix": "p/"}),
        (["--label", "Cat", "--media-type", "image/png"], {"label": "Cat", "media_type": "image/png"}),
    ],
)
def test_options_make_a_query(options: list[str], asked: dict[str, Any]) -> None:
    parsed = cli._parser().parse_args(["search", "--stack", "s", *options])
    assert search_command.query_of(parsed) == Query(**asked)


@pytest.mark.parametrize("options", [[], ["--limit", "3"], ["?!"]])
def test_a_search_for_nothing_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", "--stack", "s", *options]) == 2
    assert "What shall be found?" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_is_bounded(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["search", "--stack", "s", "--limit", limit, "x"])
    assert "not between 1 and 1,000" in capsys.readouterr().err
