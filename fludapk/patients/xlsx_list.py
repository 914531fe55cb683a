"""Lists in workbooks (.xlsx): the values of one sheet, as text that a person would type."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, Final

from fludapk.errors import Fault, InputError, nearest
from fludapk.language import tr
from fludapk.units import as_typed

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"
_MOST_BYTES: Final = 150_000_000
"""A workbook that unpacks to more is not read: a small file can hold gigabytes of blanks."""
_SHOWN: Final = 5
_ESCAPED: Final = re.compile(r"\\([^\W\d_]| )")
"""A letter or blank of the format as it is written without quotation marks."""
_UNIT_OF_FORMAT: Final = re.compile(r'"\s*([^"\d]+?)\s*"')


def is_workbook(start: bytes) -> bool:
    r"""Tell a workbook, new or old, from text by its first bytes.

    Examples
    --------
    >>> is_workbook(b"PK\x03\x04..."), is_workbook(b"id,wt")
    (True, False)
    """
    return start.startswith((_ZIP, _OLE))


def read_sheet(parts: Iterable[bytes], sheet: str | None = None) -> list[list[str]]:
    """Read the rows of a sheet.

    Numbers keep every digit, dates become ``2026-01-14 08:30``. Values are read, never formulas:
    of a formula the value with which the workbook was saved.

    Parameters
    ----------
    parts : iterable of bytes
        The file in pieces.
    sheet : str, optional
        Name of the sheet; needed if several hold something.

    Raises
    ------
    InputError
        If it cannot be read, the sheet is not named, or a formula has no value.
    """
    content = b"".join(parts)
    if content.startswith(_OLE):
        do = tr("save it as .xlsx without a password, or as CSV UTF-8")
        found = tr("is an old workbook (.xls), or locked by a password")
        raise InputError(Fault("", found, do=do))
    values, formulas = _loaded(content)
    try:
        name = _chosen(values, sheet)
        return _texts(values[name], formulas[name])
    except InputError:
        raise
    except Exception as error:  # of whatever a damaged part of the file breaks
        raise InputError(_unreadable(error)) from error
    finally:
        values.close()
        formulas.close()


def _loaded(content: bytes) -> tuple[Workbook, Workbook]:
    """The workbook with values, and with formulas."""
    try:
        import openpyxl
    except ImportError as error:
        do = tr("save the sheet as CSV UTF-8, or pip install 'fludapk[excel]'")
        found = tr("is a workbook; to read it needs the extra")
        raise InputError(Fault("", found, do=do)) from error
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MOST_BYTES:
                raise InputError(tr("unpacks to more than 150 MB: save the sheet as CSV UTF-8"))
        values, formulas = (
            openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=is_value)
            for is_value in (True, False)
        )
    except InputError:
        raise
    except Exception as error:  # a package of another kind, or a damaged one: many exceptions
        raise InputError(_unreadable(error)) from error
    return values, formulas


def _unreadable(error: Exception) -> Fault:
    found = tr("is no workbook that we can read ({why})", why=type(error).__name__)
    return Fault("", found, do=tr("save it as .xlsx, or as CSV UTF-8"))


def _chosen(book: Workbook, sheet: str | None) -> str:
    """Name of the sheet to be read."""
    names = [page.title for page in book.worksheets]
    if sheet is not None:
        if sheet not in names:
            found = tr("= {sheet!r} is not there", sheet=sheet)
            raise InputError(Fault("sheet", found, do=nearest(sheet, names)))
        return sheet
    filled = [page.title for page in book.worksheets if not _is_blank(page)]
    if len(filled) > 1:
        listed = ", ".join(repr(name) for name in filled)
        found = tr("has several sheets: {sheets}", sheets=listed)
        raise InputError(Fault("sheet", found, do=tr("name one by {sheet}"), whole=True))
    if not filled:
        raise InputError(tr("holds no sheet with anything on it"))
    return str(filled[0])


def _is_blank(page: Any) -> bool:
    page.reset_dimensions()  # those in the file may be wrong
    return not any(value is not None for row in page.iter_rows(values_only=True) for value in row)


def _texts(values: Any, formulas: Any) -> list[list[str]]:
    """Rows of a sheet as text; those at the end that are blank are left out."""
    values.reset_dimensions()
    formulas.reset_dimensions()
    rows: list[list[str]] = []
    without: list[str] = []
    for cells, written in zip_longest(values.iter_rows(), formulas.iter_rows(), fillvalue=()):
        without += _without_value(cells, written)
        rows.append([_text(cell) for cell in cells])
    if without:
        shown = ", ".join(without[:_SHOWN]) + (" ..." if len(without) > _SHOWN else "")
        do = tr("open it in a spreadsheet program, let it calculate and save it")
        found = tr("has formulas without a value: {cells}", cells=shown)
        raise InputError(Fault("", found, do=do))
    while rows and not any(rows[-1]):
        rows.pop()
    width = max(map(_width, rows), default=0)
    return [[*row[:width], *([""] * (width - len(row)))] for row in rows]


def _without_value(cells: Sequence[Any], written: Sequence[Any]) -> Iterator[str]:
    """Places of formulas that were saved without their value."""
    for cell, formula in zip(cells, written, strict=False):
        if formula.data_type == "f" and cell.value is None:
            yield formula.coordinate


def _width(row: Sequence[str]) -> int:
    """Number of cells up to the last one that is filled."""
    return next((n for n in range(len(row), 0, -1) if row[n - 1]), 0)


def _text(cell: Any) -> str:
    """A cell as a person would type it; a unit that its format shows goes after the number."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        number = as_typed(float(value)) if isinstance(value, float) else str(value)
        unit = _unit_shown(cell.number_format)
        return f"{number} {unit}" if unit else number
    if isinstance(value, dt.datetime):
        has_time = re.search(r"h", cell.number_format, re.IGNORECASE) is not None
        if not has_time and value.time() == dt.time():
            return value.date().isoformat()
        is_full = value.second or value.microsecond
        return value.isoformat(" ", "seconds" if is_full else "minutes")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return f"{as_typed(value.total_seconds() / 3600)} h"
    return str(value)


def _unit_shown(number_format: str | None) -> str:
    """Words in the format of a number, as in ``0.0" lb"``; a percent sign as well."""
    shown = _ESCAPED.sub(r'"\1"', number_format or "").replace('""', "")
    words = _UNIT_OF_FORMAT.findall(shown.partition(";")[0])
    percent = ["%"] if "%" in re.sub(r'"[^"]*"', "", shown) else []
    return " ".join(chain(words, percent)).strip()
