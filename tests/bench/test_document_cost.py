"""What documents cost: each way is one of the workflow's, and the bill is its usage times the prices."""

import pytest

from bench.cost import stack
from bench.document_cost import PARTS, WAYS, comprehend_units, documents_table, dollars, searches_table
from bench.prices import DOCUMENT_PRICES, PRICES
from tests.template.sources import ROOT

MEMORY = dict.fromkeys(stack().memory_mb, 1_024)


@pytest.mark.parametrize(
    ("characters", "units"), [(0, 3), (50, 6), (1_000, 20), (5_000, 60), (5_001, 63), (25_000, 260)]
)
def test_comprehend_bills_hundreds_of_characters_three_at_least(characters: int, units: int) -> None:
    """The language's sample of 1,000 and each batch."""
    assert comprehend_units(characters) == units


@pytest.mark.parametrize("name", WAYS)
def test_a_way_is_made_of_functions(name: str) -> None:
    way = WAYS[name]
    assert all((ROOT / "functions" / step / "handler.py").exists() for step in way.steps)
    assert way.steps[0].endswith("inspect_object")
    assert way.steps[-2:] == ("documents_load_document", "documents_settle_document")


def test_the_intake_is_billed_for_as_long_as_the_execution_takes() -> None:
    way = WAYS["PDF of 10 pages"]
    bill = dollars(way, MEMORY)
    assert bill["Lambda GB-seconds"] == pytest.approx(
        (len(way.steps) + len(way.steps)) * PRICES["Lambda GB-seconds"]
    )
    assert bill["Lambda requests"] == pytest.approx((len(way.steps) + 1) * PRICES["Lambda requests"])


def test_every_price_that_a_document_uses_is_in_one_column() -> None:
    columns = [price for prices in PARTS.values() for price in prices]
    used = {price for way in WAYS.values() for price in dollars(way, MEMORY)}
    assert used == set(columns)
    assert len(columns) == len(set(columns))
    assert DOCUMENT_PRICES.keys() <= used


def test_an_analysis_is_what_makes_a_document_dear() -> None:
    plain, analysed = (
        sum(dollars(WAYS[name], MEMORY).values()) for name in ("PDF of 10 pages", "… with entities")
    )
    assert analysed > 100 * plain


def test_the_tables_add_up() -> None:
    for line in documents_table(MEMORY).splitlines()[2:]:
        _, _, total, *parts, _ = (cell.strip() for cell in line.split("|"))
        assert float(total) == pytest.approx(sum(float(part) for part in parts if part), abs=0.01)
    assert "| 10 MB of the index or less | 0.05 |" in searches_table()
    assert "| 1 GB of it | 5.00 |" in searches_table()
