"""CSV files as they come, and cells that no spreadsheet executes."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.patients.csv_list import CsvList, cell, line, open_list, safe

KNOWN: Final = {"id", "wt", "scr"}
EXECUTED: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
A_NUMBER: Final = re.compile(r"[+-]?[\d.,]+([eE][+-]?\d+)?")
SPITEFUL: Final = st.text(st.sampled_from("=+-@\t\r\n,;\"' a1.＝"), max_size=12)


def opened(tmp_path: Path, content: str | bytes) -> CsvList:
    path = tmp_path / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_list(path, KNOWN.__contains__)


def cells_of(text: str) -> Iterator[str]:
    """Every cell that a spreadsheet could see, whatever separates and whether it heeds quotes."""
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            yield from row
        for part in re.split(rf"[{delimiter}\r\n]", text):
            yield part.strip('"')


def is_executed(text: str, delimiter: str) -> bool:
    """Whether it begins a formula; a cell of the file that is a number is none."""
    bare = text.split(delimiter)[0].strip(' "\t\r\n')
    return bare.startswith(EXECUTED) and not (bare in ("+", "-") or A_NUMBER.fullmatch(bare))


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separators_line_ends_and_byte_order_marks(
    tmp_path: Path, delimiter: str, end: str, mark: str
) -> None:
    rows = [["id", "wt", "note"], ["1", "18.2", "a"], ["2", "70", "b"]]
    found = opened(tmp_path, mark + end.join(delimiter.join(row) for row in rows) + end)
    assert (found.delimiter, list(found.header)) == (delimiter, rows[0])
    assert list(found.rows()) == rows[1:]
    assert found.encoding == ("utf-8-sig" if mark else "utf-8")


@pytest.mark.parametrize("header", ['id;wt;"a,b,c,d"', "id;wt;a,b,c", "wt;x,y,z"])
def test_the_separator_is_the_one_that_gives_known_columns(tmp_path: Path, header: str) -> None:
    assert opened(tmp_path, header + "\n").delimiter == ";"


@pytest.mark.parametrize(
    ("cells", "decimal_comma"),
    [
        (["18,2", "7"], True),
        (["0,345"], True),
        ([",5"], True),
        (["0,30 mg/dL"], True),
        (["18.2"], False),
        (["18,2", "18.2"], False),  # mixed: each comma is refused where it stands
        (["1,234"], False),  # thousands?
        (["1,234", "18,2"], True),
        (["1.234", "18,2"], True),
        (["1.234,5", "18,2"], True),
        (["7"], False),
        (["a,b"], False),
    ],
)
def test_decimal_commas_are_recognised_by_what_cannot_be_thousands(
    tmp_path: Path, cells: list[str], decimal_comma: bool
) -> None:
    text = "id;wt\n" + "".join(f'{k};"{cell}"\n' for k, cell in enumerate(cells))
    assert opened(tmp_path, text).decimal_comma is decimal_comma
    assert not opened(tmp_path, text.replace(";", ",")).decimal_comma


def test_columns_that_are_not_read_say_nothing_about_decimals(tmp_path: Path) -> None:
    assert opened(tmp_path, "id;wt;version\n1;18,2;1.0\n").decimal_comma
    assert not opened(tmp_path, "id;wt;note\n1;18;3,5\n").decimal_comma


def test_decimals_are_looked_for_in_every_row(tmp_path: Path) -> None:
    assert opened(tmp_path, "id;wt\n" + "1;18\n" * 3000 + "2;18,2\n").decimal_comma


def test_blank_lines_are_rows_unless_they_end_the_file(tmp_path: Path) -> None:
    found = opened(tmp_path, "id,wt\n\n1,2\n\n\n3,4\n\n\n")
    assert list(found.rows()) == [["", ""], ["1", "2"], ["", ""], ["", ""], ["3", "4"]]


def test_a_list_that_is_not_utf_8_is_read_once_somebody_says_what_it_is(tmp_path: Path) -> None:
    content = b"id,wt,note\n1,2,M\xfcnchen\x00\n"
    with pytest.raises(InputError, match=r"list\.csv: is not UTF-8; it looks like"):
        opened(tmp_path, content)
    source = open_list(content, KNOWN.__contains__, encoding="cp1252")
    assert list(source.rows()) == [["1", "2", "München\x00"]]
    assert source.written_encoding == "utf-8-sig"


def test_a_stated_separator_and_titles_stand_above_the_header() -> None:
    text = "sep=;\nReport, of May\n\nid;wt;scr\n1;2;3\n;;\n4;5;6\n;;\n"
    source = open_list(text.encode(), KNOWN.__contains__)
    assert (source.delimiter, source.header) == (";", ("id", "wt", "scr"))
    assert source.titles == ("Report, of May",)
    assert list(source.rows()) == [["1", "2", "3"], ["", "", ""], ["4", "5", "6"]]
    assert source.first_row == 4  # a spreadsheet does not show the line of the separator


def test_one_name_that_is_understood_in_a_later_row_makes_no_header() -> None:
    source = open_list(b"a,b,c\n1,2,wt\n", KNOWN.__contains__)
    assert source.header == ("a", "b", "c")


def test_blank_cells_beyond_the_header_are_not_there() -> None:
    source = open_list(b"id,wt,\n1,2\n3,4,,,\n5,6,,7\n", KNOWN.__contains__)
    assert list(source.rows()) == [["1", "2", ""], ["3", "4", ""], ["5", "6", "", "7"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the first line must name the columns"),
        (b"\n\n", "the first line must name the columns"),
        (b" , ,\n1,2,3\n", "the first line must name the columns"),
        (b"PK\x03\x04...", "no workbook that we can read .* save it as .xlsx, or as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0...", "an old workbook .* save it as .xlsx without a password"),
        (b"id wt scr\n1 2 3\n", "columns that are separated by blanks"),
        (b"sep=#\nid#wt\n", "has '#' for a separator"),
        (b'id;wt\n1;"2\n3;4\n', "quotation marks do not match"),
        (b'id;wt\n1;"2"x\n3;4\n', "line 2: quotation marks do not match"),
    ],
)
def test_what_is_no_list_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        list(opened(tmp_path, content).rows())


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=f"{path.name}: cannot be read: {why}"):
            open_list(path, KNOWN.__contains__)
    with pytest.raises(InputError, match="not a file on disk"):
        open_list("/dev/null", KNOWN.__contains__)


def test_a_list_that_goes_away_is_an_error_of_reading(tmp_path: Path) -> None:
    found = opened(tmp_path, "id,wt\n1,2\n")
    Path(found.source.name).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        list(found.rows())


# --- Writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        (" =1+1", "' =1+1"),
        ("+49 89 1234", "'+49 89 1234"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1+1", "'＝1+1"),
        ("-1.5", "-1.5"),
        ("+1,5e-3", '"+1,5e-3"'),
        ("-", "-"),
        ("a=b", "a=b"),
        ("a;=1", '"a;\'=1"'),
        ("a,\n @x", '"a,\n\' @x"'),
        ('"=1', '"""\'=1"'),
        ("days -5, -4.5,-3", '"days -5, -4.5,-3"'),
        ("a;-", '"a;\'-"'),
        ("a;-3+x", '"a;\'-3+x"'),
        ("\t=1", "\"'\t'=1\""),
        ("", ""),
        ("it's", "it's"),
    ],
)
def test_what_a_spreadsheet_would_execute_has_an_apostrophe(text: str, written: str) -> None:
    assert cell(text) == written


@given(st.lists(st.lists(SPITEFUL, min_size=1, max_size=4), max_size=4), st.sampled_from(",;\t"))
@example([["x,=1", "a"]], ";")
@example([['x,"=1', "a"]], ";")
@example([['";=1']], ",")
@example([[";-1\t1"]], ",")
def test_no_text_is_executed_whatever_the_separator(rows: list[list[str]], delimiter: str) -> None:
    text = "".join(line(row, delimiter) for row in rows)
    assert [found for found in cells_of(text) if is_executed(found, delimiter)] == []
    again = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    if all(any(row) for row in rows):
        assert [[c.replace("'", "") for c in row] for row in again] == [
            [c.replace("'", "") for c in row] for row in rows
        ]


@given(st.text())
def test_a_text_without_orders_is_kept_as_it_is(text: str) -> None:
    if not set(text) & set("=+-@\t\r＝＋－＠"):
        assert safe(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_a_number_keeps_every_digit(value: float, decimal_comma: bool) -> None:
    text = line([value], ";", decimal_comma=decimal_comma)
    ((found,),) = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    assert ("," in found) <= decimal_comma
    assert float(found.replace(",", ".")) == value


def test_values_that_are_not_text() -> None:
    assert [cell(value) for value in (None, True, False, 3, 13.5)] == [
        "",
        "true",
        "false",
        "3",
        "13.5",
    ]
    assert cell(3, decimal_comma=True) == "3"
