"""Results as a workbook (.xlsx): numbers as numbers, text that no program executes."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

from fludapk.errors import InputError
from fludapk.patients.csv_list import Value, safe
from fludapk.units import as_typed

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_ROWS: Final = 1_048_576
_MOST_LETTERS: Final = 32_767
_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ALWAYS: Final = (1980, 1, 1, 0, 0, 0)
_SAVED_AT: Final = re.compile(rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>")


class Workbook:
    """A workbook that is written row by row.

    Parameters
    ----------
    names : sequence of str
        Header of the first sheet; it stays in sight.
    kept : int
        Number of columns at the left that come from the list: numbers in them are written as
        numbers only if no digit is lost.
    columns_read : mapping of str to str
        Field -> column and unit, for the second sheet.

    Raises
    ------
    InputError
        If the library for workbooks is not installed.
    """

    def __init__(self, names: Sequence[str], *, kept: int, columns_read: Mapping[str, str]) -> None:
        try:
            import openpyxl
        except ImportError as error:
            raise InputError("workbooks need the extra: pip install 'fludapk[excel]'") from error
        self._book = openpyxl.Workbook(write_only=True)
        self._kept = kept
        self._rows = 1
        self._sheet = self._book.create_sheet("results")
        self._sheet.freeze_panes = "A2"
        self._sheet.append([self._cell(name, is_bold=True) for name in names])
        columns = self._book.create_sheet("columns")
        columns.freeze_panes = "A2"
        columns.append([self._cell(name, is_bold=True) for name in ("field", "read from")])
        for what, column in columns_read.items():
            columns.append([self._cell(what), self._cell(column)])

    def add(self, values: Sequence[Value]) -> None:
        """Write a row.

        Raises
        ------
        InputError
            If the sheet is full.
        """
        self._rows += 1
        if self._rows > _MOST_ROWS:
            raise InputError(f"a sheet holds no more than {_MOST_ROWS} rows: write CSV")
        typed = [_as_number(value) for value in values[: self._kept]]
        self._sheet.append([self._cell(value) for value in (*typed, *values[self._kept :])])

    def content(self) -> bytes:
        """Return the file; the same rows give the same bytes."""
        saved = BytesIO()
        self._book.save(saved)
        packed = BytesIO()
        with (
            zipfile.ZipFile(saved) as before,
            zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as after,
        ):
            for entry in before.infolist():
                part = before.read(entry)
                if entry.filename == "docProps/core.xml":
                    part = _SAVED_AT.sub(b"", part)
                after.writestr(zipfile.ZipInfo(entry.filename, _ALWAYS), part, zipfile.ZIP_DEFLATED)
        return packed.getvalue()

    def _cell(self, value: Value, *, is_bold: bool = False) -> Any:
        """A cell; text stays text, whatever it begins with."""
        from openpyxl.cell import WriteOnlyCell

        if isinstance(value, float):
            cell = WriteOnlyCell(self._sheet, repr(value))  # as a number it would lose digits
            cell.data_type = "n"
            return cell
        if not isinstance(value, str):
            return value
        text = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", safe(str(value)))[:_MOST_LETTERS]
        cell = WriteOnlyCell(self._sheet, text)
        cell.data_type = "s"
        if is_bold:
            from openpyxl.styles import Font

            cell.font = Font(bold=True)
        return cell


def _as_number(value: Value) -> Value:
    """A number that was read as text, unless a digit of it would be lost."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) and as_typed(number) == value else value
