from collections.abc import Sequence

import msgspec
import pytest

from signalbox.errors import UnavailableError
from signalbox.ledger.changing import CHANGE_ATTEMPTS, change_record
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.records import Record

KEY = "counter"


class Contended(MemoryLedger):
    """Somebody else counts up just before each of the first writes."""

    def __init__(self, rivals: int) -> None:
        super().__init__()
        self.rivals = rivals

    def put_records(self, records: Sequence[Record]) -> set[str]:
        if self.rivals:
            self.rivals -= 1
            known = self.records([KEY]).get(KEY, Record(KEY, {"n": 0}))
            super().put_records([msgspec.structs.replace(known, body={"n": known.body["n"] + 1})])
        return super().put_records(records)


def up(known: Record | None) -> Record:
    return Record(KEY, {"n": known.body["n"] + 1 if known else 1})


def test_a_record_begins_and_changes() -> None:
    ledger = MemoryLedger()
    assert change_record(ledger, KEY, up) == Record(KEY, {"n": 1}, 1)
    assert change_record(ledger, KEY, up) == Record(KEY, {"n": 2}, 2)
    assert ledger.records([KEY])[KEY] == Record(KEY, {"n": 2}, 2)


def test_what_may_stay_as_it_is_is_not_written() -> None:
    ledger = MemoryLedger()
    assert change_record(ledger, KEY, lambda _: None) is None
    change_record(ledger, KEY, up)
    assert change_record(ledger, KEY, lambda _: None) == Record(KEY, {"n": 1}, 1)


@pytest.mark.parametrize("rivals", range(CHANGE_ATTEMPTS))
def test_nothing_of_anybodys_is_lost(rivals: int) -> None:
    ledger = Contended(rivals)
    assert change_record(ledger, KEY, up) == Record(KEY, {"n": rivals + 1}, rivals + 1)


def test_who_is_never_first_gives_up() -> None:
    with pytest.raises(UnavailableError, match="counter: changed under every attempt"):
        change_record(Contended(CHANGE_ATTEMPTS), KEY, up)
