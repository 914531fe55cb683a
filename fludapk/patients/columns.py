"""Columns of lists: what a header means, and how a row is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from fludapk.errors import Fault, InputError, nearest
from fludapk.patients.clock import is_clock
from fludapk.patients.csv_list import CsvList, open_list
from fludapk.patients.fields import COURSE, FIELDS, PATIENT, RENAL, REQUIRED, keyword
from fludapk.patients.record_names import is_records, is_telling, record_column
from fludapk.patients.request import Request, read_request

_LISTED: Final = (*PATIENT, *COURSE, "round_to_mg", "model")
"""Fields that have columns in lists."""

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "id": ("id", ""),
    "sexf": ("sexf", ""),
    **{
        column: (FIELDS[key].name, unit)
        for key in _LISTED
        for column, unit in FIELDS[key].list_columns.items()
        if column != "dose_mg"  # of records: the dose of each of them
    },
}
"""Name of a column -> name of its field, and the unit of its numbers. Without a unit here each cell
has its own, or the default of the field; creatinine has no default."""

ALIASES: Final = {
    "wt": "weight_kg",
    "ht": "height_cm",
    "bw": "weight_kg",
    "creatinine_mg_dl": "scr_mg_dl",
    "creatinine_umol_l": "scr_umol_l",
    "gfr": "egfr",
    "infusion_h": "infusion_time_h",
}
"""Other names of columns, as exports have them; AGE is in years, SCR needs a unit in each cell."""

IGNORED: Final = "-"
"""`--map COLUMN=-`: the column is kept but not read."""

_MISSING: Final = frozenset({"", ".", "na", "n/a", "#n/a", "nan", "null", "none"})
"""Cells of records that say nothing."""

_RENAL: Final = tuple(FIELDS[key].name for key in RENAL)
_DOSING: Final = ("regimen", "dose", "days", "interval")
_BY_CLOCK: Final = FIELDS["cells_at_h"].name
"""May be a clock time, which has no unit."""
_OWN_OF_RECORDS: Final = ("dose", "days", "interval", "infusion_time", "bsa_cap", "round_to")
"""What records say themselves."""


# ------------------------------------------------------------------ what the columns mean


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of a list are.

    Parameters
    ----------
    header : tuple of str
    meaning : mapping of int to (field, unit)
        By the place of a column.
    defaults : mapping of str to str
        For cells that are empty or columns that are not there.
    decimal_comma : bool
    is_events : bool
        Whether the rows are NONMEM-style records, several to a course.
    recorded : mapping of int to (what, unit)
        Columns of records by their place, see `fludapk.patients.record_names`.
    """

    header: tuple[str, ...]
    meaning: Mapping[int, tuple[str, str]]
    defaults: Mapping[str, str] = field(default_factory=dict)
    decimal_comma: bool = False
    is_events: bool = False
    recorded: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        header: Sequence[str],
        *,
        names: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        decimal_comma: bool = False,
    ) -> Layout:
        """Understand a header.

        Parameters
        ----------
        header : sequence of str
        names : mapping of str to str, optional
            Column -> its name in `COLUMNS`, or "-" for a column that is not to be read.
        defaults : mapping of str to str, optional
            Fields of all rows.
        decimal_comma : bool

        Raises
        ------
        InputError
            If a needed column is missing, two columns are the same thing, or a name is unknown.

        Examples
        --------
        >>> layout = Layout.read(["ID", "AGE", "WT", "HT", "scr_mg_dl", "regimen", "ward"])
        >>> layout.meaning[2], layout.unused
        (('weight', 'kg'), ['ward'])
        """
        chosen, constants = dict(names or {}), dict(defaults or {})
        called = [chosen.get(column, column) for column in header]
        is_events = is_records(name for name in called if name != IGNORED)
        meaning, recorded = {}, {}
        for place, name in enumerate(called):
            known = None if name == IGNORED else known_column(name)
            own = None if name == IGNORED or not is_events else record_column(name)
            if own is not None:
                recorded[place] = own
            elif known is not None and not (is_events and known[0] in _OWN_OF_RECORDS):
                meaning[place] = known
        there = {what for what, _ in (*meaning.values(), *recorded.values())} | set(constants)
        faults = [
            *_map_faults(header, chosen),
            *_twice(header, meaning),
            *_twice(header, recorded),
            *_lacking(header, there, is_events),
        ]
        twice = [FIELDS[keyword(what)].key for what in _OWN_OF_RECORDS if what in constants]
        if is_events and twice:
            options = " and ".join(f"{{{key}}}" for key in twice)
            found = f"leave out {options}: records say what was given"
            faults.append(Fault(twice[0], found, also=tuple(twice[1:]), whole=True))
        if faults:
            raise InputError(*faults)
        return cls(
            header=tuple(header),
            meaning=meaning,
            defaults=constants,
            decimal_comma=decimal_comma,
            is_events=is_events,
            recorded=recorded,
        )

    @classmethod
    def of_levels(cls, header: Sequence[str], *, decimal_comma: bool = False) -> Layout:
        """Understand the header of a file of levels of one patient.

        Parameters
        ----------
        header : sequence of str
        decimal_comma : bool

        Raises
        ------
        InputError
            If two columns are the same thing.

        Examples
        --------
        >>> layout = Layout.of_levels(["time_h", "conc_ng_ml", "ward"])
        >>> layout.recorded, layout.unused
        ({0: ('time', 'h'), 1: ('dv', 'ng/mL')}, ['ward'])
        """
        recorded = {k: what for k, name in enumerate(header) if (what := record_column(name))}
        ids = [place for place, name in enumerate(header) if known_column(name) == ("id", "")]
        meaning = dict.fromkeys(ids, ("id", ""))
        faults = [
            replace(fault, do="leave one out of the file")
            for fault in (*_twice(header, recorded), *_twice(header, meaning))
        ]
        if faults:
            raise InputError(*faults)
        return cls(
            header=tuple(header),
            meaning=meaning,
            decimal_comma=decimal_comma,
            is_events=True,
            recorded=recorded,
        )

    def name(self, key: str) -> str:
        """Name of a field in faults: its column in this list, or else the one it would have."""
        field = FIELDS.get(key)
        if field is None:
            return key
        own = [self.header[k] for k, (what, _) in self.meaning.items() if what == field.name]
        if not own and key == "confirm":
            return 'write in a column "confirm":'
        return own[0] if own else field.name

    @property
    def unused(self) -> list[str]:
        """Columns that are kept but not understood."""
        return [
            column
            for place, column in enumerate(self.header)
            if place not in self.meaning and place not in self.recorded
        ]

    def id_of(self, cells: Sequence[str]) -> str:
        """The ID of a row, if there is one."""
        place = self._id_place
        return cells[place].strip() if place is not None and place < len(cells) else ""

    @cached_property
    def _id_place(self) -> int | None:
        return next((place for place, (what, _) in self.meaning.items() if what == "id"), None)

    def cell(self, cells: Sequence[str], place: int) -> str:
        """A cell of a record, empty if it is missing, with a decimal point.

        Raises
        ------
        InputError
            If a point in it may separate thousands.
        """
        text = cells[place].strip() if place < len(cells) else ""
        if text.lower() in _MISSING:
            return ""
        if not self.decimal_comma:
            return text
        number = text.lstrip("<>≤≥ ")  # a limit, "<0,01"
        return text.removesuffix(number) + _point(number, self.header[place])

    def texts(self, cells: Sequence[str]) -> dict[str, str]:
        """What a row says of each field, with the unit of its column.

        A header with the unit that a number has anyway does not make a cell surer than a number
        typed without a unit, so the cell stays without one and is judged like that.
        """
        own: dict[str, str] = {}
        for place, (what, unit) in self.meaning.items():
            cell = cells[place].strip()
            if cell in ("", "."):
                continue
            if self.decimal_comma:
                cell = _point(cell, self.header[place])
            is_bare = cell.endswith(unit) or unit == _usual_unit(what)
            is_bare = is_bare or (what == _BY_CLOCK and is_clock(cell))
            own[what] = cell if is_bare else f"{cell} {unit}"
        texts = dict(self.defaults)
        if "regimen" in own or "dose" in own:  # a course of the row, whole
            texts = {name: text for name, text in texts.items() if name not in _DOSING}
        return {**texts, **own}


@cache
def _usual_unit(what: str) -> str | None:
    """Unit of a number without one; None where there is none."""
    return None if what in ("id", "sexf") else FIELDS[keyword(what)].unit


def _map_faults(header: Sequence[str], chosen: Mapping[str, str]) -> Iterator[Fault]:
    """Faults of names that were given to columns."""
    for column, name in chosen.items():
        pair = f"{column}={name}"
        if column not in header:
            yield Fault("names", f"{pair}: no such column; there are {few(header)}")
        if name != IGNORED and known_column(name) is None and record_column(name) is None:
            yield Fault("names", f"{pair}: {nearest(name, list(COLUMNS))}")


def _twice(header: Sequence[str], meaning: Mapping[int, tuple[str, str]]) -> Iterator[Fault]:
    """Faults of several columns that are the same field."""
    by_field: dict[str, list[str]] = {}
    for place, (what, _) in meaning.items():
        by_field.setdefault("sex" if what == "sexf" else what, []).append(header[place])
    for what, columns in by_field.items():
        if len(columns) > 1:
            do = "give each a name of its own"
            if len(set(columns)) == len(columns):
                do = f"leave one out by {{names}} {columns[-1]}={IGNORED}"
            yield Fault("names", f"columns {few(columns)} are all {what}", do=do, whole=True)


def _lacking(header: Sequence[str], there: Set[str], is_events: bool) -> Iterator[Fault]:
    """Fault of columns that are needed and not there."""
    lacking = [FIELDS[key].name for key in REQUIRED if FIELDS[key].name not in there]
    if not there & set(_RENAL):
        lacking.append("a renal function (scr_mg_dl, scr_umol_l, egfr or crcl)")
    if is_events:
        lacking += [text for whats, text in _OF_RECORDS.items() if not there & set(whats)]
    if not is_events and not there & {"regimen", "dose"}:
        lacking.append("a course (regimen, or dose and days; or {regimen} for all rows)")
    if lacking:
        do = "Rename a column, or say what it is by {names} COLUMN=NAME"
        found = f"no column for {', '.join(lacking)}; there are {few(header)}. {do}"
        yield Fault("names", found, whole=True)


_OF_RECORDS: Final = {
    ("id",): "ID: records are of one course per ID",
    ("time", "date"): "TIME (h)",
    ("amt", "dose_mg"): "AMT or DOSE_MG (mg)",
}
"""What records need."""


def opened(
    source: str | Path | bytes, pairs: Sequence[str], defaults: Mapping[str, str | None]
) -> tuple[CsvList, Layout]:
    """Open a list and understand its header.

    Parameters
    ----------
    source : str, Path or bytes
        See `fludapk.patients.csv_list.open_list`.
    pairs : sequence of str
        What columns are, see `names_of`.
    defaults : mapping of str to str
        Fields for rows that do not say; None for those nobody gave.

    Raises
    ------
    InputError
        If the file cannot be read, or its columns not be understood.
    """
    names = names_of(pairs)
    opened_list = open_list(source, lambda column: is_column(names.get(column, column)))
    layout = Layout.read(
        opened_list.header,
        names=names,
        defaults={name: text for name, text in defaults.items() if text is not None},
        decimal_comma=opened_list.decimal_comma,
    )
    return opened_list, layout


def names_of(pairs: Sequence[str]) -> dict[str, str]:
    """Column -> name, of pairs as typed.

    Examples
    --------
    >>> names_of(["KREA=scr_umol_l", "a=b=-"])
    {'KREA': 'scr_umol_l', 'a=b': '-'}
    """
    wrong = [Fault("names", f"{pair}", do="write COLUMN=NAME") for pair in pairs if "=" not in pair]
    if wrong:
        raise InputError(*wrong)
    return {column: name for column, _, name in (pair.rpartition("=") for pair in pairs)}


def is_column(name: str) -> bool:
    """Whether a column of this name is understood.

    Examples
    --------
    >>> is_column("WT"), is_column("ward")
    (True, False)
    """
    return known_column(name) is not None or is_telling(name)


def known_column(name: str) -> tuple[str, str] | None:
    """Field and unit of a column of this name, or None."""
    key = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    return COLUMNS.get(ALIASES.get(key, key))


def few(names: Sequence[str], most: int = 12) -> str:
    """Some names, and how many more there are.

    Examples
    --------
    >>> few(["ward", "bed", "note"], most=2)
    "'ward', 'bed' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _point(cell: str, name: str) -> str:
    """A number with a decimal comma, written with a point.

    Raises
    ------
    InputError
        If a point in it may separate thousands.

    Examples
    --------
    >>> _point("18,2", "weight_kg"), _point("0,3 mg/dL", "scr")
    ('18.2', '0.3 mg/dL')
    """
    if re.match(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(?!\d)", cell):
        do = "write the number without separator of thousands"
        found = f"= {cell!r}: thousands or decimals? Other cells have decimal commas"
        raise InputError(Fault(name, found, do=do))
    return re.sub(r"^([+-]?\d*),(\d+)(?=$|\s|[a-zA-Zµμ])", r"\1.\2", cell)


# ------------------------------------------------------------------ rows to requests


def request_of(layout: Layout, cells: Sequence[str]) -> Request:
    """Read a row.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> layout = Layout.read(["age", "WT", "HT", "scr_mg_dl", "regimen"])
    >>> request_of(layout, ["5", "18.2", "110", "0.3", "tisa_cel_ball"]).patient.weight_kg
    18.2
    """
    if not any(cell.strip() for cell in cells):
        raise InputError("the row is empty")
    if len(cells) != len(layout.header):
        raise InputError(wrong_length(cells, len(layout.header)))
    return read_request(typed_of(layout.texts(cells)))


def wrong_length(cells: Sequence[str], expected: int) -> str:
    """Fault of a row that has more or fewer cells than the header."""
    extra = ", ".join(repr(cell) for cell in cells[expected:])
    return f"{len(cells)} cells, but the header has {expected}" + (
        f"; beyond it: {extra}" if extra else ""
    )


def typed_of(texts: Mapping[str, str]) -> dict[str, str]:
    """Inputs of a row by the names of requests: a coded sex is named.

    Raises
    ------
    InputError
        If the code is not known.
    """
    typed = dict(texts)
    code = typed.pop("sexf", None)
    if code is not None:
        typed["sex"] = {"1": "female", "0": "male"}.get(code, "")
        if not typed["sex"]:
            raise InputError(f"SEXF = {code!r}: 1 is female, 0 is male")
    if typed.get("sex") in ("0", "1", "2"):
        do = "write female or male, or call the column SEXF if 1 is female and 0 is male"
        raise InputError(Fault("sex", f"= {typed['sex']!r} is a code we do not know", do=do))
    return typed
