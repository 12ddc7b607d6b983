import pytest

from signalbox.errors import InvariantError
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Record, RecordStore
from signalbox.packages import dependents
from signalbox.packages.dependents import SHARDS, Dependency, Entry, shard_of
from signalbox.packages.entries import index_key
from signalbox.packages.index_store import IndexFullError, IndexStore

KEYS = [f"npm/acme/p{number}" for number in range(40)]


class Counted(MemoryLedger):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.writes = 0

    def records(self, keys: object) -> dict[str, Record]:
        self.reads += 1
        return super().records(keys)  # type: ignore[arg-type] # as it came

    def put_records(self, records: object) -> set[str]:
        self.writes += 1
        return super().put_records(records)  # type: ignore[arg-type] # as it came


@pytest.fixture
def ledger() -> Counted:
    return Counted()


@pytest.fixture
def index(ledger: RecordStore) -> IndexStore:
    return IndexStore(ledger, "acme")


def entry(version: str, sequence: int, read_at: float = 10.0) -> Entry:
    return Entry(version, sequence, read_at, (Dependency("npm//core", "^1"),), "team")


def test_what_is_merged_is_read_in_one_call(index: IndexStore, ledger: Counted) -> None:
    for number, key in enumerate(KEYS):
        assert index.merge(key, entry("1.0.0", number + 1))
    ledger.reads = 0
    read = index.read()
    assert ledger.reads == 1
    assert read.entries == {key: entry("1.0.0", number + 1) for number, key in enumerate(KEYS)}
    assert len(read.dependents("npm//core")) == len(KEYS)
    assert len({shard_of(key) for key in KEYS}) > 1


def test_nothing_is_there_before_somebody_has_looked(index: IndexStore) -> None:
    assert index.read().entries == {}


def test_a_late_event_writes_nothing(index: IndexStore, ledger: Counted) -> None:
    index.merge(KEYS[0], entry("1.1.0", 7))
    ledger.writes = 0
    assert not index.merge(KEYS[0], entry("1.0.0", 3, 99.0))
    assert ledger.writes == 0


def test_two_domains_have_an_index_each(index: IndexStore, ledger: Counted) -> None:
    index.merge(KEYS[0], entry("1.0.0", 1))
    assert IndexStore(ledger, "other").read().entries == {}


def test_a_rebuild_writes_every_shard_also_where_nothing_has_changed(
    index: IndexStore, ledger: Counted
) -> None:
    """That renews their life: rows of the ledger expire."""
    index.merge(KEYS[0], entry("1.0.0", 5))
    index.merge(KEYS[1], entry("1.0.0", 6))
    ledger.writes = 0
    for number in range(SHARDS):
        seen = {KEYS[0]: entry("1.0.0", 0, 20.0)} if number == shard_of(KEYS[0]) else {}
        index.rebuild(number, seen, 20.0)
    assert ledger.writes == SHARDS
    assert index.read().entries == {KEYS[0]: entry("1.0.0", 5, 20.0)}


def test_a_full_shard_is_named_and_stays_as_it_was(
    index: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.merge(KEYS[0], entry("1.0.0", 1))
    monkeypatch.setattr(dependents, "MAXIMUM_BYTES", 10)
    with pytest.raises(IndexFullError, match=r"index-full: dependents#acme#\d\d: 1 packages take"):
        index.merge(KEYS[0], entry("2.0.0", 2))
    assert index.read().entries[KEYS[0]].version == "1.0.0"


def test_a_shard_of_another_form_is_an_error_until_a_rebuild(index: IndexStore, ledger: Counted) -> None:
    number = shard_of(KEYS[0])
    ledger.put_records([Record(index_key("acme", number), {"packed": "AAAA"})])
    with pytest.raises(InvariantError, match="rebuild it"):
        index.read()
    with pytest.raises(InvariantError):
        index.merge(KEYS[0], entry("1.0.0", 1))
    index.rebuild(number, {KEYS[0]: entry("1.0.0", 0)}, 10.0)
    assert index.read().entries == {KEYS[0]: entry("1.0.0", 0)}
