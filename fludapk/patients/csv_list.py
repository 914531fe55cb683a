"""Lists as files: separators, encodings and decimal commas as they come, cells safe to open."""

from __future__ import annotations

import csv
import hashlib
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

from fludapk.errors import Fault, InputError
from fludapk.language import marked, tr
from fludapk.patients.encodings import encoding_of
from fludapk.patients.xlsx_list import is_workbook, read_sheet

Value: TypeAlias = str | float | int | bool | None

DELIMITERS: Final = (",", ";", "\t")
_FORMULA: Final = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
_NUMBER: Final = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_. /-]*")
"""Texts that nothing can take for a formula, nor split."""
_SPLITS: Final = re.compile(r'[,;\t"\r\n]')
_INSIDE: Final = re.compile(
    r'(?<=([,;\t"\r\n])) *(?=[=+\-@\uff1d\uff0b\uff0d\uff20])'
    r"(?![+-]\d+(?:\.\d+)? *(?:\1|\Z))"
)
"""Places where a formula would begin if the spreadsheet split at another separator; not at -4
between two of the same."""
_TENTHS: Final = re.compile(
    r"[<>≤≥=\s]{0,9}[+-]?(?:0?([.,])\d+|\d+([.,])(?:\d\d?|\d{4,}))(?!\d|[.,]\d)"
)
"""A number whose separator is a decimal one: 18,2 and 0,345, but not 1,234."""


@dataclass(frozen=True, kw_only=True)
class CsvList:
    """A list in a CSV file or a workbook, or in bytes that hold one."""

    source: Source
    encoding: str
    """Codec of the file; that of the results is `written_encoding`."""
    delimiter: str
    decimal_comma: bool
    header: tuple[str, ...]
    above: int = 0
    """Lines above the header that are left out."""
    first_row: int = 2
    """Number of the first row below the header, as a spreadsheet counts."""
    titles: tuple[str, ...] = ()
    """Text of the lines above the header."""
    sheet: tuple[list[str], ...] | None = field(default=None, repr=False)
    """Rows of a workbook."""

    def rows(self) -> Iterator[list[str]]:
        """Every row below the header as it stands; blank rows at the end are not rows.

        Blank cells beyond the header, of separators at the end of a line, are left out.
        """
        blank: list[list[str]] = []
        for cells in islice(self._every_row(), self.above + 1, None):
            if not any(map(str.strip, cells)):
                blank.append([""] * len(self.header))
                continue
            yield from blank
            blank = []
            yield self._fitted(cells)

    def _every_row(self) -> Iterator[list[str]]:
        if self.sheet is not None:
            return iter(self.sheet)
        return _rows(self.source, self.encoding, self.delimiter)

    def _fitted(self, cells: list[str]) -> list[str]:
        """A row without what separators at the end of a line add, or with what they lack."""
        n = len(self.header)
        if len(cells) > n and not any(map(str.strip, cells[n:])):
            return cells[:n]
        if len(cells) < n and not any(map(str.strip, self.header[len(cells) :])):
            return [*cells, *([""] * (n - len(cells)))]
        return cells

    @property
    def written_encoding(self) -> str:
        """Encoding of the results: UTF-8, with a mark for spreadsheets unless the list had none."""
        return "utf-8" if self.encoding == "utf-8" else "utf-8-sig"

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
            mode = Path(self.name).stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait
                why = tr("is not a file on disk: a list is read more than once")
                raise InputError(Fault("", why, where=self.name))
            with Path(self.name).open("rb") as file:
                yield file
        except OSError as error:
            why = tr("cannot be read: {why}", why=error.strerror)
            fault = Fault("", why, where=self.name)
            raise InputError(fault) from error

    def parts(self) -> Iterator[bytes]:
        """The bytes in pieces."""
        with self.opened() as file:
            while part := file.read(1 << 20):
                yield part


def open_list(
    source: str | Path | bytes,
    understood: Callable[[str], bool],
    *,
    name: str = "",
    encoding: str | None = None,
    sheet: str | None = None,
) -> CsvList:
    r"""Find out how a list is written, from its header and its rows.

    Parameters
    ----------
    source : str, Path or bytes
        Comma, semicolon or tab separated text, or a workbook (.xlsx).
    understood : callable
        Tells whether a column name is understood: separator and header are those that give most of
        these.
    name : str
        Name of a list of bytes in faults; "the list" if empty.
    encoding : str, optional
        Of a text that neither is UTF-8 nor has a byte-order mark; see
        `fludapk.patients.encodings`.
    sheet : str, optional
        Sheet of a workbook that has several.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no header.

    Examples
    --------
    >>> ages = open_list(b"id;wt\n1;18,2\n", {"id", "wt"}.__contains__)
    >>> ages.delimiter, ages.decimal_comma, ages.header
    (';', True, ('id', 'wt'))
    """
    path = Source(str(source))
    if isinstance(source, bytes):
        path = Source(name or tr("the list"), source)
    with path.opened() as file:
        start = file.read(8)

    def is_known(name: str) -> bool:
        """Understand names of a length that names have; no pattern sees another."""
        return len(name) <= LONGEST_NAME and understood(name)

    try:
        if is_workbook(start):
            if encoding:
                found = tr("is for text files; this is a workbook")
                raise InputError(Fault("encoding", found))
            return _of_rows(path, tuple(read_sheet(path.parts(), sheet)), is_known)
        if sheet:
            found = tr("is for workbooks (.xlsx); this is a text file")
            raise InputError(Fault("sheet", found))
        return _of_text(path, encoding_of(path.parts(), encoding or None), is_known)
    except InputError as error:
        if any(fault.where for fault in error.faults):
            raise
        raise error.at(where=path.name) from None


def _refused(source: Source, why: str, do: str = "") -> InputError:
    return InputError(Fault("", why, do=do, where=source.name))


def _check_names(source: Source, header: Sequence[str]) -> None:
    """Refuse a header without names, or with one too long for the patterns that read it."""
    if not any(name.strip() for name in header):
        raise _refused(source, tr("the first line must name the columns"))
    longest = max(map(len, header))
    if longest > LONGEST_NAME:
        why = tr("the name of a column has {n} characters: at most {most}",
                 n=longest, most=LONGEST_NAME)  # fmt: skip
        raise _refused(source, why)


def _of_rows(
    source: Source, rows: tuple[list[str], ...], understood: Callable[[str], bool]
) -> CsvList:
    """A list that stands in a sheet."""
    above = _place_of_header(rows[:_TOP], understood)
    header = tuple(rows[above]) if rows else ()
    _check_names(source, header)
    return CsvList(
        source=source,
        encoding="utf-8-sig",
        delimiter=",",
        decimal_comma=_has_decimal_commas(rows[above + 1 :], header, understood),
        header=header,
        above=above,
        first_row=above + 2,
        titles=_titles(rows[:above]),
        sheet=rows,
    )


def _of_text(source: Source, encoding: str, understood: Callable[[str], bool]) -> CsvList:
    """A list that stands in a text file."""
    csv.field_size_limit(2**31 - 1)
    stated = _stated_delimiter(source, encoding)
    tops = {
        delimiter: _top(source, encoding, delimiter)
        for delimiter in ([stated] if stated else DELIMITERS)
    }
    # looked at here: what follows reads every name in many ways
    if any(len(row) > MOST_COLUMNS for top in tops.values() for row in top):
        raise _refused(source, tr("has more than {most} columns", most=MOST_COLUMNS))
    skipped = 1 if stated else 0  # the line that states the separator
    places = {
        delimiter: skipped + _place_of_header(top[skipped:], understood)
        for delimiter, top in tops.items()
    }

    def merit(delimiter: str) -> tuple[int, int]:
        header = tops[delimiter][places[delimiter]] if tops[delimiter][skipped:] else []
        return sum(map(understood, header)), len(header)

    delimiter = max(tops, key=merit)
    above = places[delimiter]
    rows = _rows(source, encoding, delimiter)
    header = tuple(next(islice(rows, above, None), ()))
    _check_names(source, header)
    _refuse_other_separators(source, tops[delimiter][skipped:], understood)
    return CsvList(
        source=source,
        encoding=encoding,
        delimiter=delimiter,
        decimal_comma=delimiter != "," and _has_decimal_commas(rows, header, understood),
        header=header,
        above=above,
        first_row=above + 2 - skipped,
        titles=_titles(tops[delimiter][skipped:above]),
    )


MOST_COLUMNS: Final = 1000
LONGEST_NAME: Final = 500
"""Characters of the name of a column."""
_TOP: Final = 20
"""Rows among which the header is looked for."""
_STATED: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_OTHER_SEPARATORS: Final = {
    r"\s+": marked("blanks"),
    r"\|": marked("upright strokes (|)"),
}


def _stated_delimiter(source: Source, encoding: str) -> str | None:
    """Separator that the first line states, as spreadsheets write it: ``sep=;``."""
    with (
        source.opened() as file,
        TextIOWrapper(file, encoding=encoding, newline=None) as text,
    ):
        first = text.readline(20)
    match = _STATED.fullmatch(first)
    if match is None:
        return None
    if match[1] not in DELIMITERS:
        why = tr("has {sign!r} for a separator", sign=match[1])
        raise _refused(source, why, tr("use comma, semicolon or tab"))
    return match[1]


def _top(source: Source, encoding: str, delimiter: str) -> list[list[str]]:
    """The first rows, as far as they can be read."""
    rows: list[list[str]] = []
    with suppress(InputError):
        rows.extend(islice(_rows(source, encoding, delimiter), _TOP))
    return rows


def _place_of_header(rows: Sequence[list[str]], understood: Callable[[str], bool]) -> int:
    """Place of the header: the first row, unless titles stand above one that is understood."""
    counts = [sum(map(understood, cells)) for cells in rows]
    best = max(counts, default=0)
    return counts.index(best) if best >= len(("age", "weight", "height")) else 0


def _titles(rows: Iterable[list[str]]) -> tuple[str, ...]:
    texts = (" ".join(cell.strip() for cell in cells if cell.strip()) for cells in rows)
    return tuple(text for text in texts if text)


def _refuse_other_separators(
    source: Source, rows: Sequence[list[str]], understood: Callable[[str], bool]
) -> None:
    """Refuse a list whose header is understood only with a separator that we do not read."""
    if any(sum(map(understood, cells)) > 1 for cells in rows):
        return
    for pattern, words in _OTHER_SEPARATORS.items():
        for cells in rows:
            names = re.split(pattern, " ".join(cells).strip())
            if sum(map(understood, names)) >= 3:
                do = tr("separate them by commas, semicolons or tabs")
                why = tr("has columns that are separated by {signs}", signs=tr(words))
                raise _refused(source, why, do)


def _has_decimal_commas(
    rows: Iterable[list[str]], header: Sequence[str], understood: Callable[[str], bool]
) -> bool:
    places = [place for place, name in enumerate(header) if understood(name)]
    return _decimal_separators(rows, places) == {","}


def _decimal_separators(rows: Iterable[list[str]], places: Sequence[int]) -> set[str]:
    """Signs that separate decimals in some columns and cannot separate thousands."""
    numbers = (
        _TENTHS.match(cells[place].strip())
        for cells in rows
        for place in places
        if place < len(cells)
    )
    return {match[1] or match[2] for match in numbers if match}


def _rows(source: Source, encoding: str, delimiter: str) -> Iterator[list[str]]:
    with (
        source.opened() as file,
        TextIOWrapper(file, encoding=encoding, newline="") as text,
    ):
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                where = tr("{file} line {line}", file=source.name, line=reader.line_num)
                found = tr("quotation marks do not match ({why})", why=error)
                fault = Fault("", found, where=where)
                raise InputError(fault) from error
            except UnicodeError as error:
                raise _refused(source, tr("changed while it was read")) from error
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
    if not text.startswith(_FORMULA) and not text.lstrip().startswith(_FORMULA):
        return text
    return text if _is_harmless(text) else f"'{text}"


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
    return WRITERS[decimal_comma][type(value)](value)


def _text_cell(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    text = safe(text)
    return '"' + text.replace('"', '""') + '"' if _SPLITS.search(text) else text


Writers: TypeAlias = Mapping[type, Callable[[Any], str]]
"""Writer of a value of each type."""
WRITERS: Final[Mapping[bool, Writers]] = {
    decimal_comma: {
        type(None): lambda _: "",
        str: _text_cell,
        bool: {True: "true", False: "false"}.__getitem__,
        int: str,
        float: (lambda value: f'"{value!r}"'.replace(".", ",")) if decimal_comma else repr,
    }
    for decimal_comma in (False, True)
}
"""Writers with a decimal point, and with a decimal comma."""


def line(
    values: Iterable[Value],
    delimiter: str,
    *,
    decimal_comma: bool = False,
) -> str:
    r"""A line of a CSV file.

    Parameters
    ----------
    values : iterable
    delimiter : str
    decimal_comma : bool

    Examples
    --------
    >>> line(["ward 3", 13.5, None], ";", decimal_comma=True)
    'ward 3;"13,5";\n'
    """
    write = WRITERS[decimal_comma]
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
