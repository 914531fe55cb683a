"""One measured level, and doses as they were given."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self, TypeAlias

import numpy as np

from fludapk.arrays import F8, I8
from fludapk.errors import Fault, InputError, gathered
from fludapk.language import tr
from fludapk.patients.clock import NO_CLOCK, Clock, ClockTime, Typed, divided, read_hours
from fludapk.units import parse_number, parse_quantity

FAR: Final = 100.0
"""A level so many times off the prediction is taken for a slip of the unit: a slip is 1000, and
patients are off by less than 10."""
FAR_OF_LITTLE: Final = 1000.0
"""The same below `LITTLE_MG_L`, where a slow patient keeps many times what is predicted."""
LITTLE_MG_L: Final = 0.01
TRACE_MG_L: Final = 1e-5
"""Below this a prediction says nothing of units: no assay sees it."""
LIMITS_MG_L: Final = (1e-4, 1.0)
"""Limits of quantification outside these are slips of the unit: those of assays of F-ara-A are of
1 to 50 ng/mL."""
LATE_H: Final = 14 * 24.0
"""A level so long after the last dose is asked about."""
TRACE_OF_PEAK: Final = 1e-4
"""So is a level where less than this fraction of the peak is expected."""
CONFIRMS_TIMES: Final = "level"
"""Name that confirms the times of levels."""

_LONGEST: Final = 200
"""Characters of a level that are read, or repeated in a fault."""
_CONC: Final = (
    r"(<?)\s{0,9}([+-]?[\d.,eE-]{1,20}\s{0,9}[^\d\s][^\n]{0,30}|[+-]?[\d.,]{1,20})\s{0,9}"
)
_LEVEL: Final = re.compile(r"\s{0,9}([+-]?[\d.,]{1,20}\s{0,9}[a-z]{0,9})[\s,;:=]{1,9}" + _CONC)
_AFTER_CLOCK: Final = re.compile(r"(?:[\s,;=]{1,9}|(?=<))" + _CONC)


@dataclass(frozen=True, kw_only=True)
class Level:
    """One measured level of F-ara-A.

    Parameters
    ----------
    time_h : float
        From the start of the first infusion.
    conc_mg_l : float, optional
        None: below the limit of quantification.
    lloq_mg_l : float, optional
        Limit of quantification.
    typed : str
        As it was written.
    clock : ClockTime, optional
        Its time, if it was typed as a clock shows it.

    Examples
    --------
    >>> Level.from_text("2.0h 0.62mg/L").conc_mg_l
    0.62
    >>> Level.from_text("24 h <10 ng/mL").lloq_mg_l
    0.01
    """

    time_h: float
    conc_mg_l: float | None
    lloq_mg_l: float | None = None
    typed: str = ""
    clock: ClockTime | None = None

    @classmethod
    def from_text(cls, text: str, clock: Clock = NO_CLOCK) -> Self:
        """Read a level as typed: time, then concentration, each with its unit.

        Parameters
        ----------
        text : str
            ``"2.0h 0.62mg/L"``.
        clock : Clock
            For a time as the clock showed it.

        Raises
        ------
        InputError
            Without a unit, or if it is not a time and a concentration.

        Examples
        --------
        >>> from fludapk.patients.clock import read_clock
        >>> clock = read_clock("2026-01-14 08:30")
        >>> Level.from_text("2026-01-14 10:30 0.62 mg/L", clock).time_h
        2.0
        """
        parts = divided(text, "time_h")
        if parts is not None:
            at, rest = parts
            after = _AFTER_CLOCK.fullmatch(rest)
            if after is None:
                do = tr('write the concentration after the time, "2026-01-14 10:30 0.62 mg/L"')
                raise InputError(Fault("levels", f"= {text[:_LONGEST]!r}", do=do))
            below, conc = after.groups()
            return cls.from_fields(at, conc, below=bool(below), typed=text.strip(), clock=clock)
        match = _LEVEL.fullmatch(text)
        if match is None:
            do = tr(
                'write time and concentration, "2.0h 0.62mg/L" or "2026-01-14 10:30 0.62mg/L"; '
                'below the limit of quantification: "24h <0.01mg/L"'
            )
            raise InputError(Fault("levels", f"= {text[:_LONGEST]!r}", do=do))
        time, below, conc = match.groups()
        number, unit = parse_number(time, "time_h")
        if not unit:
            do = tr("write {number:g}h", number=number)
            raise InputError(Fault("time_h", tr("= {typed!r} has no unit", typed=time), do=do))
        return cls.from_fields(time, conc, below=bool(below), typed=text.strip())

    @classmethod
    def from_fields(
        cls,
        time: Typed,
        conc: str | float,
        *,
        below: bool = False,
        typed: str = "",
        clock: Clock = NO_CLOCK,
    ) -> Self:
        """Read time and concentration; hours need no unit, a concentration does.

        Parameters
        ----------
        time : str, float or datetime
            Hours from the first dose, or a clock time.
        conc : str or float
            With `below`, or after ``<``, the limit of quantification.
        below : bool
            The level was below the limit of quantification.
        typed : str
            As it was written.
        clock : Clock
            For a clock time.

        Raises
        ------
        InputError
            Naming both, if both are faulty.

        Examples
        --------
        >>> Level.from_fields("2", "620 ng/mL").conc_mg_l
        0.62
        """
        value = conc.strip() if isinstance(conc, str) else conc
        limit = value.removeprefix("<") if isinstance(value, str) else value
        (time_h, at), mg_l = gathered(
            lambda: read_hours(time, clock, key="time_h"),
            lambda: (
                parse_quantity(limit, dimension="concentration", field="conc_mg_l", unit=None).value
            ),
        )
        if below or limit != value:
            return cls(time_h=time_h, conc_mg_l=None, lloq_mg_l=mg_l, typed=typed, clock=at)
        return cls(time_h=time_h, conc_mg_l=mg_l, typed=typed, clock=at)

    def __str__(self) -> str:
        value = f"<{self.lloq_mg_l:g}" if self.conc_mg_l is None else f"{self.conc_mg_l:g}"
        return f"{self.time_h:g} h {value} mg/L"


TypedLevel: TypeAlias = Level | str | tuple[Typed, float | str] | Mapping[str, Any]
"""A level, its text, or its time and concentration."""


def levels_of(levels: Sequence[TypedLevel], clock: Clock = NO_CLOCK) -> list[Level]:
    """Read levels as typed; faults say which it is.

    Parameters
    ----------
    levels : sequence of Level, str, (time, concentration) or mapping
        A mapping has time, conc, and below: True if conc is the limit of quantification.
    clock : Clock
        For times as the clock showed them.

    Raises
    ------
    InputError
        With the faults of all levels.

    Examples
    --------
    >>> [str(level) for level in levels_of(["2h 620ng/mL", Level(time_h=7, conc_mg_l=0.2)])]
    ['2 h 0.62 mg/L', '7 h 0.2 mg/L']
    """
    return gathered(*(partial(_read, level, k, clock) for k, level in enumerate(levels, start=1)))


def _read(level: TypedLevel, place: int, clock: Clock) -> Level:
    if isinstance(level, Level):
        return level
    try:
        if isinstance(level, str):
            return Level.from_text(level, clock)
        if isinstance(level, Mapping):
            below = bool(level.get("below"))
            return Level.from_fields(level["time"], level["conc"], below=below, clock=clock)
        return Level.from_fields(*level, clock=clock)
    except InputError as error:
        raise error.at(inside=("levels", place)) from None


def used_places(left_out: Sequence[int | str], levels: int) -> list[int]:
    """Places of the levels that are used, from 1.

    Parameters
    ----------
    left_out : sequence of int or str
        Places of those that are not, as typed, from 1.
    levels : int
        Number of levels.

    Raises
    ------
    InputError
        If there is no such level, or none is left.

    Examples
    --------
    >>> used_places(["2"], 3)
    [1, 3]
    """
    places, faults = set(), []
    for typed in left_out:
        text = str(typed).strip().lower().removeprefix("level").strip()
        if text.isdecimal() and 1 <= int(text[:9]) <= levels:
            places.add(int(text))
        else:
            found = tr("= {typed!r} is no level: they are counted as given, 1 to {levels}",
                       typed=str(typed)[:50], levels=levels)  # fmt: skip
            faults.append(Fault("exclude_level", found))
    if len(places) == levels and not faults:
        faults.append(Fault("exclude_level", tr("leaves no level out of which to estimate")))
    if faults:
        raise InputError(*faults)
    return [place for place in range(1, levels + 1) if place not in places]


def unlikely_times(
    times_h: F8, typical_mg_l: F8, places: I8, *, last_dose_h: float, peak_mg_l: float
) -> list[Fault]:
    """Ask about levels before the first dose, or so late that hardly any drug is left.

    Parameters
    ----------
    times_h, typical_mg_l, places : (m,)
        h from the first dose; prediction, mg/L; place of each level as it was given, from 1.
    last_dose_h : float
        Start of the last dose, h.
    peak_mg_l : float
        Highest predicted concentration of the course.

    Examples
    --------
    >>> import numpy as np
    >>> late = np.array([300.0]), np.array([1e-6]), np.array([1])
    >>> fault = unlikely_times(*late, last_dose_h=72.0, peak_mg_l=1.4)[0]
    >>> print(fault.found[:71], fault.confirm, sep="; ")
    level 1 at 300 h is 228 h after the last dose: hardly any drug is expec; level
    """
    faults = []
    for time, expected, place in zip(times_h, typical_mg_l, places, strict=True):
        after = time - last_dose_h
        if time <= 0:
            found = tr(
                "level {place} at {time:g} h: time counts from the start of the first infusion, "
                "and there is no drug before it",
                place=place,
                time=time,
            )
        elif after > LATE_H or expected < TRACE_OF_PEAK * peak_mg_l:
            found = tr(
                "level {place} at {time:g} h is {after:g} h after the last dose: hardly any drug "
                "is expected then. Check the time, and that doses and levels are on the same clock",
                place=place,
                time=time,
                after=after,
            )
        else:
            continue
        faults.append(
            Fault("levels", found, inside=("levels", int(place)), whole=True,
                  confirm=CONFIRMS_TIMES, meant=f"{time:g} h")
        )  # fmt: skip
    return faults


def repeated(times_h: F8, conc_mg_l: F8, places: I8 | None = None) -> list[Fault]:
    """Ask about a level that stands twice, as laboratories send it again: it would count twice.

    Parameters
    ----------
    times_h, conc_mg_l : (m,)
        h from the first dose; mg/L, NaN below the limit of quantification.
    places : (m,), optional
        Place of each level as it was given, from 1.

    Examples
    --------
    >>> import numpy as np
    >>> [fault.found for fault in repeated(np.array([2.0, 2.0, 7.0]), np.array([0.5, 0.5, 0.5]))]
    ['level at 2 h: 0.5 mg/L stands twice']
    """
    faults = []
    earlier: set[tuple[float, float]] = set()
    for k, level in enumerate(zip(times_h.tolist(), conc_mg_l.tolist(), strict=True)):
        if level in earlier:
            time, conc = level
            found = tr("level at {time:g} h: {conc:g} mg/L stands twice", time=time, conc=conc)
            inside = None if places is None else ("levels", int(places[k]))
            faults.append(
                Fault("levels", found, do=tr("leave one out"), inside=inside, whole=True,
                      confirm=CONFIRMS_TIMES, meant=f"2 × {conc:g} mg/L")
            )  # fmt: skip
        earlier.add(level)
    return faults


def slips(
    times_h: F8,
    conc_mg_l: F8,
    typical_mg_l: F8,
    places: I8 | None = None,
    lloq_mg_l: F8 | None = None,
) -> list[Fault]:
    """Find levels that only another unit, or another clock, explains.

    Parameters
    ----------
    times_h, conc_mg_l, typical_mg_l : (m,)
        h from the first dose; mg/L, NaN below the limit of quantification; prediction, mg/L.
    places : (m,), optional
        Place of each level as it was given, from 1.
    lloq_mg_l : (m,), optional
        Limits of quantification, mg/L, of levels below them.

    Examples
    --------
    >>> import numpy as np
    >>> (fault,) = slips(np.array([2.0]), np.array([600.0]), np.array([0.5]))
    >>> print(fault.found)
    level at 2 h: 600 mg/L is 1.2e+03 times the 0.5 mg/L expected
    """
    faults = []
    limits = np.full_like(conc_mg_l, np.nan) if lloq_mg_l is None else lloq_mg_l
    rows = zip(times_h, conc_mg_l, typical_mg_l, limits, strict=True)
    for k, (time, conc, expected, limit) in enumerate(rows):
        inside = None if places is None else ("levels", int(places[k]))
        if time <= 0:
            early = tr(
                "level at {time:g} h: time counts from the start of the first infusion, and there "
                "is no drug before it",
                time=time,
            )
            faults.append(Fault("levels", early, inside=inside, whole=True))
            continue
        low, high = LIMITS_MG_L
        if math.isnan(conc) and (limit < low or limit > high):
            no_limit = tr("level at {time:g} h: no assay has a limit of {limit:g} mg/L",
                          time=time, limit=limit)  # fmt: skip
            unit = "ng/mL" if limit > high else "mg/L"
            do = tr("check the unit, is it {unit}?", unit=unit)
            faults.append(Fault("levels", no_limit, do=do, inside=inside, whole=True))
            continue
        ratio = conc / expected if expected > TRACE_MG_L else math.nan
        far = FAR if expected > LITTLE_MG_L else FAR_OF_LITTLE
        if ratio > far or ratio < 1 / far:
            unit = "ng/mL" if ratio > 1 else "mg/L"
            far_off = tr(
                "level at {time:g} h: {conc:g} mg/L is {ratio:.3g} times the {expected:.3g} mg/L "
                "expected",
                time=time,
                conc=conc,
                ratio=ratio,
                expected=expected,
            )
            do = tr("check the unit, is it {unit}? And the time", unit=unit)
            faults.append(Fault("levels", far_off, do=do, inside=inside, whole=True))
    return faults
