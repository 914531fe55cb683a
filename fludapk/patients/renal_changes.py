"""A renal function that changes during the course: "0.8 mg/dL; 48h 1.2 mg/dL"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.patients.clock import is_clock
from fludapk.patients.fields import FIELDS, label
from fludapk.units import UNITS, Quantity, parse_quantity

MOST: Final = 40
"""Number of changes that are read."""
_TIMED: Final = re.compile(
    r"\s*(?:from\s+|at\s+)?([+-]?\d[\d.]*\s*(?:h|hr|hrs|hours?|d|days?|min|minutes))\s*:?\s+(.+)",
    re.I,
)


class RenalChange(NamedTuple):
    """Another value of the renal function that was given."""

    time_h: float
    """From the start of the first dose, h; it counts from the first dose at or after this."""
    value: float
    """Value in the internal unit."""


def parted(
    key: str, text: str | float | Sequence[str] | None
) -> tuple[str | float | None, list[str]]:
    """Part the value at the first dose from those of later times.

    Parameters
    ----------
    key : str
        A renal function.
    text : str, float or sequence of str, optional
        As typed.

    Raises
    ------
    InputError
        If there are several values without a time, or only values with one.

    Examples
    --------
    >>> parted("scr_mg_dl", "0.8 mg/dL; 48h 1.2 mg/dL")
    ('0.8 mg/dL', ['48h 1.2 mg/dL'])
    """
    if text is None or isinstance(text, int | float):
        return text, []
    texts = [text] if isinstance(text, str) else list(text)
    parts = [part.strip() for typed in texts for part in typed.split(";") if part.strip()]
    timed = [part for part in parts if _TIMED.fullmatch(part) or is_clock(part)]
    first = [part for part in parts if part not in timed]
    if len(first) > 1:
        found = tr("= {one!r} and {other!r} are both of the first dose",
                   one=first[0], other=first[1])  # fmt: skip
        do = tr('write the time of the later one, "48h {value}"', value=first[1])
        raise InputError(Fault(key, found, do=do))
    if timed and not first:
        found = tr("= {typed!r} is of a later time, and of the first dose there is none",
                   typed=timed[0])  # fmt: skip
        do = tr('write both, "0.8 mg/dL; {later}"', later=timed[0])
        raise InputError(Fault(key, found, do=do))
    if len(timed) > MOST:
        found = tr("has {n} changes", n=len(timed))
        raise InputError(Fault(key, found, allowed=tr("at most {n}", n=MOST)))
    return (first[0] if first else None), timed


def read_changes(
    key: str, texts: Sequence[str], read: Callable[[str], Quantity]
) -> list[tuple[float, Quantity]]:
    """Read the values of later times.

    Parameters
    ----------
    key : str
        A renal function.
    texts : sequence of str
        As `parted` returns them.
    read : callable
        From the text of a value to its quantity.

    Raises
    ------
    InputError
        Listing every fault.

    Examples
    --------
    >>> def read(text):
    ...     return parse_quantity(text, dimension="creatinine", field="scr_mg_dl", unit=None)
    >>> read_changes("scr_mg_dl", ["2 days 106.08 umol/L"], read)[0][1].value
    1.2
    """
    changes, faults = [], []
    for text in texts:
        match = _TIMED.fullmatch(text)
        try:
            if match is None:
                do = tr('write hours from the first dose, "48h 1.2 mg/dL"')
                found = tr("= {typed!r}: a date is not read here", typed=text)
                raise InputError(Fault(key, found, do=do))
            time = parse_quantity(match[1], dimension="time", field=key, unit="h").value
            changes.append((time, read(match[2])))
        except InputError as error:
            faults += [replace(fault, where="") for fault in error.faults]
    faults += time_faults(key, [time for time, _ in changes])
    if faults:
        raise InputError(*faults)
    return changes


def time_faults(key: str, times_h: Sequence[float]) -> list[Fault]:
    """Return the faults of times that are not after the first dose, or do not ascend.

    Parameters
    ----------
    key : str
        A renal function.
    times_h : sequence of float
        h from the first dose.
    """
    faults = []
    if any(not 0.0 < time < 10_000.0 for time in times_h):
        do = tr("the value without a time is that of the first dose")
        faults.append(Fault(key, tr("changes at a time that is not after the first dose"), do=do))
    if any(later <= earlier for earlier, later in pairwise(times_h)):
        faults.append(Fault(key, tr("changes at times that do not ascend")))
    return faults


def at(first: float | None, changes: Sequence[RenalChange], time_h: float) -> float | None:
    """Return the value at a dose.

    Parameters
    ----------
    first : float or None
        At the first dose.
    changes : sequence of RenalChange
    time_h : float
        Start of the dose, h.

    Examples
    --------
    >>> at(0.8, [RenalChange(30.0, 1.2)], 24.0), at(0.8, [RenalChange(30.0, 1.2)], 48.0)
    (0.8, 1.2)
    """
    passed = [change.value for change in changes if change.time_h <= time_h + 1e-9]
    return passed[-1] if passed and first is not None else first


def described(key: str, changes: Sequence[RenalChange]) -> str:
    """Word the changes of a renal function, for remarks.

    Examples
    --------
    >>> described("scr_mg_dl", [RenalChange(48.0, 1.2)])
    'creatinine 1.2 mg/dL from 48 h'
    """
    unit = next(iter(UNITS[FIELDS[key].dimension or ""]))
    values = (
        tr("{value:.4g} {unit} from {time:g} h", value=value, unit=unit, time=time)
        for time, value in changes
    )
    return f"{label(key)} {', '.join(values)}"
