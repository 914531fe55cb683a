"""Workbooks: values as they stand, no digit lost, no text executed."""

import contextlib
import datetime as dt
import io
import zipfile
from typing import Any, Final

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.patients.csv_list import open_list
from fludapk.patients.xlsx_list import read_sheet
from fludapk.patients.xlsx_results import Workbook


def saved(book: Any) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def a_book(*rows: list[Any]) -> Any:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    return book


def written(*rows: list[Any], kept: int = 0) -> bytes:
    book = Workbook([f"c{k}" for k in range(len(rows[0]))], kept=kept, columns_read={"age": "c0"})
    for row in rows:
        book.add(row)
    return book.content()


def sheet(content: bytes, name: str = "results") -> Any:
    return openpyxl.load_workbook(io.BytesIO(content))[name]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18.2, "18.2"),
        (110, "110"),
        (110.0, "110"),
        (True, "1"),
        (None, ""),
        ("0.3 mg/dL", "0.3 mg/dL"),
        (dt.datetime(2026, 1, 14, 8, 30), "2026-01-14 08:30"),
        (dt.datetime(2026, 1, 14, 8, 30, 15), "2026-01-14 08:30:15"),
        (dt.date(2021, 1, 14), "2021-01-14"),
        (dt.time(8, 30), "08:30:00"),
        (dt.timedelta(hours=36), "36 h"),
    ],
)
def test_a_value_is_what_a_person_would_type(value: Any, text: str) -> None:
    (row,) = read_sheet([saved(a_book([value, "end"]))])
    assert row == [text, "end"]


@pytest.mark.parametrize(
    ("number_format", "text"),
    [("0.00", "40"), ('0" lb"', "40 lb"), ("0 [$kg]", "40"), ("0%", "40 %"), ("0.0E+00", "40"),
     ('"Wt "0', "40 Wt")],
)  # fmt: skip
def test_a_unit_that_a_cell_shows_is_read(number_format: str, text: str) -> None:
    book = a_book([40])
    book.worksheets[0]["A1"].number_format = number_format
    assert read_sheet([saved(book)]) == [[text]]


def test_rows_and_columns_without_anything_are_not_there() -> None:
    book = a_book(["id", "wt", None], [None] * 3, ["1", 18.2])
    book.worksheets[0]["F9"].number_format = "0.0"
    assert read_sheet([saved(book)]) == [["id", "wt"], ["", ""], ["1", "18.2"]]


def test_titles_and_rows_are_numbered_as_the_program_shows_them() -> None:
    content = saved(a_book(["A report"], [None], ["id", "wt", "scr"], [1, 18.2, 0.3]))
    source = open_list(content, {"id", "wt", "scr"}.__contains__)
    assert (source.first_row, source.titles) == (4, ("A report",))
    assert list(source.rows()) == [["1", "18.2", "0.3"]]


def test_a_formula_is_its_value_or_a_fault() -> None:
    content = saved(a_book(["id"], ["=1+1"]))
    with pytest.raises(InputError, match="formulas without a value: A2: open it in a spreadsheet"):
        read_sheet([content])
    with_value = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(with_value, "w") as after,
    ):
        for entry in before.infolist():
            part = before.read(entry)
            after.writestr(entry.filename, part.replace(b"<v></v>", b"<v>2</v>").replace(
                b"<v />", b"<v>2</v>"))  # fmt: skip
    assert read_sheet([with_value.getvalue()]) == [["id"], ["2"]]


def test_a_sheet_is_named_where_several_hold_something() -> None:
    book = a_book(["id"])
    book.create_sheet("blank")
    assert read_sheet([saved(book)]) == [["id"]]
    book.create_sheet("second").append(["wt"])
    with pytest.raises(InputError, match="has several sheets: 'Sheet', 'second'"):
        read_sheet([saved(book)])
    assert read_sheet([saved(book)], "second") == [["wt"]]
    with pytest.raises(InputError, match="sheet = 'secnd' is not there: did you mean 'second'"):
        read_sheet([saved(book)], "secnd")


def test_a_workbook_of_nothing_and_one_that_would_fill_the_memory() -> None:
    with pytest.raises(InputError, match="holds no sheet with anything on it"):
        read_sheet([saved(openpyxl.Workbook())])
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for k in range(2):
            packed.writestr(f"{k}", bytes(100_000_000))
    with pytest.raises(InputError, match="unpacks to more than 150 MB"):
        read_sheet([bomb.getvalue()])


A_WORKBOOK: Final = written(["18.2", "=1"], kept=1)


@given(st.data())
def test_a_damaged_workbook_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(A_WORKBOOK)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        rows = read_sheet([bytes(content)])
        assert len({len(row) for row in rows}) <= 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_every_digit_out_and_in(number: float) -> None:
    content = written([number])
    assert sheet(content)["A2"].value == number
    (_, (text,)) = read_sheet([content], "results")
    assert float(text) == number


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "=HYPERLINK(1)"])
def test_text_is_never_a_formula(text: str) -> None:
    for kept in (0, 1):
        cell = sheet(written([text], kept=kept))["A2"]
        assert cell.data_type == "s"
        assert cell.value.startswith("'")


@pytest.mark.parametrize(
    ("text", "value"),
    [("18.2", 18.2), ("7", 7), ("007", "007"), ("18,2", "18,2"), ("1e5", "1e5"), ("nan", "nan"),
     ("12345678901234567890", "12345678901234567890"), ("inf", "inf"), ("", None)],
)  # fmt: skip
def test_a_cell_of_the_list_is_a_number_only_if_no_digit_is_lost(text: str, value: Any) -> None:
    assert sheet(written([text, 1], kept=1))["A2"].value == value


def test_the_header_stays_in_sight_and_the_columns_have_a_sheet() -> None:
    content = written(["a", 13.5, None, True])
    results, columns = sheet(content), sheet(content, "columns")
    assert results.freeze_panes == columns.freeze_panes == "A2"
    assert results["A1"].font.bold
    assert [cell.value for cell in results[2]] == ["a", 13.5, None, True]
    assert [[cell.value for cell in row] for row in columns] == [["field", "read from"],
                                                                 ["age", "c0"]]  # fmt: skip


@given(st.text())
def test_any_text_can_be_written(text: str) -> None:
    value = sheet(written([text, "end"]))["A2"].value
    if text.isprintable() and text.isalpha():
        assert value == text
    assert sheet(written([text, "end"]))["B2"].value == "end"


def test_a_workbook_does_not_tell_when_it_was_written() -> None:
    first = written(["a", 1.5])
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"dcterms:modified" not in packed.read("docProps/core.xml")
    assert written(["a", 1.5]) == first
