"""Levels of one patient from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from fludapk.errors import Fault, InputError, gathered
from fludapk.language import tr
from fludapk.patients.clock import NO_CLOCK, Clock, ClockTime, is_clock, read_hours
from fludapk.patients.columns import Layout, few, is_column
from fludapk.patients.csv_list import open_list
from fludapk.patients.fields import FIELDS
from fludapk.patients.level import Level
from fludapk.patients.list_rows import wrong_length
from fludapk.patients.record_faults import course_faults, list_faults
from fludapk.patients.record_levels import Assay, Sample, only_logarithms
from fludapk.patients.records import Records, is_midnight, midnight
from fludapk.units import CONC_COLUMNS

_DOSING: Final = ("amt", "dose_mg", "rate", "dur", "addl")

Row = tuple[int, list[str]]
"""Row as a spreadsheet counts, and its cells."""


class LevelFile(NamedTuple):
    """Levels of a file, and what of it was not used."""

    levels: list[Level]
    unused: list[str]
    """Columns that are not used and do not matter to the levels."""
    set_aside: int
    """Number of rows that the file marks as not to be used, or as without level (MDV 1)."""


def read_levels(path: str | Path, clock: Clock = NO_CLOCK) -> list[Level]:
    """Levels of a file; see `read_level_file`."""
    return read_level_file(path, clock).levels


def read_level_file(path: str | Path, clock: Clock = NO_CLOCK) -> LevelFile:
    """Read the levels of one patient from a CSV file.

    The columns are those of records (`fludapk.patients.record_names`): time_h, or time with date
    and time of day (or a column date beside it); conc_mg_l (or _ng_ml, _ug_ml, _ug_l, _umol_l);
    blq or cens, and lloq, in the unit of the concentration.

    Parameters
    ----------
    path : str or Path
    clock : Clock
        For dates and times.

    Raises
    ------
    InputError
        Naming every row that cannot be read, and columns by which the levels could mean something
        else: several patients or analytes, doses, a date beside hours.
    """
    source = open_list(path, is_column)
    layout = Layout.of_levels(source.header, decimal_comma=source.decimal_comma)
    records = Records(layout, can_map=False)
    if not records.has("dv") or not records.has("time", "date"):
        found = tr(
            "{path}: needs the columns time_h (or time, with date and time) and one of {columns}; "
            "it has {header}",
            path=path,
            columns=", ".join(CONC_COLUMNS),
            header=few(layout.header),
        )
        raise InputError(found + only_logarithms(records))
    rows = [
        (number, cells)
        for number, cells in enumerate(source.rows(), start=source.first_row)
        if not records.is_comment(cells)
    ]
    assay = Assay(records, records.unit("dv") or None, can_give_lloq=False)
    try:
        levels, n_aside = _levels(assay, rows, clock, str(path))
    except InputError as error:
        raise InputError(*map(_by_column, error.faults)) from None
    return LevelFile(levels, layout.unused, n_aside)


def _by_column(fault: Fault) -> Fault:
    """Name the column itself, where a fault is of no input that can be typed."""
    if fault.whole or not fault.field or fault.field in FIELDS:
        return fault
    return replace(fault, field="", found=f"{fault.field} {fault.found}")


def _levels(assay: Assay, rows: Sequence[Row], clock: Clock, path: str) -> tuple[list[Level], int]:
    """Levels of the rows that are used, and how many rows are not."""
    faults = [replace(fault, where=path) for fault in _file_faults(assay.records, rows)]
    levels: list[Level] = []
    n_aside = 0
    for number, cells in rows:
        try:
            level = _level(assay, cells, clock)
        except InputError as error:
            faults += error.at(where=tr("{file} row {row}", file=path, row=number)).faults
            continue
        if level is None:
            n_aside += 1
        else:
            levels.append(level)
    if not faults and not levels:
        faults.append(Fault("", tr("no level below the header"), where=path))
    if faults:
        raise InputError(*faults)
    return levels, n_aside


def _file_faults(records: Records, rows: Sequence[Row]) -> Iterator[Fault]:
    """Faults of the file as a whole."""
    layout = records.layout
    cells = [cells for _, cells in rows if len(cells) == len(layout.header)]
    ids = list(dict.fromkeys(name for row in cells if (name := layout.id_of(row))))
    if len(ids) > 1:
        found = tr("the levels are of {n} patients: {ids}", n=len(ids), ids=few(ids, most=4))
        yield Fault("", found, do=tr("keep the rows of one patient"))
    yield from list_faults(records, cells, with_levels=True)
    yield from course_faults(records, cells)
    times = [records.text(row, "time") or records.text(row, "date") for row in cells]
    if times and all(is_clock(time) and is_midnight(f" {time}") for time in times):
        yield midnight(records.called("time"), times[0])


def _level(assay: Assay, cells: Sequence[str], clock: Clock) -> Level | None:
    """Read a row; None if the file says that it is not to be used or has no level."""
    records = assay.records
    if len(cells) != len(records.layout.header):
        raise InputError(wrong_length(cells, len(records.layout.header)))
    if records.is_set_aside(cells):
        return None
    for what in _DOSING:
        size = records.number(cells, what)
        if size != 0:
            found = tr("= {size:g}: this is a dose, and the file is of levels", size=size)
            do = tr("take it out; doses as given are typed by {given}")
            raise InputError(Fault(records.called(what), found, do=do))
    if records.has("evid") and not records.is_level(cells):
        raise InputError(Fault(records.called("evid"), tr("is not 0: this is no level")))
    if records.flag(cells, "mdv"):
        return None
    (hours, at), sample = gathered(
        lambda: _time(records, cells, clock), lambda: _sample(assay, cells)
    )
    below = sample.is_below
    return Level(
        time_h=hours,
        conc_mg_l=None if below else sample.conc_mg_l,
        lloq_mg_l=sample.lloq_mg_l if below else None,
        clock=at,
    )


def _time(records: Records, cells: Sequence[str], clock: Clock) -> tuple[float, ClockTime | None]:
    text = records.time(cells)
    if not text:
        do = tr('write date and time as "2026-01-14 08:30", or hours in a column time_h')
        raise InputError(Fault("time_h", tr("is missing"), do=do))
    return read_hours(text, clock, key="time_h", unit=None)


def _sample(assay: Assay, cells: Sequence[str]) -> Sample:
    sample = assay.sample(cells)
    if sample is None:
        raise InputError(Fault(assay.records.called("dv"), tr("is empty: no concentration")))
    return sample
