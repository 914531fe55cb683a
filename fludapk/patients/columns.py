"""Columns of lists: what a header means, and how a row is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Final

from fludapk.errors import Fault, InputError, gathered
from fludapk.language import all_of, tr
from fludapk.patients.age import age_years, read_day
from fludapk.patients.clock import is_clock
from fludapk.patients.column_faults import (
    header_faults,
    twice,
    unit_column_faults,
    unit_columns,
    units_row_faults,
    with_one_id,
)
from fludapk.patients.column_names import (
    ALIASES,
    COLUMNS,
    DATES,
    IGNORED,
    NO_FIELDS,
    few,
    is_column,
    is_missing,
    is_own_name,
    known_column,
    names_of,
    values_of,
    with_point,
)
from fludapk.patients.csv_list import CsvList, open_list
from fludapk.patients.fields import FIELDS, RENAL, keyword
from fludapk.patients.record_names import doses_read_as, is_records, record_column
from fludapk.patients.sex_codes import SEX_COLUMNS, SexCodes, code_of, sex_codes
from fludapk.units import as_typed, parse_quantity

__all__ = [
    "ALIASES",
    "COLUMNS",
    "Layout",
    "few",
    "is_column",
    "opened",
]

_DOSING: Final = ("regimen", "dose", "days", "interval")
_BY_CLOCK: Final = FIELDS["cells_at_h"].name
"""May be a clock time, which has no unit."""
_MAY_CHANGE: Final = tuple(FIELDS[key].name for key in RENAL)
"""May have later values, each with its time."""
_TOP: Final = 20
"""Rows among which one of units is looked for."""
_OWN_OF_RECORDS: Final = ("dose", "days", "interval", "infusion_time", "bsa_cap", "round_to")
"""Inputs that records say themselves."""


# ------------------------------------------------------------------ what the columns mean


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Meaning of the columns of a list.

    Parameters
    ----------
    header : tuple of str
    meaning : mapping of int to (field, unit)
        By the place of a column.
    defaults : mapping of str to str
        For cells that are empty or columns that are not there.
    decimal_comma : bool
    is_events : bool
        True if the rows are NONMEM-style records, several to a course.
    values : mapping of int to (mapping of str to str)
        Meaning of codes by the place of their column, as somebody has said it.
    sexes : SexCodes, optional
        Codes of sex in this list, see `surveyed`.
    recorded : mapping of int to (what, unit)
        Columns of records by their place, see `fludapk.patients.record_names`.
    dismissed : frozenset of int
        Places of columns that somebody has said not to read.
    """

    header: tuple[str, ...]
    meaning: Mapping[int, tuple[str, str]]
    defaults: Mapping[str, str] = field(default_factory=dict)
    decimal_comma: bool = False
    is_events: bool = False
    values: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    sexes: SexCodes | None = None
    recorded: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    dismissed: frozenset[int] = frozenset()

    @classmethod
    def read(
        cls,
        header: Sequence[str],
        *,
        names: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        decimal_comma: bool = False,
        values: Mapping[str, Mapping[str, str]] | None = None,
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
        values : mapping of str to (mapping of str to str), optional
            Column -> code in it -> what that means.

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
            understood = None if name == IGNORED else known_column(name)
            of_records = None if name == IGNORED or not is_events else record_column(name)
            if of_records is not None:
                recorded[place] = of_records
            elif understood is not None and not (is_events and understood[0] in _OWN_OF_RECORDS):
                meaning[place] = understood
        meaning = with_one_id(header, meaning)
        if "date_of_birth" not in {what for what, _ in meaning.values()}:  # no use for its day
            meaning = {k: read for k, read in meaning.items() if read[0] != "course_date"}
        faults = header_faults(
            header,
            meaning,
            recorded,
            names=chosen,
            values=values or {},
            constants=set(constants),
            is_events=is_events,
        )
        own = [FIELDS[keyword(what)].key for what in _OWN_OF_RECORDS if what in constants]
        if is_events and own:
            options = all_of(f"{{{key}}}" for key in own)
            found = tr("leave out {options}: records say what was given", options=options)
            faults.append(Fault(own[0], found, also=tuple(own[1:]), whole=True))
        if faults:
            raise InputError(*faults)
        return cls(
            header=tuple(header),
            meaning=meaning,
            defaults=constants,
            decimal_comma=decimal_comma,
            is_events=is_events,
            recorded=recorded,
            dismissed=frozenset(k for k, name in enumerate(called) if name == IGNORED),
            values={
                place: {code_of(code): text for code, text in values[column].items()}
                for place, column in enumerate(header)
                if values and column in values
            },
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
        faults = [replace(fault, do=tr("leave one out of the file"))
                  for fault in twice(header, recorded)]  # fmt: skip
        if faults:
            raise InputError(*faults)
        return cls(
            header=tuple(header),
            meaning=with_one_id(header, dict.fromkeys(ids, ("id", ""))),
            decimal_comma=decimal_comma,
            is_events=True,
            recorded=recorded,
        )

    def surveyed(self, rows: Iterable[Sequence[str]]) -> Layout:
        """Return the layout that knows the codes of sex in all rows of the list.

        Raises
        ------
        InputError
            If a row or a column holds units that are not those by which others are read.
        """
        every = iter(rows)
        top = list(islice(every, _TOP))
        faults = units_row_faults(self.header, self.meaning, top)
        if faults:
            raise InputError(*faults)
        sex = None if self._sex_place in self.values else self._sex_place
        unread = sorted(
            {*range(len(self.header))} - {*self.meaning, *self.recorded} - self.dismissed
        )
        units = unit_columns(self.header, unread)
        watched = units if sex is None else [*units, sex]
        if not watched:
            return self
        codes: dict[int, dict[str, None]] = {place: {} for place in watched}
        for cells in chain(top, every):
            for place in watched:
                if place < len(cells):
                    codes[place][cells[place]] = None
        filled = {k: [cell for cell in own if not is_missing(cell)] for k, own in codes.items()}
        faults = unit_column_faults(self.header, self.meaning, {k: filled[k] for k in units})
        if faults:
            raise InputError(*faults)
        if sex is None:
            return self
        return replace(self, sexes=sex_codes(self.header[sex], self.meaning[sex][0], filled[sex]))

    @cached_property
    def _sex_place(self) -> int | None:
        return next((k for k, (what, _) in self.meaning.items() if what in SEX_COLUMNS), None)

    def name(self, key: str) -> str:
        """Name of a field in faults: its column in this list, or else the one it would have."""
        field = FIELDS.get(key)
        if field is None:
            return key
        own = [self.header[k] for k, (what, _) in self.meaning.items() if what == field.name]
        if not own and key == "age_years":
            own = [self.header[k] for k, (what, _) in self.meaning.items() if what == DATES[0]]
        if not own and key == "confirm":
            return tr('write in a column "confirm":')
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
        if is_missing(text):
            return ""
        if not self.decimal_comma:
            return text
        number = text.lstrip("<>=≤≥ ")  # a limit, "<0,01"
        return text.removesuffix(number) + with_point(number, self.header[place])

    def texts(self, cells: Sequence[str]) -> dict[str, str]:
        """Return what a row says of each field, with the unit of its column.

        A header with the unit that a number has anyway does not make a cell surer than a number
        typed without a unit, so the cell stays without one and is judged like that.

        Raises
        ------
        InputError
            If a code is not understood, or a date or a number with thousands.
        """
        texts, faults = self.read_cells(cells)
        if faults:
            raise InputError(*faults)
        return texts

    def read_cells(self, cells: Sequence[str]) -> tuple[dict[str, str], list[Fault]]:
        """Return what a row says of each field, and what in it cannot be read."""
        own: dict[str, str] = {}
        faults: list[Fault] = []
        for place, what, unit, is_plain in self._readings:
            cell = cells[place].strip()
            if is_missing(cell):
                continue
            if is_plain:
                own[what] = cell
                continue
            try:
                field, text = self._read_cell(place, what, unit, cell)
            except InputError as error:
                faults += error.faults
            else:
                own[field] = text
        texts = dict(self.defaults)
        if "regimen" in own or "dose" in own:  # a course of the row, whole
            texts = {name: text for name, text in texts.items() if name not in _DOSING}
        texts |= own
        if "date_of_birth" in texts or "course_date" in texts:
            faults += self._set_age(texts)
        return texts, faults

    @cached_property
    def _readings(self) -> tuple[tuple[int, str, str, bool], ...]:
        """Place, field and unit of each column; True if its cells go as they stand."""
        special = (*NO_FIELDS, *SEX_COLUMNS, _BY_CLOCK)
        return tuple(
            (
                place,
                what,
                unit,
                not self.decimal_comma
                and place not in self.values
                and what not in special
                and unit in ("", _usual_unit(what)),
            )
            for place, (what, unit) in self.meaning.items()
        )

    def _read_cell(self, place: int, what: str, unit: str, cell: str) -> tuple[str, str]:
        """Field and text of a cell."""
        if place in self.values:
            field = "sex" if what in SEX_COLUMNS else what
            return field, self._coded(place, cell, field)
        if what in SEX_COLUMNS:
            codes = self.sexes or sex_codes(self.header[place], what, [cell])
            sex = codes.sex_of(cell)
            if isinstance(sex, Fault):
                raise InputError(sex)
            return "sex", sex
        if what in NO_FIELDS:
            return what, cell
        if self.decimal_comma:
            cell = with_point(cell, self.header[place])
        if what in _MAY_CHANGE and ";" in cell:
            parts = (part.strip() for part in cell.split(";"))
            return what, "; ".join(p if p.endswith(unit) else f"{p} {unit}" for p in parts if p)
        is_bare = cell.endswith(unit) or unit == _usual_unit(what)
        is_bare = is_bare or (what == _BY_CLOCK and is_clock(cell))
        return what, cell if is_bare else f"{cell} {unit}"

    def _coded(self, place: int, cell: str, what: str) -> str:
        """Meaning of a code, as somebody has said it."""
        meanings = self.values[place]
        text = meanings.get(code_of(cell))
        if text is None:
            key = FIELDS[keyword(what)].key
            found = tr("= {typed!r} is none of the codes {codes}",
                       typed=cell, codes=", ".join(meanings))  # fmt: skip
            raise InputError(Fault(key, found))
        return text

    def _set_age(self, texts: dict[str, str]) -> list[Fault]:
        """Set the age by the calendar, of a date of birth and the day of the course."""
        orders = {what: unit for what, unit in self.meaning.values() if what in DATES}
        born, day = (texts.pop(what, "") for what in DATES)
        day = day or texts.get("first_dose", "")
        if not born:
            return []
        if not day:
            do = tr("give it in a column course_date or first_dose, or the age")
            return [Fault("age_years", tr("needs the day of the course as well"), do=do)]
        try:
            birth = read_day(born, key="age_years", order=orders["date_of_birth"])
            years = age_years(
                birth, read_day(day, key="course_date", order=orders.get("course_date", ""))
            )
            starts = texts.get("first_dose", day)
            if read_day(starts, key="first_dose") != read_day(
                day, key="course_date", order=orders.get("course_date", "")
            ):
                found = tr("needs one day of the course: {day!r} is not {first_dose!r}",
                           day=day, first_dose=starts)  # fmt: skip
                do = tr("check both, or leave one column unread")
                return [Fault("age_years", found, do=do)]
            if "age" not in texts:
                texts["age"] = f"{as_typed(years)} years"
                return []
            stated = parse_quantity(texts["age"], dimension="age", field="age_years", unit="years")
        except InputError as error:
            return list(error.faults)
        if abs(stated.value - years) < 1.0:
            return []
        found = tr("= {typed!r} contradicts the date of birth, by which it is {years:.3g} y",
                   typed=texts["age"], years=years)  # fmt: skip
        return [Fault("age_years", found, do=tr("check both, or leave one column unread"))]

    @property
    def is_translated(self) -> bool:
        """True if a header or a code is not one of our own names."""
        is_coded = bool(self.values) or (self.sexes is not None and self.sexes.is_coded)
        return is_coded or any(not is_own_name(self.header[place]) for place in self.meaning)

    @cached_property
    def read_as(self) -> dict[str, str]:
        """Column, unit and meaning of the codes of each field, and of what doses are read from."""
        shown: dict[str, str] = {}
        for place, (what, unit) in self.meaning.items():
            parts = [self.header[place]]
            if place in self.values:
                codes = self.values[place].items()
                parts.append(", ".join(f"{code} = {text}" for code, text in codes))
            elif what in SEX_COLUMNS:
                parts.append(self.sexes.words() if self.sexes else "")
            elif what not in NO_FIELDS and FIELDS[keyword(what)].dimension:
                parts.append(unit or _usual_unit(what) or "unit in each cell")
            else:
                parts.append(unit)
            shown["sex" if what in SEX_COLUMNS else what] = ": ".join(filter(None, parts))
        return shown | (doses_read_as(self.header, self.recorded) if self.is_events else {})


@cache
def _usual_unit(what: str) -> str | None:
    """Unit of a number without one; None where there is none."""
    return None if what in NO_FIELDS else FIELDS[keyword(what)].unit


def opened(
    source: str | Path | bytes,
    pairs: Sequence[str],
    defaults: Mapping[str, str | None],
    *,
    codes: Sequence[str] = (),
    encoding: str | None = None,
    sheet: str | None = None,
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
    codes : sequence of str
        What codes in columns mean, see `values_of`.
    encoding, sheet : str, optional
        See `fludapk.patients.csv_list.open_list`.

    Raises
    ------
    InputError
        If the file cannot be read, or its columns not be understood.
    """
    names, values = gathered(lambda: names_of(pairs), lambda: values_of(codes))
    opened_list = open_list(
        source,
        lambda column: is_column(names.get(column, column)),
        encoding=encoding,
        sheet=sheet,
    )
    layout = Layout.read(
        opened_list.header,
        names=names,
        defaults={name: text for name, text in defaults.items() if text is not None},
        decimal_comma=opened_list.decimal_comma,
        values=values,
    )
    return opened_list, layout.surveyed(opened_list.rows())
