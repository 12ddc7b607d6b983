"""Excel, also from before 2007: a page a sheet, a line a row; of formulas the values they had when saved."""

from collections.abc import Iterator
from datetime import date, time

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    load_workbook,
)

from signalbox.documents.batching import Page
from signalbox.documents.conversion.converters import Source, UnconvertibleError, check_pages, damaged
from signalbox.documents.models import Outcome


def convert(source: Source) -> Iterator[Page]:
    try:
        with load_workbook(source.path) as workbook:
            yield from _pages(workbook, source)
    except PasswordError as error:
        detail = "The workbook opens with a password only."
        raise UnconvertibleError(Outcome.ENCRYPTED, "password-needed", detail) from error
    except CalamineError as error:
        raise damaged(f"The workbook can't be read: {error}.") from error


def _pages(workbook: CalamineWorkbook, source: Source) -> Iterator[Page]:
    sheets = [each.name for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    check_pages(len(sheets), source.limits)
    for number, name in enumerate(sheets, 1):
        yield Page(f"{name}\n", number)
        for row in workbook.get_sheet_by_name(name).iter_rows():
            cells = "\t".join(map(_shown, row)).rstrip("\t")
            yield Page(f"{cells}\n", number)
        yield Page("\n", number)


def _shown(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date | time) else str(value)
