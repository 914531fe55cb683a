"""Levels of one patient from a file."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

from fludapk.errors import Fault, InputError
from fludapk.patients.level import Level
from fludapk.units import CONC_COLUMNS, parse_number


def read_levels(path: str | Path, first_dose: str | None = None) -> list[Level]:
    """Levels of a CSV file.

    Columns: time_h, or time with date and time; conc_mg_l (or _ng_ml, _ug_ml, _ug_l, _umol_l); blq
    (1 where it was below the limit) and lloq, in the unit of the concentration.

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
            time = _hours(known, first_dose)
            lloq = known.get(f"lloq{suffix}", known.get("lloq", ""))
            is_below = known.get("blq", "").lower() in ("1", "true", "yes", "y")
            value = lloq if is_below else known[conc[0]]
            if not value:
                raise InputError("no concentration" + (" limit (lloq)" if is_below else ""))
            levels.append(Level.from_fields(time, f"{value} {unit}", below=is_below))
        except InputError as error:
            faults += error.at(where=f"{path} row {number}").faults
    if faults:
        raise InputError(*faults)
    return levels


def _hours(known: dict[str, str], first_dose: str | None) -> float:
    if known.get("time_h"):
        value, rest = parse_number(known["time_h"], "time_h")
        if rest:
            raise InputError(f"time_h = {known['time_h']!r} is not a number of hours")
        return value
    if first_dose is None:
        found = "date-times need {first_dose}, the date and time of the first dose"
        raise InputError(Fault("first_dose", found, whole=True))
    try:
        at, start = (
            datetime.datetime.fromisoformat(text) for text in (known.get("time", ""), first_dose)
        )
        return (at - start).total_seconds() / 3600
    except (ValueError, TypeError) as error:
        raise InputError(
            f'time = {known.get("time")!r}: write date and time as "2026-01-14 08:30" ({error})'
        ) from error
