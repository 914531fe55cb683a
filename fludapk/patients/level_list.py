"""Levels of one patient from a file."""

from __future__ import annotations

import csv
from pathlib import Path

from fludapk.errors import Fault, InputError
from fludapk.patients.clock import NO_CLOCK, Clock, is_clock
from fludapk.patients.level import Level
from fludapk.units import CONC_COLUMNS, parse_number, parse_quantity


def read_levels(path: str | Path, clock: Clock = NO_CLOCK) -> list[Level]:
    """Levels of a CSV file.

    Columns: time_h, or time with date and time of day (or a column date beside it); conc_mg_l (or
    _ng_ml, _ug_ml, _ug_l, _umol_l); blq (1 where it was below the limit) and lloq, in the unit of
    the concentration.

    Parameters
    ----------
    path : str or Path
    clock : Clock
        For dates and times.

    Raises
    ------
    InputError
        Naming every row that cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    rows = list(csv.DictReader(text.splitlines()))
    names = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    conc = [name for name in CONC_COLUMNS if name in names]
    if len(conc) != 1 or not {"time_h", "time"} & set(names):
        raise InputError(
            f"{path}: needs the columns time_h (or time, with date and time) and one of "
            f"{', '.join(CONC_COLUMNS)}; it has {', '.join(names) or 'none'}"
        )
    unit, suffix = CONC_COLUMNS[conc[0]], conc[0].removeprefix("conc")
    levels: list[Level] = []
    faults: list[Fault] = []
    for number, row in enumerate(rows, start=2):
        known = {k: (row[v] or "").strip() for k, v in names.items()}
        try:
            time = _time(known)
            lloq = known.get(f"lloq{suffix}", known.get("lloq", ""))
            is_below = known.get("blq", "").lower() in ("1", "true", "yes", "y")
            value = lloq if is_below else known[conc[0]]
            if not value:
                raise InputError("no concentration" + (" limit (lloq)" if is_below else ""))
            conc_and_unit = f"{value} {unit}"
            levels.append(Level.from_fields(time, conc_and_unit, below=is_below, clock=clock))
        except InputError as error:
            faults += error.at(where=f"{path} row {number}").faults
    if faults:
        raise InputError(*faults)
    return levels


def _time(known: dict[str, str]) -> str | float:
    """Hours, or a clock time as it is written."""
    if known.get("time_h"):
        value, rest = parse_number(known["time_h"], "time_h")
        if rest:
            raise InputError(f"time_h = {known['time_h']!r} is not a number of hours")
        return value
    at = f"{known.get('date', '')} {known.get('time', '')}".strip()
    if is_clock(at):
        return at
    if not at:
        do = 'write date and time as "2026-01-14 08:30", or hours in a column time_h'
        raise InputError(Fault("time_h", "is missing", do=do))
    return parse_quantity(at, dimension="time", field="time_h", unit=None).value
