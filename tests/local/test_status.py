"""What `make status` says of documents and of releases."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from rich.console import Console

from local import status
from local.account import Account, DocumentsAccount
from local.embedded import EmbeddedAws
from local.status import Said, show
from signalbox.documents.entries import Entry, record_of
from signalbox.documents.models import Outcome
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.records import Record, Rejection
from signalbox.packages.entries import record_of as release_record
from tests.adapters.tables import create_ledger_table
from tests.unit.packages.settlements import ENTRIES, KEY, SHOP

REGION = "us-east-1"
INDEXED = Entry(
    bucket="papers",
    key="a [b] ü.pdf",
    generation=2,
    settled=2,
    told=2,
    outcome=Outcome.INDEXED,
    reason="indexed",
    rows=3,
    media_type="application/pdf",
    occurred_at=100.0,
    settled_at=101.5,
)
UNDER_WAY = Entry(bucket="papers", key="new.txt", generation=5, settled=4, busy_until=900.0)
FAILED = Entry(
    bucket="papers", key="old.txt", generation=4, settled=1, reason="try-failed", detail="no answer"
)
GIVEN_UP = Entry(
    bucket="papers", key="x", generation=3, settled=3, outcome=Outcome.FAILED, reason="tries-used-up"
)


class Aws:
    """moto in the place of the embedded AWS."""

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]  # any service


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield Aws()


@pytest.fixture
def ledger(aws: Any) -> DynamoLedger:
    create_ledger_table(aws.client("dynamodb"), "ledger")
    return DynamoLedger(aws.client("dynamodb"), "ledger", time.time)


@pytest.fixture
def account(aws: Any, ledger: DynamoLedger) -> Account:
    entries = (INDEXED, UNDER_WAY, FAILED, GIVEN_UP)
    assert not ledger.put_records([*(record_of(entry, 0) for entry in entries), Record("other#1", {}, 0)])
    return Account(aws, {"LedgerTableName": "ledger"})


def test_the_documents_settled_last_are_found_and_those_under_way(account: Account) -> None:
    assert account.documents(10) == DocumentsAccount(4, 2, [GIVEN_UP, INDEXED], [FAILED, UNDER_WAY])
    assert account.documents(1) == DocumentsAccount(4, 2, [INDEXED], [FAILED])
    assert account.documents(0) == DocumentsAccount(4, 2, [], [])


def test_rejections_of_all_domains_are_found(account: Account, ledger: DynamoLedger) -> None:
    now = time.time()
    for at, domain in ((now - 0.2, "documents"), (now - 0.1, "spot")):
        rejection = Rejection(domain=domain, id="m1", code="malformed", where="$", what="", body="", at=at)
        ledger.reject(rejection)
    assert [each.domain for each in account.rejections()] == ["documents", "spot"]
    assert [each.domain for each in account.rejections("spot")] == ["spot"]


def test_the_releases_that_changed_last_are_found(account: Account, ledger: DynamoLedger) -> None:
    for number, name in enumerate(("denied", "build-failed", "promoted"), 1):
        release = msgspec.structs.replace(ENTRIES[name].release, version=f"npm/acme/ui/{number}.0.0")
        known = msgspec.structs.replace(ENTRIES[name], release=release, changed_at=9.0 - number)
        assert not ledger.put_records([release_record(known)])
    assert [each.release.version[-5:] for each in account.releases(10)] == ["3.0.0", "2.0.0", "1.0.0"]
    assert [each.release.version[-5:] for each in account.releases(2)] == ["2.0.0", "1.0.0"]
    assert account.releases(0) == []


SAID = Said(
    [],
    DocumentsAccount.of([INDEXED, UNDER_WAY, FAILED, GIVEN_UP], 10),
    [ENTRIES["build-failed"]],
    [],
    [],
)


def test_a_document_is_shown_with_what_became_of_it() -> None:
    console = Console(width=200)
    with console.capture() as shown:
        show(console, SAID)
    lines = shown.get().splitlines()
    assert "Documents: 4, of which 2 are under way" in shown.get()
    for key, texts in {
        "s3://papers/a [b] ü.pdf": ("INDEXED", "indexed", "application/pdf", " 3 ", "1.5"),
        "s3://papers/new.txt": ("under way",),
        "s3://papers/old.txt": ("comes again", "try-failed: no answer"),
        "s3://papers/x": ("FAILED", "tries-used-up"),
    }.items():
        [line] = [line for line in lines if f"{key} " in line]
        assert [text for text in texts if text not in line] == []


def test_a_release_is_shown_with_how_far_it_is() -> None:
    console = Console(width=200)
    with console.capture() as shown:
        show(console, SAID)
    [line] = [line for line in shown.get().splitlines() if KEY in line]
    for text in ("failed: build-failed", "1.1", "1 of 2", "0 of 3", f"{SHOP}: BUILD: exit status 1"):
        assert text in line
    [told] = SAID.as_data()["releases"]
    assert (told["release"]["version"], told["release"]["state"]) == (KEY, "failed")


def test_programs_get_all_of_it() -> None:
    told = SAID.as_data()["documents"]
    assert (told["objects"], told["objects_under_way"], len(told["under_way"])) == (4, 2, 2)
    [_, indexed] = told["settled"]
    assert (indexed["key"], indexed["outcome"], indexed["rows"]) == ("a [b] ü.pdf", "INDEXED", 3)
    assert indexed["seconds_after_event"] == 1.5


def test_where_nothing_has_happened_it_says_what_to_do() -> None:
    console = Console(width=200)
    with console.capture() as shown:
        show(console, Said([], DocumentsAccount.of([], 10), [], [], []))
    assert "No event yet" in shown.get()
    assert "Documents" not in shown.get()


def test_how_many_documents_can_be_chosen(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(EmbeddedAws, "attach", lambda _: object())
    monkeypatch.setattr(status, "outputs", lambda _: {})
    monkeypatch.setattr(status, "Account", lambda *_: account)
    assert status.main(["--documents", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["documents"]
    assert (told["objects"], [each["key"] for each in told["settled"]]) == (4, ["a [b] ü.pdf"])
