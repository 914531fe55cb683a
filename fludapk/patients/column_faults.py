"""Faults of the header of a list: columns that are missing, double, or not what somebody says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Final

from fludapk.errors import Fault, nearest
from fludapk.language import marked, tr
from fludapk.patients.column_names import COLUMNS, DATES, IGNORED, NO_FIELDS, few, known_column
from fludapk.patients.fields import FIELDS, RENAL, REQUIRED, keyword
from fludapk.patients.header_words import is_unit_of, plain, unit_word, unread_because
from fludapk.patients.record_names import record_column
from fludapk.patients.sex_codes import SEX_COLUMNS
from fludapk.units import UNITS

Meaning = Mapping[int, tuple[str, str]]
"""Place of a column -> its field and the unit of its numbers."""

_RENAL: Final = tuple(FIELDS[key].name for key in RENAL)


def header_faults(
    header: Sequence[str],
    meaning: Meaning,
    recorded: Meaning,
    *,
    names: Mapping[str, str],
    values: Mapping[str, Mapping[str, str]],
    constants: Set[str],
    is_events: bool,
) -> list[Fault]:
    """List everything that is wrong with a header.

    Parameters
    ----------
    header : sequence of str
    meaning : mapping of int to (field, unit)
        As far as it is understood.
    recorded : mapping of int to (what, unit)
        Columns of records.
    names : mapping of str to str
        Column -> its name, as somebody has said it.
    values : mapping of str to (mapping of str to str)
        Column -> code -> meaning, as somebody has said it.
    constants : set of str
        Fields of all rows.
    is_events : bool
        True for NONMEM-style records.
    """
    there = {what for what, _ in (*meaning.values(), *recorded.values())}
    return [
        *_map_faults(header, names),
        *_value_faults(header, meaning, values),
        *twice(header, meaning),
        *twice(header, recorded),
        *_lacking(header, there | constants, is_events),
        *_doses_not_read(header, names, {"dose"} if is_events else there, constants),
    ]


def with_one_id(header: Sequence[str], meaning: Meaning) -> dict[int, tuple[str, str]]:
    """Keep one of several columns that name the patient: ID, or else the first by name."""
    places = [place for place, (what, _) in meaning.items() if what == "id"]
    first = min(places, key=lambda k: (plain(header[k]) != "id", header[k]), default=None)
    return {place: read for place, read in meaning.items() if read[0] != "id" or place == first}


def _value_faults(
    header: Sequence[str],
    meaning: Meaning,
    values: Mapping[str, Mapping[str, str]],
) -> Iterator[Fault]:
    """Faults of codes whose meaning somebody has said."""
    for column, codes in values.items():
        if column not in header:
            yield Fault("values", _no_such(column, header))
            continue
        what, _ = meaning.get(header.index(column), ("", ""))
        if not what or what in ("id", *DATES):
            found = tr("{column}: say first what the column is, by {names}", column=column)
            yield Fault("values", found)
        elif what in SEX_COLUMNS:
            wrong = sorted(set(codes.values()) - {"female", "male"})
            if wrong:
                do = tr("write female or male")
                yield Fault("values", f"{column}: {few(wrong)}", do=do)


def _map_faults(header: Sequence[str], chosen: Mapping[str, str]) -> Iterator[Fault]:
    """Faults of names that were given to columns."""
    for column, name in chosen.items():
        pair = f"{column}={name}"
        if column not in header:
            yield Fault("names", _no_such(pair, header))
        if name != IGNORED and known_column(name) is None and record_column(name) is None:
            yield Fault("names", f"{pair}: {nearest(name, list(COLUMNS))}")


def _no_such(column: str, header: Sequence[str]) -> str:
    return tr("{column}: no such column; there are {columns}", column=column, columns=few(header))


def twice(header: Sequence[str], meaning: Meaning) -> Iterator[Fault]:
    """Find several columns that are the same thing."""
    by_field: dict[str, list[str]] = {}
    for place, (what, _) in meaning.items():
        by_field.setdefault("sex" if what in SEX_COLUMNS else what, []).append(header[place])
    for what, columns in by_field.items():
        if len(columns) > 1:
            do = tr("give each a name of its own")
            if len(set(columns)) == len(columns):
                do = tr("leave one out by {names} {pair}", pair=_left_out(columns[-1]))
            found = tr("columns {columns} are all {meaning}", columns=few(columns), meaning=what)
            yield Fault("names", found, do=do, whole=True)


def _left_out(column: str) -> str:
    """Word the pair that leaves a column out, as a shell takes it."""
    pair = f"{column}={IGNORED}"
    return repr(pair) if " " in pair else pair


def units_row_faults(
    header: Sequence[str], meaning: Meaning, rows: Sequence[Sequence[str]]
) -> list[Fault]:
    """Find a row of units below the header by which a column would be read otherwise.

    Examples
    --------
    >>> meaning = {0: ("age", "years"), 1: ("weight", "kg")}
    >>> rows = [["years", "lb"], ["60", "140"]]
    >>> [fault.found for fault in units_row_faults(["AGE", "WT"], meaning, rows)]
    ["WT has 'lb' below it, and would be read in kg"]
    """
    faults = []
    for cells in rows:
        for place, (what, unit) in _units_read(meaning).items():
            cell = cells[place].strip() if place < len(cells) else ""
            stated = unit_word(what, cell) if unit else None
            if stated is not None and stated != unit:
                found = tr("{column} has {cell!r} below it, and would be read in {unit}",
                           column=header[place], cell=cell, unit=unit)  # fmt: skip
                do = tr("write the unit into the header, as in {example}",
                        example=f'"{header[place]} ({cell.strip("()[]")})"')  # fmt: skip
                faults.append(Fault("", found, do=do))
    return faults


def unit_columns(header: Sequence[str], unread: Iterable[int]) -> list[int]:
    """Places of the columns that are not read and say units of others."""
    return [place for place in unread if is_unit_of(header[place]) is not None]


def unit_column_faults(
    header: Sequence[str], meaning: Meaning, units: Mapping[int, Iterable[str]]
) -> list[Fault]:
    """Find columns of units by which another would be read otherwise.

    Parameters
    ----------
    header : sequence of str
    meaning : mapping of int to (field, unit)
    units : mapping of int to iterable of str
        Place of a column of units -> its different cells.

    Examples
    --------
    >>> meaning = {0: ("weight", "kg")}
    >>> (fault,) = unit_column_faults(["WT", "WT_UNIT"], meaning, {1: ["kg", "lb"]})
    >>> fault.found.partition(":")[0]
    "WT_UNIT has 'lb', and WT would be read in kg"
    """
    read = _units_read(meaning)
    faults = []
    for place, cells in units.items():
        named = is_unit_of(header[place])
        of = {k: what for k, (what, unit) in read.items() if unit and named in ("", what)}
        for cell in filter(None, cells):
            stated = {k: unit_word(what, cell) for k, what in of.items()}
            if not named:  # the unit of whichever column has such units
                stated = {k: unit for k, unit in stated.items() if unit}
            if not stated or any(unit == read[k][1] for k, unit in stated.items()):
                continue
            k = next(iter(stated))
            other, usual = header[k], read[k][1]
            found = tr("{column} has {cell!r}, and {other} would be read in {unit}",
                       column=header[place], cell=cell, other=other, unit=usual)  # fmt: skip
            do = tr("write the unit into the header, as in {example}, or into each cell; if it "
                    "says nothing, leave it out by {names} {pair}",
                    example=f'"{other} ({cell})"', pair=_left_out(header[place]))  # fmt: skip
            faults.append(Fault("names", f"{found}: {do}", whole=True))
    return faults


def _units_read(meaning: Meaning) -> dict[int, tuple[str, str | None]]:
    """Field and unit by which the numbers of each column are read, by its place."""
    return {
        place: (what, unit or FIELDS[keyword(what)].unit)
        for place, (what, unit) in meaning.items()
        if what not in NO_FIELDS
    }


_OF_RECORDS: Final = {
    ("id",): marked("ID: records are of one course per ID"),
    ("time", "date"): "TIME (h)",
    ("amt", "dose_mg"): "AMT or DOSE_MG (mg)",
}
"""Columns that records need."""


def _lacking(header: Sequence[str], there: Set[str], is_events: bool) -> Iterator[Fault]:
    """Fault of columns that are needed and not there."""
    lacking = [FIELDS[key].name for key in REQUIRED if FIELDS[key].name not in there]
    if "age" in lacking and "date_of_birth" in there:
        if {"course_date", "first_dose"} & there:
            lacking.remove("age")
        else:
            lacking[lacking.index("age")] = tr(
                "the day of the course (course_date or first_dose), for the age"
            )
    if not there & set(_RENAL):
        lacking.append(tr("a renal function (scr_mg_dl, scr_umol_l, egfr or crcl)"))
    if is_events:
        lacking += [tr(text) for whats, text in _OF_RECORDS.items() if not there & set(whats)]
    if not is_events and not there & {"regimen", "dose"}:
        lacking.append(tr("a course (regimen, or dose and days; or {regimen} for all rows)"))
    if lacking:
        found = tr("no column for {lacking}; there are {columns}.",
                   lacking=", ".join(lacking), columns=few(header))  # fmt: skip
        do = tr("Rename a column, or say what it is by {names} COLUMN=NAME")
        sentences = (found, *_units_not_read(header, there), do)
        yield Fault("names", " ".join(sentences), whole=True)


def _doses_not_read(
    header: Sequence[str], names: Mapping[str, str], there: Set[str], constants: Set[str]
) -> Iterator[Fault]:
    """Faults of doses that are not read, where a course of all rows would take their place."""
    if "dose" in there or not constants & {"regimen", "dose"}:  # told with what is lacking
        return
    for column in header:
        what, rest = unread_because(column) or ("", "")
        if what == "dose" and column not in names and re.match(r"(in )?(mg|g|ug|mcg)\b", rest):
            do = tr("map it to dose_mg_per_infusion, or leave it out by {names} {pair}",
                    pair=_left_out(column))  # fmt: skip
            found = tr("{column!r} is not read because of {rest!r}", column=column, rest=rest)
            yield Fault("names", found, do=do, whole=True)


def _units_not_read(header: Sequence[str], there: Set[str]) -> Iterator[str]:
    """Sentences about headers that name a field that is lacking, with something else."""
    for column in header:
        what, rest = unread_because(column) or ("", "")
        if not what or what in there or what in NO_FIELDS:
            continue
        dimension, hint = FIELDS[keyword(what)].dimension, ""
        found = tr("{column!r} is not read because of {rest!r}", column=column, rest=rest)
        if what == "egfr" and rest == "ml min":
            hint = tr("is it per 1.73 m2 (map it to egfr) or not (map it to crcl)?")
        elif what == "crcl" and "1 73" in rest:
            hint = tr("per 1.73 m2 it is an eGFR: map it to egfr if it is meant so.")
        elif what == "dose" and rest in ("mg", "in mg"):
            hint = tr(
                "of one infusion, or of the course? If of one, map it to dose_mg_per_infusion."
            )
        elif dimension:
            units = ", ".join(UNITS[dimension])
            hint = tr("units of {field}: {units}.", field=what, units=units)
        yield f"{found}; {hint}" if hint else f"{found}."
