"""A renal function that changes during the course: "0.8 mg/dL; 48h 1.2 mg/dL".

Times are hours from the first dose, or as a clock shows them: "2026-01-15 08:00 1.2 mg/dL".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.patients.clock import NO_CLOCK, UNPLACED, Clock, ClockTime, divided, is_clock
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
    key: str, text: str | float | Sequence[str] | None, clock: Clock = NO_CLOCK
) -> tuple[str | float | None, list[str]]:
    """Part the value at the first dose from those of later times.

    Parameters
    ----------
    key : str
        A renal function.
    text : str, float or sequence of str, optional
        As typed.
    clock : Clock
        Counts from the first dose: a value of a clock time before it is that of the first dose.

    Raises
    ------
    InputError
        If there are several values of the first dose, or none.

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
    if timed and not first:
        first, timed = _before_first_dose(key, timed, clock)
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


def _before_first_dose(key: str, timed: Sequence[str], clock: Clock) -> tuple[list[str], list[str]]:
    """Part the values of clock times up to the first dose, without their times, from the others."""
    if clock is UNPLACED:
        return [], []
    before: list[str] = []
    later: list[str] = []
    for part in timed:
        when = divided(part, key)
        is_before = when is not None and clock.time(when[0], key).hours <= 0.0
        (before if is_before else later).append(when[1].strip() if when and is_before else part)
    if len(before) > 1:
        found = tr("has {n} values from before the first dose", n=len(before))
        raise InputError(Fault(key, found, do=tr("give the last of them")))
    return before, later


def read_changes(
    key: str, texts: Sequence[str], read: Callable[[str], Quantity], clock: Clock = NO_CLOCK
) -> list[tuple[float, Quantity, ClockTime | None]]:
    """Read the values of later times.

    Parameters
    ----------
    key : str
        A renal function.
    texts : sequence of str
        As `parted` returns them.
    read : callable
        From the text of a value to its quantity.
    clock : Clock
        Counts clock times from the first dose.

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
        try:
            hours, value, at = _timed(key, text, clock)
            changes.append((hours, read(value), at))
        except InputError as error:
            faults += [replace(fault, where="") for fault in error.faults]
    faults += time_faults(key, [time for time, *_ in changes]) if clock is not UNPLACED else []
    if faults:
        raise InputError(*faults)
    return changes


def _timed(key: str, text: str, clock: Clock) -> tuple[float, str, ClockTime | None]:
    """Part the time of a later value, h from the first dose, from the text of the value."""
    when = divided(text, key)
    if when is not None:
        at = clock.time(when[0], key)
        return at.hours, when[1].strip(" :"), at
    match = _TIMED.fullmatch(text)
    if match is None:
        found = tr("= {typed!r} has no time that is read", typed=text)
        raise InputError(Fault(key, found, do=tr('write "48h 1.2 mg/dL"')))
    hours = parse_quantity(match[1], dimension="time", field=key, unit="h").value
    return hours, match[2], None


def time_faults(key: str, times_h: Sequence[float]) -> list[Fault]:
    """List the faults of times that are not after the first dose, or do not ascend.

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
