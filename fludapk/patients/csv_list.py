"""Lists as CSV files: separators and decimal commas as they come, cells safe for spreadsheets."""

from __future__ import annotations

import csv
import hashlib
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BufferedReader, BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

from fludapk.errors import Fault, InputError

Value: TypeAlias = str | float | int | bool | None

DELIMITERS: Final = (",", ";", "\t")
_FORMULA: Final = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
_NUMBER: Final = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_SPLITS: Final = re.compile(r'[,;\t"\r\n]')
_INSIDE: Final = re.compile(
    r'(?<=([,;\t"\r\n])) *(?=[=+\-@\uff1d\uff0b\uff0d\uff20])'
    r"(?![+-]\d+(?:\.\d+)? *(?:\1|\Z))"
)
"""Where a formula would begin if the spreadsheet split at another separator; not at -4 between two
of the same."""
_TENTHS: Final = re.compile(r"[+-]?(?:0?([.,])\d+|\d+([.,])(?:\d\d?|\d{4,}))(?!\d|[.,]\d)")
"""A number whose separator is a decimal one: 18,2 and 0,345, but not 1,234."""


@dataclass(frozen=True, kw_only=True)
class CsvList:
    """A list in a CSV file, or in bytes that hold one."""

    source: Source
    encoding: str
    delimiter: str
    decimal_comma: bool
    header: tuple[str, ...]

    def rows(self) -> Iterator[list[str]]:
        """Every row below the header as it stands; blank lines at the end are not rows."""
        blank = 0
        for cells in islice(_rows(self.source, self.encoding, self.delimiter), 1, None):
            if not cells:
                blank += 1
                continue
            yield from ([""] * len(self.header) for _ in range(blank))
            blank = 0
            yield cells

    def sha256(self) -> str:
        """Hash of the bytes of the list."""
        with self.source.opened() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Source:
    """Bytes that can be read from the beginning as often as one likes."""

    name: str
    """Name in faults."""
    content: bytes | None = None
    """None: those of the file of this name."""

    @contextmanager
    def opened(self) -> Iterator[BufferedReader | BytesIO]:
        """Open the bytes for reading."""
        if self.content is not None:
            yield BytesIO(self.content)
            return
        try:
            with Path(self.name).open("rb") as file:
                yield file
        except OSError as error:
            fault = Fault("", f"cannot be read: {error.strerror}", where=self.name)
            raise InputError(fault) from error


def open_list(
    source: str | Path | bytes, understood: Callable[[str], bool], *, name: str = "the list"
) -> CsvList:
    r"""Find out how a list is written, from its header and its first rows.

    Parameters
    ----------
    source : str, Path or bytes
        Comma, semicolon or tab separated; UTF-8 with or without byte-order mark. Bytes that are
        not UTF-8 are carried through.
    understood : callable
        Whether a column name is known: the separator is the one that gives most of those.
    name : str
        Name of a list of bytes in faults.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no header.

    Examples
    --------
    >>> found = open_list(b"id;wt\n1;18,2\n", {"id", "wt"}.__contains__)
    >>> found.delimiter, found.decimal_comma, found.header
    (';', True, ('id', 'wt'))
    """
    path = Source(name, source) if isinstance(source, bytes) else Source(str(source))

    def refused(why: str) -> InputError:
        return InputError(Fault("", why, where=path.name))

    csv.field_size_limit(2**31 - 1)
    with path.opened() as file:
        if path.content is None and not stat.S_ISREG(Path(path.name).stat().st_mode):
            raise refused("is not a file on disk: a list is read more than once")
        start = file.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise refused("is UTF-16: save it as CSV UTF-8")
    if start.startswith(b"PK\x03\x04") or start.startswith(b"\xd0\xcf\x11\xe0"):
        raise refused("is a workbook: save the sheet as CSV UTF-8")
    encoding = "utf-8-sig" if start.startswith(b"\xef\xbb\xbf") else "utf-8"

    def known(delimiter: str) -> tuple[int, int]:
        try:
            header = next(_rows(path, encoding, delimiter), [])
        except InputError:
            return 0, 0
        return sum(map(understood, header)), len(header)

    delimiter = max(DELIMITERS, key=known)
    rows = _rows(path, encoding, delimiter)
    header = tuple(next(rows, ()))
    if not any(name.strip() for name in header):
        raise refused("the first line must name the columns")
    places = [place for place, name in enumerate(header) if understood(name)]
    separators = set() if delimiter == "," else _decimal_separators(rows, places)
    return CsvList(
        source=path,
        encoding=encoding,
        delimiter=delimiter,
        decimal_comma=separators == {","},
        header=header,
    )


def _decimal_separators(rows: Iterable[list[str]], places: Sequence[int]) -> set[str]:
    """What separates decimals in some columns, where it cannot be thousands."""
    found = (
        _TENTHS.match(cells[place].strip())
        for cells in rows
        for place in places
        if place < len(cells)
    )
    return {match[1] or match[2] for match in found if match}


def _rows(source: Source, encoding: str, delimiter: str) -> Iterator[list[str]]:
    with (
        source.opened() as file,
        TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="") as text,
    ):
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                where = f"{source.name} line {reader.line_num}"
                fault = Fault("", f"quotation marks do not match ({error})", where=where)
                raise InputError(fault) from error
            yield cells


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before.

    Also inside, where a formula would begin if the spreadsheet split at another separator.

    Examples
    --------
    >>> safe("=1+1"), safe("-1.5"), safe("@SUM(A1)"), safe("ward 3"), safe("a;=1+1")
    ("'=1+1", '-1.5', "'@SUM(A1)", 'ward 3', "a;'=1+1")
    """
    if _SPLITS.search(text):
        text = _INSIDE.sub(r"'\g<0>", text)
    begins = {text[:1], text.lstrip()[:1]} - {""}
    is_formula = any(sign in _FORMULA for sign in begins) and not _is_harmless(text)
    return f"'{text}" if is_formula else text


def _is_harmless(text: str) -> bool:
    return text.strip() in ("-", "+") or _NUMBER.fullmatch(text.strip()) is not None


def cell(value: Value, *, decimal_comma: bool = False) -> str:
    r"""A value as a cell: every digit of a number, nothing for None; safe for spreadsheets.

    It is quoted where any separator, not only that of this file, could split it.

    Examples
    --------
    >>> cell(13.5, decimal_comma=True), cell(True), cell(None), cell("a; b")
    ('"13,5"', 'true', '', '"a; b"')
    """
    return _writers(decimal_comma)[type(value)](value)


def _text_cell(text: str) -> str:
    text = safe(text)
    return '"' + text.replace('"', '""') + '"' if _SPLITS.search(text) else text


@cache
def _writers(decimal_comma: bool) -> Mapping[type, Callable[[Any], str]]:
    """How a value of each type is written."""
    return {
        type(None): lambda _: "",
        str: _text_cell,
        bool: lambda value: str(value).lower(),
        int: str,
        float: (lambda value: f'"{value!r}"'.replace(".", ",")) if decimal_comma else repr,
    }


def line(values: Iterable[Value], delimiter: str, *, decimal_comma: bool = False) -> str:
    r"""A line of a CSV file.

    Examples
    --------
    >>> line(["ward 3", 13.5, None], ";", decimal_comma=True)
    'ward 3;"13,5";\n'
    """
    write = _writers(decimal_comma)
    return delimiter.join([write[type(value)](value) for value in values]) + "\n"


def document(rows: Sequence[Mapping[str, Value]]) -> str:
    r"""Rows as CSV; a column for every name, empty where a row has none.

    Examples
    --------
    >>> document([{"ID": "1", "auc": 13.5}, {"ID": "=2", "error": "no level"}])
    "ID,auc,error\n1,13.5,\n'=2,,no level\n"
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return line(names, ",") + "".join(line(map(row.get, names), ",") for row in rows)
