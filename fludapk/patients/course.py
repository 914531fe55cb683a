"""Doses as given: the most that may be given, rounding, and preparation.

Every ceiling of the package is decided here: by `most_mg` for doses that are looked for, and by
`Course.ceiling_faults` for doses that are given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple, Self, TypeAlias

import numpy as np

from fludapk.arrays import F8
from fludapk.errors import Fault, InputError, gathered
from fludapk.language import marked, tr
from fludapk.patients.clock import NO_CLOCK, Clock, ClockTime, Typed, divided, read_hours
from fludapk.units import MG_PER_ML, VIAL_MG, parse_quantity

DAILY_CEILING_MG_M2: Final = 50.0
COURSE_CEILING_MG_M2: Final = 250.0
NEUROTOXICITY_MG_M2: Final = 40.0
"""Daily dose from which the check repeats the boxed warning."""
NEUROTOXICITY: Final = marked(
    "neurotoxicity: 96 mg/m2/day for 5-7 days gave severe CNS toxicity in 36 % (boxed warning); "
    "≤ 0.2 % at CLL doses"
)
AGAINST_MORE: Final = marked(
    "Against it: neurotoxicity: 96 mg/m2/day for 5-7 days gave severe CNS toxicity in 36 % (boxed "
    "warning); ≤ 0.2 % at CLL doses; thresholds are retrospective, and no trial supports a dose "
    "above the label"
)
AGAINST_LESS: Final = marked("Underexposure risks relapse")
NOTEWORTHY_CUT: Final = 0.1
"""A dose cut by more than this fraction of the plan has its reasons against it told."""
HOURS: Final = (0.01, 1000.0)
"""Lowest and highest length of an interval or an infusion."""
ROUNDING_CAUTION, ROUNDING_REFUSED = 0.05, 0.10
DAY_H: Final = 24.0
GIVEN_DAY_H: Final = 18.0
"""The day of doses as given: those of two days are not 24 h apart to the minute."""

_SLACK: Final = 1e-9
"""Relative excess of a ceiling that is rounding of floating-point numbers."""
_SLACK_H: Final = 1e-6
"""The same of hours."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """Infusions as given: times, lengths, and mg of fludarabine phosphate.

    Raises
    ------
    InputError
        If infusions overlap, are out of order, or of a length that is not possible.
    """

    times_h: tuple[float, ...]
    infusion_h: tuple[float, ...]
    doses_mg: tuple[float, ...]
    planned_mg: float | None = None
    """Each dose before rounding."""
    day_h: float = DAY_H
    """Doses that start within so many hours are of one day; see `GIVEN_DAY_H`."""
    given: int = 0
    """Number of doses, from the first, that have been given; the others are planned."""

    def __post_init__(self) -> None:
        ends = [t + d for t, d in zip(self.times_h, self.infusion_h, strict=True)]
        faults = [
            tr(
                "infusions {first} and {second} overlap: the first ends at {end:g} h, the second "
                "starts at {start:g} h",
                first=k + 1,
                second=k + 2,
                end=end,
                start=t,
            )
            for k, (end, t) in enumerate(zip(ends, self.times_h[1:], strict=False))
            if t < end - _SLACK
        ]
        faults += [
            tr("infusion {k} takes {length:g} h: from {low:g} to {high:g} h",
               k=k, length=length, low=HOURS[0], high=HOURS[1])
            for k, length in enumerate(self.infusion_h, start=1)
            if not HOURS[0] <= length <= HOURS[1]
        ]  # fmt: skip
        if faults:
            raise InputError(*faults)

    @classmethod
    def equal(
        cls, times_h: tuple[float, ...], infusion_h: float, dose_mg: float, planned_mg: float | None
    ) -> Self:
        """Make equal infusions of a regimen, which has judged their times and length already.

        Examples
        --------
        >>> plan = Course(times_h=(0.0, 24.0), infusion_h=(0.5, 0.5), doses_mg=(30.0, 30.0))
        >>> Course.equal((0.0, 24.0), 0.5, 30.0, None) == plan
        True
        """
        course, n = cls.__new__(cls), len(times_h)
        vars(course).update(
            times_h=times_h,
            infusion_h=(infusion_h,) * n,
            doses_mg=(dose_mg,) * n,
            planned_mg=planned_mg,
            day_h=DAY_H,
            given=0,
        )
        return course

    @property
    def total_mg(self) -> float:
        """Fludarabine phosphate, mg."""
        return math.fsum(self.doses_mg)

    @property
    def rounding_change(self) -> float:
        """Relative change of a dose by rounding."""
        return 0.0 if self.planned_mg is None else self.doses_mg[0] / self.planned_mg - 1.0

    def arrays(self, factor: float) -> tuple[F8, F8, F8]:
        """Starts (h), durations (h) and (1, doses) amounts of F-ara-A (mg) for the kernels."""
        amounts = np.array([self.doses_mg]) * factor
        return np.array(self.times_h), np.array(self.infusion_h), amounts

    def highest_daily_mg(self) -> float:
        """Highest dose that starts within any day, mg."""
        day = self.day_h - _SLACK_H
        if all(later >= earlier + day for earlier, later in pairwise(self.times_h)):
            return max(self.doses_mg)  # as a rule
        return max(
            math.fsum(self.doses_mg[k] for k in together)
            for together in _days(self.times_h, self.day_h)
        )

    def ceiling_faults(self, bsa_m2: float) -> list[Fault]:
        """Name the ceilings per day and per course that the doses pass."""
        daily, total = self._above_ceilings(bsa_m2)
        faults = []
        if daily is not None:
            found = tr("{daily:.1f} mg/m2 in a day is above {most:g} mg/m2: refused.",
                       daily=daily, most=DAILY_CEILING_MG_M2)  # fmt: skip
            why = tr(NEUROTOXICITY)
            faults.append(Fault("dose", f"{found} {why[0].upper()}{why[1:]}", whole=True))
        if total is not None:
            found = tr("{total:.1f} mg/m2 in the course is above {most:g} mg/m2: refused",
                       total=total, most=COURSE_CEILING_MG_M2)  # fmt: skip
            faults.append(Fault("dose", found, also=("days",), whole=True))
        return faults

    def given_above_ceilings(self, bsa_m2: float) -> str:
        """Word the ceilings that the doses given have passed; empty if there is none.

        Examples
        --------
        >>> course = Course(
        ...     times_h=(0.0, 24.0), infusion_h=(0.5, 0.5), doses_mg=(60.0, 30.0), given=1
        ... )
        >>> course.given_above_ceilings(1.0)[:54]
        'given above a ceiling: 60.0 mg/m2 in a day, at most 50'
        >>> course.given_above_ceilings(1.5)
        ''
        """
        if not self.given:
            return ""
        alone = replace(
            self,
            times_h=self.times_h[: self.given],
            infusion_h=self.infusion_h[: self.given],
            doses_mg=self.doses_mg[: self.given],
        )
        daily, total = alone._above_ceilings(bsa_m2)
        passed = []
        if daily is not None:
            passed.append(tr("{daily:.1f} mg/m2 in a day, at most {most:g}",
                             daily=daily, most=DAILY_CEILING_MG_M2))  # fmt: skip
        if total is not None:
            passed.append(tr("{total:.1f} mg/m2 in the course, at most {most:g}",
                             total=total, most=COURSE_CEILING_MG_M2))  # fmt: skip
        if not passed:
            return ""
        return tr("given above a ceiling: {passed}. No further dose; {why}",
                  passed="; ".join(passed), why=tr(NEUROTOXICITY))  # fmt: skip

    def _above_ceilings(self, bsa_m2: float) -> tuple[float | None, float | None]:
        """Highest mg/m2 of a day and of the course, where they are above their ceilings."""
        daily, total = self.highest_daily_mg() / bsa_m2, self.total_mg / bsa_m2
        return (
            daily if daily > DAILY_CEILING_MG_M2 * (1 + _SLACK) else None,
            total if total > COURSE_CEILING_MG_M2 * (1 + _SLACK) else None,
        )

    def preparation(self) -> Preparation:
        """Preparation of one dose (of equal doses)."""
        return Preparation.of(self.doses_mg[0])


class GivenDose(NamedTuple):
    """A dose as it was given."""

    start_h: float
    """Time from the start of the first infusion, h."""
    infusion_h: float
    dose_mg: float
    """Fludarabine phosphate."""
    clock: ClockTime | None = None
    """The start, if it was typed as a clock shows it."""

    @classmethod
    def from_text(cls, text: str, infusion_h: float, clock: Clock = NO_CLOCK) -> Self:
        """Read a dose as typed: start, mg, and the length if it differs from the planned one.

        Parameters
        ----------
        text : str
            ``"24.5h 22mg"``, ``"24.5h 22mg 45min"``.
        infusion_h : float
            Planned length.
        clock : Clock
            For a start as the clock showed it.

        Raises
        ------
        InputError
            If it is not of this form.

        Examples
        --------
        >>> GivenDose.from_text("24.5h 22 mg", 0.5)
        GivenDose(start_h=24.5, infusion_h=0.5, dose_mg=22.0, clock=None)
        >>> GivenDose.from_text("0h 22mg 45min", 0.5).infusion_h
        0.75
        """
        parts = divided(text, "given")
        start, rest = parts or ("", text)
        match = (_GIVEN if parts is None else _AFTER_CLOCK).fullmatch(rest)
        if match is None:
            do = tr(
                "write start, mg of fludarabine phosphate, and the length if it differs: "
                '"24.5h 22mg", "24.5h 22mg 45min" or "2026-01-15 09:00 22mg"'
            )
            raise InputError(Fault("given", f"= {text[:200]!r}", do=do))
        *hours, dose, length = match.groups()

        def quantity(typed: str, dimension: str) -> float:
            return parse_quantity(typed, dimension=dimension, field="given", unit=None).value

        start_h, at = read_hours(start or hours[0], clock, key="given", unit=None)
        return cls(
            start_h,
            infusion_h if length is None else quantity(length, "time"),
            quantity(dose, "mass"),
            at,
        )


TypedDose: TypeAlias = GivenDose | str | tuple[Typed, float, float]
"""A dose as given, its text, or its start (h or a clock time), length (h) and mg."""


def given_of(
    given: Sequence[TypedDose], infusion_h: float, clock: Clock = NO_CLOCK
) -> list[GivenDose]:
    """Read doses as typed.

    Parameters
    ----------
    given : sequence of GivenDose, str or (start, length h, mg)
    infusion_h : float
        Planned length of an infusion.
    clock : Clock
        For starts as the clock showed them.

    Raises
    ------
    InputError
        With the faults of all doses.

    Examples
    --------
    >>> given_of(["0h 22mg", (24.0, 0.5, 20.0)], 0.5)[1].dose_mg
    20.0
    """

    def read(dose: TypedDose) -> GivenDose:
        if isinstance(dose, GivenDose):
            return dose
        if isinstance(dose, str):
            return GivenDose.from_text(dose, infusion_h, clock)
        start_h, at = read_hours(dose[0], clock, key="given", unit="h")
        return GivenDose(start_h, *dose[1:], at)

    return gathered(*(partial(read, dose) for dose in given))


_AFTER_START: Final = (
    r"\s{1,9}([\d.]{1,20}\s{0,9}mg)(?:\s{1,9}([\d.]{1,20}\s{0,9}[a-z]{1,9}))?\s{0,9}"
)
_AFTER_CLOCK: Final = re.compile(_AFTER_START)
_GIVEN: Final = re.compile(r"\s{0,9}([\d.]{1,20}\s{0,9}[a-z]{1,9})" + _AFTER_START)


def most_mg(
    bsa_m2: F8 | float,
    times_h: Sequence[float],
    given_mg: F8 | Sequence[float] = (),
    *,
    day_h: float = DAY_H,
) -> F8:
    """Highest equal dose that may still be given, mg of fludarabine phosphate.

    Parameters
    ----------
    bsa_m2 : (n,) or float
        Body surface area, m2.
    times_h : sequence of float
        Starts of all infusions of the course, given ones first, h.
    given_mg : (n, given) or sequence of float
        Doses that have been given, mg; they count in their day and in the course.
    day_h : float
        Doses that start within so many hours are of one day.

    Returns
    -------
    (n,)
        0 where nothing may be given any more.

    Examples
    --------
    >>> most_mg(2.0, [0.0, 24.0, 48.0, 72.0])
    array([100.])
    >>> most_mg(2.0, [0.0, 12.0, 24.0, 36.0], [80.0])
    array([20.])
    """
    bsa = np.atleast_1d(np.asarray(bsa_m2, dtype=np.float64))
    given = np.atleast_2d(np.asarray(given_mg, dtype=np.float64))
    n_given = given.shape[1]
    course = COURSE_CEILING_MG_M2 * bsa - given.sum(axis=1)
    most = course / (len(times_h) - n_given)
    for together in _days(times_h, day_h):
        left = sum(k >= n_given for k in together)
        if left:
            before = given[:, [k for k in together if k < n_given]].sum(axis=1)
            most = np.minimum(most, (DAILY_CEILING_MG_M2 * bsa - before) / left)
    return np.asarray(np.maximum(most, 0.0))


def _days(times_h: Sequence[float], day_h: float) -> list[list[int]]:
    """Numbers of the infusions that start within a day of each infusion."""
    return _days_of(tuple(times_h), day_h)


def _days_of(times_h: tuple[float, ...], day_h: float) -> list[list[int]]:
    day = day_h - _SLACK_H
    return [[k for k, t in enumerate(times_h) if start <= t < start + day] for start in times_h]


def largest_steps(most: F8, step_mg: float) -> F8:
    """Number of steps in the largest multiple of a step that is not above the most."""
    return np.asarray(np.floor(most / step_mg * (1 + _SLACK / 2)))


def is_above(mg: F8, most: F8) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell which doses are above the most that may be given."""
    return np.asarray(mg > most * (1 + _SLACK))


class Preparation(NamedTuple):
    """One dose drawn up from 50 mg / 2 mL vials."""

    dose_mg: float
    volume_ml: float
    vials: int
    waste_mg: float

    @classmethod
    def of(cls, dose_mg: float) -> Self:
        """Return volume, vials and waste of a dose."""
        vials = math.ceil(dose_mg / VIAL_MG - _SLACK)
        return cls(dose_mg, dose_mg / MG_PER_ML, vials, vials * VIAL_MG - dose_mg)


def rounded_mg(dose_mg: float, step_mg: float) -> float:
    """Round a dose to the nearest multiple of a step.

    Raises
    ------
    InputError
        If the step is not from 0.01 to 1000 mg.
    """
    check_step(step_mg)
    steps = math.floor(dose_mg / step_mg + 0.5)
    return float(f"{steps * step_mg:.12g}")


def check_step(step_mg: float) -> None:
    """Refuse a rounding step that is not from 0.01 to 1000 mg; the same at every door.

    Raises
    ------
    InputError
    """
    if not 0.01 <= step_mg <= 1000:
        found = tr("= {step:g} must be a number of mg from 0.01 to 1000", step=step_mg)
        raise InputError(Fault("round_to_mg", found))
